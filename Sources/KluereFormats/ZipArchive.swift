internal import KluereBase

/// The stored (not compressed) files of a zip archive, with zip64. Places are checked against the file; names may be
/// anything. PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16.
struct ZipArchive {
  struct Entry {
    let name: [UInt8]
    /// Bytes of the archive's file.
    let range: Range<Int>
  }

  private(set) var entries: [Entry] = []

  private enum Record {
    static let localHeader: UInt32 = 0x0403_4B50
    static let centralHeader: UInt32 = 0x0201_4B50
    static let end: UInt32 = 0x0605_4B50
    static let end64: UInt32 = 0x0606_4B50
    static let locator64: UInt32 = 0x0706_4B50
  }

  static func isZip(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= 4 && bytes.loadUnaligned(as: UInt32.self) == Record.localHeader
  }

  init(_ bytes: UnsafeRawBufferPointer, name: String) throws(KluereError) {
    let reader = LittleEndian(bytes: bytes)
    let directory = try ZipArchive.directory(reader, name)
    var place = directory.place
    // Each header takes 46 bytes, so the loop ends with the file whatever the count says.
    for number in 0..<directory.count {
      guard reader.u32(place) == Record.centralHeader, let flags = reader.u16(place + 8),
        let method = reader.u16(place + 10), var stored = reader.size32(place + 20),
        var size = reader.size32(place + 24),
        let nameLength = reader.size16(place + 28), let extraLength = reader.size16(place + 30),
        let commentLength = reader.size16(place + 32), var local = reader.size32(place + 42),
        let text = reader.slice(place + 46, nameLength)
      else { throw KluereError(.badFormat, "\(name): zip entry \(number): its header is cut or wrong") }
      try ZipArchive.widen(
        reader, place + 46 + nameLength, extraLength, &size, &stored, &local, "\(name): zip entry \(excerpt(text))")
      place += 46 + nameLength + extraLength + commentLength
      guard flags & 1 == 0 else {
        throw KluereError(.unsupported, "\(name): zip entry \(excerpt(text)) is encrypted")
      }
      guard method == 0, stored == size else {
        throw KluereError(
          .unsupported, "\(name): zip entry \(excerpt(text)) is compressed (method \(method)), expected stored entries")
      }
      guard reader.u32(local) == Record.localHeader, let localName = reader.size16(local + 26),
        let localExtra = reader.size16(local + 28), let begin = local.sum(30 + localName + localExtra),
        let end = begin.sum(size), end <= bytes.count
      else { throw KluereError(.badFormat, "\(name): zip entry \(excerpt(text)) is not inside the file") }
      entries.append(Entry(name: text, range: begin..<end))
    }
  }

  /// Where the central directory begins and how many entries it has.
  private static func directory(
    _ reader: LittleEndian, _ name: String
  ) throws(KluereError) -> (place: Int, count: Int) {
    let size = reader.bytes.count
    // The end record is followed by a comment of at most 65,535 bytes.
    var end = size - 22
    let lowest = max(0, size - 22 - 65_535)
    while end >= lowest, reader.u32(end) != Record.end { end -= 1 }
    guard end >= lowest, let count16 = reader.size16(end + 10), let place32 = reader.size32(end + 16) else {
      throw KluereError(.badFormat, "\(name): the zip archive has no end record: the file is cut")
    }
    var (place, count) = (place32, count16)
    if place32 == 0xFFFF_FFFF || count16 == 0xFFFF {
      guard reader.u32(end - 20) == Record.locator64, let end64 = reader.size64(end - 12),
        reader.u32(end64) == Record.end64, let count64 = reader.size64(end64 + 32),
        let place64 = reader.size64(end64 + 48)
      else { throw KluereError(.badFormat, "\(name): the zip64 end record is missing or wrong") }
      (place, count) = (place64, count64)
    }
    guard place <= size, count <= (size - place) / 46 else {
      throw KluereError(.badFormat, "\(name): \(count) zip entries from byte \(place) on do not fit in \(size) bytes")
    }
    return (place, count)
  }

  /// Sizes and place of zip64 from the extra field, for those that say 0xFFFFFFFF.
  private static func widen(
    _ reader: LittleEndian, _ begin: Int, _ length: Int, _ size: inout Int, _ stored: inout Int, _ local: inout Int,
    _ shown: String
  ) throws(KluereError) {
    let full = 0xFFFF_FFFF
    guard size == full || stored == full || local == full else { return }
    var place = begin
    while place + 4 <= begin + length, let id = reader.u16(place), let part = reader.size16(place + 2) {
      if id == 1 {
        var field = place + 4
        for value in [0, 1, 2] {
          let old = value == 0 ? size : value == 1 ? stored : local
          guard old == full else { continue }
          guard field + 8 <= place + 4 + part, let wide = reader.size64(field) else { break }
          if value == 0 { size = wide } else if value == 1 { stored = wide } else { local = wide }
          field += 8
        }
        return
      }
      place += 4 + part
    }
    throw KluereError(.badFormat, "\(shown): its zip64 field is missing")
  }
}

/// Little-endian numbers at any place of untrusted bytes; nil outside.
struct LittleEndian {
  let bytes: UnsafeRawBufferPointer

  private func load<T: FixedWidthInteger & BitwiseCopyable>(_ place: Int, _: T.Type) -> T? {
    guard place >= 0, place <= bytes.count - MemoryLayout<T>.size else { return nil }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: T.self))
  }

  func u8(_ place: Int) -> UInt8? { load(place, UInt8.self) }
  func u16(_ place: Int) -> UInt16? { load(place, UInt16.self) }
  func u32(_ place: Int) -> UInt32? { load(place, UInt32.self) }
  func i32(_ place: Int) -> Int? { load(place, Int32.self).map { Int($0) } }
  func size16(_ place: Int) -> Int? { load(place, UInt16.self).map { Int($0) } }
  func size32(_ place: Int) -> Int? { load(place, UInt32.self).map { Int($0) } }
  /// Below 2^62, so that sums of two fit.
  func size64(_ place: Int) -> Int? {
    guard let value = load(place, UInt64.self), value < 1 << 62 else { return nil }
    return Int(value)
  }
  func i64(_ place: Int) -> Int? { load(place, Int64.self).map { Int($0) } }
  func slice(_ place: Int, _ length: Int) -> [UInt8]? {
    guard place >= 0, length >= 0, place <= bytes.count - length else { return nil }
    return Array(bytes[place..<place + length])
  }
}

/// A number by which a resumed training recognises its rows, and equal rows find each other. Not for security: rows that
/// collide can be made on purpose.
struct ContentHash {
  private var state: UInt64 = 0x6B6C_7565_7265_0001

  /// Sentences, spans, types and label names of all rows in their order.
  static func of(_ rows: UnsafeBufferPointer<ExampleView>) -> UInt64 {
    var hash = ContentHash()
    for row in rows {
      hash.add(row.text)
      for entity in [row.subject, row.object] {
        hash.add(UInt64(truncatingIfNeeded: entity.begin))
        hash.add(UInt64(truncatingIfNeeded: entity.end))
        hash.add(entity.type)
      }
      hash.add(row.label)
    }
    return hash.state
  }

  /// Of the parts of a row in which others may equal it.
  static func of(_ row: ExampleView, _ parts: RowIndex.Parts) -> UInt64 {
    var hash = ContentHash()
    hash.add(row.text)
    if parts == .sentence { return hash.state }
    for place in [row.subject.begin, row.subject.end, row.object.begin, row.object.end] {
      hash.add(UInt64(truncatingIfNeeded: place))
    }
    if parts == .input { return hash.state }
    hash.add(row.subject.type)
    hash.add(row.object.type)
    hash.add(row.label)
    return hash.state
  }

  /// The length and then 8 bytes at a time, the last ones filled up with zeros.
  private mutating func add(_ text: UnsafeBufferPointer<UInt8>?) {
    guard let text else { return add(UInt64.max) }
    add(UInt64(truncatingIfNeeded: text.count))
    let bytes = UnsafeRawBufferPointer(text)
    var place = 0
    while bytes.count - place >= 8 {
      add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
      place += 8
    }
    guard place < bytes.count else { return }
    var last: UInt64 = 0
    for byte in bytes[place...].reversed() { last = last << 8 | UInt64(byte) }
    add(last)
  }

  /// Multiply and fold: every step is a bijection of the state for a given word.
  private mutating func add(_ word: UInt64) {
    state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
    state ^= state >> 32
  }
}

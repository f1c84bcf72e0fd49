internal import Glibc
internal import KluereBase

/// The pieces of a vocab.txt: one a line, its number from 0 is the id. Lines end as Python reads them: "\n", "\r\n" or
/// "\r", the last with or without. Of equal pieces the later one is found, as in Hugging Face's dictionary.
struct Vocabulary {
  /// Far above any WordPiece vocabulary (mBERT: 120,000 pieces, 1 MB); these bound what a hostile file can cost.
  static let maximumBytes = 16 << 20
  static let maximumPieces = 1 << 20

  let bytes: [UInt8]
  let pieces: [Range<Int>]

  init(_ bytes: [UInt8]) throws(KluereError) {
    guard bytes.count <= Vocabulary.maximumBytes else {
      throw KluereError(
        .unsupported, "vocabulary: \(bytes.count) bytes, expected at most \(Vocabulary.maximumBytes)")
    }
    var pieces: [Range<Int>] = []
    let hasTooMany = bytes.withUnsafeBufferPointer { bytes in
      var start = 0
      while start < bytes.count {
        var end = start
        while end < bytes.count, bytes[end] != 0x0A, bytes[end] != 0x0D { end += 1 }
        if pieces.count == Vocabulary.maximumPieces { return true }
        pieces.append(start..<end)
        start = end + (end + 1 < bytes.count && bytes[end] == 0x0D && bytes[end + 1] == 0x0A ? 2 : 1)
      }
      return false
    }
    guard !hasTooMany else {
      throw KluereError(.unsupported, "vocabulary: more than \(Vocabulary.maximumPieces) pieces")
    }
    guard !pieces.isEmpty else { throw KluereError(.badFormat, "vocabulary: empty, expected one piece a line") }
    if let invalid = bytes.withUnsafeBufferPointer({ UTF8.firstInvalid($0) }) {
      let line = pieces.firstIndex { invalid < $0.upperBound } ?? 0
      throw KluereError(.badFormat, "vocabulary: line \(line + 1): not UTF-8 at byte \(invalid) of the file")
    }
    self.bytes = bytes
    self.pieces = pieces
  }
}

/// The strings of all tokens by id, each NUL-terminated at an address that stays for the table's life.
final class TokenStrings: @unchecked Sendable {  // immutable after init
  private let storage: UnsafeMutablePointer<UInt8>
  /// Where each string starts, and one more: the end, behind its NUL.
  private let starts: [UInt32]

  var count: Int { starts.count - 1 }

  /// `text`: the string of an id below `count`; `added`: those that follow.
  init(
    _ count: Int, added: [AddedToken], _ text: (_ id: Int) -> ArraySlice<UInt8>
  ) throws(KluereError) {
    let ids = 0..<count + added.count
    func string(_ id: Int) -> ArraySlice<UInt8> { id < count ? text(id) : added[id - count].content.utf8Key[...] }
    var total = 0
    var starts: [UInt32] = []
    starts.reserveCapacity(ids.count + 1)
    starts.append(0)
    for id in ids {
      guard let next = total.sum(string(id).count + 1), let start = UInt32(exactly: next) else {
        throw KluereError(.unsupported, "vocabulary: tokens of more than \(UInt32.max) bytes")
      }
      starts.append(start)
      total = next
    }
    guard let memory = malloc(max(total, 1)) else {
      throw KluereError(.outOfMemory, "vocabulary: no memory for \(total) bytes of tokens")
    }
    storage = memory.bindMemory(to: UInt8.self, capacity: max(total, 1))
    var position = 0
    self.starts = starts
    for id in ids {
      string(id).withUnsafeBufferPointer { bytes in
        if let base = bytes.baseAddress { memcpy(storage + position, base, bytes.count) }
        position += bytes.count
      }
      storage[position] = 0
      position += 1
    }
  }

  deinit { free(storage) }

  func bytes(_ id: Int32) -> UnsafeBufferPointer<UInt8>? {
    guard let index = Int(exactly: id), index >= 0, index < count else { return nil }
    let start = Int(starts[index])
    return UnsafeBufferPointer(start: storage + start, count: Int(starts[index + 1]) - start - 1)
  }
}

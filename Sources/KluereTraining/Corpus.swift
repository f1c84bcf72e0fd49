internal import KluereBase
package import KluereText

/// What masks need to know of a token: it begins a word, goes on with one, or is never asked for.
enum TokenKind: UInt8 {
  case begins, continues, reserved
}

/// Text as rows of tokens, special tokens around each. Immutable once it has been made; the text itself is not kept.
package final class Corpus: @unchecked Sendable {
  // Never written after `seal`: any number of threads may read.
  package let tokenizer: Tokenizer
  /// Lines of the text that are not blank, those that gave more than one row, and those left out as no UTF-8.
  package internal(set) var lineCount = 0
  package internal(set) var cutCount = 0
  package internal(set) var skippedCount = 0
  /// Of all tokens in their rows.
  private(set) var contentHash: UInt64 = 0

  private var narrowIDs = GrowingBuffer<UInt16>(for: "corpus")
  private var wideIDs = GrowingBuffer<Int32>(for: "corpus")
  private var starts = GrowingBuffer<Int>(for: "rows of a corpus")
  /// Per row the place of its first token of type 1; the length where it has none.
  private var secondParts = GrowingBuffer<Int32>(for: "rows of a corpus")
  private let narrow: Bool
  /// By id.
  let kinds: [TokenKind]

  init(_ tokenizer: Tokenizer) throws(KluereError) {
    guard tokenizer.maskID >= 0 else { throw KluereError(.unsupported, "tokenizer: it has no mask token") }
    self.tokenizer = tokenizer
    narrow = tokenizer.vocabularySize <= 65_536
    kinds = (0..<tokenizer.vocabularySize).map { id in
      let id = Int32(clamping: id)
      return tokenizer.isReserved(id) ? .reserved : tokenizer.continuesWord(id) ? .continues : .begins
    }
    try starts.append(0)
  }

  package var count: Int { starts.count - 1 }
  package var tokenCount: Int { narrow ? narrowIDs.count : wideIDs.count }

  /// 0 <= row < count.
  package func length(_ row: Int) -> Int { starts.elements[row + 1] - starts.elements[row] }

  /// Appends the row's ids to `ids`; 0 <= row < count.
  package func append(_ row: Int, to ids: inout [Int32]) {
    for place in starts.elements[row]..<starts.elements[row + 1] {
      ids.append(narrow ? Int32(narrowIDs.elements[place]) : wideIDs.elements[place])
    }
  }

  /// Token types of the row: 0 up to this place, then 1.
  package func secondPart(_ row: Int) -> Int { Int(secondParts.elements[row]) }

  // MARK: Making

  func append(ids: ArraySlice<Int32>, secondPart: Int) throws(KluereError) {
    guard !ids.isEmpty else { return }
    for id in ids {
      if narrow { try narrowIDs.append(UInt16(truncatingIfNeeded: id)) } else { try wideIDs.append(id) }
    }
    try secondParts.append(Int32(clamping: secondPart))
    try starts.append(tokenCount)
  }

  /// The end of making. Throws if nothing is there.
  func seal() throws(KluereError) -> Corpus {
    guard count > 0 else { throw KluereError(.invalidArgument, "corpus: no line has a token, expected some text") }
    guard count <= Int(UInt32.max) else {
      throw KluereError(.invalidArgument, "corpus: \(count) rows, expected at most \(UInt32.max)")
    }
    let ids = narrow ? UnsafeRawBufferPointer(narrowIDs.elements) : UnsafeRawBufferPointer(wideIDs.elements)
    contentHash = mix(
      mix(checksum(ids), checksum(UnsafeRawBufferPointer(starts.elements))),
      checksum(UnsafeRawBufferPointer(secondParts.elements)))
    return self
  }
}

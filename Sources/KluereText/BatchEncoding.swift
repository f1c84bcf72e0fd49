internal import CKluereText
package import KluereBase

extension [Token] {
  /// Offsets of some tokens from bytes of `text` to `unit`.
  mutating func convertOffsets(_ range: Range<Int>, of text: UnsafeBufferPointer<UInt8>, to unit: OffsetUnit) {
    if unit == .bytes { return }
    withUnsafeMutableBufferPointer { tokens in
      guard let base = tokens.baseAddress else { return }
      let start = UnsafeMutableRawPointer(base + range.lowerBound).assumingMemoryBound(to: kt_token.self)
      kt_convert_offsets(start, range.count, text.baseAddress, text.count, unit == .utf16 ? 1 : 0)
    }
  }
}

/// How a batch of texts is encoded.
package struct BatchEncodingOptions: Sendable {
  package var addSpecial: Bool
  package var allowSpecial: Bool
  /// Counts all tokens of a row; nil: rows are not cut.
  package var maximum: Int?
  package var unit: OffsetUnit

  package init(addSpecial: Bool, allowSpecial: Bool, truncateTo maximum: Int?, unit: OffsetUnit) {
    self.addSpecial = addSpecial
    self.allowSpecial = allowSpecial
    self.maximum = maximum
    self.unit = unit
  }
}

/// Tokens of some rows, end to end.
package struct EncodedRows: Sendable {
  package fileprivate(set) var ids: [Int32] = []
  package fileprivate(set) var typeIDs: [Int32] = []
  /// Begin and end of each token.
  package fileprivate(set) var offsets: [UInt32] = []
  /// Tokens of each row.
  package fileprivate(set) var counts: [Int] = []
  /// What kept the block from being finished.
  fileprivate var error: KluereError?
}

extension Tokenizer {
  /// The rows of a batch in blocks of neighbours, which `parallel` may work on in any order and at once. Texts are valid
  /// UTF-8 of less than 4 GiB; `pairs` has as many as `texts`, or is nil.
  package func encodeBatch(
    _ texts: [UnsafeBufferPointer<UInt8>], pairs: [UnsafeBufferPointer<UInt8>]?, _ options: BatchEncodingOptions,
    blocks: Int, parallel: (_ items: Int, _ body: (Int) -> Void) -> Void
  ) throws(KluereError) -> [EncodedRows] {
    let items = template(addSpecial: options.addSpecial).items(hasPair: pairs != nil)
    let specialCount = items.count - (pairs == nil ? 1 : 2)
    try Tokenizer.checkRoom(options.maximum, specialCount)
    let bounds = Tokenizer.blockBounds(texts, blocks)
    var found = [EncodedRows](repeating: EncodedRows(), count: bounds.count - 1)
    found.withUnsafeMutableBufferPointer { found in
      parallel(found.count) { block in
        var rows = EncodedRows()
        do throws(KluereError) {
          var pieces: [Token] = []
          var scratch = Scratch()
          for row in bounds[block]..<bounds[block + 1] {
            pieces.removeAll(keepingCapacity: true)
            let (a, second, b) = try tokenize(
              texts[row], pairs?[row], allowSpecial: options.allowSpecial,
              truncateTo: options.maximum.map { $0 - specialCount }, options.unit, scratch: &scratch,
              into: &pieces)
            rows.append(items, pieces, a, second, b)
          }
        } catch { rows.error = error }
        found[block] = rows
      }
    }
    for rows in found { if let error = rows.error { throw error } }
    return found
  }

  /// Bounds of stretches of rows with about as many bytes each.
  private static func blockBounds(_ texts: [UnsafeBufferPointer<UInt8>], _ blocks: Int) -> [Int] {
    var total = 0
    for text in texts { total = total.sum(text.count) ?? Int.max }
    let share = max(1, total / max(1, blocks))
    var bounds = [0]
    var bytes = 0
    for (row, text) in texts.enumerated() {
      if bytes >= share, bounds.count < blocks {
        bounds.append(row)
        bytes = 0
      }
      bytes = bytes.sum(text.count) ?? Int.max
    }
    return bounds + [texts.count]
  }
}

extension EncodedRows {
  /// One row: pieces [0, a) and [second, second + b) in their places among the special tokens.
  fileprivate mutating func append(
    _ items: [SpecialTemplate.Item], _ pieces: [Token], _ a: Int, _ second: Int, _ b: Int
  ) {
    let start = ids.count
    for item in items {
      switch item {
      case .special(let id, let typeID):
        ids.append(id)
        typeIDs.append(typeID)
        offsets.append(0)
        offsets.append(0)
      case .text(let sequence, let typeID):
        let range = sequence == 0 ? 0..<a : second..<second + b
        for index in range {
          ids.append(pieces[index].id)
          offsets.append(UInt32(truncatingIfNeeded: pieces[index].begin))
          offsets.append(UInt32(truncatingIfNeeded: pieces[index].end))
        }
        typeIDs.append(contentsOf: repeatElement(typeID, count: range.count))
      }
    }
    counts.append(ids.count - start)
  }
}

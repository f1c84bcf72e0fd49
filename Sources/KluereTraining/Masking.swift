internal import KluereBase
internal import KluereText

/// Puts masks into rows of tokens: a pure function of the options, a seed, the number of a pass, and the row. A run that
/// is resumed finds the same masks, and so does a batch that is cut otherwise.
package struct Masking {
  private let options: MaskingOptions
  private let maskID: Int32
  private let vocabularySize: UInt32
  private let kinds: [TokenKind]

  /// In place of the token that is asked for, where none is.
  package static let none: Int32 = -100

  /// For the rows of `corpus`; `options` have been validated.
  package init(_ options: MaskingOptions, _ corpus: Corpus) {
    self.options = options
    maskID = corpus.tokenizer.maskID
    vocabularySize = UInt32(clamping: corpus.tokenizer.vocabularySize)
    kinds = corpus.kinds
  }

  /// Masks the ids from place `start` on, which are those of row `row`, and appends to `labels` what is asked for. Returns
  /// for how many tokens that is.
  package func apply(
    _ ids: inout [Int32], from start: Int, row: Int, seed: UInt64, pass: Int, labels: inout [Int32]
  ) -> Int {
    var random = RandomStream(
      seed: mix(seed, UInt64(truncatingIfNeeded: pass)), index: UInt64(truncatingIfNeeded: row))
    func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
    var asked = 0
    var wordIsAsked = false
    var hasWord = false
    for place in start..<ids.count {
      let id = ids[place]
      let kind = kinds.indices.contains(Int(id)) ? kinds[Int(id)] : .reserved
      guard kind != .reserved else {
        hasWord = false
        labels.append(Masking.none)
        continue
      }
      let goesOn = options.wholeWords && hasWord && kind == .continues
      if !goesOn { wordIsAsked = fraction() < options.probability }
      hasWord = true
      guard wordIsAsked else {
        labels.append(Masking.none)
        continue
      }
      labels.append(id)
      asked += 1
      let share = fraction()
      if share < options.maskShare {
        ids[place] = maskID
      } else if share < options.maskShare + options.randomShare {
        ids[place] = Int32(clamping: random.next(below: vocabularySize))
      }
    }
    return asked
  }
}

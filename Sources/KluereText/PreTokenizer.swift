internal import CKluereText

/// Splits text into words at white space and around punctuation, and hands them to WordPiece.
struct PreTokenizer: Sendable {
  let model: WordPiece
  let normalizer: Normalizer
  /// What each kind of character is in text as it is, and in normalized text.
  private let keptActions: UInt32
  private let normalizedActions: UInt32

  init(model: WordPiece, normalizer: Normalizer) {
    func actions(_ pairs: [(kind: UInt8, action: Int)]) -> UInt32 {
      pairs.reduce(0) { $0 | UInt32(truncatingIfNeeded: $1.action) << (2 * UInt32($1.kind)) }
    }
    self.model = model
    self.normalizer = normalizer
    keptActions = actions([
      (CharacterKind.letter, KT_LETTER), (CharacterKind.space, KT_SPACE), (CharacterKind.dropped, KT_DROPPED),
      (CharacterKind.punctuation, KT_ALONE),
      (CharacterKind.ideograph, normalizer.spaceIdeographs ? KT_ALONE : KT_LETTER),
    ])
    normalizedActions = actions([
      (CharacterKind.letter, KT_LETTER), (CharacterKind.space, KT_SPACE), (CharacterKind.dropped, KT_LETTER),
      (CharacterKind.punctuation, KT_ALONE), (CharacterKind.ideograph, KT_LETTER),
    ])
  }

  /// Text whose normalization keeps the characters: words are taken from the text itself, without a copy, unless a
  /// character inside of one was dropped.
  func splitKept(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, word: inout Int32, scratch: inout NormalizedText,
    into tokens: inout [Token]
  ) {
    var position = begin
    while model.split(text, &position, end, actions: keptActions, word: &word, into: &tokens) {
      position = splitWithGaps(text, position, end, word: word, scratch: &scratch, into: &tokens)
      word &+= 1
    }
  }

  /// The word that begins at `begin` without the characters that cleaning drops. Returns where the word ends.
  private func splitWithGaps(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, word: Int32, scratch: inout NormalizedText,
    into tokens: inout [Token]
  ) -> Int {
    scratch.removeAll()
    var count = 0
    var position = begin
    var wordEnd = begin
    while position < end {
      let (scalar, length) = UTF8.decode(text, position, end)
      let kind = Characters.shared.properties(scalar) & CharacterKind.mask
      if kind == CharacterKind.letter || (kind == CharacterKind.ideograph && !normalizer.spaceIdeographs) {
        count += 1
        // Longer words are unknown whatever they are: nothing to keep.
        if count <= model.maximumCharacters { scratch.append(scalar, position, position + length) }
        wordEnd = position + length
      } else if kind != CharacterKind.dropped {
        break
      }
      position += length
    }
    if count > model.maximumCharacters {
      tokens.append(Token(id: model.unknownID, begin: begin, end: wordEnd, word: word))
    } else {
      scratch.bytes.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return }
        let first = tokens.count
        model.splitWord(base, 0, bytes.count, word: word, into: &tokens)
        restoreOffsets(of: &tokens, from: first, scratch)
      }
    }
    return position
  }

  /// Normalized text, whose offsets are turned into those of the text it came from.
  func splitNormalized(
    _ normalized: NormalizedText, _ begin: Int, _ end: Int, word: inout Int32, into tokens: inout [Token]
  ) {
    normalized.bytes.withUnsafeBufferPointer { bytes in
      guard let text = bytes.baseAddress else { return }
      let first = tokens.count
      var position = begin
      // No kind of character leaves a gap here.
      _ = model.split(text, &position, end, actions: normalizedActions, word: &word, into: &tokens)
      restoreOffsets(of: &tokens, from: first, normalized)
    }
  }

  func restoreOffsets(of tokens: inout [Token], from first: Int, _ normalized: NormalizedText) {
    for index in first..<tokens.count {
      let last = tokens[index].end - 1
      tokens[index].begin = normalized.begins[tokens[index].begin]
      tokens[index].end = normalized.ends[last]
    }
  }
}

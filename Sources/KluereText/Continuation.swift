package import KluereBase

/// Text that goes on with a word of which a marker took the beginning.
extension Tokenizer {
  /// As `tokenize` without special tokens, the first word as the rest of one.
  package func tokenizeContinuation(_ text: UnsafeBufferPointer<UInt8>, into tokens: inout [Token]) throws(KluereError)
  {
    guard let base = text.baseAddress else { return }
    let start = tokens.count
    switch segmenter {
    case .sentencePiece, .unigram: try tokenize(text, allowSpecial: false, continues: true, into: &tokens)
    case .wordPiece(let words):
      try tokenize(text, allowSpecial: false, into: &tokens)
      guard start < tokens.count, !isAdded(tokens[start].id) else { return }
      let stop = tokens[start...].firstIndex { $0.word != tokens[start].word } ?? tokens.count
      var normalized = NormalizedText()
      normalized.append(base, tokens[start].begin, tokens[stop - 1].end, words.normalizer)
      var pieces: [Token] = []
      words.splitContinuation(normalized, word: tokens[start].word, into: &pieces)
      tokens.replaceSubrange(start..<stop, with: pieces)
    }
  }

  /// What KLUE-baseline does behind a marker: the first piece becomes the one that goes on with a word ("##가" for "가") if it
  /// begins with a Hangul syllable; a SentencePiece piece loses its space. Where the vocabulary has no such piece it stays
  /// (KLUE-baseline makes it unknown).
  package func continueFirstPiece(of tokens: inout [Token]) {
    guard let first = tokens.first, first.id != unknownID, !isAdded(first.id), let text = strings.bytes(first.id) else {
      return
    }
    switch segmenter {
    case .wordPiece(let words):
      guard let base = text.baseAddress, (0xAC00...0xD7A3).contains(UTF8.decode(base, 0, text.count).scalar) else {
        return
      }
      if let id = words.model.continuationID(of: text) { tokens[0].id = id }
    case .sentencePiece, .unigram:
      guard text.starts(with: SentencePiece.space) else { return }
      if text.count == SentencePiece.space.count {
        tokens.removeFirst()
      } else if let id = id(of: String(decoding: text.dropFirst(SentencePiece.space.count), as: Unicode.UTF8.self)) {
        tokens[0].id = id
      }
    }
  }

  private func isAdded(_ id: Int32) -> Bool { isSpecial(id) || addedTokens.contains { $0.id == id } }
}

extension PreTokenizer {
  /// The one word of `normalized` as the rest of a word.
  func splitContinuation(_ normalized: NormalizedText, word: Int32, into tokens: inout [Token]) {
    normalized.bytes.withUnsafeBufferPointer { bytes in
      guard let text = bytes.baseAddress else { return }
      var begin = 0
      var end = bytes.count
      // The normalizer puts spaces around ideographs.
      while begin < end, text[begin] == 0x20 { begin += 1 }
      while end > begin, text[end - 1] == 0x20 { end -= 1 }
      guard begin < end else { return }
      model.splitWord(text, begin, end, word: word, continues: true, into: &tokens)
      restoreOffsets(of: &tokens, from: 0, normalized)
    }
  }
}

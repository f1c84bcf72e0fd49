/// What pieces are by themselves, wherever they stand.
extension Tokenizer {
  /// Whether the piece goes on with the word before it: "##가" of a WordPiece vocabulary; of a unigram model every piece that
  /// does not begin with a space. Special tokens stand alone.
  package func continuesWord(_ id: Int32) -> Bool {
    guard !isSpecial(id), id != unknownID, let text = strings.bytes(id) else { return false }
    switch segmenter {
    case .wordPiece:
      let prefix = configuration.wordpiecePrefix.utf8
      return !prefix.isEmpty && text.count > prefix.count && text.starts(with: prefix)
    case .sentencePiece, .unigram: return !text.starts(with: SentencePiece.space)
    }
  }

  /// Whether it stands for no text of its own: special tokens, and the one for what the vocabulary lacks.
  package func isReserved(_ id: Int32) -> Bool {
    isSpecial(id) || [unknownID, sepID, padID, clsID, maskID].contains(id)
  }

  /// Whether both number the same pieces and put the same special tokens around a text.
  package func hasPieces(of other: Tokenizer) -> Bool {
    if self === other { return true }
    guard vocabularySize == other.vocabularySize, template == other.template, maskID == other.maskID else {
      return false
    }
    return (0..<Int32(clamping: vocabularySize)).allSatisfy { id in
      guard let mine = strings.bytes(id), let its = other.strings.bytes(id) else { return false }
      return mine.elementsEqual(its)
    }
  }
}

package import KluereBase

extension Tokenizer {
  /// The text of `ids` as Hugging Face's WordPiece decoder joins them: pieces with the prefix join the one before, others
  /// follow a space. `cleanUp` takes the space before punctuation and English contractions away, token by token.
  package func decode(_ ids: [Int32], skipSpecial: Bool, cleanUp: Bool) throws(KluereError) -> [UInt8] {
    if case .sentencePiece(let pieces) = segmenter { return try decode(ids, pieces, skipSpecial: skipSpecial) }
    if case .unigram(let unigram) = segmenter { return try decode(ids, unigram, skipSpecial: skipSpecial) }
    let prefix = Array(configuration.wordpiecePrefix.utf8)
    var text: [UInt8] = []
    var isFirst = true
    var token: [UInt8] = []
    for (index, id) in ids.enumerated() {
      guard let bytes = decodedText(id) else {
        throw KluereError(
          .invalidArgument, "ids[\(index)]: \(id) is outside a vocabulary of \(vocabularySize) tokens")
      }
      if skipSpecial, isSpecial(id) { continue }
      token.removeAll(keepingCapacity: true)
      if isFirst {
        token.append(contentsOf: bytes)
      } else if bytes.starts(with: prefix) {
        token.append(contentsOf: bytes.dropFirst(prefix.count))
      } else {
        token.append(0x20)
        token.append(contentsOf: bytes)
      }
      isFirst = false
      if cleanUp, token.contains(0x20) {
        for (found, replacement) in Tokenizer.cleanUpRules { replace(found, replacement, in: &token) }
      }
      text.append(contentsOf: token)
    }
    return text
  }

  /// As SentencePiece joins them: its mark becomes a space, the first one goes, byte pieces become the characters they spell,
  /// a byte that spells none U+FFFD. Special tokens are written as they are called, the unknown one as the model says.
  private func decode(
    _ ids: [Int32], _ pieces: SentencePiece, skipSpecial: Bool
  ) throws(KluereError) -> [UInt8] {
    var text: [UInt8] = []
    var spelled: [UInt8] = []
    var isStart = true
    func flush() {
      if spelled.isEmpty { return }
      spelled.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        var position = 0
        while position < buffer.count {
          let rest = UnsafeBufferPointer(start: base + position, count: buffer.count - position)
          let good = UTF8.firstInvalid(rest) ?? rest.count
          text += rest.prefix(good)
          position += good
          if position < buffer.count {
            text += "\u{FFFD}".utf8Key
            position += 1
          }
        }
      }
      spelled.removeAll(keepingCapacity: true)
      isStart = false
    }
    for (index, id) in ids.enumerated() {
      guard let name = strings.bytes(id) else {
        throw KluereError(
          .invalidArgument, "ids[\(index)]: \(id) is outside a vocabulary of \(vocabularySize) tokens")
      }
      if skipSpecial, isSpecial(id) { continue }
      let piece = id == pieces.unknownID ? pieces.model.unknownID : id - pieces.shift
      if id != pieces.unknownID, isSpecial(id) || Int(piece) >= pieces.model.pieces.count {
        flush()
        text += name
        isStart = false
      } else if let byte = pieces.byte(piece) {
        spelled.append(byte)
      } else {
        flush()
        pieces.decode(piece, isStart: &isStart, into: &text)
      }
    }
    flush()
    return text
  }

  /// As tokenizers' decoders; without one, tokens stand side by side with a space between.
  private func decode(
    _ ids: [Int32], _ unigram: MetaspaceUnigram, skipSpecial: Bool
  ) throws(KluereError) -> [UInt8] {
    var tokens: [[UInt8]] = []
    for (index, id) in ids.enumerated() {
      guard let name = decodedText(id) else {
        throw KluereError(
          .invalidArgument, "ids[\(index)]: \(id) is outside a vocabulary of \(vocabularySize) tokens")
      }
      if !skipSpecial || !isSpecial(id) { tokens.append(name) }
    }
    guard !unigram.decoder.isEmpty else { return Array(tokens.joined(separator: [0x20])) }
    return Array(unigram.decoder.reduce(tokens) { $1.apply($0) }.joined())
  }

  private static let cleanUpRules: [([UInt8], [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (Array($0.0.utf8), Array($0.1.utf8)) }

  private func replace(_ found: [UInt8], _ replacement: [UInt8], in text: inout [UInt8]) {
    guard text.count >= found.count else { return }
    var result: [UInt8] = []
    var changed = false
    var position = 0
    while position < text.count {
      if text[position...].starts(with: found) {
        result += replacement
        position += found.count
        changed = true
      } else {
        result.append(text[position])
        position += 1
      }
    }
    if changed { text = result }
  }
}

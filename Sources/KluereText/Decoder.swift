package import KluereBase

extension Tokenizer {
  /// The text of `ids` as Hugging Face's WordPiece decoder joins them: pieces with the prefix join the one before, others
  /// follow a space. `cleanUp` takes the space before punctuation and English contractions away, token by token.
  package func decode(_ ids: [Int32], skipSpecial: Bool, cleanUp: Bool) throws(KluereError) -> [UInt8] {
    let prefix = Array(configuration.wordpiecePrefix.utf8)
    var text: [UInt8] = []
    var isFirst = true
    var token: [UInt8] = []
    for (index, id) in ids.enumerated() {
      guard let bytes = strings.bytes(id) else {
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

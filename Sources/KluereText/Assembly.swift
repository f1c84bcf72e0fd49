package import KluereBase

/// A token of an assembled input.
package struct EncodedToken: Sendable, Equatable {
  package var id: Int32
  /// 0 for the first text and its special tokens, 1 for the second.
  package var typeID: Int32
  /// [begin, end) in bytes of its own text; 0, 0 for tokens that were added.
  package var begin: Int
  package var end: Int
  /// 0: first text, 1: second, -1: added.
  package var sequence: Int32
  /// Index of the word in its text; -1: added.
  package var word: Int32

  package init(id: Int32, typeID: Int32, begin: Int, end: Int, sequence: Int32, word: Int32) {
    self.id = id
    self.typeID = typeID
    self.begin = begin
    self.end = end
    self.sequence = sequence
    self.word = word
  }
}

extension Tokenizer {
  /// Appends the tokens of one text, or of two: [CLS] A [SEP], [CLS] A [SEP] B [SEP]; without the special tokens unless
  /// `addSpecial`. `maximum` counts all tokens. Texts are valid UTF-8.
  package func encode(
    _ text: UnsafeBufferPointer<UInt8>, pair: UnsafeBufferPointer<UInt8>?, addSpecial: Bool, allowSpecial: Bool,
    truncateTo maximum: Int?, into tokens: inout [EncodedToken]
  ) throws(KluereError) {
    let specialCount = addSpecial ? (pair == nil ? 2 : 3) : 0
    if let maximum, maximum < specialCount {
      throw KluereError(
        .invalidArgument, "max_tokens: \(maximum), expected at least the \(specialCount) special tokens")
    }
    var pieces: [Token] = []
    tokenize(text, allowSpecial: allowSpecial, into: &pieces)
    let firstCount = pieces.count
    if let pair { tokenize(pair, allowSpecial: allowSpecial, into: &pieces) }
    var (a, b) = (firstCount, pieces.count - firstCount)
    if let maximum {
      if pair == nil {
        a = min(a, maximum - specialCount)
      } else {
        Tokenizer.truncateLongestFirst(&a, &b, maximum: maximum - specialCount)
      }
    }

    func add(_ id: Int32, typeID: Int32) {
      if addSpecial {
        tokens.append(EncodedToken(id: id, typeID: typeID, begin: 0, end: 0, sequence: -1, word: -1))
      }
    }
    func add(_ pieces: ArraySlice<Token>, sequence: Int32) {
      for piece in pieces {
        tokens.append(
          EncodedToken(
            id: piece.id, typeID: sequence, begin: piece.begin, end: piece.end, sequence: sequence, word: piece.word))
      }
    }
    tokens.reserveCapacity(tokens.count + a + b + specialCount)
    add(clsID, typeID: 0)
    add(pieces[..<a], sequence: 0)
    add(sepID, typeID: 0)
    if pair != nil {
      add(pieces[firstCount..<firstCount + b], sequence: 1)
      add(sepID, typeID: 1)
    }
  }
}

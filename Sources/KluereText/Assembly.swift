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

/// Which special tokens stand around one text and around two, as a post-processor of Hugging Face's tokenizers has them.
package struct SpecialTemplate: Sendable, Equatable {
  package enum Item: Sendable, Equatable {
    case special(id: Int32, typeID: Int32)
    /// The first text (0) or the second (1).
    case text(sequence: Int32, typeID: Int32)
  }

  package var single: [Item]
  package var pair: [Item]

  package init(single: [Item], pair: [Item]) {
    self.single = single
    self.pair = pair
  }

  /// [CLS] A [SEP], [CLS] A [SEP] B [SEP] with type 1 from B on.
  package init(bertWith cls: Int32, _ sep: Int32) {
    single = [.special(id: cls, typeID: 0), .text(sequence: 0, typeID: 0), .special(id: sep, typeID: 0)]
    pair = single + [.text(sequence: 1, typeID: 1), .special(id: sep, typeID: 1)]
  }

  /// <s> A </s>, <s> A </s> </s> B </s>, all of type 0, as RoBERTa and XLM-R.
  package init(robertaWith cls: Int32, _ sep: Int32) {
    let end = Item.special(id: sep, typeID: 0)
    single = [.special(id: cls, typeID: 0), .text(sequence: 0, typeID: 0), end]
    pair = single + [end, .text(sequence: 1, typeID: 0), end]
  }

  /// A </s>, A </s> B </s>, all of type 0, as T5.
  package init(t5With sep: Int32) {
    single = [.text(sequence: 0, typeID: 0), .special(id: sep, typeID: 0)]
    pair = single + [.text(sequence: 1, typeID: 0), .special(id: sep, typeID: 0)]
  }

  func check(within size: Int) throws(KluereError) {
    for case .special(let id, _) in single + pair where id < 0 || Int(id) >= size {
      throw KluereError(.badFormat, "a template asks for special token \(id), outside a vocabulary of \(size)")
    }
  }

  /// The texts alone, as where no special tokens are asked for.
  package static let bare = SpecialTemplate(
    single: [.text(sequence: 0, typeID: 0)], pair: [.text(sequence: 0, typeID: 0), .text(sequence: 1, typeID: 1)])
}

extension SpecialTemplate {
  func items(hasPair: Bool) -> [Item] { hasPair ? pair : single }
}

extension Tokenizer {
  func template(addSpecial: Bool) -> SpecialTemplate { addSpecial ? template : .bare }

  static func checkRoom(_ maximum: Int?, _ specialCount: Int) throws(KluereError) {
    if let maximum, maximum < specialCount {
      throw KluereError(
        .invalidArgument, "max_tokens: \(maximum), expected at least the \(specialCount) special tokens")
    }
  }

  /// The pieces of both texts into `pieces`, which is empty: the second's begin at `second`. a and b of them stay.
  func tokenize(
    _ text: UnsafeBufferPointer<UInt8>, _ pair: UnsafeBufferPointer<UInt8>?, allowSpecial: Bool,
    truncateTo maximum: Int?, _ unit: OffsetUnit, scratch: inout Scratch, into pieces: inout [Token]
  ) throws(KluereError) -> (a: Int, second: Int, b: Int) {
    try tokenize(text, allowSpecial: allowSpecial, continues: false, scratch: &scratch, into: &pieces)
    let second = pieces.count
    if let pair { try tokenize(pair, allowSpecial: allowSpecial, continues: false, scratch: &scratch, into: &pieces) }
    var (a, b) = (second, pieces.count - second)
    if let maximum {
      if pair == nil {
        a = min(a, maximum)
      } else {
        Tokenizer.truncateLongestFirst(&a, &b, maximum: maximum)
      }
    }
    pieces.convertOffsets(0..<a, of: text, to: unit)
    if let pair { pieces.convertOffsets(second..<second + b, of: pair, to: unit) }
    return (a, second, b)
  }

  /// What the template puts between two texts: [SEP], or </s> </s> of XLM-R; [SEP] alone where it puts nothing.
  package var pairSeparator: [Int32] {
    var ids: [Int32] = []
    var isBetween = false
    for item in template.pair {
      switch item {
      case .text(0, _): isBetween = true
      case .text: isBetween = false
      case .special(let id, _): if isBetween { ids.append(id) }
      }
    }
    return isBetween || ids.isEmpty ? [sepID] : ids
  }

  /// Appends the tokens of one text, or of two, with the template's special tokens if `addSpecial`. `maximum` counts all
  /// tokens. Texts are valid UTF-8. Offsets are given in `unit`.
  package func encode(
    _ text: UnsafeBufferPointer<UInt8>, pair: UnsafeBufferPointer<UInt8>?, addSpecial: Bool, allowSpecial: Bool,
    truncateTo maximum: Int?, unit: OffsetUnit = .bytes, into tokens: inout [EncodedToken]
  ) throws(KluereError) {
    let items = template(addSpecial: addSpecial).items(hasPair: pair != nil)
    let specialCount = items.count - (pair == nil ? 1 : 2)
    try Tokenizer.checkRoom(maximum, specialCount)
    var pieces: [Token] = []
    var scratch = Scratch()
    let (a, firstCount, b) = try tokenize(
      text, pair, allowSpecial: allowSpecial, truncateTo: maximum.map { $0 - specialCount }, unit, scratch: &scratch,
      into: &pieces)
    tokens.reserveCapacity(tokens.count + a + b + specialCount)
    for item in items {
      switch item {
      case .special(let id, let typeID):
        tokens.append(EncodedToken(id: id, typeID: typeID, begin: 0, end: 0, sequence: -1, word: -1))
      case .text(let sequence, let typeID):
        for piece in sequence == 0 ? pieces[..<a] : pieces[firstCount..<firstCount + b] {
          tokens.append(
            EncodedToken(
              id: piece.id, typeID: typeID, begin: piece.begin, end: piece.end, sequence: sequence, word: piece.word))
        }
      }
    }
  }
}

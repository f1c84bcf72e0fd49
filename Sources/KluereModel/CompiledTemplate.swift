internal import KluereBase
internal import KluereText

/// A template with the ids of one tokenizer.
struct CompiledTemplate: Sendable {
  enum Part: Sendable {
    case special(Int32)
    /// Stretch without special tokens, tokenized as one text.
    case run([InputTemplate.Part])
    case sentence
    case marked(CompiledMarks)
  }

  private(set) var parts: [Part] = []
  /// What stands beside them; see `InputTemplate.beside`.
  private(set) var beside: CompiledMarks?
  /// Number of the part with which token type 1 begins.
  private(set) var secondPart = Int.max
  /// Tokens that are in every input and are never cropped.
  private(set) var fixedCount = 0

  init(
    _ template: InputTemplate, _ rule: ParticleRule, formName: String, _ tokenizer: Tokenizer
  ) throws(KluereError) {
    // Tokenizers that call them otherwise have BERT's names too. [SEP] is what stands between two texts.
    var specials = tokenizer.specialTokens.map { (content: $0.content, ids: [$0.id]) }
    let separator = tokenizer.pairSeparator
    for (name, ids) in [("[CLS]", [tokenizer.clsID]), ("[SEP]", separator), ("[MASK]", [tokenizer.maskID])]
    where ids.allSatisfy({ $0 >= 0 }) && !specials.contains(where: { $0.content == name }) {
      specials.append((name, ids))
    }
    var run: [InputTemplate.Part] = []
    func flush() {
      if !run.isEmpty { parts.append(.run(run)) }
      run.removeAll()
    }
    for part in rule == .agree ? template.agreeing() : template.parts {
      switch part {
      case .sentence:
        flush()
        parts.append(.sentence)
      case .marked(let style):
        flush()
        let marks = try CompiledMarks(style, formName, tokenizer)
        fixedCount += marks.fixedCount
        parts.append(.marked(marks))
      case .levitated(let style):
        flush()
        let marks = try CompiledMarks(style, formName, tokenizer)
        fixedCount += marks.fixedCount
        beside = marks
      case .literal(let text):
        for piece in CompiledTemplate.split(text, at: specials) {
          if let ids = piece.ids {
            flush()
            parts += ids.map { .special($0) }
          } else {
            fixedCount += try pieces(of: piece.text, formName, tokenizer).count
            run.append(.literal(piece.text))
          }
        }
      case .particle(let particle, let written):
        // As many pieces as the longest form has syllables, at most.
        let forms = [particle.forms.closed, particle.forms.open, written]
        fixedCount += forms.reduce(0) { max($0, $1.unicodeScalars.count) }
        run.append(part)
      default: run.append(part)
      }
    }
    flush()
    addEnds(tokenizer)
    findSecondPart(tokenizer)
    fixedCount += parts.count { if case .special = $0 { true } else { false } }
  }

  /// [CLS] begins and [SEP] ends every input.
  private mutating func addEnds(_ tokenizer: Tokenizer) {
    if case .special(tokenizer.clsID) = parts.first {} else { parts.insert(.special(tokenizer.clsID), at: 0) }
    if case .special(tokenizer.sepID) = parts.last {} else { parts.append(.special(tokenizer.sepID)) }
  }

  /// Behind the last [SEP] before the sentence; without one behind the first [SEP] after it, if something follows there.
  private mutating func findSecondPart(_ tokenizer: Tokenizer) {
    let borders = parts.indices.filter { if case .special(tokenizer.sepID) = parts[$0] { true } else { false } }
    let sentence = parts.firstIndex { part in
      switch part {
      case .sentence, .marked: true
      default: false
      }
    }
    guard let sentence else { return }
    if let border = borders.last(where: { $0 < sentence }) ?? borders.first(where: { $0 > sentence }) {
      secondPart = border + 1
    }
  }

  /// Stretches of `text` without and with a special token, the longest where several begin.
  private static func split(
    _ text: String, at specials: [(content: String, ids: [Int32])]
  ) -> [(text: String, ids: [Int32]?)] {
    var result: [(text: String, ids: [Int32]?)] = []
    var rest = Array(text.utf8)[...]
    var plain: [UInt8] = []
    func flush() {
      if !plain.isEmpty { result.append((String(decoding: plain, as: UTF8View.self), nil)) }
      plain.removeAll()
    }
    while let byte = rest.first {
      let found = specials.filter { !$0.content.isEmpty && rest.starts(with: $0.content.utf8) }
        .max { $0.content.utf8.count < $1.content.utf8.count }
      if let found {
        flush()
        result.append((found.content, found.ids))
        rest = rest.dropFirst(found.content.utf8.count)
      } else {
        plain.append(byte)
        rest = rest.dropFirst()
      }
    }
    flush()
    return result
  }

  private typealias UTF8View = Unicode.UTF8
}

/// Pieces of text that an input form inserts. Throws `.invalidArgument` if the vocabulary has none for a part of it.
private func pieces(of text: String, _ formName: String, _ tokenizer: Tokenizer) throws(KluereError) -> [Int32] {
  var tokens: [Token] = []
  try tokenizer.tokenize(Array(text.utf8), into: &tokens)
  guard !tokens.contains(where: { $0.id == tokenizer.unknownID }) else {
    throw KluereError(
      .invalidArgument,
      "input form \(formName): the vocabulary has no piece for \"\(text)\"; choose another form, such as entity_pair")
  }
  return tokens.map(\.id)
}

/// A marker style with the ids of one tokenizer.
struct CompiledMarks: Sendable {
  enum Mark: Sendable {
    case ids([Int32])
    case typed([Int32], untyped: Int32)
    /// The type's words between two texts, tokenized as one; `fixedCount`: tokens of both, at most.
    case type(before: String, TypeWords, after: String, fixedCount: Int)
  }

  let subject: (open: [Mark], close: [Mark])
  let object: (open: [Mark], close: [Mark])
  let replacesEntity: Bool
  /// Tokens that are never cropped, at most.
  let fixedCount: Int

  init(_ style: MarkerStyle, _ formName: String, _ tokenizer: Tokenizer) throws(KluereError) {
    let subjectMarks = style.marks(isSubject: true)
    let objectMarks = style.marks(isSubject: false)
    subject = (
      try CompiledMarks.compile(subjectMarks.open, formName, tokenizer),
      try CompiledMarks.compile(subjectMarks.close, formName, tokenizer)
    )
    object = (
      try CompiledMarks.compile(objectMarks.open, formName, tokenizer),
      try CompiledMarks.compile(objectMarks.close, formName, tokenizer)
    )
    replacesEntity = style.replacesEntity
    fixedCount = (subject.open + subject.close + object.open + object.close).reduce(0) { sum, mark in
      switch mark {
      case .ids(let ids): sum + ids.count
      case .typed: sum + 1
      case .type(_, _, _, let count): sum + count
      }
    }
  }

  private static func compile(
    _ marks: [KluereModel.Mark], _ formName: String, _ tokenizer: Tokenizer
  ) throws(KluereError) -> [Mark] {
    func id(_ token: String) throws(KluereError) -> Int32 {
      guard let id = tokenizer.id(of: token) else {
        throw KluereError(
          .invalidArgument, "input form \(formName): the tokenizer has no \(token); it must be added to it")
      }
      return id
    }
    var result: [Mark] = []
    for mark in marks {
      switch mark {
      case .text(let text): result.append(.ids(try pieces(of: text, formName, tokenizer)))
      case .token(let token): result.append(.ids([try id(token)]))
      case .typed(let prefix, let infix, let suffix):
        var ids: [Int32] = []
        for type in TypeWords.types { ids.append(try id(prefix + infix + type + suffix)) }
        result.append(.typed(ids, untyped: try id(prefix + suffix)))
      case .type(let before, let words, let after):
        // A unigram model may cut them otherwise beside the words: at most into a space and characters.
        var count = 0
        for text in [before, after] {
          let found = try pieces(of: text.filter { $0 != " " }, formName, tokenizer).count
          count += tokenizer.isWordPiece ? found : max(found, text.utf8.count + 1)
        }
        result.append(.type(before: before, words, after: after, fixedCount: count))
      }
    }
    return result
  }
}

package import KluereBase
package import KluereData
package import KluereText

/// Turns a sentence with two entities into the tokens of an input form. Made once per model; immutable.
package struct InputEncoder: Sendable {
  private let tokenizer: Tokenizer
  private let template: CompiledTemplate
  private let afterMarker: AfterMarker
  private let maxTokens: Int
  private let secondType: Int32
  private let entitySegments: Bool

  /// Throws `.invalidArgument` if the vocabulary has no pieces for the form's markers, or they leave no room.
  package init(_ tokenizer: Tokenizer, _ configuration: ModelConfiguration) throws(KluereError) {
    guard tokenizer.clsID >= 0, tokenizer.sepID >= 0, tokenizer.padID >= 0 else {
      throw KluereError(
        .unsupported,
        "tokenizer: no token begins, ends or pads a text ([CLS], [SEP], [PAD] or <s>, </s>, <pad>); an encoder needs them"
      )
    }
    self.tokenizer = tokenizer
    template = try CompiledTemplate(
      try configuration.parsedTemplate(), configuration.particles, formName: configuration.inputForm.name, tokenizer)
    afterMarker = configuration.afterMarkerInUse
    maxTokens = configuration.maxTokens
    entitySegments = configuration.entitySegments
    // Types that say what an entity is do not say what a segment is.
    secondType = configuration.typeVocabularySize > 1 && !entitySegments ? 1 : 0
    guard template.fixedCount <= maxTokens else {
      throw KluereError(
        .invalidArgument,
        "max_tokens: \(maxTokens), the input form \(configuration.inputForm.name) alone has \(template.fixedCount)")
    }
  }

  /// Scratch of one encoding thread.
  package struct Scratch {
    var pieces: [Piece] = []
    var tokens: [Token] = []
    var words: [Token] = []
    var text: [UInt8] = []
    var stretches: [Stretch] = []
    package init() {}
  }

  /// Bytes [begin, end) of a run, and what they are.
  struct Stretch {
    enum Kind { case literal, type, subject, object }
    var begin: Int
    var end: Int
    var kind: Kind
    /// Where an entity's bytes are in the sentence.
    var source = 0
  }

  /// `example` has been validated (`ExampleView.validate`).
  package func encode(_ example: ExampleView, _ scratch: inout Scratch, into out: inout EncodedExample)
    throws(KluereError)
  {
    scratch.pieces.removeAll(keepingCapacity: true)
    for (number, part) in template.parts.enumerated() {
      let start = scratch.pieces.count
      switch part {
      case .special(let id): scratch.pieces.append(Piece(id: id))
      case .run(let parts): try run(parts, example, &scratch)
      case .sentence: try sentence(example, 0, example.text.count, .newWord, &scratch)
      case .marked(let marks): try marked(marks, example, &scratch)
      }
      if number >= template.secondPart {
        for place in start..<scratch.pieces.count { scratch.pieces[place].type = secondType }
      }
    }
    if entitySegments { setEntityTypes(&scratch.pieces) }
    if let marks = template.beside { try levitated(marks, example, &scratch) }
    out.croppedCount = Cropping.apply(&scratch.pieces, maximum: maxTokens)
    out.store(scratch.pieces)
  }

  /// 1 the subject's pieces, 2 the object's, where they stand in the sentence, else where the template names them; a piece of
  /// both is the subject's.
  private func setEntityTypes(_ pieces: inout [Piece]) {
    func mark(_ inSentence: Piece.Roles, _ named: Piece.Roles, _ type: Int32) {
      let role = pieces.contains { $0.roles.contains(inSentence) } ? inSentence : named
      for place in pieces.indices where pieces[place].roles.contains(role) { pieces[place].type = type }
    }
    mark(.object, .namedObject, 2)
    mark(.subject, .namedSubject, 1)
  }

  // MARK: Text beside the sentence

  /// Text with the entities and their types in it, tokenized as one: 비틀즈와 is one word.
  private func run(
    _ parts: [InputTemplate.Part], _ example: ExampleView, _ scratch: inout Scratch
  ) throws(KluereError) {
    scratch.text.removeAll(keepingCapacity: true)
    scratch.stretches.removeAll(keepingCapacity: true)
    for part in parts {
      var stretch = Stretch(begin: scratch.text.count, end: 0, kind: .literal)
      switch part {
      case .literal(let text): scratch.text += text.utf8
      case .particle(let particle, let written):
        scratch.text += particle.form(after: scratch.text, otherwise: written).utf8
      case .entity(let isSubject):
        let entity = isSubject ? example.subject : example.object
        scratch.text += example.text[entity.begin..<entity.end]
        stretch.kind = isSubject ? .subject : .object
        stretch.source = entity.begin
      case .type(let isSubject, let words):
        if let type = isSubject ? example.subject.type : example.object.type { words.append(type, to: &scratch.text) }
        stretch.kind = .type
      case .sentence, .marked, .levitated: continue
      }
      stretch.end = scratch.text.count
      scratch.stretches.append(stretch)
    }
    scratch.tokens.removeAll(keepingCapacity: true)
    try tokenizer.tokenize(scratch.text, into: &scratch.tokens)
    var counts = (entity: 0, type: 0)
    for token in scratch.tokens {
      var piece = Piece(id: token.id)
      let reach = scratch.text.withUnsafeBufferPointer { token.reach(in: $0) }
      for stretch in scratch.stretches where stretch.begin < reach.end && stretch.end > reach.begin {
        switch stretch.kind {
        case .literal: break
        case .type: piece.roles.insert(.typeWord)
        case .subject, .object:
          piece.roles.insert(stretch.kind == .subject ? .namedSubject : .namedObject)
          piece.inserted = false
          piece.begin = stretch.source + max(token.begin, stretch.begin) - stretch.begin
          piece.end = stretch.source + max(min(token.end, stretch.end), stretch.begin) - stretch.begin
        }
      }
      // Of a long entity or type the beginning stays; the template's own text stays whole.
      if !piece.inserted {
        piece.priority = Cropping.entityPriority(counts.entity)
        counts.entity += 1
      } else if piece.roles.contains(.typeWord) {
        piece.priority = Cropping.entityPriority(counts.type)
        counts.type += 1
      }
      scratch.pieces.append(piece)
    }
  }

  // MARK: The sentence

  /// The sentence with markers around both entities: it is cut at their borders and each part tokenized alone, as if the
  /// markers stood in the text.
  private func marked(
    _ marks: CompiledMarks, _ example: ExampleView, _ scratch: inout Scratch
  ) throws(KluereError) {
    if afterMarker == .continuation { try prepareWords(example, &scratch) }
    var from = 0
    var isBehindMarker = false
    for border in Border.sorted(example) {
      if from < border.at {
        try part(example, from, border.at, isBehindMarker, &scratch)
        isBehindMarker = false
        from = border.at
      }
      let entity = border.isSubject ? example.subject : example.object
      let sides = border.isSubject ? marks.subject : marks.object
      if border.opens {
        let role: Piece.Roles =
          marks.replacesEntity
          ? (border.isSubject ? .subject : .object) : border.isSubject ? .subjectOpens : .objectOpens
        try append(sides.open, entity, role, &scratch)
        isBehindMarker = false
        if marks.replacesEntity { from = max(from, entity.end) }
      } else if !marks.replacesEntity {
        try append(sides.close, entity, border.isSubject ? .subjectCloses : .objectCloses, &scratch)
        isBehindMarker = true
      }
    }
    try part(example, from, example.text.count, isBehindMarker, &scratch)
  }

  /// The markers beside the text: subject's, then object's. What is near them is not near an entity.
  private func levitated(
    _ marks: CompiledMarks, _ example: ExampleView, _ scratch: inout Scratch
  ) throws(KluereError) {
    let start = scratch.pieces.count
    try append(marks.subject.open, example.subject, .subjectOpens, &scratch)
    try append(marks.subject.close, example.subject, .subjectCloses, &scratch)
    try append(marks.object.open, example.object, .objectOpens, &scratch)
    try append(marks.object.close, example.object, .objectCloses, &scratch)
    for place in start..<scratch.pieces.count {
      scratch.pieces[place].anchor = false
      scratch.pieces[place].roles.insert(.beside)
    }
  }

  private func append(
    _ marks: [CompiledMarks.Mark], _ entity: Entity, _ role: Piece.Roles, _ scratch: inout Scratch
  ) throws(KluereError) {
    for mark in marks {
      switch mark {
      case .ids(let ids): append(ids, role, &scratch)
      case .typed(let ids, let untyped):
        let index = entity.type.flatMap(TypeWords.index)
        append([index.flatMap { ids.indices.contains($0) ? ids[$0] : nil } ?? untyped], role, &scratch)
      case .type(let before, let words, let after, _):
        guard let type = entity.type, !type.isEmpty else { continue }
        scratch.text.removeAll(keepingCapacity: true)
        scratch.text += before.utf8
        words.append(type, to: &scratch.text)
        let end = scratch.text.count
        scratch.text += after.utf8
        scratch.tokens.removeAll(keepingCapacity: true)
        try tokenizer.tokenize(scratch.text, into: &scratch.tokens)
        // Of a long type the beginning stays; what stands around it stays whole.
        var count = 0
        for token in scratch.tokens {
          var piece = Piece(id: token.id, anchor: true, roles: role)
          if token.begin < end, token.end > before.utf8.count {
            piece.roles.insert(.typeWord)
            piece.priority = Cropping.entityPriority(count)
            count += 1
          }
          scratch.pieces.append(piece)
        }
      }
    }
  }

  private func append(_ ids: [Int32], _ role: Piece.Roles, _ scratch: inout Scratch) {
    for id in ids { scratch.pieces.append(Piece(id: id, anchor: true, roles: role)) }
  }

  /// A part of the sentence; behind a closing marker its first word may go on with the word before.
  private func part(
    _ example: ExampleView, _ begin: Int, _ end: Int, _ isBehindMarker: Bool, _ scratch: inout Scratch
  ) throws(KluereError) {
    guard isBehindMarker, afterMarker != .newWord else { return try sentence(example, begin, end, .newWord, &scratch) }
    switch afterMarker {
    case .continuation where isInsideWord(begin, scratch): try sentence(example, begin, end, .continuation, &scratch)
    case .klueRepair: try sentence(example, begin, end, .klueRepair, &scratch)
    default: try sentence(example, begin, end, .newWord, &scratch)
    }
  }

  private func prepareWords(_ example: ExampleView, _ scratch: inout Scratch) throws(KluereError) {
    scratch.words.removeAll(keepingCapacity: true)
    try tokenizer.tokenize(example.text, allowSpecial: false, into: &scratch.words)
  }

  /// Whether one word of the sentence without markers reaches across the place.
  private func isInsideWord(_ place: Int, _ scratch: Scratch) -> Bool {
    guard let before = scratch.words.last(where: { $0.begin < place }),
      let after = scratch.words.first(where: { $0.end > place })
    else { return false }
    return before.word == after.word
  }

  /// Pieces of bytes [begin, end) of the sentence: those of entities rank before context and anchor it.
  private func sentence(
    _ example: ExampleView, _ begin: Int, _ end: Int, _ start: AfterMarker, _ scratch: inout Scratch
  ) throws(KluereError) {
    guard begin < end, end <= example.text.count else { return }
    scratch.tokens.removeAll(keepingCapacity: true)
    let part = UnsafeBufferPointer(rebasing: example.text[begin..<end])
    switch start {
    case .newWord: try tokenizer.tokenize(part, allowSpecial: false, into: &scratch.tokens)
    case .continuation: try tokenizer.tokenizeContinuation(part, into: &scratch.tokens)
    case .klueRepair:
      try tokenizer.tokenize(part, allowSpecial: false, into: &scratch.tokens)
      if part[0] > 0x20 { tokenizer.continueFirstPiece(of: &scratch.tokens) }
    }
    // An entity's pieces rank by their number in it; those of both by the smaller one.
    var (subjectCount, objectCount) = (0, 0)
    for token in scratch.tokens {
      var piece = Piece(id: token.id, begin: token.begin + begin, end: token.end + begin, inserted: false)
      let reach = token.reach(in: part)
      piece.priority = Cropping.contextPriority
      if example.subject.touches(reach.begin + begin, reach.end + begin) {
        piece.roles.insert(.subject)
        piece.priority = Cropping.entityPriority(subjectCount)
        subjectCount += 1
      }
      if example.object.touches(reach.begin + begin, reach.end + begin) {
        piece.roles.insert(.object)
        piece.priority = min(piece.priority, Cropping.entityPriority(objectCount))
        objectCount += 1
      }
      piece.anchor = !piece.roles.isEmpty
      scratch.pieces.append(piece)
    }
  }
}

extension Entity {
  fileprivate func touches(_ first: Int, _ behind: Int) -> Bool { first < end && behind > begin }
}

extension Token {
  /// The bytes that it belongs to. SentencePiece's piece of a space alone belongs to the word that it begins, as the first
  /// bytes of a character without a piece belong to the character.
  fileprivate func reach(in text: UnsafeBufferPointer<UInt8>) -> (begin: Int, end: Int) {
    begin >= end || text[begin..<end].allSatisfy { $0 == 0x20 } ? (end, end + 1) : (begin, end)
  }
}

/// An end of an entity. In order; where several meet, what closes comes before what opens and the inner entity is inside.
private struct Border: Comparable {
  var at: Int
  var opens: Bool
  var length: Int
  var isSubject: Bool

  static func sorted(_ example: ExampleView) -> [Border] {
    [(example.subject, true), (example.object, false)].flatMap { entity, isSubject in
      [(entity.begin, true), (entity.end, false)].map { at, opens in
        Border(at: at, opens: opens, length: entity.end - entity.begin, isSubject: isSubject)
      }
    }.sorted()
  }

  static func < (a: Border, b: Border) -> Bool {
    if a.at != b.at { return a.at < b.at }
    if a.opens != b.opens { return !a.opens }
    if a.length != b.length { return a.opens ? a.length > b.length : a.length < b.length }
    // Equal spans are refused by validation; crossing ones of equal length differ in `at`.
    return a.isSubject && !b.isSubject
  }
}

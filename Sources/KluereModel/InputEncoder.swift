internal import KluereBase
package import KluereData
internal import KluereText

/// Turns a sentence with two entities into the tokens of an input form. Made once per model; immutable.
package struct InputEncoder: Sendable {
  private let tokenizer: Tokenizer
  private let form: InputForm
  private let maxTokens: Int
  private let secondType: Int32
  private let subjectMarkers: MarkerPieces
  private let objectMarkers: MarkerPieces

  /// Pieces of "@", "*" or "#", "^".
  private struct MarkerPieces: Sendable {
    var entity: [Int32] = []
    var type: [Int32] = []
  }

  /// Words for KLUE's six entity types; each is one piece of KLUE's vocabulary. Other types stand as they are.
  private static let typeWords: [(type: String, word: String)] = [
    ("PER", "사람"), ("ORG", "단체"), ("LOC", "장소"), ("DAT", "날짜"), ("NOH", "수량"), ("POH", "기타"),
  ]

  /// Throws `.invalidArgument` if the vocabulary has no pieces for the form's markers.
  init(_ tokenizer: Tokenizer, _ configuration: ModelConfiguration) throws(KluereError) {
    guard tokenizer.clsID >= 0, tokenizer.sepID >= 0, tokenizer.padID >= 0 else {
      throw KluereError(
        .unsupported,
        "tokenizer: no token begins, ends or pads a text ([CLS], [SEP], [PAD] or <s>, </s>, <pad>); an encoder needs them"
      )
    }
    self.tokenizer = tokenizer
    form = configuration.inputForm
    maxTokens = configuration.maxTokens
    secondType = configuration.typeVocabularySize > 1 ? 1 : 0
    if form == .typedMarkerPunct {
      subjectMarkers = try InputEncoder.markers("@", "*", tokenizer)
      objectMarkers = try InputEncoder.markers("#", "^", tokenizer)
    } else {
      subjectMarkers = MarkerPieces()
      objectMarkers = MarkerPieces()
    }
  }

  private static func markers(
    _ entity: String, _ type: String, _ tokenizer: Tokenizer
  ) throws(KluereError) -> MarkerPieces {
    func pieces(_ marker: String) throws(KluereError) -> [Int32] {
      var tokens: [Token] = []
      var text = marker
      text.withUTF8 { tokenizer.tokenize($0, allowSpecial: false, into: &tokens) }
      guard !tokens.isEmpty, !tokens.contains(where: { $0.id == tokenizer.unknownID }) else {
        throw KluereError(
          .invalidArgument,
          "input form typed_entity_marker_punct: the vocabulary has no piece for \"\(marker)\"; "
            + "choose the input form entity_pair")
      }
      return tokens.map(\.id)
    }
    return MarkerPieces(entity: try pieces(entity), type: try pieces(type))
  }

  /// Scratch of one encoding thread.
  package struct Scratch {
    var pieces: [Piece] = []
    var tokens: [Token] = []
    package init() {}
  }

  /// `example` has been validated (`ExampleView.validate`).
  package func encode(_ example: ExampleView, _ scratch: inout Scratch, into out: inout EncodedExample) {
    scratch.pieces.removeAll(keepingCapacity: true)
    switch form {
    case .entityPair: entityPair(example, &scratch)
    case .typedMarkerPunct: typedMarkerPunct(example, &scratch)
    }
    out.croppedCount = Cropping.apply(&scratch.pieces, maximum: maxTokens)
    out.ids.removeAll(keepingCapacity: true)
    out.types.removeAll(keepingCapacity: true)
    out.begins.removeAll(keepingCapacity: true)
    out.ends.removeAll(keepingCapacity: true)
    out.sequences.removeAll(keepingCapacity: true)
    for piece in scratch.pieces {
      out.ids.append(piece.id)
      out.types.append(piece.type)
      out.begins.append(piece.inserted ? 0 : piece.begin)
      out.ends.append(piece.inserted ? 0 : piece.end)
      out.sequences.append(piece.inserted ? -1 : 0)
    }
  }

  // MARK: Forms

  /// [CLS] subject [SEP] object [SEP] sentence [SEP], as the competition's baseline.
  private func entityPair(_ example: ExampleView, _ scratch: inout Scratch) {
    special(tokenizer.clsID, &scratch)
    for entity in [example.subject, example.object] {
      text(example, entity.begin, entity.end, &scratch)
      special(tokenizer.sepID, &scratch)
    }
    let start = scratch.pieces.count
    sentence(example, 0, example.text.count, &scratch)
    special(tokenizer.sepID, &scratch)
    for place in start..<scratch.pieces.count { scratch.pieces[place].type = secondType }
  }

  /// [CLS] ... @ * type * subject @ ... # ^ type ^ object # ... [SEP]
  /// (Zhou and Chen 2022, "An Improved Baseline for Sentence-level Relation Extraction").
  private func typedMarkerPunct(_ example: ExampleView, _ scratch: inout Scratch) {
    special(tokenizer.clsID, &scratch)
    // The sentence is cut at the entities' borders and each part tokenized alone, as if the markers stood in the text.
    // Borders in order; where several meet, what closes comes before what opens and the inner entity is inside.
    let subject = example.subject
    let object = example.object
    var borders: [Border] = [
      Border(at: subject.begin, opens: true, length: subject.end - subject.begin, isSubject: true),
      Border(at: subject.end, opens: false, length: subject.end - subject.begin, isSubject: true),
      Border(at: object.begin, opens: true, length: object.end - object.begin, isSubject: false),
      Border(at: object.end, opens: false, length: object.end - object.begin, isSubject: false),
    ]
    borders.sort()
    var from = 0
    for border in borders {
      sentence(example, from, border.at, &scratch)
      from = border.at
      let markers = border.isSubject ? subjectMarkers : objectMarkers
      marker(markers.entity, &scratch)
      if border.opens, let type = border.isSubject ? subject.type : object.type, !type.isEmpty {
        marker(markers.type, &scratch)
        typeWord(type, &scratch)
        marker(markers.type, &scratch)
      }
    }
    sentence(example, from, example.text.count, &scratch)
    special(tokenizer.sepID, &scratch)
  }

  private struct Border: Comparable {
    var at: Int
    var opens: Bool
    var length: Int
    var isSubject: Bool

    static func < (a: Border, b: Border) -> Bool {
      if a.at != b.at { return a.at < b.at }
      if a.opens != b.opens { return !a.opens }
      if a.length != b.length { return a.opens ? a.length > b.length : a.length < b.length }
      // Equal spans are refused by validation; crossing ones of equal length differ in `at`.
      return a.isSubject && !b.isSubject
    }
  }

  // MARK: Pieces

  private func special(_ id: Int32, _ scratch: inout Scratch) { scratch.pieces.append(Piece(id: id)) }

  private func marker(_ ids: [Int32], _ scratch: inout Scratch) {
    for id in ids { scratch.pieces.append(Piece(id: id, anchor: true)) }
  }

  private func typeWord(_ type: UnsafeBufferPointer<UInt8>, _ scratch: inout Scratch) {
    scratch.tokens.removeAll(keepingCapacity: true)
    if let known = InputEncoder.typeWords.first(where: { $0.type.utf8.elementsEqual(type) }) {
      var word = known.word
      word.withUTF8 { tokenizer.tokenize($0, allowSpecial: false, into: &scratch.tokens) }
    } else {
      tokenizer.tokenize(type, allowSpecial: false, into: &scratch.tokens)
    }
    for token in scratch.tokens { scratch.pieces.append(Piece(id: token.id, anchor: true)) }
  }

  /// Part of the sentence: pieces of entities rank before context and anchor it.
  private func sentence(_ example: ExampleView, _ begin: Int, _ end: Int, _ scratch: inout Scratch) {
    let start = scratch.pieces.count
    text(example, begin, end, &scratch)
    for place in start..<scratch.pieces.count {
      let piece = scratch.pieces[place]
      scratch.pieces[place].anchor = example.isInsideEntity(piece.begin, piece.end)
      if !scratch.pieces[place].anchor { scratch.pieces[place].priority = Cropping.contextPriority }
    }
  }

  /// Pieces of bytes [begin, end), ranked as an entity's.
  private func text(_ example: ExampleView, _ begin: Int, _ end: Int, _ scratch: inout Scratch) {
    guard begin < end, end <= example.text.count else { return }
    scratch.tokens.removeAll(keepingCapacity: true)
    let part = UnsafeBufferPointer(rebasing: example.text[begin..<end])
    tokenizer.tokenize(part, allowSpecial: false, into: &scratch.tokens)
    for (index, token) in scratch.tokens.enumerated() {
      scratch.pieces.append(
        Piece(
          id: token.id, begin: token.begin + begin, end: token.end + begin, inserted: false,
          priority: Cropping.entityPriority(index)))
    }
  }
}

extension ExampleView {
  /// Whether bytes [begin, end) of the text touch the subject or the object.
  fileprivate func isInsideEntity(_ begin: Int, _ end: Int) -> Bool {
    (begin < subject.end && end > subject.begin) || (begin < object.end && end > object.begin)
  }
}

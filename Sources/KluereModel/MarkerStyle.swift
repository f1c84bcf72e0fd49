/// What stands around an entity in a marked sentence, or in its place.
enum Mark: Sendable {
  /// Text of the vocabulary.
  case text(String)
  /// An added token.
  case token(String)
  /// An added token for each of KLUE's types, "[SUBJ-PER]"; without `infix` and type for an entity of another or no type.
  case typed(prefix: String, infix: String, suffix: String)
  /// The type's words between two texts; all left out for an entity without a type.
  case type(before: String, TypeWords, after: String)
}

/// The ways to mark entities, by their names in templates.
enum MarkerStyle: String, Sendable, CaseIterable {
  case entityMask = "entity_mask"
  case entityMarker = "entity_marker"
  case entityMarkerPunct = "entity_marker_punct"
  case typedMarker = "typed_marker"
  case typedMarkerPunct = "typed_marker_punct"
  case typedMarkerPunctEnglish = "typed_marker_punct_english"
  case klue
  case rBERT = "r_bert"
  case report4 = "report_4"
  case report5 = "report_5"
  case report6 = "report_6"

  /// The opening marks alone stand for the entity.
  var replacesEntity: Bool { self == .entityMask }

  func marks(isSubject: Bool) -> (open: [Mark], close: [Mark]) {
    func choose(_ subject: String, _ object: String) -> String { isSubject ? subject : object }
    let punct = choose("@", "#")
    let inner = choose("*", "^")
    switch self {
    case .entityMask: return ([.typed(prefix: choose("[SUBJ", "[OBJ"), infix: "-", suffix: "]")], [])
    case .entityMarker: return ([.token(choose("[E1]", "[E2]"))], [.token(choose("[/E1]", "[/E2]"))])
    case .entityMarkerPunct: return ([.text(punct)], [.text(punct)])
    case .typedMarker:
      return (
        [.typed(prefix: choose("[SUBJ", "[OBJ"), infix: "-", suffix: "]")],
        [.typed(prefix: choose("[/SUBJ", "[/OBJ"), infix: "-", suffix: "]")]
      )
    case .typedMarkerPunct:
      return ([.text(punct), .type(before: inner + " ", .korean, after: " " + inner)], [.text(punct)])
    case .typedMarkerPunctEnglish:
      return ([.text(punct), .type(before: inner + " ", .english, after: " " + inner)], [.text(punct)])
    case .klue: return ([.token(choose("<subj>", "<obj>"))], [.token(choose("</subj>", "</obj>"))])
    case .rBERT:
      let mark = choose("$", "#")
      return ([.text(mark)], [.text(mark)])
    case .report4:
      return ([.text(punct), .type(before: inner + "[", .report4, after: "]" + inner)], [.text(punct)])
    case .report5:
      return (
        [.token(choose("[SE]", "[OE]"))],
        [.type(before: "(", .report5, after: ")"), .token(choose("[/SE]", "[/OE]"))]
      )
    case .report6:
      return (
        [.typed(prefix: choose("<S", "<O"), infix: ":", suffix: ">")],
        [.typed(prefix: choose("</S", "</O"), infix: ":", suffix: ">")]
      )
    }
  }

  /// The tokens that a vocabulary must have for this style, in the order in which they are added.
  var addedTokens: [String] {
    [true, false].flatMap { isSubject in
      let marks = marks(isSubject: isSubject)
      return (marks.open + marks.close).flatMap { mark -> [String] in
        switch mark {
        case .text, .type: []
        case .token(let token): [token]
        case .typed(let prefix, let infix, let suffix):
          TypeWords.types.map { prefix + infix + $0 + suffix } + [prefix + suffix]
        }
      }
    }
  }
}

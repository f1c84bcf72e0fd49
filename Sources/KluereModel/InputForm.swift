/// How a sentence with two entities becomes tokens; see KLUERE_INPUT_* in the header. Every form is a template.
package enum InputForm: Int32, Sendable, CaseIterable {
  case entityPair = 0
  case typedMarkerPunct = 1
  case template = 2
  case promptRelation = 3
  case promptQuestion = 4
  case promptTypedQuestion = 5
  case promptTypedStatement = 6
  case promptTypedNouns = 7
  case semanticTyping = 8
  case entityMask = 9
  case entityMarker = 10
  case entityMarkerPunct = 11
  case typedMarker = 12
  case typedMarkerPunctEnglish = 13
  case klue = 14
  case rBERT = 15
  case report4 = 16
  case report5 = 17
  case report6 = 18
  case levitatedMarker = 19
  case typedLevitatedMarker = 20

  /// The value in kluere.json.
  package var name: String { description.name }

  /// In the template language; nil: the model's own template.
  var template: String? { description.template }

  package init?(name: String) {
    guard let form = InputForm.allCases.first(where: { $0.name == name }) else { return nil }
    self = form
  }

  /// What is done after a closing marker unless somebody chooses: KLUE's form has KLUE's repair.
  var afterMarker: AfterMarker { self == .klue ? .klueRepair : .newWord }

  private var description: (name: String, template: String?) {
    switch self {
    case .entityPair: ("entity_pair", "{subject}[SEP]{object}[SEP]{sentence}")
    case .typedMarkerPunct: ("typed_entity_marker_punct", "{marked_sentence:typed_marker_punct}")
    case .template: ("template", nil)
    case .promptRelation: ("prompt_relation", "{subject}와 {object}의 관계[SEP]{sentence}")
    case .promptQuestion: ("prompt_question", "{subject}와 {object}의 관계는 무엇인가?[SEP]{sentence}")
    case .promptTypedQuestion:
      (
        "prompt_typed_question",
        "{subject_type:report_4}인 {subject}와 {object_type:report_4}인 {object} 사이의 관계는 무엇인가.[SEP]{sentence}"
      )
    case .promptTypedStatement:
      (
        "prompt_typed_statement",
        "{subject}와 {object}의 관계는 {subject_type:report_4}과 {object_type:report_4}의 관계이다.[SEP]{sentence}"
      )
    case .promptTypedNouns:
      (
        "prompt_typed_nouns",
        "{subject} ({subject_type:report_5})와 {object} ({object_type:report_5})의 관계는 무엇인가?[SEP]{sentence}"
      )
    case .semanticTyping:
      ("semantic_typing", "{subject_type}인 {subject}와 {object_type}인 {object}의 관계는? [SEP] {sentence}")
    case .entityMask: ("entity_mask", "{marked_sentence:entity_mask}")
    case .entityMarker: ("entity_marker", "{marked_sentence:entity_marker}")
    case .entityMarkerPunct: ("entity_marker_punct", "{marked_sentence:entity_marker_punct}")
    case .typedMarker: ("typed_marker", "{marked_sentence:typed_marker}")
    case .typedMarkerPunctEnglish: ("typed_marker_punct_english", "{marked_sentence:typed_marker_punct_english}")
    case .klue: ("klue", "{marked_sentence:klue}")
    case .rBERT: ("r_bert", "{marked_sentence:r_bert}")
    case .report4:
      (
        "report_4",
        "{subject_type:report_4}인 {subject}와 {object_type:report_4}인 {object} 사이의 관계는 무엇인가.[SEP]"
          + "{marked_sentence:report_4}"
      )
    case .report5: ("report_5", "{marked_sentence:report_5}")
    case .report6: ("report_6", "{subject}-{object}[SEP]{marked_sentence:report_6}")
    case .levitatedMarker: ("levitated_marker", "{sentence}{levitated_markers:entity_marker}")
    case .typedLevitatedMarker: ("typed_levitated_marker", "{sentence}{levitated_markers:typed_marker}")
    }
  }
}

/// A choice that kluere.json keeps by name.
protocol NamedChoice: CaseIterable {
  var name: String { get }
}

/// Particles in a template's text right behind an entity or a type. Raw values are KLUERE_PARTICLES_*.
package enum ParticleRule: Int32, Sendable, NamedChoice {
  case fixed = 0
  case agree = 1

  /// The value in kluere.json.
  var name: String { self == .fixed ? "fixed" : "agree" }
}

/// How the rest of a word behind a closing marker is tokenized. Raw values are KLUERE_AFTER_MARKER_*.
package enum AfterMarker: Int32, Sendable, NamedChoice {
  case newWord = 0
  case continuation = 1
  case klueRepair = 2

  /// The value in kluere.json.
  var name: String {
    switch self {
    case .newWord: "new_word"
    case .continuation: "continuation"
    case .klueRepair: "klue_repair"
    }
  }
}

/// Words for KLUE's six entity types. Types of one's own stand as they are; in English lower-cased, with spaces for "_".
enum TypeWords: String, Sendable, CaseIterable {
  case korean
  case english
  /// Those of the report's models.
  case report4 = "report_4"
  case report5 = "report_5"
  /// The type itself.
  case raw

  static let types = ["PER", "ORG", "LOC", "DAT", "NOH", "POH"]

  private var words: [String]? {
    switch self {
    case .korean: ["사람", "단체", "장소", "날짜", "수량", "기타"]
    case .english: ["person", "organization", "location", "date", "number", "other"]
    case .report4: ["사람", "조직", "위치", "날짜", "숫자", "명사"]
    case .report5: ["인물", "기관", "장소", "날짜", "수량", "기타 고유명사"]
    case .raw: nil
    }
  }

  /// Number of one of KLUE's types.
  static func index(_ type: UnsafeBufferPointer<UInt8>) -> Int? { types.firstIndex { $0.utf8.elementsEqual(type) } }

  func append(_ type: UnsafeBufferPointer<UInt8>, to text: inout [UInt8]) {
    if let words, let index = TypeWords.index(type) {
      text += words[index].utf8
    } else if self == .english {
      text += type.map { $0 == UInt8(ascii: "_") ? 0x20 : (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    } else {
      text += type
    }
  }
}

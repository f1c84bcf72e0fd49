package import KluereBase

/// A template, read: what it consists of and in what order.
package struct InputTemplate: Sendable {
  enum Part: Sendable, Equatable {
    case literal(String)
    case entity(isSubject: Bool)
    case type(isSubject: Bool, TypeWords)
    /// `written` stands where the sound before is not known.
    case particle(KoreanParticle, written: String)
    case sentence
    case marked(MarkerStyle)
    /// Beside the text (`beside`).
    case levitated(MarkerStyle)
  }

  static let maximumBytes = 4096
  private static let placeholders =
    "{subject}, {object}, {subject_type}, {object_type}, {sentence}, {marked_sentence}, {levitated_markers}, "
    + "a pair of particles like {와/과}"

  let parts: [Part]

  /// Throws `.invalidArgument` with the place (in characters, the first is 0) and the reason.
  package init(_ text: String) throws(KluereError) {
    guard text.utf8.count <= InputTemplate.maximumBytes else {
      throw KluereError(
        .invalidArgument, "input_template: \(text.utf8.count) bytes, expected at most \(InputTemplate.maximumBytes)")
    }
    var parts: [Part] = []
    var literal = String.UnicodeScalarView()
    func flush() {
      if !literal.isEmpty { parts.append(.literal(String(literal))) }
      literal.removeAll()
    }
    let scalars = Array(text.unicodeScalars)
    var place = 0
    while place < scalars.count {
      let scalar = scalars[place]
      let isDouble = place + 1 < scalars.count && scalars[place + 1] == scalar
      if scalar == "{" || scalar == "}", isDouble {
        literal.append(scalar)
        place += 2
      } else if scalar == "}" {
        throw InputTemplate.refusal(place, "\"}\" closes nothing, expected \"}}\" for the character itself")
      } else if scalar == "{" {
        guard let end = scalars[place...].firstIndex(of: "}") else {
          throw InputTemplate.refusal(place, "\"{\" is not closed, expected \"{{\" for the character itself")
        }
        flush()
        var name = String.UnicodeScalarView()
        name.append(contentsOf: scalars[place + 1..<end])
        parts.append(try InputTemplate.placeholder(String(name), place, parts.last))
        place = end + 1
      } else {
        literal.append(scalar)
        place += 1
      }
    }
    flush()
    self.parts = parts
    try check(length: scalars.count)
  }

  private static func refusal(_ place: Int, _ reason: String) -> KluereError {
    KluereError(.invalidArgument, "input_template: character \(place): \(reason)")
  }

  private static func placeholder(_ text: String, _ place: Int, _ before: Part?) throws(KluereError) -> Part {
    if let particle = KoreanParticle(pair: text) {
      guard before != nil, before != .sentence else {
        throw refusal(place, "{\(text)} has no text before it that it could agree with")
      }
      return .particle(particle, written: text.split(separator: "/").first.map(String.init) ?? text)
    }
    let pieces = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let name = pieces.first ?? ""
    let option = pieces.count > 1 ? pieces[1] : nil
    switch name {
    case "subject_type", "object_type":
      guard let words = option.map({ TypeWords(rawValue: $0) }) ?? .korean else {
        throw refusal(place, "{\(text)}: expected one of " + names(TypeWords.self) + " behind the colon")
      }
      return .type(isSubject: name == "subject_type", words)
    case "marked_sentence":
      guard let style = option.map({ MarkerStyle(rawValue: $0) }) ?? .typedMarkerPunct else {
        throw refusal(place, "{\(text)}: expected one of " + names(MarkerStyle.self) + " behind the colon")
      }
      return .marked(style)
    case "levitated_markers":
      guard let style = option.map({ MarkerStyle(rawValue: $0) }) ?? .typedMarker, !style.replacesEntity else {
        throw refusal(
          place,
          "{\(text)}: expected one of " + names(MarkerStyle.self) + " behind the colon, but no mask: it marks nothing")
      }
      return .levitated(style)
    case "subject" where option == nil: return .entity(isSubject: true)
    case "object" where option == nil: return .entity(isSubject: false)
    case "sentence" where option == nil: return .sentence
    default: throw refusal(place, "{\(text)} is no placeholder, expected " + placeholders)
    }
  }

  private static func names<Names: CaseIterable & RawRepresentable<String>>(_ type: Names.Type) -> String {
    type.allCases.map(\.rawValue).joined(separator: ", ")
  }

  private func check(length: Int) throws(KluereError) {
    var sentences = 0
    for part in parts { if part.isSentence { sentences += 1 } }
    guard sentences == 1 else {
      let found = sentences == 0 ? "nowhere" : "\(sentences) times"
      throw InputTemplate.refusal(
        length, "the end is reached and the sentence was there \(found), expected {sentence} or {marked_sentence} once")
    }
    let levitated = parts.filter { if case .levitated = $0 { true } else { false } }
    guard levitated.isEmpty || (levitated.count == 1 && beside != nil && parts.contains(.sentence)) else {
      throw InputTemplate.refusal(
        length, "{levitated_markers} stands elsewhere, expected it once, at the end, in a template with {sentence}")
    }
  }

  /// Markers that stand behind the text, the last [SEP] included. The text does not see them; they see it and each other, and
  /// have the position numbers of the entities' first and last pieces (levitated markers: Ye et al. 2022, PL-Marker; Zhong and
  /// Chen 2021, the approximation). So the text's states are the same for all pairs of its entities.
  var beside: MarkerStyle? { if case .levitated(let style) = parts.last { style } else { nil } }

  /// Tokens that a vocabulary must have for it, in the order in which they are added.
  var addedTokens: [String] {
    parts.flatMap { part -> [String] in
      switch part {
      case .marked(let style), .levitated(let style): style.addedTokens
      default: []
      }
    }
  }

  /// Particles that stand as text right behind an entity or a type agree with it: only whole ones, that is, up to the next
  /// space, mark or placeholder.
  func agreeing() -> [Part] {
    var result: [Part] = []
    for part in parts {
      guard case .literal(let text) = part, let before = result.last, before.isNamed else {
        result.append(part)
        continue
      }
      let word = text.prefix { $0.isLetter || $0.isNumber }
      if let particle = KoreanParticle(form: word) {
        result.append(.particle(particle, written: String(word)))
        if word.endIndex < text.endIndex { result.append(.literal(String(text[word.endIndex...]))) }
      } else {
        result.append(part)
      }
    }
    return result
  }
}

extension InputTemplate.Part {
  fileprivate var isNamed: Bool {
    switch self {
    case .entity, .type: true
    default: false
    }
  }

  var isSentence: Bool {
    switch self {
    case .sentence, .marked: true
    default: false
    }
  }
}

internal import KluereFormats

/// What can be wrong with one row alone, or is odd beside the others.
struct RowChecks {
  private let options: AuditOptions
  private let triples: TypeTriples

  init(_ dataset: Dataset, options: AuditOptions) {
    self.options = options
    triples = TypeTriples(dataset)
  }

  func check(_ row: Int, _ example: ExampleView, _ inputs: InputFacts?, into findings: inout [Finding]) {
    func add(_ kind: Finding.Kind, _ severity: Finding.Severity, _ action: Finding.Action, _ message: String) {
      findings.append(
        Finding(kind: kind, severity: severity, action: action, row: row, otherRow: nil, message: message))
    }
    let (subject, object) = (example.subject, example.object)
    if subject.begin < object.end, object.begin < subject.end {
      add(.overlap, .warning, .correctSpan, "subject and object overlap: \(words(example))")
    }
    for (name, entity) in [("subject", subject), ("object", object)] where RowChecks.hasBlankBorder(example, entity) {
      add(
        .blankInSpan, .warning, .correctSpan,
        "the \(name)'s span begins or ends with a blank: \(excerpt(example.text[entity.begin..<entity.end]))")
    }
    label(row, example, add)
    if let inputs { tokens(row, example, inputs, add) }
    if !RowChecks.isNFC(example.text) {
      add(.notNFC, .note, .normalize, "the sentence is not in Unicode's normal form NFC")
    }
  }

  private typealias Add = (Finding.Kind, Finding.Severity, Finding.Action, String) -> Void

  private func label(_ row: Int, _ example: ExampleView, _ add: Add) {
    guard let label = example.label else {
      return add(.hiddenLabel, .note, .none, "the label is hidden")
    }
    if let type = example.subject.type, let expected = RowChecks.subjectType(of: label), !expected.elementsEqual(type) {
      add(
        .labelPrefix, .error, .correctType,
        "label \(excerpt(label)) is about a subject of type \(expected), the subject's is \(excerpt(type))")
    }
    let count = triples.counts[triples.places[row]]
    guard count < options.rareBelow else { return }
    add(
      .rareTypes, .note, .review,
      "\(count == 1 ? "the only row" : "one of \(count) rows") with label \(excerpt(label)) and types "
        + "\(RowChecks.shown(example.subject)), \(RowChecks.shown(example.object))")
  }

  /// KLUE's labels begin with their subject's type in small letters.
  static func subjectType(of label: UnsafeBufferPointer<UInt8>) -> String.UTF8View? {
    if label.starts(with: "per:".utf8) { return "PER".utf8 }
    if label.starts(with: "org:".utf8) { return "ORG".utf8 }
    return nil
  }

  private func tokens(_ row: Int, _ example: ExampleView, _ inputs: InputFacts, _ add: Add) {
    guard inputs.unknownEntities.indices.contains(row), inputs.tokenCounts.indices.contains(row) else { return }
    for (name, entity, flag) in [("subject", example.subject, UInt8(1)), ("object", example.object, 2)]
    where inputs.unknownEntities[row] & flag != 0 {
      add(
        .unknownPiece, .note, .review,
        "the tokenizer does not know all of the \(name) \(excerpt(example.text[entity.begin..<entity.end]))")
    }
    let count = Int(inputs.tokenCounts[row])
    if count > inputs.limit {
      add(.tooLong, .note, .review, "\(count) tokens with its markers, cropped to \(inputs.limit)")
    }
  }

  private func words(_ example: ExampleView) -> String {
    [example.subject, example.object].map { excerpt(example.text[$0.begin..<$0.end]) }.joined(separator: " and ")
  }

  private static func shown(_ entity: Entity) -> String { entity.type.map { excerpt($0, quoted: false) } ?? "none" }

  static func hasBlankBorder(_ example: ExampleView, _ entity: Entity) -> Bool {
    let word = UnsafeBufferPointer(rebasing: example.text[entity.begin..<entity.end])
    return Blank.length(in: word, at: 0) > 0 || Blank.endsWithBlank(word)
  }

  static func isNFC(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    if holdsOnlyPlain(text) { return true }
    guard var span = try? UTF8Span(validating: text.span) else { return true }
    return span.isKnownNFC || span.checkForNFC(quickCheck: false)
  }

  /// Whether all characters are below U+0300, Hangul syllables, ideographs of the main block or quotation marks and dashes:
  /// none of these composes with what stands before it or is written otherwise in NFC.
  private static func holdsOnlyPlain(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    var place = 0
    while place < text.count {
      let lead = text[place]
      let second = place + 1 < text.count ? text[place + 1] : 0
      switch lead {
      case ..<0x80: place += 1
      case 0xC2...0xCB: place += 2
      case 0xE4 where second >= 0xB8: place += 3  // U+4E00 and on
      case 0xE5...0xE9: place += 3  // to U+9FFF
      case 0xEA where second >= 0xB0: place += 3  // U+AC00 and on
      case 0xEB, 0xEC: place += 3
      case 0xED where second <= 0x9D: place += 3  // to U+D77F, the syllables but their last few
      // U+2010 to U+203F.
      case 0xE2 where second == 0x80 && place + 2 < text.count && text[place + 2] >= 0x90: place += 3
      default: return false
      }
    }
    return true
  }
}

/// The blanks that separate words: space, tab, line breaks, no-break space, the spaces of U+2000 to U+200A, narrow and
/// medium ones, the ideographic space.
enum Blank {
  /// Bytes of the blank at `place`; 0 if there is none.
  static func length(in text: UnsafeBufferPointer<UInt8>, at place: Int) -> Int {
    guard place < text.count else { return 0 }
    let byte = text[place]
    if byte == 0x20 || (0x09...0x0D).contains(byte) { return 1 }
    if byte == 0xC2, place + 1 < text.count, text[place + 1] == 0xA0 { return 2 }
    guard byte == 0xE2 || byte == 0xE3, place + 2 < text.count else { return 0 }
    let (second, third) = (text[place + 1], text[place + 2])
    switch (byte, second) {
    case (0xE2, 0x80): return (0x80...0x8A).contains(third) || third == 0xAF ? 3 : 0
    case (0xE2, 0x81): return third == 0x9F ? 3 : 0
    case (0xE3, 0x80): return third == 0x80 ? 3 : 0
    default: return 0
    }
  }

  static func endsWithBlank(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    for size in 1...3 where text.count >= size && length(in: text, at: text.count - size) == size { return true }
    return false
  }
}

import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereText
import Testing

@Suite struct InputFormTests {
  private static let forms: [(InputForm, String)] = [
    (.entityPair, "솔 ##가 ##람 [SEP] 늘 ##봄 ##시 [SEP] " + formTokens),
    (.promptRelation, "솔 ##가 ##람 ##와 늘 ##봄 ##시 ##의 관계 [SEP] " + formTokens),
    (.promptQuestion, "솔 ##가 ##람 ##와 늘 ##봄 ##시 ##의 관계 ##는 무엇 ##인 ##가 ? [SEP] " + formTokens),
    (
      .promptTypedQuestion,
      "사람 ##인 솔 ##가 ##람 ##와 위치 ##인 늘 ##봄 ##시 사이 ##의 관계 ##는 무엇 ##인 ##가 . [SEP] " + formTokens
    ),
    (
      .promptTypedStatement,
      "솔 ##가 ##람 ##와 늘 ##봄 ##시 ##의 관계 ##는 사람 ##과 위치 ##의 관계 ##이다 . [SEP] " + formTokens
    ),
    (
      .promptTypedNouns,
      "솔 ##가 ##람 ( 인물 ) 와 늘 ##봄 ##시 ( 장소 ) 의 관계 ##는 무엇 ##인 ##가 ? [SEP] " + formTokens
    ),
    (.semanticTyping, "사람 ##인 솔 ##가 ##람 ##와 장소 ##인 늘 ##봄 ##시 ##의 관계 ##는 ? [SEP] " + formTokens),
    (.entityMask, "[SUBJ-PER] 은 [OBJ-LOC] 에서 태어났 ##다 ."),
    (.entityMarker, "[E1] 솔 ##가 ##람 [/E1] 은 [E2] 늘 ##봄 ##시 [/E2] 에서 태어났 ##다 ."),
    (.entityMarkerPunct, "@ 솔 ##가 ##람 @ 은 # 늘 ##봄 ##시 # 에서 태어났 ##다 ."),
    (
      .typedMarker,
      "[SUBJ-PER] 솔 ##가 ##람 [/SUBJ-PER] 은 [OBJ-LOC] 늘 ##봄 ##시 [/OBJ-LOC] 에서 태어났 ##다 ."
    ),
    (.typedMarkerPunct, "@ * 사람 * 솔 ##가 ##람 @ 은 # ^ 장소 ^ 늘 ##봄 ##시 # 에서 태어났 ##다 ."),
    (
      .typedMarkerPunctEnglish,
      "@ * person * 솔 ##가 ##람 @ 은 # ^ l ##oc ##ation ^ 늘 ##봄 ##시 # 에서 태어났 ##다 ."
    ),
    (.klue, "<subj> 솔 ##가 ##람 </subj> ##은 <obj> 늘 ##봄 ##시 </obj> ##에서 태어났 ##다 ."),
    (.rBERT, "$ 솔 ##가 ##람 $ 은 # 늘 ##봄 ##시 # 에서 태어났 ##다 ."),
    (
      .report4,
      "사람 ##인 솔 ##가 ##람 ##와 위치 ##인 늘 ##봄 ##시 사이 ##의 관계 ##는 무엇 ##인 ##가 . [SEP] "
        + "@ * [ 사람 ] * 솔 ##가 ##람 @ 은 # ^ [ 위치 ] ^ 늘 ##봄 ##시 # 에서 태어났 ##다 ."
    ),
    (.report5, "[SE] 솔 ##가 ##람 ( 인물 ) [/SE] 은 [OE] 늘 ##봄 ##시 ( 장소 ) [/OE] 에서 태어났 ##다 ."),
    (
      .report6,
      "솔 ##가 ##람 - 늘 ##봄 ##시 [SEP] <S:PER> 솔 ##가 ##람 </S:PER> 은 <O:LOC> 늘 ##봄 ##시 </O:LOC> 에서 태어났 ##다 ."
    ),
    (.levitatedMarker, formTokens + " [SEP] [E1] [/E1] [E2] [/E2]"),
    (.typedLevitatedMarker, formTokens + " [SEP] [SUBJ-PER] [/SUBJ-PER] [OBJ-LOC] [/OBJ-LOC]"),
  ]

  @Test func `every form's tokens`() throws {
    let context = try makeContext()
    #expect(Set(InputFormTests.forms.map(\.0)).count == InputForm.allCases.count - 1)
    for (form, expected) in InputFormTests.forms {
      let model = try makeFormModel(context) { $0.inputForm = form }
      withExample(formSentence, subject: (0, 9, "PER"), object: (13, 22, "LOC")) { example in
        let encoded = encodeForm(model, example)
        #expect(innerTokens(model, encoded) == expected, "\(form.name)")
        // Entities are found in the sentence, their markers on both sides of them.
        for (places, core) in [(encoded.subject, "솔 ##가 ##람"), (encoded.object, "늘 ##봄 ##시")] {
          let found = tokenNames(model, encoded.ids[places.begin..<places.end]).joined(separator: " ")
          if form == .entityMask {
            #expect(found == (places == encoded.subject ? "[SUBJ-PER]" : "[OBJ-LOC]"))
          } else {
            #expect(found == core, "\(form.name)")
            #expect(encoded.begins[places.begin] == (places == encoded.subject ? 0 : 13), "\(form.name)")
          }
        }
      }
    }
  }

  @Test func `another type or none has markers without a type`() throws {
    let context = try makeContext()
    let expected: [(InputForm, String?, String)] = [
      (.typedMarker, "TEAM", "[SUBJ] 솔 [/SUBJ] [OBJ] 늘 [/OBJ] ."),
      (.typedMarkerPunct, nil, "@ 솔 @ # 늘 # ."),
      (.typedMarkerPunct, "사람", "@ * 사람 * 솔 @ # ^ 사람 ^ 늘 # ."),
      (.report6, "TEAM", "<S> 솔 </S> <O> 늘 </O> ."),
    ]
    for (form, type, tokens) in expected {
      let model = try makeFormModel(context) { $0.inputForm = form }
      withExample("솔 늘.", subject: (0, 3, type), object: (4, 7, type)) { example in
        #expect(innerTokens(model, encodeForm(model, example)).hasSuffix(tokens), "\(form.name)")
      }
    }
  }

  @Test func `BERT's second segment begins behind the last separator before the sentence`() throws {
    let context = try makeContext()
    func types(_ template: String) throws -> [Int32] {
      let model = try makeFormModel(context) {
        $0.family = .bert
        $0.inputForm = .template
        $0.inputTemplate = template
      }
      return withExample("솔 늘", subject: (0, 3, nil), object: (4, 7, nil)) { encodeForm(model, $0).types }
    }
    #expect(try types("{sentence}") == [0, 0, 0, 0])
    #expect(try types("{subject}[SEP]{object}[SEP]{sentence}") == [0, 0, 0, 0, 0, 1, 1, 1])
    #expect(try types("{sentence}[SEP]{object}[SEP]{subject}") == [0, 0, 0, 0, 1, 1, 1, 1])
  }

  @Test func `entities inside, across and beside one another`() throws {
    let context = try makeContext()
    let model = try makeFormModel(context) { $0.inputForm = .typedMarker }
    let cases: [((Int, Int), (Int, Int), String)] = [
      ((0, 9), (3, 6), "[SUBJ] 솔 [OBJ] 가 [/OBJ] [UNK] [/SUBJ] 은"),
      ((0, 6), (3, 9), "[SUBJ] 솔 [OBJ] 가 [/SUBJ] [UNK] [/OBJ] 은"),
      ((0, 3), (3, 6), "[SUBJ] 솔 [/SUBJ] [OBJ] 가 [/OBJ] [UNK]"),
      ((3, 6), (0, 3), "[OBJ] 솔 [/OBJ] [SUBJ] 가 [/SUBJ] [UNK]"),
      ((0, 3), (0, 6), "[OBJ] [SUBJ] 솔 [/SUBJ] 가 [/OBJ] [UNK]"),
    ]
    for (subject, object, expected) in cases {
      withExample("솔가람은", subject: (subject.0, subject.1, nil), object: (object.0, object.1, nil)) { example in
        let encoded = encodeForm(model, example)
        #expect(innerTokens(model, encoded).hasPrefix(expected))
        for (places, opens, closes) in [(encoded.subject, "[SUBJ]", "[/SUBJ]"), (encoded.object, "[OBJ]", "[/OBJ]")] {
          let found = tokenNames(model, encoded.ids)
          #expect(found[places.markerBegin] == opens && found[places.markerEnd - 1] == closes)
          #expect(places.markerBegin < places.begin && places.begin < places.end && places.end < places.markerEnd)
        }
      }
    }
  }

  @Test(arguments: [(AfterMarker.newWord, "은"), (.continuation, "##은"), (.klueRepair, "##은")])
  func `the rest of a word behind a closing marker`(choice: AfterMarker, expected: String) throws {
    let model = try makeFormModel(try makeContext()) {
      $0.inputForm = .entityMarkerPunct
      $0.afterMarker = choice
    }
    withExample(formSentence, subject: (0, 9, nil), object: (13, 22, nil)) { example in
      let rest = expected == "은" ? "에서" : "##에서"
      #expect(
        innerTokens(model, encodeForm(model, example)) == "@ 솔 ##가 ##람 @ \(expected) # 늘 ##봄 ##시 # \(rest) 태어났 ##다 .")
    }
    // A word of its own stays one.
    withExample("솔 은 늘.", subject: (0, 3, nil), object: (8, 11, nil)) { example in
      #expect(innerTokens(model, encodeForm(model, example)) == "@ 솔 @ 은 # 늘 # .")
    }
  }

  @Test func `markers beside the text have the positions of the entities' ends`() throws {
    let model = try makeFormModel(try makeContext()) {
      $0.inputForm = .template
      $0.inputTemplate = "관계 [SEP] {sentence}{levitated_markers:typed_marker_punct}"
    }
    withExample(formSentence, subject: (0, 9, "PER"), object: (13, 22, nil)) { example in
      let encoded = encodeForm(model, example)
      #expect(innerTokens(model, encoded) == "관계 [SEP] " + formTokens + " [SEP] @ * 사람 * @ # #")
      #expect(encoded.besidePositions == [3, 3, 3, 3, 5, 7, 9])
      #expect(encoded.textCount == 15)
      #expect([encoded.subject.markerBegin, encoded.subject.markerEnd] == [15, 20])
      #expect([encoded.object.markerBegin, encoded.object.markerEnd] == [20, 22])
    }
    // An entity of characters that are no text shows nowhere: its markers are where [CLS] is.
    withExample("솔 \u{0} 늘.", subject: (4, 5, nil), object: (6, 9, nil)) { example in
      let encoded = encodeForm(model, example)
      #expect(encoded.besidePositions == [0, 0, 4, 4])
      #expect([encoded.subject.begin, encoded.subject.end] == [0, 0])
    }
  }

  /// Of several that are too long each keeps its beginning, wherever in the sentence it is.
  @Test func `a long entity or type pushes no other entity out`() throws {
    let model = try makeFormModel(try makeContext()) {
      $0.inputForm = .template
      $0.inputTemplate = "{sentence}{levitated_markers:typed_marker_punct}"
      $0.maxTokens = 40
    }
    let text = Array(repeating: "늘", count: 90).joined(separator: " ")  // words of 4 bytes
    withExample(text, subject: (0, 319, nil), object: (340, 343, nil)) { example in
      let encoded = encodeForm(model, example)
      #expect(encoded.object.begin == encoded.object.end - 1 && encoded.object.begin > 0)
      #expect(encoded.subject.begin == 1 && encoded.subject.end > 30)
      #expect(encoded.begins[encoded.object.begin] == 340)
    }
    withExample(text, subject: (200, 203, Array(repeating: "관계", count: 60).joined()), object: (240, 247, nil)) {
      let encoded = encodeForm(model, $0)
      #expect(encoded.begins[encoded.subject.begin] == 200 && encoded.subject.end == encoded.subject.begin + 1)
      #expect(encoded.begins[encoded.object.begin] == 240 && encoded.object.end == encoded.object.begin + 2)
    }
  }

  @Test func `particles have room before markers are cropped`() throws {
    let context = try makeContext()
    func make(_ maxTokens: Int) throws -> Model {
      try makeFormModel(context) {
        $0.inputForm = .template
        $0.inputTemplate = "{subject}{와/과} {object}[SEP]{sentence}{levitated_markers:entity_marker_punct}"
        $0.maxTokens = maxTokens
      }
    }
    #expect(throws: KluereError.self) { _ = try make(7) }
    let model = try make(8)  // [CLS], [SEP] twice, a particle, four markers
    withExample(formSentence, subject: (0, 9, nil), object: (13, 22, nil)) { example in
      #expect(encodeForm(model, example).object.markerEnd == 8)
    }
  }

  @Test(arguments: InputForm.allCases.filter { $0 != .template })
  func `cropping keeps markers, the form's own text and the entities' beginning`(form: InputForm) throws {
    let context = try makeContext()
    var random = TestRandom(state: 7)
    let whole = try makeFormModel(context) { $0.inputForm = form }
    let short = try makeFormModel(context) {
      $0.inputForm = form
      $0.maxTokens = 40
    }
    var cropped = 0
    for _ in 0..<40 {
      let words = (0..<(2 + random.below(50))).map { _ in ["솔", "늘", "은", "관계"][random.below(4)] }
      let places = [random.below(words.count), random.below(words.count)].sorted()
      if places[0] == places[1] { continue }
      func span(_ index: Int) -> (Int, Int, String?) {
        let begin = words[..<index].reduce(0) { $0 + $1.utf8.count + 1 }
        return (begin, begin + words[index].utf8.count, "PER")
      }
      withExample(words.joined(separator: " "), subject: span(places[1]), object: span(places[0])) { example in
        let (before, after) = (encodeForm(whole, example), encodeForm(short, example))
        #expect(after.count <= 40)
        #expect(after.croppedCount == before.count - after.count)
        if after.croppedCount > 0 { cropped += 1 }
        for (old, new) in [(before.subject, after.subject), (before.object, after.object)] {
          #expect(before.ids[old.markerBegin..<old.markerEnd] == after.ids[new.markerBegin..<new.markerEnd])
        }
        // Markers beside the text follow the entities.
        for (e, places) in [
          (before, before.subject), (before, before.object), (after, after.subject), (after, after.object),
        ]
        where e.textCount < e.count {
          let markers = places.markerBegin - e.textCount..<places.markerEnd - e.textCount
          #expect(Array(e.besidePositions[markers]) == [Int32(places.begin), Int32(places.end - 1)])
        }
        // Inserted tokens are all there, in their order.
        let inserted = { (e: EncodedExample) in zip(e.ids, e.sequences).filter { $0.1 < 0 }.map(\.0) }
        #expect(inserted(before) == inserted(after))
      }
    }
    #expect(cropped > 5)
  }
}

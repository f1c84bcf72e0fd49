import KluereBase
import KluereCompute
import KluereModel
import Testing

@Suite struct InputTemplateTests {
  @Test(arguments: [
    ("", "character 0: the end is reached and the sentence was there nowhere"),
    ("{sentence}{sentence}", "character 20: the end is reached and the sentence was there 2 times"),
    ("{sentence} {marked_sentence:klue}", "2 times"),
    ("가{subjct}{sentence}", "character 1: {subjct} is no placeholder, expected {subject}, "),
    ("{subject:raw}{sentence}", "{subject:raw} is no placeholder"),
    ("{sentence:klue}", "{sentence:klue} is no placeholder"),
    ("{}{sentence}", "character 0: {} is no placeholder"),
    ("{sentence", "character 0: \"{\" is not closed"),
    ("{sentence}}", "character 10: \"}\" closes nothing"),
    ("{와/과}{sentence}", "character 0: {와/과} has no text before it"),
    ("{sentence}{와/과}", "has no text before it"),
    ("{subject}{와/는}{sentence}", "{와/는} is no placeholder"),
    ("{subject_type:latin}{sentence}", "expected one of korean, english, report_4, report_5, raw"),
    ("{marked_sentence:entity_pair}", "expected one of entity_mask, entity_marker"),
    ("{marked_sentence:}", "{marked_sentence:}: expected one of"),
    ("{sentence}{levitated_markers:entity_mask}", "but no mask: it marks nothing"),
    ("{sentence}{levitated_markers:}", "character 10: {levitated_markers:}: expected one of entity_mask, "),
    ("{levitated_markers}{sentence}", "{levitated_markers} stands elsewhere, expected it once, at the end"),
    ("{sentence}{levitated_markers}.", "{levitated_markers} stands elsewhere"),
    ("{sentence}{levitated_markers}{levitated_markers}", "{levitated_markers} stands elsewhere"),
    ("{marked_sentence}{levitated_markers}", "in a template with {sentence}"),
  ])
  func `what cannot be right is refused with place and reason`(text: String, message: String) {
    let error = #expect(throws: KluereError.self) { _ = try InputTemplate(text) }
    #expect(error?.status == .invalidArgument)
    #expect(error?.message.hasPrefix("input_template: ") == true)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  @Test func `a template of more than 4096 bytes is refused`() {
    #expect(throws: Never.self) { _ = try InputTemplate(String(repeating: "a", count: 4086) + "{sentence}") }
    let error = #expect(throws: KluereError.self) {
      _ = try InputTemplate(String(repeating: "a", count: 4087) + "{sentence}")
    }
    #expect(error?.message == "input_template: 4097 bytes, expected at most 4096")
  }

  @Test func `any text is a template or refused`() {
    var random = TestRandom(state: 3)
    let parts = [
      "{", "}", "{{", "}}", ":", "/", "subject", "object_type", "sentence", "{sentence}", "와", "과", "\u{0}", "👍🏽",
      "[SEP]",
    ]
    var good = 0
    for _ in 0..<5000 {
      let text = (0..<random.below(8)).map { _ in parts[random.below(parts.count)] }.joined()
      do {
        _ = try InputTemplate(text)
        good += 1
      } catch {
        #expect(error.message.hasPrefix("input_template: character "))
      }
    }
    #expect(good > 20)
  }

  /// What stands behind the entity, before the first separator.
  private func behind(_ entity: String, _ template: String, _ particles: ParticleRule) throws -> String {
    let model = try makeFormModel(try makeContext()) {
      $0.inputForm = .template
      $0.inputTemplate = template + "[SEP]{sentence}"
      $0.particles = particles
    }
    // The bracket makes a particle a word of its own, and is not read aloud.
    return withExample(
      "\(entity)) 늘", subject: (0, entity.utf8.count + 1, "LOC"),
      object: (entity.utf8.count + 2, entity.utf8.count + 5, nil)
    ) {
      let tokens = innerTokens(model, encodeForm(model, $0)).split(separator: " ").map(String.init)
      let prompt = tokens.prefix { $0 != "[SEP]" }
      return prompt[((prompt.lastIndex(of: ")") ?? -1) + 1)...].joined(separator: " ")
    }
  }

  @Test(arguments: [
    ("나무", "와 는 가 를 로 나 야 며 라는"), ("사람", "과 은 이 을 으로 이나 아 이며 이라는"),
    ("서울", "과 은 이 을 로 이나 아 이며 이라는"), ("3", "과 은 이 을 으로 이나 아 이며 이라는"),
    ("2", "와 는 가 를 로 나 야 며 라는"), ("21", "과 은 이 을 로 이나 아 이며 이라는"), ("10", "과 은 이 을 으로 이나 아 이며 이라는"),
    ("Paul", "과 은 이 을 로 이나 아 이며 이라는"), ("Tom", "과 은 이 을 으로 이나 아 이며 이라는"),
    ("Anna", "와 는 가 를 로 나 야 며 라는"), ("Bing", "과 은 이 을 으로 이나 아 이며 이라는"), ("IMG", "와 는 가 를 로 나 야 며 라는"),
    ("IBK", "와 는 가 를 로 나 야 며 라는"), ("Mac", "과 은 이 을 으로 이나 아 이며 이라는"), ("AR", "과 은 이 을 로 이나 아 이며 이라는"),
  ])
  func `particles agree with the last sound`(entity: String, expected: String) throws {
    let pairs = ["와/과", "은/는", "이/가", "을/를", "로/으로", "나/이나", "아/야", "이며/며", "라는/이라는"]
    for (pair, particle) in zip(pairs, expected.split(separator: " ")) {
      #expect(try behind(entity, "{subject}{\(pair)}", .fixed) == particle, "\(entity) \(pair)")
    }
  }

  @Test func `where the sound is not known the particle stays as it is written`() throws {
    for entity in ["山", "()", "☃", "م"] {
      #expect(try behind(entity, "{subject}{와/과}", .fixed) == "와")
      #expect(try behind(entity, "{subject}{과/와}", .fixed) == "과")
      #expect(try behind(entity, "{subject}와", .agree) == "와")
    }
  }

  @Test func `particles in the text agree only where that is asked for and only whole`() throws {
    #expect(try behind("사람", "{subject}와 ", .fixed) == "와")
    #expect(try behind("사람", "{subject}와 ", .agree) == "과")
    #expect(try behind("나무", "{subject}과", .agree) == "와")
    #expect(try behind("사람", "{subject}와는", .agree) == "와 ##는")
    #expect(try behind("사람", "{subject} 와", .agree) == "와")
  }

  @Test func `braces, special tokens and types`() throws {
    let model = try makeFormModel(try makeContext()) {
      $0.inputForm = .template
      $0.inputTemplate = "{{{subject_type:raw}}}[MASK]{object_type:english}[SEP]{marked_sentence:r_bert}!"
    }
    withExample("솔 늘", subject: (0, 3, "이"), object: (4, 7, "PER")) {
      #expect(innerTokens(model, encodeForm(model, $0)) == "{ 이 } [MASK] person [SEP] $ 솔 $ # 늘 # !")
    }
    // What a row says never becomes a special token.
    withExample("솔 [SEP]", subject: (0, 3, "[SEP]"), object: (4, 9, "PER")) {
      #expect(tokenNames(model, encodeForm(model, $0).ids).filter { $0 == "[SEP]" }.count == 2)
    }
  }

  @Test func `a form and a template together, and a template without room are refused`() throws {
    let context = try makeContext()
    let both = #expect(throws: KluereError.self) {
      _ = try makeFormModel(context) {
        $0.inputForm = .klue
        $0.inputTemplate = "{sentence}"
      }
    }
    #expect(both?.message.contains("input_template: given with the input form klue") == true)
    let long = #expect(throws: KluereError.self) {
      _ = try makeFormModel(context) {
        $0.inputForm = .template
        $0.inputTemplate = String(repeating: "이 ", count: 150) + "{sentence}"
      }
    }
    #expect(long?.message.contains("max_tokens: 128, the input form template alone has 152") == true)
  }
}

import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereText
import Testing

@Suite struct InputEncoderTests {
  private func tokens(_ model: Model, _ example: ExampleView) -> ([String], EncodedExample) {
    var scratch = InputEncoder.Scratch()
    var encoded = EncodedExample()
    do { try model.encode(example, &scratch, into: &encoded) } catch { Issue.record(error) }
    return (encoded.ids.map { model.tokenizer.token($0) ?? "?" }, encoded)
  }

  @Test func `typed markers stand around both entities`() throws {
    let model = try makeModel(try makeContext())
    withExample("가나은 다 라.", subject: (0, 6, "PER"), object: (10, 13, "ORG")) { example in
      let (names, encoded) = tokens(model, example)
      #expect(
        names == [
          "[CLS]", "@", "*", "사람", "*", "가", "##나", "@", "[UNK]", "#", "^", "단체", "^", "다", "#", "라", ".", "[SEP]",
        ])
      #expect(encoded.begins[5] == 0 && encoded.ends[6] == 6)
      #expect(encoded.begins[13] == 10 && encoded.ends[13] == 13)
      #expect(encoded.sequences[1] == -1 && encoded.sequences[5] == 0)
      #expect(encoded.types.allSatisfy { $0 == 0 })
    }
  }

  @Test func `nested entities close from the inside`() throws {
    let model = try makeModel(try makeContext())
    withExample("가나", subject: (0, 6, nil), object: (3, 6, nil)) { example in
      #expect(tokens(model, example).0 == ["[CLS]", "@", "가", "#", "나", "#", "@", "[SEP]"])
    }
  }

  @Test func `the pair form puts the entities before the sentence`() throws {
    let model = try makeModel(try makeContext()) {
      $0.inputForm = .entityPair
      $0.family = .bert
    }
    withExample("다 가 나.", subject: (4, 7, "PER"), object: (0, 3, "LOC")) { example in
      let (names, encoded) = tokens(model, example)
      #expect(names == ["[CLS]", "가", "[SEP]", "다", "[SEP]", "다", "가", "나", ".", "[SEP]"])
      #expect(encoded.types == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    }
  }

  @Test(arguments: [InputForm.entityPair, .typedMarkerPunct])
  func `long sentences keep both entities and all markers`(form: InputForm) throws {
    let model = try makeModel(try makeContext()) {
      $0.inputForm = form
      $0.maxTokens = 24
    }
    let words = (0..<60).map { $0 == 10 ? "사" : $0 == 50 ? "마" : "가" }
    // Each word is 3 bytes and a space.
    withExample(words.joined(separator: " "), subject: (40, 43, "PER"), object: (200, 203, "ORG")) { example in
      let (names, encoded) = tokens(model, example)
      #expect(names.count == 24)
      #expect(encoded.croppedCount > 0)
      #expect(names.first == "[CLS]" && names.last == "[SEP]")
      #expect(names.contains("사") && names.contains("마"))
      if form == .typedMarkerPunct { #expect(names.filter { "@*#^".contains($0) }.count == 8) }
      // What is kept of the sentence is what stands nearest to the entities.
      let kept = zip(encoded.begins, encoded.sequences).filter { $0.1 == 0 }.map { $0.0 / 4 }
      #expect(kept.allSatisfy { abs($0 - 10) < 12 || abs($0 - 50) < 12 })
    }
  }

  @Test func `a vocabulary without the markers is refused`() throws {
    let context = try makeContext()
    #expect(throws: KluereError.self) {
      _ = try Model.create(
        context: context, tokenizer: try makeTokenizer(without: ["@"]), configuration: ModelConfiguration(),
        labels: .klue, seed: 1)
    }
  }
}

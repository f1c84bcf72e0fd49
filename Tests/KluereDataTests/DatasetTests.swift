import KluereBase
import KluereData
import KluereFormats
import Testing

/// Texts that stay in memory for the tests' views; leaked, a few bytes each.
private func bytes(_ text: String) -> UnsafeBufferPointer<UInt8> { bytes(Array(text.utf8)) }

private func bytes(_ content: [UInt8]) -> UnsafeBufferPointer<UInt8> {
  let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(content.count, 1))
  _ = copy.initialize(from: content)
  return UnsafeBufferPointer(rebasing: copy[..<content.count])
}

private func example(
  _ text: String, subject: Range<Int> = 0..<1, object: Range<Int> = 2..<3, label: String? = "no_relation",
  id: String? = nil
) -> ExampleView {
  ExampleView(
    text: bytes(text), subject: Entity(begin: subject.lowerBound, end: subject.upperBound, type: bytes("PER")),
    object: Entity(begin: object.lowerBound, end: object.upperBound), label: label.map { bytes($0) },
    id: id.map { bytes($0) })
}

/// Rows whose sentences are the numbers' texts.
private func numbered(_ sentences: [Int]) throws -> Dataset {
  try Dataset.create(examples: sentences.enumerated().map { example("a b \($0.element)", id: "\($0.offset)") })
}

private func ids(_ dataset: Dataset) -> [Int] {
  (0..<dataset.count).compactMap { text(dataset.example($0).id).flatMap { Int($0) } }
}

@Suite struct DatasetTests {
  @Test func `rows of the caller's are copied`() throws {
    let content = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 3)
    _ = content.initialize(from: Array("a b".utf8))
    var view = example("")
    view.text = UnsafeBufferPointer(content)
    let made = try Dataset.create(examples: [view])
    content.update(repeating: 0)
    content.deallocate()
    #expect(text(made.example(0).text) == "a b" && made.labelIndices == [0] && made.example(0).object.type == nil)
  }

  @Test func `spans outside, empty, inside a character or equal are refused`() throws {
    let cases: [(ExampleView, String)] = [
      (example("a b", object: 2..<4), "object span [2, 4) is outside a sentence of 3 bytes"),
      (example("a b", subject: -1..<1), "subject span [-1, 1) is outside a sentence of 3 bytes"),
      (example("a b", subject: 1..<1), "subject span [1, 1) is empty"),
      (example("a 한", object: 2..<4), "object span [2, 4) of bytes: byte 4 is inside a character"),
      (example("a 한", object: 3..<5), "object span [3, 5) of bytes: byte 3 is inside a character"),
      (example("a b", subject: 2..<3), "subject and object are the same span [2, 3) of bytes, expected two entities"),
      (example("", subject: 0..<0), "subject span [0, 0) is empty"),
      (example("a b", label: "x"), "label \"x\" is none of the 30 labels"),
    ]
    for (bad, reason) in cases {
      let error = failure { () throws(KluereError) in _ = try Dataset.create(examples: [example("a b"), bad]) }
      #expect(error == KluereError(.invalidArgument, "examples[1]: \(reason)"))
    }
    var broken = example("a b")
    broken.source = bytes([0xFF])
    #expect(failure { () throws(KluereError) in try broken.validate() }?.status == .invalidUTF8)
    try example("abc", subject: 0..<2, object: 1..<3).validate()
    try example("abc", subject: 0..<3, object: 1..<2).validate()
  }

  @Test func `no dataset is empty`() throws {
    #expect(failure { () throws(KluereError) in _ = try Dataset.create(examples: []) }?.status == .invalidArgument)
    let one = try numbered([1])
    #expect(failure { () throws(KluereError) in _ = try one.subset([]) }?.status == .invalidArgument)
    #expect(failure { () throws(KluereError) in _ = try one.subset([1]) }?.status == .invalidArgument)
    #expect(failure { () throws(KluereError) in _ = try one.subset([-1]) }?.status == .invalidArgument)
  }

  @Test func `a subset keeps its texts when the whole is gone`() throws {
    var whole: Dataset? = try numbered([5, 6, 7])
    let part = try #require(try whole?.subset([2, 0, 2]))
    whole = nil
    #expect(ids(part) == [2, 0, 2] && text(part.example(1).text) == "a b 5")
  }

  @Test func `the content hash sees sentences, spans, types, labels and order, and no ids`() throws {
    func hash(_ examples: [ExampleView]) throws -> UInt64 { try Dataset.create(examples: examples).contentHash }
    let base = try hash([example("a b"), example("a c")])
    #expect(try hash([example("a b", id: "x"), example("a c")]) == base)
    var typed = example("a b")
    typed.object.type = bytes("LOC")
    for other in [
      [example("a c"), example("a b")], [example("a b"), example("a d")],
      [example("a b", object: 1..<3), example("a c")],
      [typed, example("a c")], [example("a b", label: "per:title"), example("a c")],
      [example("a b", label: nil), example("a c")], [example("a b")],
    ] { #expect(try hash(other) != base) }
  }

  @Test(arguments: [0.01, 0.1, 0.5, 0.9, 0.999])
  func `a split keeps equal sentences together, the order, and its share`(fraction: Double) throws {
    let whole = try numbered((0..<1000).map { $0 % 7 == 0 ? $0 / 14 : $0 })
    let (first, second) = try whole.split(secondFraction: fraction, seed: 3)
    #expect(first.count > 0 && second.count > 0)
    #expect(abs(Double(second.count) - fraction * 1000) <= 2)
    #expect(ids(first) == ids(first).sorted() && ids(second) == ids(second).sorted())
    #expect((ids(first) + ids(second)).sorted() == Array(0..<1000))
    let sentences = Set((0..<second.count).map { text(second.example($0).text) })
    #expect((0..<first.count).allSatisfy { !sentences.contains(text(first.example($0).text)) })
  }

  @Test func `a split depends on the seed alone`() throws {
    let whole = try numbered(Array(0..<50))
    let (_, second) = try whole.split(secondFraction: 0.2, seed: 1)
    #expect(ids(try whole.split(secondFraction: 0.2, seed: 1).1) == ids(second))
    #expect(ids(try whole.split(secondFraction: 0.2, seed: 2).1) != ids(second))
    // Fixed: a split must be the same on every machine and in every version.
    let fixed = ids(try numbered(Array(0..<10)).split(secondFraction: 0.3, seed: 42).1)
    #expect(fixed == [3, 6, 8])
  }

  @Test func `every row is as likely as any other to be on the second side`() throws {
    let whole = try numbered(Array(0..<20))
    var hits = [Int](repeating: 0, count: 20)
    for seed in 0..<2000 {
      for id in ids(try whole.split(secondFraction: 0.25, seed: UInt64(seed)).1) { hits[id] += 1 }
    }
    // 500 expected, standard deviation 19.
    #expect(hits.allSatisfy { abs($0 - 500) < 100 })
  }

  @Test func `no side is empty, or the split is refused`() throws {
    for fraction in [1e-9, 0.5, 1 - 1e-9] {
      let (first, second) = try numbered([1, 2]).split(secondFraction: fraction, seed: 1)
      #expect(first.count == 1 && second.count == 1)
      let (many, few) = try numbered([1, 1, 1, 2, 2]).split(secondFraction: fraction, seed: 1)
      #expect(many.count + few.count == 5 && many.count > 0 && few.count > 0)
    }
    let refused = [try numbered([1, 1, 1]), try numbered([1])]
    for whole in refused {
      let error = failure { () throws(KluereError) in _ = try whole.split(secondFraction: 0.5, seed: 1) }
      #expect(error?.status == .invalidArgument)
    }
    for fraction in [0, 1, -0.5, 2, .nan, .infinity] {
      let whole = try numbered([1, 2])
      let error = failure { () throws(KluereError) in _ = try whole.split(secondFraction: fraction, seed: 1) }
      #expect(error?.status == .invalidArgument)
    }
  }

  @Test func `equal sentences are equal bytes`() throws {
    // Composed and decomposed Hangul are the same String in Swift; in the data they are two sentences.
    let whole = try Dataset.create(examples: [example("a b \u{AC00}"), example("a b \u{1100}\u{1161}")])
    let (first, second) = try whole.split(secondFraction: 0.5, seed: 1)
    #expect(first.count == 1 && second.count == 1)
  }
}

@Suite struct LabelSetTests {
  @Test func `the two orders are the same 30 labels`() throws {
    #expect(LabelSet.klue.count == 30 && Set(LabelSet.klue.names) == Set(LabelSet.competition.names))
    #expect(try LabelSet(LabelSet.klue.names) == .klue && LabelSet.klue != .competition)
    for set in [LabelSet.klue, .competition] {
      for (index, name) in set.names.enumerated() { #expect(set.index(of: name) == index) }
    }
    #expect(LabelSet.klue.index(of: "x") == nil)
  }

  @Test(arguments: [[], ["a", "b", "a"], ["a", ""], ["a\u{0}b"]] as [[String]])
  func `labels that cannot be told apart or written are refused`(names: [String]) {
    #expect(failure { () throws(KluereError) in _ = try LabelSet(names) }?.status == .invalidArgument)
  }

  @Test func `labels that differ in normalisation are different`() throws {
    let set = try LabelSet(["\u{AC00}", "\u{1100}\u{1161}"])
    #expect(set.index(of: "\u{1100}\u{1161}") == 1)
    #expect(try LabelSet(["\u{AC00}"]) != LabelSet(["\u{1100}\u{1161}"]))
  }

  @Test func `C strings keep their place`() {
    let strings = CStrings(["", "한국", "a"])
    #expect(strings.count == 3)
    #expect(strings[1].map { String(cString: $0) } == "한국" && strings[0]?.pointee == 0)
    #expect(strings[3] == nil && strings[-1] == nil && CStrings([])[0] == nil)
  }
}

@Suite struct SubmissionTests {
  private func write(_ labels: LabelSet, _ values: [Float], _ whole: Dataset) throws -> (KluereError?, String) {
    let file = try TemporaryFile("old")
    let error = failure { () throws(KluereError) in
      var failed: KluereError?
      values.withUnsafeBufferPointer { values in
        do throws(KluereError) {
          try Submission.write(path: file.path, dataset: whole, labels: labels, probabilities: values)
        } catch { failed = error }
      }
      if let failed { throw failed }
    }
    return (error, String(decoding: try Files.readAll(file.path), as: UTF8.self))
  }

  @Test func `probabilities are re-ordered and printed as Python prints them`() throws {
    let whole = try Dataset.create(examples: [example("a b", id: "x,1"), example("a c")])
    var values = [Float](repeating: 0, count: 60)
    for label in 0..<30 { values[label] = Float(label) / 1000 }
    values[LabelSet.klue.index(of: "per:title") ?? 0] = 0.1
    values[30] = 1
    values[31] = 1e-7
    let (error, text) = try write(.klue, values, whole)
    #expect(error == nil)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 4 && lines[0] == "id,pred_label,probs" && lines[3] == "")
    // str(numpy.float32(0.01).item()) and so on, in the order of dict_label_to_num.pkl.
    #expect(
      lines[1].hasPrefix(
        "\"x,1\",per:title,\"[0.0, 0.009999999776482582, 0.006000000052154064, 0.00800000037997961, 0.10000000149011612, "
      ))
    #expect(lines[2].hasPrefix("1,no_relation,\"[1.0, 0.0, "))
    #expect(lines[2].contains(", 1.0000000116860974e-07, "))
    #expect(lines[1].hasSuffix("]\"") && lines[1].split(separator: ", ").count == 30)
  }

  @Test func `logits, other labels and other sizes are refused, and the old file stays`() throws {
    let whole = try Dataset.create(examples: [example("a b")])
    let good = [Float](repeating: 0.5, count: 30)
    for (labels, values) in [
      (LabelSet.klue, good.dropLast() + [1.5]), (.klue, good.dropLast() + [-0.5]), (.klue, good.dropLast() + [.nan]),
      (.klue, good + good), (try LabelSet(Array(LabelSet.klue.names.dropLast())), good.dropLast()),
      (try LabelSet(LabelSet.klue.names + ["x"]), good + [0]),
    ] {
      let (error, text) = try write(labels, Array(values), whole)
      #expect(error?.status == .invalidArgument && text == "old")
    }
  }
}

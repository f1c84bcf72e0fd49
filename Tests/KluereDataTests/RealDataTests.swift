import KluereBase
import KluereData
import KluereFormats
import Testing

@Suite(.disabled(if: RealData.isMissing, "no KLUE data: set KLUERE_DATA"))
struct RealDataTests {
  private func read(_ name: String) throws -> Dataset { try Dataset.read(path: try RealData.path(name)) }

  @Test func `KLUE's train set reads, and the competition's CSV has the same rows`() throws {
    let json = try read(RealData.train)
    let csv = try read(RealData.trainCSV)
    #expect(json.count == 32_470 && csv.count == 32_470)
    #expect(json.contentHash == csv.contentHash)
    #expect(json.labelIndices == csv.labelIndices)
    // The hashes have said it; here some rows are compared part by part, sources too.
    for row in stride(from: 0, to: json.count, by: 29) {
      let (a, b) = (json.example(row), csv.example(row))
      guard a.text.elementsEqual(b.text), word(a.subject, a) == word(b.subject, b),
        word(a.object, a) == word(b.object, b),
        text(a.subject.type) == text(b.subject.type), text(a.object.type) == text(b.object.type),
        text(a.label) == text(b.label), text(a.source) == text(b.source)
      else {
        Issue.record("row \(row) differs")
        break
      }
    }
    // Counted by others in the same file.
    let counts = json.labelIndices.reduce(into: [Int](repeating: 0, count: 30)) { $0[Int($1)] += 1 }
    #expect(counts[0] == 9534)
    #expect(counts[LabelSet.klue.index(of: "per:place_of_death") ?? 0] == 40)
    #expect(text(json.example(0).id) == "klue-re-v1_train_00000")
    #expect(text(csv.example(0).id) == "0")
    #expect(word(json.example(0).object, json.example(0)) == "조지 해리슨")
  }

  @Test func `KLUE's dev set is the competition's test set in another order, there with hidden labels`() throws {
    let dev = try read(RealData.dev)
    let test = try read(RealData.testCSV)
    #expect(dev.count == 7_765 && test.count == 7_765)
    #expect(test.labelIndices.allSatisfy { $0 == -1 })
    #expect(dev.labelIndices.count { $0 == 0 } == 4631)
    func keys(_ dataset: Dataset) -> [String] {
      (0..<dataset.count).map { row in
        let example = dataset.example(row)
        return String(decoding: example.text, as: UTF8.self)
          + "\u{1}\(example.subject.begin) \(example.subject.end) \(example.object.begin) \(example.object.end)"
      }.sorted()
    }
    #expect(keys(dev) == keys(test))
  }

  @Test func `relation_list and dict_label_to_num are the two label orders`() throws {
    let list = try JSON(Files.readAll(RealData.path("klue-re/relation_list.json")), name: "relation_list.json").root
    #expect(list["relations"].map { $0.elements.compactMap(\.string) } == LabelSet.klue.names)
    let map = try JSON(Files.readAll(RealData.path("boostcamp-re/dict_label_to_num.json")), name: "labels").root
    #expect(map.count == 30)
    for (index, name) in LabelSet.competition.names.enumerated() { #expect(map[name]?.int == index) }
  }

  @Test func `a split of the train set is close to its share and separates no equal sentences`() throws {
    let train = try read(RealData.train)
    let (first, second) = try train.split(secondFraction: 0.1, seed: 42)
    #expect(first.count + second.count == 32_470)
    #expect(second.count == 3247)
    let sentences = Set((0..<second.count).map { Array(second.example($0).text) })
    #expect((0..<first.count).allSatisfy { !sentences.contains(Array(first.example($0).text)) })
  }

  @Test func `the sample submission is reproduced byte for byte`() throws {
    let test = try read(RealData.testCSV)
    let file = try TemporaryFile("")
    // The sample has 0.1 everywhere, printed from doubles; a Float of 0.1 has more digits, so halves are compared.
    let probabilities = [Float](repeating: 0.5, count: test.count * 30)
    try probabilities.withUnsafeBufferPointer { values in
      try Submission.write(path: file.path, dataset: test, labels: .competition, probabilities: values)
    }
    let sample = String(decoding: try Files.readAll(RealData.path("boostcamp-re/sample_submission.csv")), as: UTF8.self)
    let written = String(decoding: try Files.readAll(file.path), as: UTF8.self)
    func lines(_ text: String) -> [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    let expected = lines(sample).map { line in
      line.split(separator: "0.1", omittingEmptySubsequences: false).joined(separator: "0.5")
    }
    #expect(lines(written).map { String($0) } == expected)
  }

  @Test func `mutated real rows give errors or rows but no trap`() throws {
    var random = TestRandom(state: 5)
    for name in [RealData.dev, RealData.testCSV] {
      let original = Array(try Files.readAll(RealData.path(name)).prefix(3000))
      var refused = 0
      for number in 0..<300 {
        var bytes = original
        if number % 3 == 0 { bytes = Array(bytes.prefix(random.below(bytes.count))) }
        for _ in 0..<random.below(4) where !bytes.isEmpty {
          bytes[random.below(bytes.count)] = UInt8(random.below(256))
        }
        for policy in [DatasetOptions.BadRows.stop, .skip] {
          if try refusal(bytes, { $0.badRows = policy }) != nil { refused += 1 }
        }
      }
      #expect(refused > 300)
    }
  }
}

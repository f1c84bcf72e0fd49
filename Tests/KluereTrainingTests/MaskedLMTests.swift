import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereText
import KluereTraining
import Testing

private func corpus(_ rows: Range<Int>, _ change: (inout CorpusOptions) -> Void = { _ in }) throws -> Corpus {
  var options = CorpusOptions()
  options.maxTokens = 32
  change(&options)
  return try Corpus.of([try Fixture.dataset(rows, hidden: true)], try Fixture.tokenizer(), options)
}

private func model(_ context: Context, _ family: ModelFamily = .roberta) throws -> Model {
  var configuration = Fixture.configuration()
  configuration.task = .maskedLM
  configuration.family = family
  if family == .electra { configuration.embeddingSize = 16 }
  return try Model.create(
    context: context, tokenizer: try Fixture.tokenizer(), configuration: configuration,
    labels: try LabelSet(Fixture.labels), seed: 1)
}

private func training(_ change: (inout TrainingConfiguration) -> Void = { _ in }) -> TrainingConfiguration {
  var configuration = Fixture.training()
  configuration.bestMetric = .loss
  change(&configuration)
  return configuration
}

private func trainer(
  _ context: Context, _ family: ModelFamily = .roberta, _ change: (inout TrainingConfiguration) -> Void = { _ in }
) throws -> Trainer {
  var masking = MaskingOptions()
  masking.probability = 0.3
  return try Trainer(
    model: try model(context, family), corpus: try corpus(0..<64), evaluation: try corpus(500..<520), masking: masking,
    configuration: training(change), libraryVersion: "test")
}

@Test func `masked rows are the same whatever stands before them`() throws {
  let corpus = try corpus(0..<20)
  let masking = Masking(MaskingOptions(), corpus)
  var (ids, labels): ([Int32], [Int32]) = ([], [])
  var alone: [[Int32]] = []
  for row in 0..<corpus.count {
    var (own, asked): ([Int32], [Int32]) = ([], [])
    corpus.append(row, to: &own)
    let count = masking.apply(&own, from: 0, row: row, seed: 3, pass: 2, labels: &asked)
    #expect(asked.filter { $0 != Masking.none }.count == count)
    alone.append(own)
    let start = ids.count
    corpus.append(row, to: &ids)
    _ = masking.apply(&ids, from: start, row: row, seed: 3, pass: 2, labels: &labels)
  }
  #expect(ids == alone.flatMap { $0 } && labels.count == ids.count)
}

@Test func `packed rows have the tokens of the lines in their order`() throws {
  let lines = try corpus(0..<20) { $0.maxTokens = 40 }
  let packed = try corpus(0..<20) {
    $0.maxTokens = 12
    $0.rows = .packed
  }
  func text(_ corpus: Corpus) -> [Int32] {
    let tokenizer = corpus.tokenizer
    return (0..<corpus.count).flatMap { row in
      var ids: [Int32] = []
      corpus.append(row, to: &ids)
      return ids.filter { $0 != tokenizer.clsID && $0 != tokenizer.sepID }
    }
  }
  #expect(text(lines) == text(packed))
  #expect((0..<packed.count - 1).allSatisfy { packed.length($0) == 12 })
}

@Test(arguments: ModelFamily.allCases)
func `masked-LM training learns, and every thread count gives the same bits`(_ family: ModelFamily) throws {
  var bits: [[UInt32]] = []
  for threads: Int32 in [1, 2] {
    let trainer = try trainer(try Fixture.context(threads: threads), family) { $0.maxSteps = 24 }
    let before = try trainer.evaluate(try corpus(500..<520))
    try trainer.run()
    #expect(try trainer.evaluate(try corpus(500..<520)).loss < before.loss)
    bits.append(try trainer.weightBits())
  }
  #expect(bits[0] == bits[1])
}

@Test func `a masked-LM run goes on from a checkpoint bit for bit`() throws {
  let context = try Fixture.context()
  let whole = try trainer(context) { $0.maxSteps = 12 }
  try whole.run()
  let scratch = try Scratch()
  let cut = try trainer(context) { $0.maxSteps = 12 }
  for _ in 0..<5 { _ = try cut.step() }
  try cut.saveCheckpoint(scratch.path("cut"))
  let resumed = try Trainer.resume(
    context: context, directory: scratch.path("cut"), corpus: try corpus(0..<64), evaluation: try corpus(500..<520),
    libraryVersion: "test")
  try resumed.run()
  #expect(try resumed.weightBits() == whole.weightBits())
  #expect(
    status {
      _ = try Trainer.resume(
        context: context, directory: scratch.path("cut"), train: try Fixture.dataset(0..<64), evaluation: nil,
        libraryVersion: "test")
    } == .state)
}

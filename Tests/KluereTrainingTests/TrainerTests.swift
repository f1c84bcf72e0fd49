import CKluereSupport
import Foundation
import KluereBase
import KluereCompute
import KluereData
import KluereMetrics
import KluereModel
import KluereTraining
import Testing

@Test func `a tiny model learns made-up rows and generalises to others`() throws {
  let trainer = try Fixture.trainer(rows: 0..<256)
  var losses: [Double] = []
  try trainer.run { event in
    losses.append(event.step.loss)
    return false
  }
  #expect(losses.count == trainer.totalSteps && losses.count == 192)
  // Random weights: about ln 4.
  #expect(abs(losses[0] - 1.386) < 0.4)
  #expect(losses.suffix(8).reduce(0, +) / 8 < 0.5)
  let metrics = try trainer.evaluate(try Fixture.dataset(1000..<1128))
  #expect(metrics.rows == 128)
  #expect(metrics.microF1 > 0.9 && metrics.auprc > 0.9)
}

@Test func `the initial model stays as it was and an exported one does not change any more`() throws {
  let model = try Fixture.model(try Fixture.context())
  let before = (0..<model.layout.count).map { model.weights.arena.pointer[$0] }
  let trainer = try Trainer(
    model: model, train: try Fixture.dataset(0..<64), evaluation: nil, configuration: Fixture.training(),
    libraryVersion: "test")
  for _ in 0..<3 { _ = try trainer.step() }
  #expect((0..<model.layout.count).allSatisfy { model.weights.arena.pointer[$0] == before[$0] })
  let exported = try trainer.exportModel()
  let copy = (0..<model.layout.count).map { exported.weights.arena.pointer[$0] }
  #expect(copy != before)
  _ = try trainer.step()
  #expect((0..<model.layout.count).allSatisfy { exported.weights.arena.pointer[$0] == copy[$0] })
}

@Test func `the same seed gives the same bits, also with another number of threads`() throws {
  func run(threads: Int32, seed: UInt64) throws -> [UInt32] {
    let trainer = try Fixture.trainer(threads: threads) { $0.seed = seed }
    for _ in 0..<10 { _ = try trainer.step() }
    return try trainer.weightBits()
  }
  let first = try run(threads: 1, seed: 42)
  #expect(try run(threads: 1, seed: 42) == first)
  #expect(try run(threads: 2, seed: 42) == first)
  #expect(try run(threads: 3, seed: 42) == first)
  #expect(try run(threads: 1, seed: 43) != first)
}

@Test func `an update does not depend on how it is cut into micro-batches`() throws {
  // 16 sentences an update each time, with dropout: equal masks, so equal losses up to the order of sums.
  func losses(_ sentences: Int, _ accumulation: Int) throws -> [StepInfo] {
    let trainer = try Fixture.trainer {
      $0.batchSentences = sentences
      $0.accumulation = accumulation
      $0.hiddenDropout = 0.3
      $0.attentionDropout = 0.3
      $0.classifierDropout = 0.3
    }
    return try (0..<8).map { _ in try trainer.step() }
  }
  let whole = try losses(16, 1)
  for (sentences, accumulation) in [(4, 4), (1, 16), (8, 2)] {
    for (a, b) in zip(whole, try losses(sentences, accumulation)) {
      #expect(a.sentences == b.sentences && a.tokens == b.tokens && a.learningRate == b.learningRate)
      #expect(abs(a.loss - b.loss) <= 1e-5 * abs(a.loss))
      #expect(abs(a.gradNorm - b.gradNorm) <= 1e-4 * a.gradNorm)
    }
  }
}

@Test func `the last update of an epoch takes the rows that are left and weighs them alike`() throws {
  let trainer = try Fixture.trainer(rows: 0..<27) {
    $0.accumulation = 2
    $0.epochs = 2
  }
  #expect(trainer.totalSteps == 4)
  let infos = try (0..<4).map { _ in try trainer.step() }
  #expect(infos.map(\.sentences) == [16, 11, 16, 11])
  let passes: [Double] = [16.0 / 27.0, 1, 1.0 + 16.0 / 27.0, 2]
  #expect(infos.map(\.epoch) == passes)
  #expect(infos.map(\.step) == [1, 2, 3, 4])
  #expect(infos.map(\.done) == [false, false, false, true])
  #expect(status { _ = try trainer.step() } == .state)
}

@Test func `micro-batches by tokens and grouping by length train on every row`() throws {
  let trainer = try Fixture.trainer {
    $0.batchTokens = 64
    $0.groupByLength = true
    $0.epochs = 1
  }
  var sentences = 0
  try trainer.run { event in
    #expect(event.step.tokens <= 64)
    sentences += event.step.sentences
    return false
  }
  #expect(sentences == 64)
}

@Test func `clipping bounds the update and the gradient is that before clipping`() throws {
  let trainer = try Fixture.trainer { $0.maxGradNorm = 1e-3 }
  #expect(status { try trainer.readGradient(tensor: 0, into: .init(start: nil, count: 0)) } == .state)
  let info = try trainer.step()
  let model = try trainer.exportModel()
  var sum = 0.0
  for (number, slot) in model.layout.tensors.enumerated() {
    var values = [Float](repeating: .nan, count: slot.count)
    try values.withUnsafeMutableBufferPointer { try trainer.readGradient(tensor: number, into: $0) }
    sum += values.reduce(0) { $0 + Double($1) * Double($1) }
  }
  #expect(abs(sum.squareRoot() - info.gradNorm) <= 1e-9 * info.gradNorm)
  #expect(info.gradNorm > 1e-3)
  #expect(status { try trainer.readGradient(tensor: 1000, into: .init(start: nil, count: 0)) } == .invalidArgument)
  #expect(status { try trainer.readGradient(tensor: -1, into: .init(start: nil, count: 0)) } == .invalidArgument)
  #expect(status { try trainer.readGradient(tensor: 0, into: .init(start: nil, count: 0)) } == .bufferTooSmall)
}

@Test func `a loss that is not finite leaves the trainer as it was before the update`() throws {
  let trainer = try Fixture.trainer {
    $0.learningRate = 1e30
    $0.warmupRatio = 0
    $0.weightDecay = 0
  }
  // The first update is finite and makes weights of 1e30; the second one finds them.
  _ = try trainer.step()
  let bits = try trainer.weightBits()
  let error = #expect(throws: KluereError.self) { _ = try trainer.step() }
  #expect(error?.status == .notFinite)
  #expect(error?.message.hasPrefix("update 2 of 48: ") == true)
  #expect(try trainer.weightBits() == bits)
  #expect(status { _ = try trainer.step() } == .notFinite)
  #expect(status { _ = try trainer.evaluate(try Fixture.dataset(0..<8)) } == .notFinite)
}

@Test func `rows that cannot be trained on are refused by number`() throws {
  let model = try Fixture.model(try Fixture.context())
  func refused(_ train: Dataset, _ evaluation: Dataset? = nil) -> String? {
    let error = #expect(throws: KluereError.self) {
      _ = try Trainer(
        model: model, train: train, evaluation: evaluation, configuration: Fixture.training(), libraryVersion: "test")
    }
    #expect(error?.status == .invalidArgument)
    return error?.message
  }
  let good = try Fixture.dataset(0..<8)
  #expect(
    refused(try Fixture.dataset(0..<8, hidden: true))
      == "train: row 0: its label is hidden, expected one of the model's")
  #expect(refused(good, try Fixture.dataset(0..<8, hidden: true))?.hasPrefix("evaluation: row 0: ") == true)
}

@Test func `labels are matched by name, not by index`() throws {
  // The data set's order of labels is another one than the model's.
  let turned = try Fixture.dataset(0..<64, labels: Array(Fixture.labels.reversed()))
  let model = try Fixture.model(try Fixture.context())
  func trained(_ dataset: Dataset) throws -> [UInt32] {
    let trainer = try Trainer(
      model: model, train: dataset, evaluation: nil, configuration: Fixture.training(), libraryVersion: "test")
    for _ in 0..<5 { _ = try trainer.step() }
    return try trainer.weightBits()
  }
  #expect(try trained(turned) == trained(try Fixture.dataset(0..<64)))
}

private let wrongFields: [(field: String, change: @Sendable (inout TrainingConfiguration) -> Void)] = [
  ("batch_sentences", { $0.batchSentences = 0 }), ("batch_tokens", { $0.batchTokens = -1 }),
  ("accumulation", { $0.accumulation = 0 }), ("max_steps", { $0.maxSteps = -1 }), ("epochs", { $0.epochs = .nan }),
  ("epochs", { $0.epochs = 0 }), ("epochs", { $0.epochs = .infinity }), ("learning_rate", { $0.learningRate = .nan }),
  ("learning_rate", { $0.learningRate = -1 }), ("learning_rate", { $0.learningRate = 1e39 }),
  ("beta1", { $0.beta1 = 1 }), ("beta1", { $0.beta1 = .nan }), ("beta2", { $0.beta2 = 0.99999999999 }),
  ("epsilon", { $0.epsilon = 0 }), ("epsilon", { $0.epsilon = 1e-60 }), ("weight_decay", { $0.weightDecay = .nan }),
  ("max_grad_norm", { $0.maxGradNorm = -0.1 }), ("warmup_ratio", { $0.warmupRatio = 1.1 }),
  ("warmup_ratio", { $0.warmupRatio = .nan }), ("warmup_steps", { $0.warmupSteps = -1 }),
  ("hidden_dropout", { $0.hiddenDropout = 1 }), ("attention_dropout", { $0.attentionDropout = .nan }),
  ("classifier_dropout", { $0.classifierDropout = -0.5 }), ("evaluate_every", { $0.evaluateEvery = -1 }),
  ("checkpoint_every", { $0.checkpointEvery = .min }), ("patience", { $0.patience = -1 }),
  ("output_directory", { $0.outputDirectory = "" }),
]

@Test(arguments: wrongFields.indices)
func `a configuration that cannot be right is refused by the field's name`(_ number: Int) throws {
  let (field, change) = wrongFields[number]
  var configuration = TrainingConfiguration()
  try configuration.validate()
  change(&configuration)
  let error = #expect(throws: KluereError.self) { try configuration.validate() }
  #expect(error?.status == .invalidArgument)
  #expect(error?.message.hasPrefix(field + ": ") == true)
}

import Foundation
import KluereBase
import KluereCompute
import KluereData
import KluereMetrics
import KluereModel
import KluereTraining
import Testing

private func predict(_ model: Model, _ dataset: Dataset, _ change: (inout PredictorOptions) -> Void = { _ in }) throws
  -> [Float]
{
  var options = PredictorOptions()
  change(&options)
  let predictor = try Predictor(model: model, options: options)
  var out = [Float](repeating: .nan, count: dataset.count * model.labels.count)
  try out.withUnsafeMutableBufferPointer { try predictor.predict(dataset, into: $0) }
  return out
}

@Test func `a row's result does not depend on the rows beside it`() throws {
  let model = try Fixture.model(try Fixture.context())
  let dataset = try Fixture.dataset(0..<100)
  let together = try predict(model, dataset)
  #expect(try predict(model, dataset) { $0.batchTokens = 1 } == together)
  #expect(try predict(model, dataset) { $0.batchTokens = 77 } == together)
  let predictor = try Predictor(model: model)
  for row in [0, 13, 99] {
    var one = [Float](repeating: .nan, count: 4)
    try one.withUnsafeMutableBufferPointer { try predictor.predict([dataset.example(row)], into: $0) }
    #expect(one == Array(together[row * 4..<row * 4 + 4]))
  }
}

@Test func `rows with the same text compute it once, wherever they stand`() throws {
  var configuration = Fixture.configuration()
  (configuration.inputForm, configuration.head) = (.levitatedMarker, .entityStart)
  let model = try Model.create(
    context: try Fixture.context(), tokenizer: try Fixture.tokenizer(), configuration: configuration,
    labels: try LabelSet(Fixture.labels), seed: 1)
  let dataset = try Fixture.dataset(0..<40)
  // Three times in turns: sentences of the same length alternate.
  let rows = (0..<3).flatMap { _ in (0..<40).map { dataset.example($0) } }
  func computed(_ rows: [ExampleView], batchTokens: Int = 8192) throws -> ([Float], Int) {
    var options = PredictorOptions()
    options.batchTokens = batchTokens
    let predictor = try Predictor(model: model, options: options)
    var out = [Float](repeating: .nan, count: rows.count * 4)
    try out.withUnsafeMutableBufferPointer { try predictor.predict(rows, into: $0) }
    return (out, predictor.computedTokens)
  }
  let (once, tokens) = try computed(Array(rows.prefix(40)))
  let (thrice, all) = try computed(rows)
  // Each further row has its four markers.
  #expect(all == tokens + 80 * 4)
  #expect(thrice == once + once + once)
  // A row that costs no token still counts: memory is bounded by batchTokens.
  let plain = try Fixture.model(try Fixture.context())
  var options = PredictorOptions()
  options.batchTokens = 60
  let predictor = try Predictor(model: plain, options: options)
  var out = [Float](repeating: .nan, count: 100 * 4)
  let same = [ExampleView](repeating: dataset.example(0), count: 100)
  try out.withUnsafeMutableBufferPointer { try predictor.predict([same[0]], into: $0) }
  let length = predictor.computedTokens
  try out.withUnsafeMutableBufferPointer { try predictor.predict(same, into: $0) }
  let rowsOfBatch = 1 + (60 - length) / 3
  let batches = (100 + rowsOfBatch - 1) / rowsOfBatch
  #expect(predictor.computedTokens == batches * length)
  let first = Array(out[0..<4])
  for row in 0..<100 { #expect(Array(out[row * 4..<row * 4 + 4]) == first) }
}

@Test(arguments: [1, 2, 3]) func `a predictor with threads of its own has the bits of the pool`(threads: Int) throws {
  let model = try Fixture.model(try Fixture.context())
  let dataset = try Fixture.dataset(0..<60)
  let together = try predict(model, dataset)
  #expect(try predict(model, dataset) { $0.threads = threads } == together)
  #expect(try predict(model, dataset) { ($0.threads, $0.batchTokens) = (threads, 50) } == together)
}

@Test func `a predictor with a thread of its own does not wait for the context`() throws {
  let context = try Fixture.context()
  let model = try Fixture.model(context)
  let dataset = try Fixture.dataset(0..<10)
  let together = try predict(model, dataset)
  var options = PredictorOptions()
  options.threads = 1
  let predictor = try Predictor(model: model, options: options)
  var out = [Float](repeating: .nan, count: together.count)
  try out.withUnsafeMutableBufferPointer { try predictor.predict(dataset, into: $0) }
  // A lock that is not recursive: waiting for it here would be for ever.
  try context.exclusive { () throws(KluereError) in
    var again = [Float](repeating: .nan, count: together.count)
    let result: Result<Void, KluereError> = again.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(KluereError) in try predictor.predict(dataset, into: buffer) }
    }
    try result.get()
    out = again
  }
  #expect(out == together)
}

@Test func `rows that were encoded apart are predicted together`() throws {
  let model = try Fixture.model(try Fixture.context())
  let dataset = try Fixture.dataset(0..<30)
  let together = try predict(model, dataset)
  let predictor = try Predictor(model: model)
  var out = [Float](repeating: .nan, count: together.count)
  for cuts in [[0, 30], [0, 1, 30], [0, 10, 10, 17, 30]] {
    try out.withUnsafeMutableBufferPointer { out in
      let requests = try zip(cuts, cuts.dropFirst()).map { begin, end in
        let rows = EncodedRows(model)
        try rows.append((begin..<end).map { dataset.example($0) })
        #expect(rows.count == end - begin)
        return EncodedRequest(rows, into: UnsafeMutableBufferPointer(rebasing: out[begin * 4..<end * 4]))
      }
      try predictor.predict(requests)
    }
    #expect(out == together)
    out = out.map { _ in .nan }
  }
}

@Test(arguments: [7, 4096]) func `a vector of the first token is its last hidden state`(batchTokens: Int) throws {
  let model = try Fixture.model(try Fixture.context())
  var options = PredictorOptions()
  options.batchTokens = batchTokens
  let predictor = try Predictor(model: model, options: options)
  let width = model.configuration.hiddenSize
  let lengths = [9, 1, 30, 2, 14]
  let offsets = lengths.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
  let ids = (0..<(offsets.last ?? 0)).map { Int32($0 * 7 % 40) }
  func run(_ count: Int, _ body: (TokenRows, UnsafeMutableBufferPointer<Float>) throws -> Void) throws -> [Float] {
    var out = [Float](repeating: .nan, count: count * width)
    try ids.withUnsafeBufferPointer { ids in
      try offsets.withUnsafeBufferPointer { offsets in
        let rows = try TokenRows(ids: ids, types: nil, offsets: offsets, for: model.configuration)
        try out.withUnsafeMutableBufferPointer { try body(rows, $0) }
      }
    }
    return out
  }
  let states = try run(ids.count) { try predictor.hiddenStates($0, into: $1) }
  let mean = try run(lengths.count) { try predictor.embed($0, .mean, normalize: false, into: $1) }
  let first = try run(lengths.count) { try predictor.embed($0, .cls, normalize: false, into: $1) }
  #expect(first == offsets.dropLast().flatMap { states[$0 * width..<($0 + 1) * width] })
  // And all rows are there after it.
  #expect(try run(lengths.count) { try predictor.embed($0, .mean, normalize: false, into: $1) } == mean)
}

@Test func `probabilities are the softmax of the logits`() throws {
  let model = try Fixture.model(try Fixture.context())
  let dataset = try Fixture.dataset(0..<20)
  let logits = try predict(model, dataset) { $0.output = .logits }
  let probabilities = try predict(model, dataset)
  for row in 0..<20 {
    let own = logits[row * 4..<row * 4 + 4].map { exp(Double($0)) }
    let sum = own.reduce(0, +)
    for column in 0..<4 { #expect(abs(Double(probabilities[row * 4 + column]) - own[column] / sum) <= 1e-6) }
  }
}

@Test func `a trainer's evaluation is the metrics of its model's predictions`() throws {
  let trainer = try Fixture.trainer()
  for _ in 0..<20 { _ = try trainer.step() }
  let dataset = try Fixture.dataset(500..<600)
  let scores = try predict(try trainer.exportModel(), dataset)
  let labels = (0..<dataset.count).map { dataset.labelIndex($0) }
  let expected = try scores.withUnsafeBufferPointer { scores in
    try labels.withUnsafeBufferPointer { try computeMetrics(scores: scores, labels: $0, classes: 4).0 }
  }
  var metrics = try trainer.evaluate(dataset)
  #expect(abs(metrics.loss - expected.loss) <= 1e-6)
  metrics.loss = expected.loss
  #expect(metrics == expected)
}

@Test func `evaluating changes nothing in the training`() throws {
  let plain = try Fixture.trainer()
  let watched = try Fixture.trainer()
  let dataset = try Fixture.dataset(500..<540)
  for _ in 0..<6 {
    _ = try plain.step()
    _ = try watched.step()
    _ = try watched.evaluate(dataset)
  }
  #expect(try plain.weightBits() == watched.weightBits())
}

@Test func `bad predictions calls are refused and leave the result alone`() throws {
  let model = try Fixture.model(try Fixture.context())
  let dataset = try Fixture.dataset(0..<3)
  let predictor = try Predictor(model: model)
  var out = [Float](repeating: 7, count: 12)
  #expect(
    status {
      try out.withUnsafeMutableBufferPointer {
        try predictor.predict(dataset, into: .init(rebasing: $0[..<11]))
      }
    } == .bufferTooSmall)
  var bad = dataset.example(1)
  bad.subject.end = 10_000
  let error = #expect(throws: KluereError.self) {
    try out.withUnsafeMutableBufferPointer { try predictor.predict([dataset.example(0), bad], into: $0) }
  }
  #expect(error?.message.hasPrefix("examples[1]: ") == true)
  #expect(out.allSatisfy { $0 == 7 })
  try out.withUnsafeMutableBufferPointer { try predictor.predict([], into: $0) }
  #expect(out.allSatisfy { $0 == 7 })
  // And it still works.
  try out.withUnsafeMutableBufferPointer { try predictor.predict(dataset, into: $0) }
  #expect(out == (try predict(model, dataset)))
  for threads in [-1, 1025] {
    var options = PredictorOptions()
    options.threads = threads
    #expect(status { _ = try Predictor(model: model, options: options) } == .invalidArgument)
  }
  for tokens in [0, -1, 1 << 25] {
    var options = PredictorOptions()
    options.batchTokens = tokens
    #expect(status { _ = try Predictor(model: model, options: options) } == .invalidArgument)
  }
}

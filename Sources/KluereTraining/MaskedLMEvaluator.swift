internal import Glibc
internal import KluereBase
internal import KluereCompute
internal import KluereMetrics
internal import KluereModel
internal import KluereText

/// How well a masked-LM knows what was masked. The fields are those of kluere_masked_lm_figures.
package struct MaskedLMFigures: Sendable, Equatable {
  /// Tokens that were asked for, and those of them that were the likeliest piece.
  package var tokens = 0
  package var correct = 0
  /// Mean cross-entropy in nats.
  package var loss = 0.0

  package var perplexity: Double { exp(loss) }
  package var accuracy: Double { Double(correct) / Double(tokens) }

  /// As the events of a run have them: what is not known of a masked-LM is NaN.
  var asMetrics: Metrics {
    Metrics(
      rows: tokens, missingClasses: 0, microF1: .nan, microPrecision: .nan, microRecall: .nan, auprc: .nan,
      accuracy: accuracy, loss: loss)
  }
}

/// Measures weights on the tokens that a fixed mask asks for, without dropout. Changes nothing but its own memory.
final class MaskedLMEvaluator {
  private let model: Model
  private let context: Context
  private let network: Network
  private let numbers: UpdateStorage
  private var batch: TokenBatch
  private var labels = GrowingStorage<Int32>(for: "masked tokens")
  private var logits = Workspace<Float>(for: "masked-LM logits")

  /// Tokens worked on at once, as a predictor does by default.
  private static let batchTokens = PredictorOptions().batchTokens

  /// `context`: where it computes; nil: on the model's.
  init(_ model: Model, _ precision: Precision, on own: Context? = nil) throws(KluereError) {
    self.model = model
    context = own ?? model.context
    network = Network(model.configuration, model.layout, on: context, precision: precision, training: false)
    numbers = try UpdateStorage(count: 1, on: context.backend, for: "numbers of an evaluation")
    batch = TokenBatch(model.configuration)
  }

  /// Refuses a corpus that the model cannot read; `purpose` names it.
  static func check(_ corpus: Corpus, _ model: Model, _ purpose: String) throws(KluereError) {
    guard corpus.tokenizer.hasPieces(of: model.tokenizer) else {
      throw KluereError(
        .invalidArgument,
        "\(purpose): made with a tokenizer of \(corpus.tokenizer.vocabularySize) pieces that are not the model's "
          + "\(model.tokenizer.vocabularySize)")
    }
    let longest = (0..<corpus.count).reduce(0) { max($0, corpus.length($1)) }
    guard longest <= model.configuration.maxPositions else {
      throw KluereError(
        .invalidArgument,
        "\(purpose): a row of \(longest) tokens, the model has \(model.configuration.maxPositions) positions")
    }
  }

  /// `corpus` has been checked.
  func measure(
    _ corpus: Corpus, _ options: MaskingOptions, _ weights: NetworkWeights, stop: () -> Bool
  ) throws(KluereError) -> MaskedLMFigures {
    var rows = MaskedRows(corpus, options, model)
    var figures = MaskedLMFigures()
    let backend = context.backend
    try context.exclusive { () throws(KluereError) in
      try backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
      try backend.beginUpdate(numbers)
    }
    var done = 0
    while done < corpus.count {
      if stop() { throw KluereError(.cancelled, "stopped on request after \(done) of \(corpus.count) rows") }
      batch.removeAll()
      rows.removeAll()
      rows.beginBatch()
      var place = 0
      while done < corpus.count {
        if place > 0, batch.tokenCount + corpus.length(done) > MaskedLMEvaluator.batchTokens { break }
        figures.tokens += rows.mask(done, seed: options.evaluationSeed, pass: 0)
        rows.load(place, sample: 0, into: &batch)
        place += 1
        done += 1
      }
      guard !rows.places.isEmpty else { continue }
      figures.correct += try context.exclusive { () throws(KluereError) in
        try compute(rows, weights)
      }
    }
    guard figures.tokens > 0 else {
      throw KluereError(
        .invalidArgument, "corpus: this mask asks for none of its \(corpus.tokenCount) tokens, expected more text")
    }
    let sum = try context.exclusive { () throws(KluereError) in try backend.readUpdate(numbers).lossSum }
    figures.loss = sum / Double(figures.tokens)
    guard figures.loss.isFinite else {
      throw KluereError(.notFinite, "evaluation: the loss is \(figures.loss), expected finite numbers")
    }
    return figures
  }

  /// Adds the batch's losses to the numbers; returns how many of its masked tokens are the likeliest piece.
  private func compute(_ rows: MaskedRows, _ weights: NetworkWeights) throws(KluereError) -> Int {
    let backend = context.backend
    let vocabulary = model.configuration.vocabularySize
    try network.encode(weights, batch, only: rows.places)
    var correct = 0
    for slice in network.maskedSlices(rows.places.count) {
      let scores = try network.maskedLogits(weights, rows: Array(rows.places[slice]))
      let device = try labels.reserve(slice.count, on: backend)
      let answers = Array(rows.answers[slice])
      try backend.copyIn(device, answers, bytes: answers.count * MemoryLayout<Int32>.size)
      try backend.crossEntropy(
        nil, scores, labels: device, rows: slice.count, classes: vocabulary, scale: 1, numbers)
      var host = scores
      if !backend.isHost {
        try logits.resize(slice.count * vocabulary)
        guard let base = logits.elements.baseAddress else { continue }
        try backend.copyOut(base, scores, bytes: slice.count * vocabulary * MemoryLayout<Float>.size)
        host = UnsafePointer(base)
      }
      for (row, answer) in answers.enumerated() where likeliest(host + row * vocabulary, vocabulary) == Int(answer) {
        correct += 1
      }
    }
    return correct
  }

  /// The first largest.
  private func likeliest(_ scores: UnsafePointer<Float>, _ count: Int) -> Int {
    var best = 0
    var largest = scores[0]
    for place in 0..<count where scores[place] > largest {
      largest = scores[place]
      best = place
    }
    return best
  }
}

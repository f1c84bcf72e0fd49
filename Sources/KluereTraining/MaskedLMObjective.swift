internal import KluereBase
internal import KluereCompute
internal import KluereMetrics
internal import KluereModel

/// Masked tokens of a text; the loss of an update is the mean over all tokens that it asks for. Masks are drawn anew in
/// every pass over the rows (Liu et al. 2019: dynamic masking).
final class MaskedLMObjective: Objective {
  private let corpus: Corpus
  private let held: Corpus?
  private let options: MaskingOptions
  private let evaluator: MaskedLMEvaluator
  private let seed: UInt64
  private var rows: MaskedRows
  let lengths: [Int32]
  let types: TypeRoutes? = nil
  var masking: MaskingOptions? { options }

  init(
    _ model: Model, _ corpus: Corpus, _ evaluation: Corpus?, _ options: MaskingOptions,
    _ configuration: TrainingConfiguration
  ) throws(KluereError) {
    try options.validate()
    guard model.layout.maskedLM != nil else {
      throw KluereError(.state, "trainer: the model has no masked-LM head; open or create it with the task masked LM")
    }
    try MaskedLMObjective.check(configuration, model)
    try MaskedLMEvaluator.check(corpus, model, "corpus")
    if let evaluation { try MaskedLMEvaluator.check(evaluation, model, "evaluation") }
    self.corpus = corpus
    held = evaluation
    self.options = options
    seed = configuration.seed
    lengths = (0..<corpus.count).map { Int32(clamping: corpus.length($0)) }
    rows = MaskedRows(corpus, options, model)
    evaluator = try MaskedLMEvaluator(model, configuration.precision)
  }

  private static func check(_ configuration: TrainingConfiguration, _ model: Model) throws(KluereError) {
    guard configuration.bestMetric == .loss else {
      throw KluereError(
        .invalidArgument, "best_metric: \(configuration.bestMetric.name) with masked-LM training, expected loss")
    }
    guard configuration.classifierDropout == nil else {
      throw KluereError(
        .invalidArgument,
        "classifier_dropout: given with masked-LM training, which has no classifier; expected -1 (the model's)")
    }
    guard configuration.multiSampleDropout == 1 else {
      throw KluereError(
        .invalidArgument,
        "multi_sample_dropout: \(configuration.multiSampleDropout) with masked-LM training, expected 1")
    }
    guard configuration.loss.map({ $0.isPlain }) ?? true else {
      throw KluereError(.invalidArgument, "loss: given with masked-LM training, which has cross entropy alone")
    }
    guard !(configuration.extras.freezesEmbeddings && model.configuration.tiesDecoder) else {
      throw KluereError(
        .invalidArgument,
        "freeze_embeddings: 1 with masked-LM training of a decoder that is tied to them, expected 0 or an untied one")
    }
  }

  var train: CheckpointState.Rows { CheckpointState.Rows(count: corpus.count, contentHash: corpus.contentHash) }
  var evaluation: CheckpointState.Rows? {
    held.map { CheckpointState.Rows(count: $0.count, contentHash: $0.contentHash) }
  }

  func reserve(rows: Int) throws(KluereError) -> Int { rows }

  func begin(_ chosen: ArraySlice<UInt32>, _ position: UpdatePosition) throws(KluereError) -> Int {
    rows.removeAll()
    var asked = 0
    for row in chosen { asked += rows.mask(Int(row), seed: seed, pass: position.epoch) }
    return asked
  }

  func beginPass() { rows.beginBatch() }

  func load(_ place: Int, into batch: inout TokenBatch) { rows.load(place, sample: place, into: &batch) }

  func add(_ pass: UpdatePass) throws(KluereError) {
    // Nothing is asked for: nothing is learned.
    guard !rows.places.isEmpty else { return }
    try pass.network.encode(pass.weights, pass.batch, pass.dropout, only: rows.places)
    try pass.network.maskedLoss(
      pass.weights, rows: rows.places, labels: rows.answers, scale: pass.scale, pass.numbers, gradients: pass.gradients)
    try pass.network.backward(pass.weights, gradients: pass.gradients)
  }

  func measure(_ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> Metrics {
    guard let held else { throw KluereError(.internal, "trainer: there is no corpus for evaluation") }
    return try measure(held, weights, stop: stop).asMetrics
  }

  /// The same on a corpus of the caller's.
  func measure(_ corpus: Corpus, _ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> MaskedLMFigures {
    try evaluator.measure(corpus, options, weights, stop: stop)
  }
}

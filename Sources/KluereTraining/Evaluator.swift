internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereMetrics
internal import KluereModel

/// Measures weights on labelled rows, without dropout. Changes nothing but its own memory.
final class Evaluator {
  private let model: Model
  private let pass: InferencePass
  private var logits = Workspace<Float>(for: "evaluation")
  private var probabilities = Workspace<Float>(for: "evaluation")

  /// Tokens worked on at once, as a predictor does by default.
  private static let batchTokens = PredictorOptions().batchTokens

  init(_ model: Model, _ precision: Precision) {
    self.model = model
    pass = InferencePass(model, precision, batchTokens: Evaluator.batchTokens, types: model.types)
  }

  /// The figures that kluere_metrics_compute gives for the probabilities of a predictor with these weights; the loss
  /// comes from the logits, so that it stays finite where a probability rounds to 0.
  func measure(_ rows: TrainingRows, _ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> Metrics {
    let classes = model.labels.count
    guard let size = rows.count.product(classes) else {
      throw KluereError(.outOfMemory, "evaluation: \(rows.count) rows of \(classes) labels do not fit in memory")
    }
    try logits.resize(size)
    try probabilities.resize(size)
    try pass.run(
      rows.encoded, { () throws(KluereError) in weights }, logits: logits.elements,
      probabilities: probabilities.elements, stop: stop)
    if let place = logits.elements.firstIndex(where: { !$0.isFinite }) {
      throw KluereError(
        .notFinite, "evaluation: row \(place / classes): a score is \(logits.elements[place]), expected finite numbers")
    }
    let options = MetricsOptions(noRelation: model.labels.index(of: "no_relation"))
    let scores = UnsafeBufferPointer(probabilities.elements)
    let values = UnsafeBufferPointer(logits.elements)
    // The closure of withUnsafeBufferPointer carries no typed error.
    let result: Result<Metrics, KluereError> = rows.labels.withUnsafeBufferPointer { labels in
      do throws(KluereError) {
        var metrics = try computeMetrics(scores: scores, labels: labels, classes: classes, options: options).0
        metrics.loss = try meanCrossEntropy(logits: values, labels: labels, classes: classes)
        return .success(metrics)
      } catch { return .failure(error) }
    }
    return try result.get()
  }
}

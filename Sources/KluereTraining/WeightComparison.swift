package import KluereBase
package import KluereData
internal import KluereMetrics
package import KluereModel

/// What fewer bits for the weights do to a model's answers on labelled rows.
package struct WeightComparison: Sendable {
  package private(set) var rows = 0
  package private(set) var bytes = 0
  package private(set) var otherBytes = 0
  package private(set) var microF1 = 0.0
  package private(set) var otherMicroF1 = 0.0
  package private(set) var auprc = 0.0
  package private(set) var otherAuprc = 0.0
  /// Share of rows with the same most probable label.
  package private(set) var equalAnswers = 0.0
  package private(set) var largestDifference = 0.0
  package private(set) var meanDifference = 0.0

  /// Probabilities of both, as predictors with default options give them. All labels are known.
  package init(_ model: Model, _ other: Model, _ dataset: Dataset) throws(KluereError) {
    guard model.labels.names == other.labels.names else {
      throw KluereError(.invalidArgument, "quantized: its labels are not the model's")
    }
    let labels = try TrainingRows(dataset, model, "dataset").labels
    let classes = model.labels.count
    guard let cells = labels.count.product(classes) else {
      throw KluereError(.outOfMemory, "comparison: \(labels.count) rows of \(classes) labels do not fit in memory")
    }
    var ours = Workspace<Float>(for: "comparison")
    var theirs = Workspace<Float>(for: "comparison")
    defer {
      withExtendedLifetime(ours) {}
      withExtendedLifetime(theirs) {}
    }
    try ours.resize(cells)
    try theirs.resize(cells)
    try Predictor(model: model).predict(dataset, into: ours.elements)
    try Predictor(model: other).predict(dataset, into: theirs.elements)
    let options = MetricsOptions(noRelation: model.labels.index(of: "no_relation"))
    let (first, second) = (UnsafeBufferPointer(ours.elements), UnsafeBufferPointer(theirs.elements))
    // The closure of withUnsafeBufferPointer carries no typed error.
    let result: Result<(Metrics, Metrics), KluereError> = labels.withUnsafeBufferPointer { labels in
      do throws(KluereError) {
        return .success(
          (
            try computeMetrics(scores: first, labels: labels, classes: classes, options: options).0,
            try computeMetrics(scores: second, labels: labels, classes: classes, options: options).0
          ))
      } catch { return .failure(error) }
    }
    let (figures, otherFigures) = try result.get()
    rows = labels.count
    (bytes, otherBytes) = (model.storedBytes, other.storedBytes)
    (microF1, otherMicroF1) = (figures.microF1, otherFigures.microF1)
    (auprc, otherAuprc) = (figures.auprc, otherFigures.auprc)
    var (equal, total) = (0, 0.0)
    for row in 0..<rows {
      var (best, otherBest) = (0, 0)
      for column in 0..<classes {
        let (a, b) = (first[row * classes + column], second[row * classes + column])
        if a > first[row * classes + best] { best = column }
        if b > second[row * classes + otherBest] { otherBest = column }
        let difference = Double((a - b).magnitude)
        total += difference
        largestDifference = max(largestDifference, difference)
      }
      if best == otherBest { equal += 1 }
    }
    equalAnswers = Double(equal) / Double(rows)
    meanDifference = total / Double(cells)
  }
}

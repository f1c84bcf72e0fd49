internal import Glibc
package import KluereBase
package import KluereMetrics

package struct DecodingFitOptions: Sendable, Equatable {
  package var fitsTemperature = true
  package var tunesWeights = false
  package var metrics = MetricsOptions(scoresAreLogits: true)
  package var folds = 5
  package var seed: UInt64 = 42
  /// nil: the shares of the labels of the rows.
  package var sourcePrior: [Double]?
  package var targetPrior: [Double]?
  /// In place of `targetPrior`: one label's share, the others in their proportions.
  package var priorByHand: (label: Int, share: Double)?

  package init() {}

  package static func == (a: DecodingFitOptions, b: DecodingFitOptions) -> Bool {
    a.fitsTemperature == b.fitsTemperature && a.tunesWeights == b.tunesWeights && a.metrics == b.metrics
      && a.folds == b.folds && a.seed == b.seed && a.sourcePrior == b.sourcePrior && a.targetPrior == b.targetPrior
      && a.priorByHand?.label == b.priorByHand?.label && a.priorByHand?.share == b.priorByHand?.share
  }
}

package struct DecodingFigures: Sendable, Equatable {
  package var microF1: Double
  package var auprc: Double
  /// Expected calibration error in 15 bins.
  package var calibrationError: Double
  package var loss: Double
  /// With each row counted by target share / source share of its label: as if labels were distributed as in the target.
  package var targetMicroF1: Double
}

package struct DecodingReport: Sendable, Equatable {
  /// Softmax alone.
  package var before: DecodingFigures
  /// On the rows that it was fitted on.
  package var after: DecodingFigures
  /// Each fold decoded by what the others gave: what to expect on new rows.
  package var heldOut: DecodingFigures
  /// Whether tuned class weights were better on held-out rows, and so are in the result.
  package var keepsWeights: Bool
}

/// Fits a decoding to labelled rows that no weight of the model was trained on: first the temperature, then the prior
/// correction, then class weights on what these give. `folds`: nil for random ones, or the fold of each row.
package func fitDecoding(
  _ scores: UnsafeBufferPointer<Float>, labels given: UnsafeBufferPointer<Int32>,
  folds givenFolds: UnsafeBufferPointer<Int32>?, classes: Int, options: DecodingFitOptions
) throws(KluereError) -> (Decoding, DecodingReport) {
  let fit = try DecodingFit(scores, given, classes, options)
  let folds = try rowFolds(givenFolds, rows: fit.labels.count, count: options.folds, seed: options.seed)
  let all = Array(fit.labels.indices)
  var found = try fit.fit(all, tunesWeights: options.tunesWeights)
  // The same folds with and without weights, so that only the weights differ.
  var plain = GrowingBuffer<Float>(for: "decoding: probabilities")
  var tuned = GrowingBuffer<Float>(for: "decoding: probabilities")
  for _ in scores { try plain.append(0) }
  if options.tunesWeights { for _ in scores { try tuned.append(0) } }
  for fold in 0..<options.folds {
    let outside = all.filter { folds[$0] != fold }
    let decoding = try fit.fit(outside, tunesWeights: options.tunesWeights)
    let unweighted = try decoding.unweighted()
    for row in all where folds[row] == fold {
      fit.decode(row, unweighted, into: plain.elements)
      if options.tunesWeights { fit.decode(row, decoding, into: tuned.elements) }
    }
  }
  let importance = try fit.importance(all)
  var heldOut = try fit.figures(UnsafeBufferPointer(plain.elements), importance)
  var keepsWeights = false
  if options.tunesWeights {
    let weighted = try fit.figures(UnsafeBufferPointer(tuned.elements), importance)
    keepsWeights = weighted.targetMicroF1 > heldOut.targetMicroF1
    if keepsWeights { heldOut = weighted } else { found = try found.unweighted() }
  }
  let softmax = try Decoding(classes: classes)
  for row in all { fit.decode(row, softmax, into: plain.elements) }
  let before = try fit.figures(UnsafeBufferPointer(plain.elements), importance)
  for row in all { fit.decode(row, found, into: plain.elements) }
  let after = try fit.figures(UnsafeBufferPointer(plain.elements), importance)
  return (found, DecodingReport(before: before, after: after, heldOut: heldOut, keepsWeights: keepsWeights))
}

/// The rows and what is asked of them.
private struct DecodingFit {
  let scores: UnsafeBufferPointer<Float>
  let labels: [Int32]
  let classes: Int
  let options: DecodingFitOptions

  init(
    _ scores: UnsafeBufferPointer<Float>, _ labels: UnsafeBufferPointer<Int32>, _ classes: Int,
    _ options: DecodingFitOptions
  ) throws(KluereError) {
    try checkScores(scores, classes: classes, areLogits: options.metrics.scoresAreLogits)
    guard scores.count == labels.count.product(classes) else {
      throw KluereError(.invalidArgument, "decoding: \(scores.count) scores for \(labels.count) rows of \(classes)")
    }
    for (row, label) in labels.enumerated() where !(0..<classes).contains(Int(label)) {
      throw KluereError(.invalidArgument, "decoding: row \(row): label \(label), expected 0 to \(classes - 1)")
    }
    if let noRelation = options.metrics.noRelation, !(0..<classes).contains(noRelation) {
      throw KluereError(.invalidArgument, "no_relation: label \(noRelation), expected -1 (none) or 0 to \(classes - 1)")
    }
    guard options.targetPrior == nil || options.priorByHand == nil else {
      throw KluereError(
        .invalidArgument, "target_prior and prior_label are both given, expected one of them: both say what is to come")
    }
    guard options.sourcePrior == nil || options.targetPrior != nil || options.priorByHand != nil else {
      throw KluereError(
        .invalidArgument, "source_prior is given without target_prior or prior_label, expected what is to come too")
    }
    self.scores = scores
    self.labels = Array(labels)
    self.classes = classes
    self.options = options
  }

  /// Of some of the rows.
  private func priors(_ rows: [Int]) throws(KluereError) -> LabelPriors? {
    guard options.targetPrior != nil || options.priorByHand != nil else { return nil }
    let source = options.sourcePrior ?? labelShares(rows.map { labels[$0] }, classes: classes)
    try Decoding.check(source, classes, "source_prior", isPositive: true)
    var target = options.targetPrior ?? source
    if let byHand = options.priorByHand { target = try prior(source, with: byHand.share, of: byHand.label) }
    try Decoding.check(target, classes, "target_prior", isPositive: false)
    return LabelPriors(source: source, target: target)
  }

  /// Per row what it counts in the target; nil: all 1.
  func importance(_ rows: [Int]) throws(KluereError) -> [Double]? {
    guard let priors = try priors(rows) else { return nil }
    return rows.map { priors.target[Int(labels[$0])] / priors.source[Int(labels[$0])] }
  }

  func fit(_ rows: [Int], tunesWeights: Bool) throws(KluereError) -> Decoding {
    let own = rows.map { labels[$0] }
    let table = try LogScores(scores, classes: classes, areLogits: options.metrics.scoresAreLogits, chosen: rows)
    let temperature = options.fitsTemperature ? fitTemperature(table, own) : 1
    let priors = try priors(rows)
    guard tunesWeights else { return try Decoding(classes: classes, temperature: temperature, priors: priors) }
    table.divide(by: temperature)
    // A label that is not to come stays away: its score is as low as a number can be, not infinite.
    if let priors {
      table.add(
        zip(priors.source, priors.target).map { max(log($1) - log($0), -1e300) })
    }
    let search = ClassWeightSearch(
      scores: table, labels: own, importance: try importance(rows), noRelation: options.metrics.noRelation)
    return try Decoding(
      classes: classes, temperature: temperature, weights: search.run().map { exp($0) }, priors: priors)
  }

  /// One row of the scores into its place in `out`.
  func decode(_ row: Int, _ decoding: Decoding, into out: UnsafeMutableBufferPointer<Float>) {
    let cells = row * classes..<(row + 1) * classes
    decoding.apply(
      UnsafeBufferPointer(rebasing: scores[cells]), areLogits: options.metrics.scoresAreLogits,
      into: UnsafeMutableBufferPointer(rebasing: out[cells]))
  }

  func figures(
    _ probabilities: UnsafeBufferPointer<Float>, _ importance: [Double]?
  ) throws(KluereError) -> DecodingFigures {
    var metrics = options.metrics
    metrics.scoresAreLogits = false
    // The closure of withUnsafeBufferPointer carries no typed error.
    let result: Result<(Metrics, Calibration), KluereError> = labels.withUnsafeBufferPointer { labels in
      do throws(KluereError) {
        let figures = try computeMetrics(scores: probabilities, labels: labels, classes: classes, options: metrics).0
        let judged = Judged(scores: probabilities, labels: labels, classes: classes)
        return .success(
          (figures, try calibrate(judged, options: metrics, calibration: CalibrationOptions())))
      } catch { return .failure(error) }
    }
    let (figures, calibration) = try result.get()
    return DecodingFigures(
      microF1: figures.microF1, auprc: figures.auprc, calibrationError: calibration.expectedError, loss: figures.loss,
      targetMicroF1: importance.map { weightedMicroF1(probabilities, $0) } ?? figures.microF1)
  }

  private func weightedMicroF1(_ probabilities: UnsafeBufferPointer<Float>, _ importance: [Double]) -> Double {
    var (hits, predicted, gold) = (0.0, 0.0, 0.0)
    for (row, label) in labels.enumerated() {
      var best = 0
      for column in 1..<max(classes, 1)
      where probabilities[row * classes + column] > probabilities[row * classes + best] { best = column }
      if Int(label) != options.metrics.noRelation { gold += importance[row] }
      if best != options.metrics.noRelation {
        predicted += importance[row]
        if best == Int(label) { hits += importance[row] }
      }
    }
    return predicted + gold == 0 ? 0 : 2 * hits / (predicted + gold)
  }
}

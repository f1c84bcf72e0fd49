package import KluereBase

/// How confidences are put into bins. Raw values are those of KLUERE_BINS_*.
package enum Binning: Int32, Sendable {
  /// Equal widths between 0 and 1.
  case width = 0
  /// Equally many rows.
  case mass = 1
}

package struct CalibrationOptions: Sendable, Equatable {
  package var bins = 15
  package var binning = Binning.width
  /// The class whose probability is judged; nil: the predicted one.
  package var label: Int?

  package init(bins: Int = 15, binning: Binning = .width, label: Int? = nil) {
    self.bins = bins
    self.binning = binning
    self.label = label
  }
}

/// Figures of one bin (low, high], the first with its low end. NaN for means over no rows.
package struct CalibrationBin: Sendable, Equatable {
  package var low: Double
  package var high: Double
  package var confidence: Double
  package var accuracy: Double
  package var rows: Int
}

package struct Calibration: Sendable, Equatable {
  /// Mean gap between confidence and accuracy, weighted by rows, and the largest gap (Guo et al. 2017).
  package var expectedError: Double
  package var largestError: Double
  /// Mean over rows of the summed squares of probability - truth over all classes, or for one label of that one square.
  package var brier: Double
  package var confidence: Double
  package var accuracy: Double
  package var bins: [CalibrationBin]
}

/// Probabilities against what was right: the points of the reliability diagram.
package func calibrate(
  _ judged: Judged, options: MetricsOptions, calibration: CalibrationOptions
) throws(KluereError) -> Calibration {
  guard (1...10_000).contains(calibration.bins) else {
    throw KluereError(.invalidArgument, "bins: \(calibration.bins), expected 1 to 10000")
  }
  if let label = calibration.label, !(0..<judged.classes).contains(label) {
    throw KluereError(
      .invalidArgument, "label: \(label), expected -1 (the predicted one) or 0 to \(judged.classes - 1)")
  }
  let judgements = try Confidences(judged, options, label: calibration.label)
  defer { judgements.release() }
  let edges = try binEdges(judgements.values, calibration)

  var sums = [(confidence: Double, right: Int, rows: Int)](repeating: (0, 0, 0), count: calibration.bins)
  var total = (confidence: 0.0, right: 0)
  for row in 0..<judged.rows {
    let value = judgements.values[row]
    let bin = place(of: value, among: edges)
    sums[bin].confidence += value
    sums[bin].rows += 1
    total.confidence += value
    if judgements.isRight[row] {
      sums[bin].right += 1
      total.right += 1
    }
  }
  var result = Calibration(
    expectedError: 0, largestError: 0, brier: judgements.brier, confidence: total.confidence / Double(judged.rows),
    accuracy: ratio(total.right, judged.rows), bins: [])
  for (bin, sum) in sums.enumerated() {
    let rows = Double(sum.rows)
    let entry = CalibrationBin(
      low: edges[bin], high: edges[bin + 1], confidence: sum.rows == 0 ? .nan : sum.confidence / rows,
      accuracy: sum.rows == 0 ? .nan : Double(sum.right) / rows, rows: sum.rows)
    result.bins.append(entry)
    guard sum.rows > 0 else { continue }
    let gap = abs(entry.confidence - entry.accuracy)
    result.expectedError += gap * rows / Double(judged.rows)
    result.largestError = max(result.largestError, gap)
  }
  return result
}

/// bins + 1 edges. By mass: quantiles of the values, as scikit-learn's calibration_curve takes them.
private func binEdges(
  _ values: UnsafeMutableBufferPointer<Double>, _ options: CalibrationOptions
) throws(KluereError) -> [Double] {
  let shares = (0...options.bins).map { Double($0) / Double(options.bins) }
  guard options.binning == .mass else { return shares }
  var sorted = try allocate(Double.self, values.count)
  defer { sorted.release() }
  _ = sorted.update(fromContentsOf: values)
  sorted.sort()
  return shares.map { quantile(UnsafeBufferPointer(sorted), $0) }
}

/// The bin of (low, high] that holds the value: as many inner edges lie below it.
private func place(of value: Double, among edges: [Double]) -> Int {
  var (low, high) = (1, edges.count - 1)
  while low < high {
    let middle = (low + high) / 2
    if edges[middle] < value { low = middle + 1 } else { high = middle }
  }
  return low - 1
}

/// Per row the judged probability and whether it was right.
struct Confidences {
  let values: UnsafeMutableBufferPointer<Double>
  let isRight: UnsafeMutableBufferPointer<Bool>
  let predictions: UnsafeMutableBufferPointer<Int32>
  private(set) var brier = 0.0

  /// `label`: nil for the predicted one. The memory is freed by `release`.
  init(_ judged: Judged, _ options: MetricsOptions, label: Int?) throws(KluereError) {
    try validate(judged, options: options)
    if !options.scoresAreLogits { try checkProbabilities(judged) }
    let table = try ScoreTable(
      judged.scores, rows: judged.rows, classes: judged.classes, areLogits: options.scoresAreLogits)
    defer { table.release() }
    values = try allocate(Double.self, judged.rows)
    do throws(KluereError) { isRight = try allocate(Bool.self, judged.rows) } catch {
      values.release()
      throw error
    }
    do throws(KluereError) { predictions = try allocate(Int32.self, judged.rows) } catch {
      values.release()
      isRight.release()
      throw error
    }
    for row in 0..<judged.rows {
      let truth = Int(judged.labels[row])
      let prediction = table.prediction(row)
      let column = label ?? prediction
      values[row] = min(table.value(row, column), 1)
      isRight[row] = column == truth
      predictions[row] = Int32(truncatingIfNeeded: prediction)
      for other in 0..<judged.classes where label == nil || other == column {
        let error = table.value(row, other) - (other == truth ? 1 : 0)
        brier += error * error
      }
    }
    brier /= Double(judged.rows)
  }

  func release() {
    values.release()
    isRight.release()
    predictions.release()
  }
}

/// Logits in place of probabilities are no confidences.
private func checkProbabilities(_ judged: Judged) throws(KluereError) {
  // Rounding may carry a probability a little beyond 1.
  guard let wrong = judged.scores.firstIndex(where: { !($0 >= 0 && $0 <= 1.0001) }) else { return }
  throw KluereError(
    .invalidArgument,
    "metrics: row \(wrong / judged.classes), class \(wrong % judged.classes): \(judged.scores[wrong]), "
      + "expected a probability (or score_space 1 for logits)")
}

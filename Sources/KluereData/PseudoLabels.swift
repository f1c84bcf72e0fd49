package import KluereBase

/// Which rows become training rows; the fields are those of kluere_pseudo_label_options.
package struct PseudoLabelOptions: Sendable {
  package var minConfidence = 0.9
  /// nil: no limit.
  package var maxPerLabel: Int?
  package var maxRows: Int?
  package var labelShares: [Double]?

  package init() {}

  fileprivate func validate(labels: Int) throws(KluereError) {
    guard minConfidence >= 0, minConfidence <= 1 else {
      throw KluereError(.invalidArgument, "min_confidence: \(minConfidence), expected 0 to 1")
    }
    guard let labelShares else { return }
    guard maxRows != nil else {
      throw KluereError(.invalidArgument, "label_shares without max_rows, expected both: the shares are of that number")
    }
    guard labelShares.count == labels else {
      throw KluereError(.invalidArgument, "label_shares: \(labelShares.count) numbers, expected \(labels), one a label")
    }
    if let place = labelShares.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
      throw KluereError(.invalidArgument, "label_shares[\(place)]: \(labelShares[place]), expected 0 or more")
    }
    let sum = labelShares.reduce(0, +)
    guard sum > 0, sum.isFinite else {
      throw KluereError(.invalidArgument, "label_shares: their sum is \(sum), expected more than 0")
    }
  }

  /// Per label the most rows it may have.
  fileprivate func limits(labels: Int) -> [Int] {
    var limits = [Int](repeating: maxPerLabel ?? .max, count: labels)
    guard let labelShares, let maxRows else { return limits }
    let sum = labelShares.reduce(0, +)
    for (label, share) in labelShares.enumerated() {
      let most = Int(exactly: (Double(maxRows) * (share / sum)).rounded()) ?? .max
      limits[label] = min(limits[label], most)
    }
    return limits
  }
}

extension Dataset {
  /// The rows whose most probable label is probable enough, with that label, and their numbers; `probabilities`: rows x labels.
  package func pseudoLabelled(
    _ probabilities: UnsafeBufferPointer<Float>, _ options: PseudoLabelOptions
  ) throws(KluereError) -> (Dataset, [Int]) {
    try options.validate(labels: labels.count)
    guard let needed = count.product(labels.count), probabilities.count == needed else {
      throw KluereError(
        .invalidArgument,
        "probabilities: \(probabilities.count) numbers, expected \(count) rows x \(labels.count) labels")
    }
    var sure: [(row: Int, label: Int, confidence: Float)] = []
    for row in 0..<count {
      let (label, confidence) = try Dataset.best(probabilities, row, labels.count)
      if Double(confidence) >= options.minConfidence { sure.append((row, label, confidence)) }
    }
    // Of equally confident rows the first count more.
    sure.sort { $0.confidence != $1.confidence ? $0.confidence > $1.confidence : $0.row < $1.row }
    let limits = options.limits(labels: labels.count)
    var taken = [Int](repeating: 0, count: labels.count)
    var chosen: [(row: Int, label: Int)] = []
    for one in sure where taken[one.label] < limits[one.label] && chosen.count < options.maxRows ?? .max {
      taken[one.label] += 1
      chosen.append((one.row, one.label))
    }
    chosen.sort { $0.row < $1.row }
    var editor = DatasetEditor(self)
    for one in chosen { try editor.append(example(one.row), label: Int32(clamping: one.label)) }
    guard let made = editor.finish() else {
      throw KluereError(
        .state, "pseudo-labels: none of the \(count) rows is kept; expected one of confidence \(options.minConfidence)")
    }
    return (made, chosen.map(\.row))
  }

  /// The most probable label of a row, the first of equals.
  private static func best(
    _ probabilities: UnsafeBufferPointer<Float>, _ row: Int, _ labels: Int
  ) throws(KluereError) -> (Int, Float) {
    var best = (label: 0, confidence: -Float.infinity)
    for label in 0..<labels {
      let value = probabilities[row * labels + label]
      // Rounding may carry a probability a little beyond 1.
      guard value >= 0, value <= 1.0001 else {
        throw KluereError(.invalidArgument, "probabilities: row \(row): \(value), expected 0 to 1 (not logits)")
      }
      if value > best.confidence { best = (label, value) }
    }
    return best
  }
}

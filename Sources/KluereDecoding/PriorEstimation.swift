internal import Glibc
package import KluereBase

package struct EstimatedPrior: Sendable, Equatable {
  package var shares: [Double]
  package var iterations: Int
}

/// Shares of the labels among rows whose labels nobody knows, by expectation maximisation (Saerens, Latinne and
/// Decaestecker 2002): probabilities are corrected to the present shares, their mean is the next. Ends when the shares
/// change by less than 1e-10 in sum, or after 10,000 rounds. Probabilities have to be calibrated for this to be right.
package func estimatePrior(
  _ scores: UnsafeBufferPointer<Float>, classes: Int, areLogits: Bool, temperature: Double, source: [Double]
) throws(KluereError) -> EstimatedPrior {
  try checkScores(scores, classes: classes, areLogits: areLogits)
  // Checks the rest.
  _ = try Decoding(
    classes: classes, temperature: temperature, priors: LabelPriors(source: source, target: source))
  let table = try LogScores(scores, classes: classes, areLogits: areLogits)
  table.divide(by: temperature)
  softmax(table)
  let values = table.values
  var shares = source
  var next = source
  var ratio = source
  for iteration in 1...10_000 {
    for column in 0..<classes {
      ratio[column] = shares[column] / source[column]
      next[column] = 0
    }
    for row in 0..<table.rows {
      let start = row * classes
      var sum = 0.0
      for column in 0..<classes { sum += values[start + column] * ratio[column] }
      // Only where all that a row believes in has been given up: it then says nothing.
      guard sum > 0 else { continue }
      for column in 0..<classes {
        let share = values[start + column] * ratio[column] / sum
        next[column] = next[column] + share
      }
    }
    let total = next.reduce(0, +)
    guard total > 0 else { return EstimatedPrior(shares: shares, iterations: iteration) }
    var change = 0.0
    for column in 0..<classes {
      next[column] = next[column] / total
      change += abs(next[column] - shares[column])
    }
    swap(&shares, &next)
    if change < 1e-10 { return EstimatedPrior(shares: shares, iterations: iteration) }
  }
  return EstimatedPrior(shares: shares, iterations: 10_000)
}

/// Log-scores to probabilities, in place.
func softmax(_ table: LogScores) {
  let values = table.values
  for row in 0..<table.rows {
    let start = row * table.classes
    var largest = values[start]
    for column in 1..<max(table.classes, 1) { largest = max(largest, values[start + column]) }
    var sum = 0.0
    for column in 0..<table.classes {
      values[start + column] = exp(values[start + column] - largest)
      sum += values[start + column]
    }
    for column in 0..<table.classes { values[start + column] = values[start + column] / sum }
  }
}

/// The shares of labels; one that no row has counts half a row, since a share of 0 could never be corrected.
func labelShares(_ labels: [Int32], classes: Int) -> [Double] {
  var counts = [Double](repeating: 0, count: classes)
  for label in labels { counts[Int(label)] += 1 }
  for place in counts.indices where counts[place] == 0 { counts[place] = 0.5 }
  let total = counts.reduce(0, +)
  return counts.map { $0 / total }
}

/// `source` with the share of one label set by hand, the others in their proportions.
package func prior(_ source: [Double], with share: Double, of label: Int) throws(KluereError) -> [Double] {
  guard source.indices.contains(label) else {
    throw KluereError(.invalidArgument, "prior_label: \(label), expected 0 to \(source.count - 1)")
  }
  guard share > 0, share < 1 else {
    throw KluereError(.invalidArgument, "prior_share: \(share), expected more than 0 and less than 1")
  }
  let rest = source.indices.reduce(0.0) { $1 == label ? $0 : $0 + source[$1] }
  guard rest > 0 else {
    throw KluereError(.invalidArgument, "prior_share: the label \(label) has all of source_prior, expected some other")
  }
  return source.indices.map { $0 == label ? share : source[$0] / rest * (1 - share) }
}

internal import Glibc
internal import KluereBase
internal import KluereMetrics

/// Scores in double: logits as they are, probabilities as their logarithms. Rows may be chosen from those given.
final class LogScores {
  let rows: Int
  let classes: Int
  private var memory = GrowingBuffer<Double>(for: "decoding: scores")

  /// `scores`: [rows, classes], finite. `chosen`: nil for all rows.
  init(
    _ scores: UnsafeBufferPointer<Float>, classes: Int, areLogits: Bool, chosen: [Int]? = nil
  ) throws(KluereError) {
    self.classes = classes
    rows = chosen?.count ?? scores.count / max(classes, 1)
    for place in 0..<rows {
      let start = (chosen?[place] ?? place) * classes
      for column in 0..<classes {
        let score = Double(scores[start + column])
        try memory.append(areLogits ? score : log(max(score, Decoding.smallestProbability)))
      }
    }
  }

  /// [rows, classes]; valid as long as this object.
  var values: UnsafeMutableBufferPointer<Double> { memory.elements }

  func divide(by temperature: Double) {
    let values = values
    for place in values.indices { values[place] = values[place] / temperature }
  }

  func add(_ bias: [Double]) {
    let values = values
    for place in values.indices { values[place] = values[place] + bias[place % classes] }
  }
}

/// Refuses what no table of scores is: no rows, classes that do not fit, numbers that are not finite or, where they
/// should be probabilities, not between 0 and 1.
func checkScores(_ scores: UnsafeBufferPointer<Float>, classes: Int, areLogits: Bool) throws(KluereError) {
  guard (1...1 << 20).contains(classes) else {
    throw KluereError(.invalidArgument, "decoding: \(classes) classes, expected 1 to \(1 << 20)")
  }
  guard scores.count > 0, scores.count % classes == 0 else {
    throw KluereError(.invalidArgument, "decoding: \(scores.count) scores, expected at least one row of \(classes)")
  }
  for (place, score) in scores.enumerated() {
    // Rounding may carry a probability a little beyond 1.
    guard areLogits ? score.isFinite : score >= 0 && score <= 1.0001 else {
      throw KluereError(
        .invalidArgument,
        "decoding: row \(place / classes), class \(place % classes): score \(score), expected "
          + (areLogits ? "a finite number" : "a probability (or score_space 1 for logits)"))
    }
  }
}

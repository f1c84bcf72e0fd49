internal import Glibc
internal import KluereBase

/// A teacher's probabilities for the training rows, [rows, classes], as the loss compares with them.
enum SoftTargets {
  /// p^(1/T) / sum of p^(1/T): softmax(teacher's logits / T), told from the teacher's probabilities.
  static func soften(
    _ given: UnsafeBufferPointer<Float>, rows: Int, classes: Int, temperature: Double
  ) throws(KluereError) -> [Float] {
    guard let count = rows.product(classes), given.count == count else {
      throw KluereError(
        .invalidArgument, "soft_targets: \(given.count) numbers, expected \(rows) training rows x \(classes) labels")
    }
    var softened: [Float] = []
    softened.reserveCapacity(count)
    var row = [Double](repeating: 0, count: classes)
    for number in 0..<rows {
      let values = given[number * classes..<(number + 1) * classes]
      try check(values, number)
      var sum = 0.0
      for (place, value) in values.enumerated() {
        row[place] = temperature == 1 ? Double(value) : pow(Double(value), 1 / temperature)
        sum += row[place]
      }
      for value in row { softened.append(Float(value / sum)) }
    }
    return softened
  }

  /// Rounded probabilities may sum to a little more or less than 1.
  private static func check(_ values: Slice<UnsafeBufferPointer<Float>>, _ row: Int) throws(KluereError) {
    var sum = 0.0
    for value in values {
      guard value >= 0, value <= 1.01 else {
        throw KluereError(.invalidArgument, "soft_targets: row \(row): \(value), expected a probability, 0 to 1")
      }
      sum += Double(value)
    }
    guard abs(sum - 1) <= 0.01 else {
      throw KluereError(
        .invalidArgument, "soft_targets: row \(row): its probabilities sum to \(sum), expected 1")
    }
  }
}

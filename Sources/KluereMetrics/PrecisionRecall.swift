internal import Glibc
internal import KluereBase

/// Area under the precision-recall curve of one class after another, with memory for one class.
///
/// The curve is scikit-learn's `precision_recall_curve`: one point per distinct score, in falling order, and at the end
/// the point (recall 0, precision 1); the area is that of `sklearn.metrics.auc`, trapezoids over recall, in double.
struct PrecisionRecall {
  /// Ranked keys: those of the positive rows first, then those of the others.
  private let keys: UnsafeMutableBufferPointer<UInt64>
  private let scratch: UnsafeMutableBufferPointer<UInt64>

  /// The memory is freed by `release`.
  init(rows: Int) throws(KluereError) {
    keys = try allocate(UInt64.self, rows)
    do throws(KluereError) { scratch = try allocate(UInt64.self, rows) } catch {
      free(keys.baseAddress)
      throw error
    }
  }

  func release() {
    free(keys.baseAddress)
    free(scratch.baseAddress)
  }

  /// `positives`: rows whose label is `column`; at least one.
  func area(_ table: ScoreTable, _ labels: UnsafeBufferPointer<Int32>, column: Int, positives: Int) -> Double {
    var nextPositive = 0
    var nextNegative = positives
    for row in 0..<table.rows {
      let key = descendingKey(table.value(row, column))
      if Int(labels[row]) == column {
        keys[nextPositive] = key
        nextPositive += 1
      } else {
        keys[nextNegative] = key
        nextNegative += 1
      }
    }
    let positiveKeys = UnsafeMutableBufferPointer(rebasing: keys[..<positives])
    let negativeKeys = UnsafeMutableBufferPointer(rebasing: keys[positives...])
    sortAscending(positiveKeys, scratch)
    sortAscending(negativeKeys, scratch)

    // Merge of the two sorted lists; equal keys on both sides are one point. From high scores to low: recall rises.
    var (truePositives, falsePositives) = (0, 0)
    var (recall, precision, area) = (0.0, 1.0, 0.0)
    while truePositives < positiveKeys.count || falsePositives < negativeKeys.count {
      var key = UInt64.max
      if truePositives < positiveKeys.count { key = positiveKeys[truePositives] }
      if falsePositives < negativeKeys.count { key = min(key, negativeKeys[falsePositives]) }
      while truePositives < positiveKeys.count, positiveKeys[truePositives] == key { truePositives += 1 }
      while falsePositives < negativeKeys.count, negativeKeys[falsePositives] == key { falsePositives += 1 }
      let newRecall = Double(truePositives) / Double(positives)
      let newPrecision = Double(truePositives) / Double(truePositives + falsePositives)
      area += (newRecall - recall) * (newPrecision + precision) / 2
      (recall, precision) = (newRecall, newPrecision)
    }
    return area
  }
}

/// A number that rises where `value` falls; equal for equal values. Finite values only.
@inline(__always)
private func descendingKey(_ value: Double) -> UInt64 {
  let bits = (value + 0.0).bitPattern  // -0.0 + 0.0 is 0.0
  // Of negative values the bit pattern rises with the magnitude, so it already falls with the value; they come after
  // all positive ones because the sign is the top bit.
  return bits >> 63 == 1 ? bits : ~bits & (UInt64.max >> 1)
}

/// Radix sort, a byte at a time from the lowest; passes in which all keys share the byte are left out (the low 29 bits
/// of a float32 widened to double are equal). `scratch` holds at least as many keys.
private func sortAscending(
  _ keys: UnsafeMutableBufferPointer<UInt64>, _ scratch: UnsafeMutableBufferPointer<UInt64>
) {
  guard keys.count > 1 else { return }
  var from = keys
  var to = UnsafeMutableBufferPointer(rebasing: scratch[..<keys.count])
  withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { starts in
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      starts.initialize(repeating: 0)
      for key in from { starts[Int(truncatingIfNeeded: key >> shift & 255)] += 1 }
      if starts[Int(truncatingIfNeeded: from[0] >> shift & 255)] == from.count { continue }
      var next = 0
      for byte in 0..<256 {
        let count = starts[byte]
        starts[byte] = next
        next += count
      }
      for key in from {
        let byte = Int(truncatingIfNeeded: key >> shift & 255)
        to[starts[byte]] = key
        starts[byte] += 1
      }
      swap(&from, &to)
    }
  }
  if from.baseAddress != keys.baseAddress { _ = keys.update(from: from) }
}

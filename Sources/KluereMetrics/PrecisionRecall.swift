internal import KluereBase

/// Area under the precision-recall curve of one class after another, with memory for one class.
///
/// The curve is scikit-learn's `precision_recall_curve`: one point per distinct score, in falling order, and at the end
/// the point (recall 0, precision 1); the area is that of `sklearn.metrics.auc`, trapezoids over recall, in double. Recall
/// rises only at scores that a positive row has, so these alone are sorted; the others are counted between them.
struct PrecisionRecall {
  /// Ranked keys of the positive rows.
  private let keys: UnsafeMutableBufferPointer<UInt64>
  private let scratch: UnsafeMutableBufferPointer<UInt64>
  /// Per place among the sorted keys how many negatives stand before it, and how many share its score.
  private let before: UnsafeMutableBufferPointer<Int32>
  private let equal: UnsafeMutableBufferPointer<Int32>

  /// The memory is freed by `release`.
  init(rows: Int) throws(KluereError) {
    guard Int32(exactly: rows) != nil else {
      throw KluereError(.invalidArgument, "metrics: \(rows) rows, expected at most \(Int32.max)")
    }
    keys = try allocate(UInt64.self, rows)
    do throws(KluereError) { scratch = try allocate(UInt64.self, rows) } catch {
      keys.release()
      throw error
    }
    do throws(KluereError) { before = try allocate(Int32.self, rows) } catch {
      keys.release()
      scratch.release()
      throw error
    }
    do throws(KluereError) { equal = try allocate(Int32.self, rows) } catch {
      keys.release()
      scratch.release()
      before.release()
      throw error
    }
  }

  func release() {
    keys.release()
    scratch.release()
    before.release()
    equal.release()
  }

  /// `positives`: rows whose label is `column`; at least one.
  func area(_ table: ScoreTable, _ labels: UnsafeBufferPointer<Int32>, column: Int, positives: Int) -> Double {
    let own = UnsafeMutableBufferPointer(rebasing: keys[..<positives])
    var next = 0
    for row in 0..<table.rows where Int(labels[row]) == column {
      own[next] = descendingKey(table.value(row, column))
      next += 1
    }
    sortAscending(own, scratch)
    for place in own.indices { (before[place], equal[place]) = (0, 0) }
    let last = own[positives - 1]
    for row in 0..<table.rows where Int(labels[row]) != column {
      let key = descendingKey(table.value(row, column))
      // Most rows score lower than every positive: they come after the curve has its full recall.
      if key > last { continue }
      let place = firstPlace(own, notBelow: key)
      if own[place] == key { equal[place] += 1 } else { before[place] += 1 }
    }

    // From high scores to low. `place` is the first of the positives that share a score.
    var curve = RisingCurve(positives: positives)
    var place = 0
    while place < positives {
      var end = place
      while end < positives, own[end] == own[place] { end += 1 }
      curve.rise(before: Int(before[place]), hits: end - place, misses: Int(equal[place]))
      place = end
    }
    return curve.area
  }

  /// The first place whose key is at least `key`; there is one.
  @inline(__always)
  private func firstPlace(_ sorted: UnsafeMutableBufferPointer<UInt64>, notBelow key: UInt64) -> Int {
    var begin = 0
    var size = sorted.count
    while size > 1 {
      let half = size / 2
      // No branch that would be guessed wrong half of the time.
      begin += sorted[begin + half - 1] < key ? half : 0
      size -= half
    }
    return begin
  }
}

/// A number that rises where `value` falls; equal for equal values. Finite values only.
@inline(__always)
func descendingKey(_ value: Double) -> UInt64 {
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

internal import KluereBase

/// The precision-recall curves of all classes over one or several score tables of the same rows, where every entry may
/// count any number of times. Each class is sorted once; an area under new weights is then one pass without a sort.
///
/// Entry `t * rows + r` is row r with its score in table t. The areas are those of `PrecisionRecall`, bit for bit, on the
/// rows repeated as the weights say.
struct WeightedCurves {
  /// A distinct score at which a positive entry stands. Places among the class's entries, from the end of the point
  /// before: negatives that come between, up to `begin`; the point's positives, up to `middle`; its negatives, up to `end`.
  private struct Point: BitwiseCopyable {
    var begin: Int32
    var middle: Int32
    var end: Int32
  }

  private struct Ranked: BitwiseCopyable {
    var key: UInt64
    var entry: Int32
    var isPositive: Bool
  }

  private let entries: UnsafeMutableBufferPointer<Int32>
  private let points: UnsafeMutableBufferPointer<Point>
  /// Per class where it begins in `entries` and `points`; one more at the end.
  private var starts: [(entry: Int, point: Int)] = []

  /// Tables and labels of equal rows and classes. The memory is freed by `release`.
  init(_ tables: [ScoreTable], _ labels: UnsafeBufferPointer<Int32>, classes: Int) throws(KluereError) {
    // Entries and their number per class are counted in 32 bits.
    guard let count = labels.count.product(tables.count), count <= Int(Int32.max), let all = count.product(classes)
    else { throw KluereError(.invalidArgument, "metrics: \(labels.count) rows are too many to resample") }
    entries = try allocate(Int32.self, all)
    do throws(KluereError) { points = try allocate(Point.self, count) } catch {
      entries.release()
      throw error
    }
    var ranked: UnsafeMutableBufferPointer<Ranked>
    do throws(KluereError) { ranked = try allocate(Ranked.self, count) } catch {
      entries.release()
      points.release()
      throw error
    }
    defer { ranked.release() }
    var (entry, point) = (0, 0)
    for column in 0..<classes {
      starts.append((entry, point))
      var place = 0
      for (number, table) in tables.enumerated() {
        for row in 0..<labels.count {
          ranked[place] = Ranked(
            key: descendingKey(table.value(row, column)),
            entry: Int32(truncatingIfNeeded: number * labels.count + row), isPositive: Int(labels[row]) == column)
          place += 1
        }
      }
      ranked.sort { ($0.key, $0.isPositive ? 0 : 1, $0.entry) < ($1.key, $1.isPositive ? 0 : 1, $1.entry) }
      append(ranked, &entry, &point)
    }
    starts.append((entry, point))
  }

  func release() {
    entries.release()
    points.release()
  }

  /// Takes over one class, sorted by score with positives first at equal ones. Negatives after the last positive do not
  /// change the area.
  private func append(_ ranked: UnsafeMutableBufferPointer<Ranked>, _ entry: inout Int, _ point: inout Int) {
    var place = 0
    var used = 0
    while place < ranked.count {
      var end = place
      while end < ranked.count, ranked[end].key == ranked[place].key { end += 1 }
      var middle = place
      while middle < end, ranked[middle].isPositive { middle += 1 }
      if middle > place {
        points[point] = Point(
          begin: Int32(truncatingIfNeeded: place), middle: Int32(truncatingIfNeeded: middle),
          end: Int32(truncatingIfNeeded: end))
        point += 1
        used = end
      }
      place = end
    }
    for (place, member) in ranked[..<used].enumerated() { entries[entry + place] = member.entry }
    entry += used
  }

  /// `positives`: the weights of the class's positive entries summed; at least one.
  func area(column: Int, weights: UnsafeMutableBufferPointer<Int32>, positives: Int) -> Double {
    let (from, to) = (starts[column], starts[column + 1])
    let order = UnsafeMutableBufferPointer(rebasing: entries[from.entry..<to.entry])
    var curve = RisingCurve(positives: positives)
    var place = 0
    for point in points[from.point..<to.point] {
      curve.rise(
        before: sum(order, weights, place, Int(point.begin)),
        hits: sum(order, weights, Int(point.begin), Int(point.middle)),
        misses: sum(order, weights, Int(point.middle), Int(point.end)))
      place = Int(point.end)
    }
    return curve.area
  }

  /// The areas under weights of 0 and 1, and under those with 0 and 1 exchanged, in one pass. `positives`: of each.
  func areas(
    column: Int, weights: UnsafeMutableBufferPointer<Int32>, positives: Int
  ) -> (chosen: Double, others: Double) {
    let (from, to) = (starts[column], starts[column + 1])
    let order = UnsafeMutableBufferPointer(rebasing: entries[from.entry..<to.entry])
    var chosen = RisingCurve(positives: positives)
    var others = chosen
    var place = 0
    for point in points[from.point..<to.point] {
      let (begin, middle, end) = (Int(point.begin), Int(point.middle), Int(point.end))
      let before = sum(order, weights, place, begin)
      let hits = sum(order, weights, begin, middle)
      let misses = sum(order, weights, middle, end)
      chosen.rise(before: before, hits: hits, misses: misses)
      others.rise(before: begin - place - before, hits: middle - begin - hits, misses: end - middle - misses)
      place = end
    }
    return (chosen.area, others.area)
  }

  @inline(__always)
  private func sum(
    _ order: UnsafeMutableBufferPointer<Int32>, _ weights: UnsafeMutableBufferPointer<Int32>, _ begin: Int, _ end: Int
  ) -> Int {
    var total: Int32 = 0  // At most the rows, which were counted in 32 bits.
    for place in begin..<end { total &+= weights[Int(order[place])] }
    return Int(total)
  }
}

/// The trapezoids of `PrecisionRecall`, from high scores to low.
struct RisingCurve {
  private let positives: Int
  private var truePositives = 0
  private var falsePositives = 0
  private var recall = 0.0
  private(set) var area = 0.0

  init(positives: Int) { self.positives = positives }

  /// The next score that a positive has: negatives between the score before and this one, positives and negatives at it.
  mutating func rise(before: Int, hits: Int, misses: Int) {
    falsePositives += before
    guard hits > 0 else {
      falsePositives += misses
      return
    }
    // The point before this one; without any, scikit-learn's (recall 0, precision 1).
    let seen = truePositives + falsePositives
    let precision = seen > 0 ? Double(truePositives) / Double(seen) : 1
    truePositives += hits
    falsePositives += misses
    let newRecall = Double(truePositives) / Double(positives)
    let newPrecision = Double(truePositives) / Double(truePositives + falsePositives)
    area += (newRecall - recall) * (newPrecision + precision) / 2
    recall = newRecall
  }
}

/// Mean of the areas of all classes, by the convention for those without a positive row. `support`: per class the weights
/// of its rows summed.
func meanAUPRC(support: [Int], _ missing: MissingClass, _ area: (_ column: Int, _ positives: Int) -> Double) -> Double {
  var (sum, count) = (0.0, 0)
  for (column, positives) in support.enumerated() {
    if positives > 0 {
      sum += area(column, positives)
    } else if missing == .skip {
      continue
    } else {
      sum += missing.area
    }
    count += 1
  }
  return count == 0 ? .nan : sum / Double(count)
}

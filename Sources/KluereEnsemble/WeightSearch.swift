internal import Glibc
package import KluereBase
package import KluereMetrics

package struct WeightSearchOptions: Sendable, Equatable {
  package var metric = MetricKind.microF1
  /// Members are added this many times; weights are multiples of 1 / the number of additions kept.
  package var rounds = 50
  package var folds = 5
  package var seed: UInt64 = 42

  package init(metric: MetricKind = .microF1, rounds: Int = 50, folds: Int = 5, seed: UInt64 = 42) {
    self.metric = metric
    self.rounds = rounds
    self.folds = folds
    self.seed = seed
  }
}

package struct FoundWeights: Sendable, Equatable {
  /// Sum 1.
  package var weights: [Double]
  package var foldWeights: [[Double]]
  /// On the rows they were chosen on.
  package var value: Double
  /// Each fold judged with weights chosen on the others: what to expect on new rows.
  package var heldOut: Double
  /// Equal weights on all rows.
  package var equal: Double
}

/// Soft-voting weights by greedy selection with replacement (Caruana et al. 2004): again and again the member is added
/// that makes the mean best, and the best mean on the way is kept. Ties: the first member, the earlier round.
/// `folds`: nil for random ones, or the fold of each row from 0 on.
package func searchWeights(
  _ members: Members, labels: UnsafeBufferPointer<Int32>, folds given: UnsafeBufferPointer<Int32>?,
  search: WeightSearchOptions, options: MetricsOptions
) throws(KluereError) -> FoundWeights {
  guard (1...10_000).contains(search.rounds) else {
    throw KluereError(.invalidArgument, "rounds: \(search.rounds), expected 1 to 10000")
  }
  var options = options
  let ballot = try Ballot(members, .soft)
  defer { ballot.release() }
  options.scoresAreLogits = false
  let all = try FoldRows(rows: Array(0..<members.rows), ballot, members, labels)
  defer { all.release() }
  let folds = try rowFolds(given, rows: members.rows, count: search.folds, seed: search.seed)

  let chosen = try all.select(search, options)
  let equal = try all.value([Double](repeating: 1, count: members.count), search.metric, options)
  var result = FoundWeights(
    weights: chosen.weights, foldWeights: [], value: chosen.value, heldOut: .nan, equal: equal)
  let heldOut = try allocate(Float.self, members.rows * members.classes)
  defer { free(heldOut.baseAddress) }
  for fold in 0..<search.folds {
    let inside = folds.indices.filter { folds[$0] == fold }
    let outside = folds.indices.filter { folds[$0] != fold }
    let training = try FoldRows(rows: outside, ballot, members, labels)
    defer { training.release() }
    let weights = try training.select(search, options).weights
    result.foldWeights.append(weights)
    let judged = try FoldRows(rows: inside, ballot, members, labels)
    defer { judged.release() }
    judged.mix(weights)
    for (place, row) in inside.enumerated() {
      for column in 0..<members.classes {
        heldOut[row * members.classes + column] = judged.mixed[place * members.classes + column]
      }
    }
  }
  result.heldOut = try computeFigure(
    search.metric, Judged(scores: UnsafeBufferPointer(heldOut), labels: labels, classes: members.classes), options)
  return result
}

/// Some of the rows with what the members say about them, side by side in memory.
private struct FoldRows {
  private let classes: Int
  private var tables: [UnsafeMutableBufferPointer<Float>] = []
  private var labels = UnsafeMutableBufferPointer<Int32>(start: nil, count: 0)
  private var sums = UnsafeMutableBufferPointer<Double>(start: nil, count: 0)
  /// The mean under the weights last tried.
  private(set) var mixed = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)

  /// At least one row. The memory is freed by `release`.
  init(
    rows: [Int], _ ballot: Ballot, _ members: Members, _ given: UnsafeBufferPointer<Int32>
  ) throws(KluereError) {
    classes = members.classes
    let size = rows.count * classes
    do throws(KluereError) {
      labels = try allocate(Int32.self, rows.count)
      sums = try allocate(Double.self, size)
      mixed = try allocate(Float.self, size)
      for member in 0..<members.count {
        let table = try allocate(Float.self, size)
        tables.append(table)
        let source = ballot.probabilities(member)
        for (place, row) in rows.enumerated() {
          for column in 0..<classes { table[place * classes + column] = source[row * classes + column] }
        }
      }
    } catch {
      release()
      throw error
    }
    for (place, row) in rows.enumerated() { labels[place] = given[row] }
  }

  func release() {
    for table in tables { free(table.baseAddress) }
    free(labels.baseAddress)
    free(sums.baseAddress)
    free(mixed.baseAddress)
  }

  func mix(_ weights: [Double]) {
    let total = weights.reduce(0, +)
    sums.update(repeating: 0)
    for (table, weight) in zip(tables, weights) where weight > 0 {
      for place in sums.indices { sums[place] += weight * Double(table[place]) }
    }
    for place in mixed.indices { mixed[place] = Float(sums[place] / total) }
  }

  func value(_ weights: [Double], _ metric: MetricKind, _ options: MetricsOptions) throws(KluereError) -> Double {
    mix(weights)
    return try computeFigure(
      metric, Judged(scores: UnsafeBufferPointer(mixed), labels: UnsafeBufferPointer(labels), classes: classes),
      options)
  }

  func select(
    _ search: WeightSearchOptions, _ options: MetricsOptions
  ) throws(KluereError) -> (weights: [Double], value: Double) {
    func isBetter(_ a: Double, than b: Double?) -> Bool {
      guard let b, !b.isNaN else { return true }
      return search.metric.largerIsBetter ? a > b : a < b
    }
    var counts = [Double](repeating: 0, count: tables.count)
    var best: (counts: [Double], value: Double) = (counts, .nan)
    for _ in 0..<search.rounds {
      var round: (member: Int, value: Double)?
      for member in tables.indices {
        counts[member] += 1
        let value = try value(counts, search.metric, options)
        counts[member] -= 1
        if isBetter(value, than: round?.value) { round = (member, value) }
      }
      guard let round else { break }
      counts[round.member] += 1
      if isBetter(round.value, than: best.value) { best = (counts, round.value) }
    }
    let total = best.counts.reduce(0, +)
    return (best.counts.map { $0 / total }, best.value)
  }
}

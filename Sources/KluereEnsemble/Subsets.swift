internal import Glibc
package import KluereBase
package import KluereMetrics

/// A combination of members and its figures. Bit i of `members` is member i.
package struct RankedSubset: Sendable, Equatable {
  package var members: UInt64
  package var microF1: Double
  package var auprc: Double
  package var accuracy: Double
  package var loss: Double

  package func value(_ kind: MetricKind) -> Double? {
    switch kind {
    case .microF1: microF1
    case .auprc: auprc
    case .accuracy: accuracy
    case .loss: loss
    case .microPrecision, .microRecall: nil
    }
  }
}

/// What one member is worth, in the ranking's metric. Positive is good, for the loss too.
package struct Contribution: Sendable, Equatable {
  package var alone: Double
  /// All members but this one.
  package var without: Double
  /// What the full ensemble gains by it.
  package var leaveOneOut: Double
  /// Its gain averaged over all orders in which members can join (Shapley 1953).
  package var shapley: Double
}

/// All combinations of members, best first: 2^n - 1. Equal figures: fewer members first, then the lower mask.
package struct SubsetRanking {
  package var subsets: [RankedSubset] = []
  package var contributions: [Contribution] = []

  /// More would be more than 65,535 combinations.
  package static let memberLimit = 16

  package init(
    _ members: Members, weights: [Double]?, vote: Vote, labels: UnsafeBufferPointer<Int32>, metric: MetricKind,
    options: MetricsOptions
  ) throws(KluereError) {
    guard members.count <= SubsetRanking.memberLimit else {
      throw KluereError(
        .invalidArgument, "\(members.count) members to rank, expected at most \(SubsetRanking.memberLimit)")
    }
    switch metric {
    case .microF1, .auprc, .accuracy, .loss: break
    case .microPrecision, .microRecall:
      throw KluereError(
        .invalidArgument, "metric: \(metric.rawValue), expected 0 (micro-F1), 1 (AUPRC), 2 (loss) or 3 (accuracy)")
    }
    let weights = try checkedWeights(weights, members.count)
    let ballot = try Ballot(members, vote)
    defer { ballot.release() }
    let size = members.rows * members.classes  // Fits: the tables are in memory.
    let combined = try allocate(Float.self, size)
    defer { free(combined.baseAddress) }
    let sums = try allocate(Double.self, size)
    defer { free(sums.baseAddress) }
    var options = options
    options.scoresAreLogits = false

    for mask in 1..<(UInt64(1) << UInt64(members.count)) {
      let chosen = weights.enumerated().map { mask >> UInt64($0.offset) & 1 == 1 ? $0.element : 0 }
      // Members of weight 0 alone decide nothing: the combination does not exist.
      guard chosen.contains(where: { $0 > 0 }) else { continue }
      ballot.combine(vote, chosen, into: combined, sums)
      let (figures, _) = try computeMetrics(
        scores: UnsafeBufferPointer(combined), labels: labels, classes: members.classes, options: options)
      subsets.append(
        RankedSubset(
          members: mask, microF1: figures.microF1, auprc: figures.auprc, accuracy: figures.accuracy,
          loss: figures.loss))
    }
    contributions = SubsetRanking.contributions(subsets, members, metric)
    sort(metric)
  }

  /// NaN comes last.
  private mutating func sort(_ metric: MetricKind) {
    func key(_ subset: RankedSubset) -> (Double, Int, UInt64) {
      let value = subset.value(metric) ?? .nan
      let merit = metric.largerIsBetter ? -value : value
      return (merit.isNaN ? .infinity : merit, subset.members.nonzeroBitCount, subset.members)
    }
    subsets.sort { key($0) < key($1) }
  }

  private static func contributions(
    _ subsets: [RankedSubset], _ members: Members, _ metric: MetricKind
  ) -> [Contribution] {
    let count = members.count
    // What nobody gives: nothing for the fractions, for the loss an even guess among the classes.
    var values = [Double](
      repeating: metric.largerIsBetter ? 0 : log(Double(members.classes)), count: 1 << count)
    for subset in subsets {
      values[Int(truncatingIfNeeded: subset.members)] = subset.value(metric) ?? .nan
    }
    let sign = metric.largerIsBetter ? 1.0 : -1.0
    let all = (1 << count) - 1
    // Share of the orders in which exactly a given set of `size` members has joined before: size! (n - 1 - size)! / n!
    var shares = [Double](repeating: 1 / Double(count), count: count)
    for size in 1..<max(count, 1) { shares[size] = shares[size - 1] * Double(size) / Double(count - size) }
    return (0..<count).map { member in
      let bit = 1 << member
      var shapley = 0.0
      for mask in 0...all where mask & bit == 0 {
        shapley += shares[mask.nonzeroBitCount] * sign * (values[mask | bit] - values[mask])
      }
      return Contribution(
        alone: values[bit], without: values[all & ~bit], leaveOneOut: sign * (values[all] - values[all & ~bit]),
        shapley: shapley)
    }
  }
}

package import KluereBase

package struct SplitOptions: Sendable {
  /// What the parts shall have in equal shares beside their number of rows.
  package var byLabel = true
  /// Labels together with both types.
  package var byTypes = true
  package var seed: UInt64 = 42
  /// Of the second part.
  package var secondFraction = 0.1
  /// The shares that the labels shall have in the second part, in their order; nil: as in the dataset.
  package var labelShares: [Double]?

  package init() {}
}

extension Dataset {
  /// Per row its fold, 0 up to `count`: parts of about equal size and alike in labels and types; equal sentences and rows
  /// made from one stay together.
  package func folds(_ count: Int, _ options: SplitOptions) throws(KluereError) -> [Int32] {
    guard count >= 2, count <= 100 else {
      throw KluereError(.invalidArgument, "fold_count: \(count), expected 2 to 100")
    }
    let plan = StratifiedSplit(self, options)
    guard plan.groupCount >= count else {
      throw KluereError(
        .invalidArgument, "fold_count: \(count), but there are \(plan.groupCount) groups that may be separated")
    }
    return plan.assign(shares: Array(repeating: 1 / Double(count), count: count))
  }

  /// Two parts, alike in labels and types, or the second with given shares of the labels.
  package func stratifiedSplit(_ options: SplitOptions) throws(KluereError) -> (Dataset, Dataset) {
    guard options.secondFraction > 0, options.secondFraction < 1 else {
      throw KluereError(
        .invalidArgument, "second_fraction \(options.secondFraction), expected more than 0 and less than 1")
    }
    var plan = StratifiedSplit(self, options)
    guard plan.groupCount >= 2 else {
      throw KluereError(
        .invalidArgument, "\(count) rows that belong together, expected at least 2 groups to split")
    }
    if let shares = options.labelShares { try plan.aim(at: shares, rows: options.secondFraction * Double(count)) }
    let side = plan.assign(shares: [1 - options.secondFraction, options.secondFraction])
    return (try subset(side.indices.filter { side[$0] == 0 }), try subset(side.indices.filter { side[$0] == 1 }))
  }
}

/// Distributes groups of rows over parts, one after another, each to where its rows are missing most.
struct StratifiedSplit {
  private let dataset: Dataset
  private let groups: [[Int]]
  private let seed: UInt64
  /// Per level and row its stratum. Level 0 has one stratum, all rows; then labels, then labels with types.
  private var levels: [[Int]]
  /// Per level and stratum its rows.
  private var totals: [[Int]]
  /// Per level and stratum the rows wanted in the second of two parts; nil: by the parts' shares.
  private var wanted: [[Double]]?

  init(_ dataset: Dataset, _ options: SplitOptions) {
    self.dataset = dataset
    groups = RowGroups(dataset).groups
    seed = options.seed
    levels = [Array(repeating: 0, count: dataset.count)]
    if options.byLabel || options.labelShares != nil {
      levels.append(dataset.labelIndices.map { max(Int($0), -1) + 1 })
    }
    if options.byTypes { levels.append(TypeTriples(dataset).places) }
    totals = levels.map { strata in
      var rows = Array(repeating: 0, count: (strata.max() ?? 0) + 1)
      for stratum in strata { rows[stratum] += 1 }
      return rows
    }
  }

  var groupCount: Int { groups.count }

  /// Aims at `rows` rows in the second part whose labels have these shares.
  mutating func aim(at shares: [Double], rows: Double) throws(KluereError) {
    let labels = dataset.labels
    guard shares.count == labels.count else {
      throw KluereError(
        .invalidArgument, "label_shares: \(shares.count), expected one for each of \(labels.count) labels")
    }
    for (index, share) in shares.enumerated() where !(share >= 0 && share < .infinity) {
      throw KluereError(.invalidArgument, "label_shares[\(index)]: \(share), expected 0 or more")
    }
    let sum = shares.reduce(0, +)
    guard sum > 0, sum < .infinity else {
      throw KluereError(.invalidArgument, "label_shares: their sum is \(sum), expected more than 0")
    }
    // Per label the part of its rows that goes to the second side; hidden labels stay in the first.
    var parts = Array(repeating: 0.0, count: labels.count + 1)
    for (index, share) in shares.enumerated() {
      let there = index + 1 < totals[1].count ? totals[1][index + 1] : 0
      let needed = rows * (share / sum)
      guard needed <= Double(there) else {
        throw KluereError(
          .invalidArgument,
          "label_shares: \"\(labels.names[index])\" would need \(Int(exactly: needed.rounded(.up)) ?? 0) rows in the "
            + "second part, there are \(there); take a smaller second_fraction")
      }
      parts[index + 1] = there > 0 ? needed / Double(there) : 0
    }
    wanted = levels.indices.map { level in
      var rows = Array(repeating: 0.0, count: totals[level].count)
      for (row, stratum) in levels[level].enumerated() { rows[stratum] += parts[levels[1][row]] }
      return rows
    }
  }

  /// Per row its part.
  func assign(shares: [Double]) -> [Int32] {
    let wanted = shares.indices.map { part in
      levels.indices.map { level in
        totals[level].indices.map { stratum in self.wanted(part, level, stratum, shares) }
      }
    }
    var placed = shares.indices.map { _ in totals.map { $0.map { _ in 0.0 } } }
    var parts = Array(repeating: Int32(0), count: dataset.count)
    var sizes = Array(repeating: 0, count: shares.count)
    for group in order() {
      var best = 0
      var bestCost = Double.infinity
      for part in shares.indices {
        let cost = self.cost(of: group, placed[part], wanted[part])
        if cost < bestCost { (best, bestCost) = (part, cost) }
      }
      for row in group {
        parts[row] = Int32(best)
        for level in levels.indices { placed[best][level][levels[level][row]] += 1 }
      }
      sizes[best] += 1
    }
    fillEmpty(&parts, &sizes)
    return parts
  }

  private func wanted(_ part: Int, _ level: Int, _ stratum: Int, _ shares: [Double]) -> Double {
    let total = Double(totals[level][stratum])
    guard let second = wanted?[level][stratum] else { return total * shares[part] }
    return part == 1 ? second : total - second
  }

  /// How much the squared distances from what is wanted grow, each stratum measured by its size.
  private func cost(of group: [Int], _ placed: [[Double]], _ wanted: [[Double]]) -> Double {
    var sum = 0.0
    for level in levels.indices {
      var added: [(stratum: Int, rows: Double)] = []
      for row in group {
        let stratum = levels[level][row]
        if let place = added.firstIndex(where: { $0.stratum == stratum }) {
          added[place].rows += 1
        } else {
          added.append((stratum, 1))
        }
      }
      for (stratum, rows) in added {
        let distance = placed[level][stratum] - wanted[level][stratum]
        sum += rows * (2 * distance + rows) / Double(totals[level][stratum])
      }
    }
    return sum
  }

  /// Groups in random order, then the larger before the smaller: the single rows at the end even everything out.
  private func order() -> [[Int]] {
    var shuffled = groups
    var random = SplitMix64(state: seed)
    // Fisher and Yates.
    for place in stride(from: shuffled.count - 1, to: 0, by: -1) { shuffled.swapAt(place, random.below(place + 1)) }
    let places = shuffled.indices.sorted { (shuffled[$1].count, $0) < (shuffled[$0].count, $1) }
    return places.map { shuffled[$0] }
  }

  /// Gives a part that got nothing the smallest group of the part with the most groups.
  private func fillEmpty(_ parts: inout [Int32], _ sizes: inout [Int]) {
    for part in sizes.indices where sizes[part] == 0 {
      guard let donor = sizes.indices.max(by: { sizes[$0] < sizes[$1] }), sizes[donor] > 1,
        let group = groups.filter({ $0.first.map { parts[$0] } == Int32(donor) }).min(by: { $0.count < $1.count })
      else { return }
      for row in group { parts[row] = Int32(part) }
      sizes[donor] -= 1
      sizes[part] += 1
    }
  }
}

package import KluereBase

extension Dataset {
  /// Random split by `seed`: about `secondFraction` of the rows go to the second side. Rows with equal sentences (byte for
  /// byte) and those made from one row stay together, the original order is kept on each side, and no side is empty. The
  /// same on every machine.
  package func split(
    secondFraction: Double, seed: UInt64
  ) throws(KluereError) -> (Dataset, Dataset) {
    guard secondFraction > 0, secondFraction < 1 else {
      throw KluereError(.invalidArgument, "second_fraction \(secondFraction), expected more than 0 and less than 1")
    }
    var groups = RowGroups(self).groups
    guard groups.count >= 2 else {
      throw KluereError(
        .invalidArgument, "\(count) rows with \(groups.count) different sentences, expected at least 2 to split")
    }
    var random = SplitMix64(state: seed)
    // Fisher and Yates.
    for place in stride(from: groups.count - 1, to: 0, by: -1) { groups.swapAt(place, random.below(place + 1)) }
    // 1 to count - 1, so exact as a Double.
    let share = (secondFraction * Double(count)).rounded()
    let target = min(max(Int(exactly: share) ?? 1, 1), count - 1)
    var first: [Int] = []
    var second: [Int] = []
    for group in groups {
      // In random order, whatever still has room in the second side.
      if group.count <= target - second.count { second += group } else { first += group }
    }
    if second.isEmpty, let smallest = groups.min(by: { $0.count < $1.count }) {
      // All sentences have more rows than the side should get: one of them it gets nevertheless.
      second = smallest
      let taken = Set(smallest)
      first.removeAll { taken.contains($0) }
    }
    return (try subset(first.sorted()), try subset(second.sorted()))
  }
}

package import KluereBase

/// Classifiers of their own for some pairs of entity types, over the labels that each pair allows: blocks of rows of the last
/// linear layer. The first block has all labels, as a model without such heads; other pairs use it.
package struct PairHeads: Sendable, Equatable {
  /// Ascending.
  package let pairs: [TypePair]
  /// Of each pair: its labels, ascending.
  package let labels: [[Int]]

  package struct Settings: Sendable, Equatable {
    /// A pair's block has the labels that the pair has at least this often, and no_relation.
    package var hardCount = 1
    /// Pairs with fewer rows have no block.
    package var minimumRows = 1
    /// Blocks begin with random weights rather than with the present last layer's rows.
    package var random = false
    package var seed: UInt64 = 42

    package init() {}
  }

  /// Rows of the last layer behind the general block.
  package var rowCount: Int { labels.reduce(0) { $0 + $1.count } }

  package init(_ counts: TypeCounts, noRelation: Int?, _ settings: Settings) throws(KluereError) {
    guard (1...TypeMask.Settings.largestCount).contains(settings.hardCount) else {
      throw KluereError(
        .invalidArgument,
        "hard_count: \(settings.hardCount), expected 1 to \(TypeMask.Settings.largestCount)")
    }
    var pairs: [TypePair] = []
    var labels: [[Int]] = []
    for (place, pair) in counts.pairs.enumerated() where counts.rows(place) >= settings.minimumRows {
      let allowed = counts.allowed(place, atLeast: settings.hardCount, noRelation: noRelation)
      guard !allowed.isEmpty else { continue }
      pairs.append(pair)
      labels.append(allowed)
    }
    guard !pairs.isEmpty else {
      throw KluereError(
        .invalidArgument,
        "pair heads: none of \(counts.pairs.count) pairs has \(settings.minimumRows) rows (min_rows) and a label with "
          + "\(settings.hardCount) (hard_count)")
    }
    self.pairs = pairs
    self.labels = labels
  }

  /// From a file.
  init(pairs: [TypePair], labels: [[Int]], labelCount: Int, _ place: String) throws(KluereError) {
    try TypePair.check(pairs, place)
    guard !pairs.isEmpty, pairs.count == labels.count, TypePair.fits(pairs.count, labelCount) else {
      throw KluereError(
        .badFormat, "\(place): \(pairs.count) pairs and \(labelCount) labels, \(TypePair.limits)")
    }
    for (pair, numbers) in zip(pairs, labels) {
      let ascending = zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }
      guard let first = numbers.first, let last = numbers.last, ascending, first >= 0, last < labelCount else {
        throw KluereError(
          .badFormat, "\(place): \(pair.description): expected ascending labels from 0 to \(labelCount - 1)")
      }
    }
    self.pairs = pairs
    self.labels = labels
  }
}

import KluereBase
import KluereEnsemble
import KluereMetrics
import Testing

// A comparison with NumPy and scikit-learn on random members runs with the Python tests; here are rules and bad input.

private func withMembers<Result>(
  _ tables: [[Float]], rows: Int, classes: Int, areLogits: Bool = false, _ body: (Members) throws -> Result
) throws -> Result {
  let memory = tables.map { table in
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: table.count)
    _ = copy.initialize(from: table)
    return copy
  }
  defer { for one in memory { one.deallocate() } }
  return try body(
    Members(memory.map { UnsafeBufferPointer($0) }, rows: rows, classes: classes, areLogits: areLogits))
}

private func combined(
  _ tables: [[Float]], rows: Int, classes: Int, weights: [Double]? = nil, vote: Vote = .soft, areLogits: Bool = false
) throws -> [Float] {
  try withMembers(tables, rows: rows, classes: classes, areLogits: areLogits) { members in
    var out = [Float](repeating: -1, count: rows * classes)
    try out.withUnsafeMutableBufferPointer { try combine(members, weights: weights, vote: vote, into: $0) }
    return out
  }
}

@Test func `soft voting is the weighted mean`() throws {
  let tables: [[Float]] = [[0.5, 0.5, 1, 0], [0.25, 0.75, 0, 1]]
  #expect(try combined(tables, rows: 2, classes: 2) == [0.375, 0.625, 0.5, 0.5])
  #expect(try combined(tables, rows: 2, classes: 2, weights: [3, 1]) == [0.4375, 0.5625, 0.75, 0.25])
  #expect(try combined(tables, rows: 2, classes: 2, weights: [0, 2]) == tables[1])
}

@Test func `a tie of votes goes to the larger sum of probabilities, then to the first class`() throws {
  let larger = try combined([[0.6, 0.4, 0], [0.1, 0.9, 0]], rows: 1, classes: 3, vote: .hard)
  #expect(larger == [0.5, Float(0.5).nextUp, 0])
  let first = try combined([[0.75, 0.25, 0], [0.25, 0.75, 0]], rows: 1, classes: 3, vote: .hard)
  #expect(first == [Float(0.5).nextUp, 0.5, 0])
  let majority = try combined([[0.6, 0.4], [0.6, 0.4], [0, 1]], rows: 1, classes: 2, vote: .hard)
  #expect(majority[0] > 0.66 && majority[1] < 0.34)
  let weighted = try combined(
    [[0.6, 0.4], [0.6, 0.4], [0, 1]], rows: 1, classes: 2, weights: [1, 1, 3], vote: .hard)
  #expect(weighted == [0.4, 0.6])
}

@Test func `logits become probabilities before they are averaged`() throws {
  let out = try combined([[0, 0], [1000, 0]], rows: 1, classes: 2, areLogits: true)
  #expect(out == [0.75, 0.25])
}

@Test func `every combination is ranked, and Shapley values add up to the full ensemble`() throws {
  let right: [Float] = [0.1, 0.9, 0.2, 0.8, 0.9, 0.1, 0.3, 0.7]
  let half: [Float] = [0.4, 0.6, 0.6, 0.4, 0.6, 0.4, 0.6, 0.4]
  let wrong: [Float] = [0.95, 0.05, 0.9, 0.1, 0.1, 0.9, 0.9, 0.1]
  let labels: [Int32] = [1, 1, 0, 1]
  for metric in [MetricKind.microF1, .accuracy, .auprc, .loss] {
    let ranking = try withMembers([right, half, wrong], rows: 4, classes: 2) { members in
      try labels.withUnsafeBufferPointer {
        try SubsetRanking(
          members, weights: nil, vote: .soft, labels: $0, metric: metric, options: MetricsOptions())
      }
    }
    #expect(ranking.subsets.count == 7)
    #expect(ranking.subsets.first?.members == 1)
    #expect(Set(ranking.subsets.map(\.members)) == Set(1...7))
    let values = ranking.subsets.compactMap { $0.value(metric) }
    #expect(values == values.sorted { metric.largerIsBetter ? $0 > $1 : $0 < $1 })
    let full = try #require(ranking.subsets.first { $0.members == 7 }?.value(metric))
    let gain = metric == .loss ? 0.6931471805599453 - full : full
    #expect(abs(ranking.contributions.reduce(0) { $0 + $1.shapley } - gain) < 1e-12)
    #expect(ranking.contributions[0].leaveOneOut > ranking.contributions[2].leaveOneOut)
  }
}

@Test func `the search leaves out a member that only harms`() throws {
  let right: [Float] = [0.1, 0.9, 0.2, 0.8, 0.9, 0.1, 0.3, 0.7]
  let wrong: [Float] = [0.95, 0.05, 0.9, 0.1, 0.1, 0.9, 0.9, 0.1]
  let labels: [Int32] = [1, 1, 0, 1]
  let found = try withMembers([wrong, right], rows: 4, classes: 2) { members in
    try labels.withUnsafeBufferPointer {
      try searchWeights(
        members, labels: $0, folds: nil, search: WeightSearchOptions(folds: 2), options: MetricsOptions())
    }
  }
  #expect(found.weights == [0, 1] && found.value == 1 && found.heldOut == 1 && found.equal < 1)
  #expect(found.foldWeights == [[0, 1], [0, 1]])
}

@Test func `what cannot be combined is refused with its place`() throws {
  func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return (error as? KluereError)?.message ?? "" }
    return ""
  }
  let table: [Float] = [0.5, 0.5]
  #expect(message { _ = try combined([], rows: 1, classes: 2) } == "0 members, expected 1 to 62")
  #expect(
    message { _ = try combined([table, [0.5]], rows: 1, classes: 2) }
      == "members[1]: 1 scores, expected 1 rows of 2")
  #expect(message { _ = try combined([[0.5, .nan]], rows: 1, classes: 2) }.hasPrefix("members[0]: row 0, class 1"))
  #expect(message { _ = try combined([table], rows: 1, classes: 2, weights: [-1]) }.hasPrefix("weights[0]: -1.0"))
  #expect(message { _ = try combined([table], rows: 1, classes: 2, weights: [0]) }.hasPrefix("weights: the sum"))
  #expect(message { _ = try combined([table], rows: 1, classes: 2, weights: [1, 2]) }.hasPrefix("2 weights"))
  let labels: [Int32] = [0, 1, 0]
  let folds: [Int32] = [0, 0, 0]
  #expect(
    message {
      try withMembers([[1, 0, 0, 1, 1, 0]], rows: 3, classes: 2) { members in
        try labels.withUnsafeBufferPointer { labels in
          try folds.withUnsafeBufferPointer {
            _ = try searchWeights(
              members, labels: labels, folds: $0, search: WeightSearchOptions(folds: 2), options: MetricsOptions())
          }
        }
      }
    }.hasPrefix("fold 1 has no row"))
}

package import KluereBase

/// One figure of an evaluation. Raw values are those of KLUERE_METRIC_*.
package enum MetricKind: Int32, Sendable, CaseIterable {
  case microF1 = 0
  case auprc = 1
  case loss = 2
  case accuracy = 3
  case microPrecision = 4
  case microRecall = 5

  /// Loss falls where the others rise.
  package var largerIsBetter: Bool { self != .loss }
}

/// Scores [rows, classes] and the labels [rows] they are judged by, borrowed from the caller.
package struct Judged {
  package let scores: UnsafeBufferPointer<Float>
  package let labels: UnsafeBufferPointer<Int32>
  package let classes: Int

  package init(scores: UnsafeBufferPointer<Float>, labels: UnsafeBufferPointer<Int32>, classes: Int) {
    self.scores = scores
    self.labels = labels
    self.classes = classes
  }

  package var rows: Int { labels.count }
}

/// What each row adds to the counts, found once: then any weighting of the rows costs one pass.
struct RowFacts {
  struct Flags: OptionSet {
    let rawValue: UInt8
    /// The label is a relation; the prediction is one; it is one and right; it is right, whatever it is.
    static let gold = Flags(rawValue: 1)
    static let predicted = Flags(rawValue: 2)
    static let hit = Flags(rawValue: 4)
    static let correct = Flags(rawValue: 8)
  }

  let flags: UnsafeMutableBufferPointer<UInt8>
  let losses: UnsafeMutableBufferPointer<Double>

  /// The memory is freed by `release`.
  init(_ table: ScoreTable, _ labels: UnsafeBufferPointer<Int32>, noRelation: Int?) throws(KluereError) {
    flags = try allocate(UInt8.self, table.rows)
    do throws(KluereError) { losses = try allocate(Double.self, table.rows) } catch {
      flags.release()
      throw error
    }
    for row in 0..<table.rows {
      let label = Int(labels[row])
      let prediction = table.prediction(row)
      var found: Flags = []
      if label != noRelation { found.insert(.gold) }
      if prediction != noRelation { found.insert(.predicted) }
      if label == prediction {
        found.insert(.correct)
        if label != noRelation { found.insert(.hit) }
      }
      flags[row] = found.rawValue
      losses[row] = table.loss(row, label)
    }
  }

  func release() {
    flags.release()
    losses.release()
  }
}

/// Sums of `RowFacts` under some weighting.
struct WeightedCounts {
  private var byFlags: (gold: Int, predicted: Int, hit: Int, correct: Int, rows: Int) = (0, 0, 0, 0, 0)
  private var loss = 0.0

  mutating func add(_ facts: RowFacts, _ row: Int, weight: Int) {
    guard weight > 0 else { return }  // An infinite loss times 0 would be no number.
    let flags = RowFacts.Flags(rawValue: facts.flags[row])
    byFlags.rows += weight
    if flags.contains(.gold) { byFlags.gold += weight }
    if flags.contains(.predicted) { byFlags.predicted += weight }
    if flags.contains(.hit) { byFlags.hit += weight }
    if flags.contains(.correct) { byFlags.correct += weight }
    loss += Double(weight) * facts.losses[row]
  }

  /// nil for AUPRC, which is no sum over rows.
  func value(_ kind: MetricKind) -> Double? {
    switch kind {
    case .microF1: ratio(2 * byFlags.hit, byFlags.predicted + byFlags.gold)
    case .microPrecision: ratio(byFlags.hit, byFlags.predicted)
    case .microRecall: ratio(byFlags.hit, byFlags.gold)
    case .accuracy: ratio(byFlags.correct, byFlags.rows)
    case .loss: byFlags.rows == 0 ? .nan : loss / Double(byFlags.rows)
    case .auprc: nil
    }
  }
}

/// One figure, without the work for the others.
package func computeFigure(_ kind: MetricKind, _ judged: Judged, _ options: MetricsOptions) throws(KluereError)
  -> Double
{
  guard kind != .auprc else {
    return try computeMetrics(
      scores: judged.scores, labels: judged.labels, classes: judged.classes, options: options
    ).0.auprc
  }
  try validate(judged, options: options)
  let table = try ScoreTable(
    judged.scores, rows: judged.rows, classes: judged.classes, areLogits: options.scoresAreLogits)
  defer { table.release() }
  let facts = try RowFacts(table, judged.labels, noRelation: options.noRelation)
  defer { facts.release() }
  var counts = WeightedCounts()
  for row in 0..<judged.rows { counts.add(facts, row, weight: 1) }
  return counts.value(kind) ?? .nan
}

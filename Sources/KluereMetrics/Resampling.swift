package import KluereBase

package struct ResamplingOptions: Sendable, Equatable {
  package var resamples = 1000
  package var seed: UInt64 = 42
  /// Of the interval, between 0 and 1.
  package var confidence = 0.95

  package init(resamples: Int = 1000, seed: UInt64 = 42, confidence: Double = 0.95) {
    self.resamples = resamples
    self.seed = seed
    self.confidence = confidence
  }

  package static let resampleLimit = 1_000_000

  func check(rows: Int) throws(KluereError) {
    // Rows are drawn by numbers of 32 bits.
    guard Int32(exactly: rows) != nil else {
      throw KluereError(.invalidArgument, "metrics: \(rows) rows to resample, expected at most \(Int32.max)")
    }
    guard (1...ResamplingOptions.resampleLimit).contains(resamples) else {
      throw KluereError(
        .invalidArgument, "resamples: \(resamples), expected 1 to \(ResamplingOptions.resampleLimit)")
    }
    guard confidence > 0, confidence < 1 else {
      throw KluereError(.invalidArgument, "confidence: \(confidence), expected more than 0 and less than 1")
    }
  }
}

package struct Interval: Sendable, Equatable {
  package var value: Double
  package var low: Double
  package var high: Double
  package var standardError: Double
}

/// Percentile bootstrap (Efron 1979): rows drawn with replacement, as often as there are rows. `samples`: nil, or
/// metrics x resamples values, overwritten. Resample r draws from `RandomStream(seed, r)`.
package func bootstrap(
  _ judged: Judged, metrics: [MetricKind], options: MetricsOptions, resampling: ResamplingOptions,
  samples: UnsafeMutableBufferPointer<Double>? = nil
) throws(KluereError) -> [Interval] {
  try resampling.check(rows: judged.rows)
  try validate(judged, options: options)
  let judge = try WeightedJudge([judged], metrics: metrics, options: options)
  defer { judge.release() }
  let values = try SampleTable(metrics.count, resampling.resamples)
  defer { values.release() }
  let weights = try allocate(Int32.self, judged.rows)
  defer { weights.release() }

  weights.update(repeating: 1)
  let observed = judge.values(table: 0, weights)
  for resample in 0..<resampling.resamples {
    draw(weights, RandomStream(seed: resampling.seed, index: UInt64(truncatingIfNeeded: resample)))
    for (metric, value) in judge.values(table: 0, weights).enumerated() { values[metric, resample] = value }
  }
  values.copy(to: samples)
  var intervals: [Interval] = []
  for (metric, value) in observed.enumerated() {
    let error = values.standardDeviation(metric)
    let (low, high) = values.interval(metric, resampling.confidence)
    intervals.append(Interval(value: value, low: low, high: high, standardError: error))
  }
  return intervals
}

/// How often each row is drawn in one resample.
func draw(_ weights: UnsafeMutableBufferPointer<Int32>, _ stream: RandomStream) {
  var stream = stream
  weights.update(repeating: 0)
  let bound = UInt32(truncatingIfNeeded: weights.count)
  for _ in 0..<weights.count { weights[Int(stream.next(below: bound))] += 1 }
}

/// The chosen metrics of one or two score tables under any weights of the rows.
struct WeightedJudge {
  private let metrics: [MetricKind]
  private let options: MetricsOptions
  private let classes: Int
  private let labels: UnsafeBufferPointer<Int32>
  private var tables: [ScoreTable] = []
  private var facts: [RowFacts] = []
  /// Per table, for AUPRC alone.
  private var curves: [WeightedCurves] = []
  /// Over all tables together, where asked for.
  private var pooled: WeightedCurves?

  /// All of equal rows, labels and classes, validated. The memory is freed by `release`.
  init(
    _ judged: [Judged], metrics: [MetricKind], options: MetricsOptions, pool: Bool = false
  ) throws(KluereError) {
    self.metrics = metrics
    self.options = options
    classes = judged.first?.classes ?? 0
    labels = judged.first?.labels ?? UnsafeBufferPointer(start: nil, count: 0)
    // Kept also where a later part of the memory is not to be had, so that `release` finds it.
    do throws(KluereError) {
      for one in judged {
        let table = try ScoreTable(
          one.scores, rows: one.rows, classes: one.classes, areLogits: options.scoresAreLogits)
        tables.append(table)
        facts.append(try RowFacts(table, one.labels, noRelation: options.noRelation))
        if metrics.contains(.auprc) {
          curves.append(try WeightedCurves([table], one.labels, classes: one.classes))
        }
      }
      if pool, metrics.contains(.auprc) { pooled = try WeightedCurves(tables, labels, classes: classes) }
    } catch {
      release()
      throw error
    }
  }

  func release() {
    for table in tables { table.release() }
    for one in facts { one.release() }
    for one in curves { one.release() }
    pooled?.release()
  }

  /// `weights`: rows.
  func values(table: Int, _ weights: UnsafeMutableBufferPointer<Int32>) -> [Double] {
    var counts = WeightedCounts()
    let facts = facts[table]
    for row in 0..<labels.count { counts.add(facts, row, weight: Int(weights[row])) }
    guard metrics.contains(.auprc) else { return metrics.map { counts.value($0) ?? .nan } }
    let curves = curves[table]
    let area = meanAUPRC(support: support(weights), options.missingClass) {
      curves.area(column: $0, weights: weights, positives: $1)
    }
    return metrics.map { counts.value($0) ?? area }
  }

  /// Of two tables two mixed systems. `weights`: tables x rows of 0 and 1, each row once in one of the tables; the second
  /// system has what the first has not.
  func mixedValues(_ weights: UnsafeMutableBufferPointer<Int32>) -> (chosen: [Double], others: [Double]) {
    var (chosen, others) = (WeightedCounts(), WeightedCounts())
    for (table, facts) in facts.enumerated() {
      for row in 0..<labels.count {
        let weight = Int(weights[table * labels.count + row])
        chosen.add(facts, row, weight: weight)
        others.add(facts, row, weight: 1 - weight)
      }
    }
    var areas = (chosen: Double.nan, others: Double.nan)
    if let pooled {
      var byClass: [(Double, Double)] = []
      for (column, positives) in support(nil).enumerated() {
        byClass.append(
          positives == 0 ? (0, 0) : pooled.areas(column: column, weights: weights, positives: positives))
      }
      areas.chosen = meanAUPRC(support: support(nil), options.missingClass) { column, _ in byClass[column].0 }
      areas.others = meanAUPRC(support: support(nil), options.missingClass) { column, _ in byClass[column].1 }
    }
    return (metrics.map { chosen.value($0) ?? areas.chosen }, metrics.map { others.value($0) ?? areas.others })
  }

  /// nil: every row once.
  private func support(_ weights: UnsafeMutableBufferPointer<Int32>?) -> [Int] {
    var support = [Int](repeating: 0, count: classes)
    for row in 0..<labels.count { support[Int(labels[row])] += weights.map { Int($0[row]) } ?? 1 }
    return support
  }
}

/// Metrics x resamples of values.
struct SampleTable {
  private let values: UnsafeMutableBufferPointer<Double>
  private let resamples: Int

  init(_ metrics: Int, _ resamples: Int) throws(KluereError) {
    guard let count = metrics.product(resamples) else {
      throw KluereError(.invalidArgument, "metrics: \(metrics) x \(resamples) resamples do not fit in memory")
    }
    values = try allocate(Double.self, count)
    self.resamples = resamples
  }

  func release() { values.release() }

  subscript(metric: Int, resample: Int) -> Double {
    get { values[metric * resamples + resample] }
    nonmutating set { values[metric * resamples + resample] = newValue }
  }

  func copy(to target: UnsafeMutableBufferPointer<Double>?) {
    if let target { _ = target.update(fromContentsOf: values) }
  }

  func row(_ metric: Int) -> UnsafeMutableBufferPointer<Double> {
    UnsafeMutableBufferPointer(rebasing: values[metric * resamples..<(metric + 1) * resamples])
  }

  /// Of the sample, with n - 1; 0 for a single one.
  func standardDeviation(_ metric: Int) -> Double {
    let row = row(metric)
    let mean = row.reduce(0, +) / Double(row.count)
    let squares = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return row.count > 1 ? (squares / Double(row.count - 1)).squareRoot() : mean.isNaN ? .nan : 0
  }

  /// The middle `confidence` of the values; NaN where one of them is. Sorts the row.
  func interval(_ metric: Int, _ confidence: Double) -> (low: Double, high: Double) {
    var row = row(metric)
    guard !row.contains(where: \.isNaN) else { return (.nan, .nan) }
    row.sort()
    let sorted = UnsafeBufferPointer(row)
    return (quantile(sorted, (1 - confidence) / 2), quantile(sorted, 1 - (1 - confidence) / 2))
  }
}

/// Linear between the neighbours, as numpy.quantile. `sorted` is not empty, 0 <= share <= 1.
func quantile(_ sorted: UnsafeBufferPointer<Double>, _ share: Double) -> Double {
  let place = share * Double(sorted.count - 1)
  let below = min(max(Int(exactly: place.rounded(.down)) ?? 0, 0), sorted.count - 1)
  let (a, b) = (sorted[below], sorted[min(below + 1, sorted.count - 1)])
  let part = place - Double(below)
  return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part
}

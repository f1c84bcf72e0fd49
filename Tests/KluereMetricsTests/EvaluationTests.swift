import KluereBase
import KluereMetrics
import Testing

// A comparison with NumPy and scikit-learn, on random and degenerate inputs, runs with the Python tests.

private let scores: [Float] = [
  0.7, 0.2, 0.1, 0.25, 0.5, 0.25, 0.1, 0.6, 0.3, 0.2, 0.6, 0.2, 0.1, 0.2, 0.7, 0.5, 0.3, 0.2, 0.1, 0.1, 0.8, 0.4, 0.4,
  0.2,
]
private let labels: [Int32] = [0, 1, 1, 0, 2, 1, 2, 0]

private func withJudged<Result>(
  _ scores: [Float] = scores, _ labels: [Int32] = labels, classes: Int = 3, _ body: (Judged) throws -> Result
) throws -> Result {
  try scores.withUnsafeBufferPointer { scores in
    try labels.withUnsafeBufferPointer { labels in
      try body(Judged(scores: scores, labels: labels, classes: classes))
    }
  }
}

/// The rows of one resample, as the library draws them.
private func drawn(_ rows: Int, seed: UInt64, resample: Int) -> [Int] {
  var stream = RandomStream(seed: seed, index: UInt64(resample))
  return (0..<rows).map { _ in Int(stream.next(below: UInt32(rows))) }
}

@Test func `a resampled figure is that of the repeated rows, bit for bit`() throws {
  let kinds = MetricKind.allCases
  for missing in [MissingClass.skip, .half, .nan] {
    let options = MetricsOptions(missingClass: missing)
    let resampling = ResamplingOptions(resamples: 60, seed: 7)
    var samples = [Double](repeating: 0, count: kinds.count * 60)
    let intervals = try withJudged { judged in
      try samples.withUnsafeMutableBufferPointer {
        try bootstrap(judged, metrics: kinds, options: options, resampling: resampling, samples: $0)
      }
    }
    for resample in 0..<60 {
      let rows = drawn(8, seed: 7, resample: resample)
      let own = try withJudged(rows.flatMap { Array(scores[$0 * 3..<$0 * 3 + 3]) }, rows.map { labels[$0] }) {
        try computeMetrics(scores: $0.scores, labels: $0.labels, classes: 3, options: options).0
      }
      let expected = [own.microF1, own.auprc, own.loss, own.accuracy, own.microPrecision, own.microRecall]
      for (metric, value) in expected.enumerated() {
        let found = samples[metric * 60 + resample]
        // The loss is summed in another order.
        #expect(found == value || (found.isNaN && value.isNaN) || abs(found - value) < 1e-14)
      }
    }
    #expect(intervals[0].low <= intervals[0].value && intervals[0].value <= intervals[0].high)
    #expect(intervals[1].low.isNaN == (missing == .nan))
  }
}

@Test func `a system does not differ from itself, and differs from its opposite`() throws {
  let opposite: [Float] = scores.indices.map { scores[$0 / 3 * 3 + ($0 + 1) % 3] }
  try withJudged { judged in
    let same = try compareSystems(
      judged, judged, metrics: [.microF1, .auprc], options: MetricsOptions(),
      resampling: ResamplingOptions(resamples: 99))
    for one in same {
      #expect(one.difference == 0 && one.low == 0 && one.high == 0)
      #expect(one.bootstrapP == 1 && one.randomizationP == 1)
    }
    try withJudged(opposite) { other in
      let differs = try compareSystems(
        judged, other, metrics: [.accuracy], options: MetricsOptions(), resampling: ResamplingOptions(resamples: 999))
      #expect(differs[0].difference == 0.5 && differs[0].low < 0.5 && differs[0].randomizationP < 1)
    }
  }
}

@Test func `groups have the figures of their rows alone`() throws {
  let groups: [Int32] = [1, 1, -1, 1, 3, 3, 3, -1]
  let found = try withJudged { judged in
    try groups.withUnsafeBufferPointer {
      try computeMetricsByGroup(judged, groups: $0, groupCount: 4, options: MetricsOptions())
    }
  }
  #expect(found[0] == nil && found[2] == nil)
  let rows = [0, 1, 3]
  let own = try withJudged(rows.flatMap { Array(scores[$0 * 3..<$0 * 3 + 3]) }, rows.map { labels[$0] }) {
    try computeMetrics(scores: $0.scores, labels: $0.labels, classes: 3).0
  }
  #expect(found[1] == own)
  #expect(found[3]?.rows == 3)
}

@Test func `bins hold their upper end, and the error is the weighted gap`() throws {
  let scores: [Float] = [1, 0, 0.5, 0.5, 0.75, 0.25, 0.25, 0.75]
  let result = try withJudged(scores, [0, 1, 1, 1], classes: 2) {
    try calibrate($0, options: MetricsOptions(), calibration: CalibrationOptions(bins: 4))
  }
  #expect(result.bins.map(\.rows) == [0, 1, 2, 1])
  #expect(result.bins[0].accuracy.isNaN && result.bins[3].confidence == 1)
  // Bin by bin: 0.5 against 0, 0.75 against 0.5, 1 against 1.
  #expect(result.expectedError == 0.5 / 4 + 0.25 * 2 / 4)
  #expect(result.largestError == 0.5)
  #expect(result.accuracy == 0.5 && result.confidence == 0.75)
}

@Test func `coverage takes rows of equal confidence together`() throws {
  let scores: [Float] = [0.9, 0.1, 0.75, 0.25, 0.25, 0.75, 0.6, 0.4]
  let result = try withJudged(scores, [0, 0, 0, 0], classes: 2) {
    try coverageRisk($0, options: MetricsOptions(), points: 4)
  }
  #expect(result.points.map(\.coverage) == [0.25, 0.75, 0.75, 1])
  #expect(result.points.map(\.risk) == [0, 1.0 / 3, 1.0 / 3, 0.25])
  #expect(abs(result.area - (0 + 1.0 / 3 + 1.0 / 3 + 0.25) / 4) < 1e-15)
  // The best ranking has its one error last.
  #expect(abs(result.excessArea - (result.area - 0.25 / 4)) < 1e-15)
}

@Test func `what cannot be judged is refused`() throws {
  func message(_ body: (Judged) throws -> Void) throws -> String {
    try withJudged { judged in
      do { try body(judged) } catch { return (error as? KluereError)?.message ?? "" }
      return ""
    }
  }
  let options = MetricsOptions()
  #expect(
    try message {
      _ = try bootstrap(
        $0, metrics: [.auprc], options: options, resampling: ResamplingOptions(resamples: 0))
    }.hasPrefix("resamples: 0"))
  #expect(
    try message {
      _ = try bootstrap($0, metrics: [.auprc], options: options, resampling: ResamplingOptions(confidence: .nan))
    }.hasPrefix("confidence: nan"))
  #expect(
    try message {
      _ = try calibrate($0, options: options, calibration: CalibrationOptions(bins: 0))
    }.hasPrefix("bins: 0"))
  #expect(
    try message {
      _ = try calibrate($0, options: options, calibration: CalibrationOptions(label: 3))
    }.hasPrefix("label: 3"))
  #expect(try message { _ = try coverageRisk($0, options: options, points: 0) }.hasPrefix("points: 0"))
  let logits: [Float] = [2, -1]
  #expect(throws: KluereError.self) {
    try withJudged(logits, [0], classes: 2) { try coverageRisk($0, options: options, points: 1) }
  }
}

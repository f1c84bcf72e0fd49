package import KluereBase

/// Two systems on the same rows. `difference` is first - second.
package struct Comparison: Sendable, Equatable {
  package var first: Double
  package var second: Double
  package var difference: Double
  package var low: Double
  package var high: Double
  package var bootstrapP: Double
  package var randomizationP: Double
}

/// Paired bootstrap: both systems on the same resampled rows (Koehn 2004); two-sided p-value by shifting the differences
/// to a mean where the systems are equal (Efron and Tibshirani 1993; Berg-Kirkpatrick et al. 2012). Approximate
/// randomization: the two systems' outputs exchanged row by row at random (Noreen 1989; Yeh 2000). Both p-values are
/// (as extreme + 1) / (resamples + 1). `samples`: nil, or metrics x resamples bootstrapped differences, overwritten.
package func compareSystems(
  _ first: Judged, _ second: Judged, metrics: [MetricKind], options: MetricsOptions, resampling: ResamplingOptions,
  samples: UnsafeMutableBufferPointer<Double>? = nil
) throws(KluereError) -> [Comparison] {
  try resampling.check(rows: first.rows)
  try validate(first, options: options)
  try validate(second, options: options)
  let judge = try WeightedJudge([first, second], metrics: metrics, options: options, pool: true)
  defer { judge.release() }
  let values = try SampleTable(metrics.count, resampling.resamples)
  defer { values.release() }
  let weights = try allocate(Int32.self, 2 * first.rows)  // The rows' scores are in memory, so this fits.
  defer { weights.release() }
  let drawn = UnsafeMutableBufferPointer(rebasing: weights[..<first.rows])

  drawn.update(repeating: 1)
  let (observedFirst, observedSecond) = (judge.values(table: 0, drawn), judge.values(table: 1, drawn))
  var results: [Comparison] = []
  for (a, b) in zip(observedFirst, observedSecond) {
    results.append(
      Comparison(
        first: a, second: b, difference: a - b, low: .nan, high: .nan, bootstrapP: .nan, randomizationP: .nan))
  }
  for resample in 0..<resampling.resamples {
    draw(drawn, RandomStream(seed: resampling.seed, index: UInt64(truncatingIfNeeded: resample)))
    let (a, b) = (judge.values(table: 0, drawn), judge.values(table: 1, drawn))
    for metric in metrics.indices { values[metric, resample] = a[metric] - b[metric] }
  }
  values.copy(to: samples)
  for metric in metrics.indices {
    let observed = results[metric].difference
    results[metric].bootstrapP = pValue(values.row(metric), observed) { abs($0 - observed) }
    (results[metric].low, results[metric].high) = values.interval(metric, resampling.confidence)
  }
  for resample in 0..<resampling.resamples {
    // A stream of its own: the top bit keeps its index apart from those of the bootstrap.
    exchange(weights, RandomStream(seed: resampling.seed, index: UInt64(truncatingIfNeeded: resample) | 1 << 63))
    let (a, b) = judge.mixedValues(weights)
    for metric in metrics.indices { values[metric, resample] = a[metric] - b[metric] }
  }
  for metric in metrics.indices {
    results[metric].randomizationP = pValue(values.row(metric), results[metric].difference) { abs($0) }
  }
  return results
}

/// Of two systems one: per row the first's output or the second's, by a random bit.
private func exchange(_ weights: UnsafeMutableBufferPointer<Int32>, _ stream: RandomStream) {
  var stream = stream
  let rows = weights.count / 2
  var bits: UInt64 = 0
  for row in 0..<rows {
    if row % 64 == 0 { bits = stream.next() }
    let bit = Int32(truncatingIfNeeded: bits & 1)
    bits >>= 1
    weights[row] = 1 - bit
    weights[rows + row] = bit
  }
}

/// Share of values at least as extreme as the one observed. Differences of sums that should be equal are equal but for
/// rounding, which must not decide.
private func pValue(
  _ values: UnsafeMutableBufferPointer<Double>, _ observed: Double, _ size: (Double) -> Double
) -> Double {
  var extreme = 0
  for value in values {
    if value.isNaN { return .nan }
    if size(value) >= abs(observed) - 1e-12 { extreme += 1 }
  }
  return observed.isNaN ? .nan : Double(extreme + 1) / Double(values.count + 1)
}

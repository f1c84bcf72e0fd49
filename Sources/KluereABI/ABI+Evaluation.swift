public import CKluere
internal import KluereBase
internal import KluereMetrics

private func resamplingDefaults() -> kluere_resampling_options {
  let options = ResamplingOptions()
  return kluere_resampling_options(
    struct_size: UInt32(MemoryLayout<kluere_resampling_options>.size), resamples: UInt32(clamping: options.resamples),
    seed: options.seed, confidence: options.confidence)
}

private func resamplingOptions(
  _ pointer: UnsafePointer<kluere_resampling_options>?
) throws(KluereError) -> ResamplingOptions {
  let given = try SizedStruct.read(pointer, "resampling", defaults: resamplingDefaults())
  return ResamplingOptions(resamples: Int(given.resamples), seed: given.seed, confidence: given.confidence)
}

private func calibrationDefaults() -> kluere_calibration_options {
  let options = CalibrationOptions()
  return kluere_calibration_options(
    struct_size: UInt32(MemoryLayout<kluere_calibration_options>.size), bins: UInt32(clamping: options.bins),
    binning: options.binning.rawValue, label: -1)
}

private func calibrationOptions(
  _ pointer: UnsafePointer<kluere_calibration_options>?
) throws(KluereError) -> CalibrationOptions {
  let given = try SizedStruct.read(pointer, "calibration", defaults: calibrationDefaults())
  return CalibrationOptions(
    bins: Int(given.bins), binning: try choice(given.binning, "binning", "0 (equal widths) or 1 (equally many rows)"),
    label: given.label == -1 ? nil : Int(given.label))
}

/// One of KLUERE_METRIC_*.
func metricKind(_ value: Int32, _ name: String) throws(KluereError) -> MetricKind {
  try choice(
    value, name, "0 (micro-F1), 1 (AUPRC), 2 (loss), 3 (accuracy), 4 (micro-precision) or 5 (micro-recall)")
}

private func metricKinds(_ pointer: UnsafePointer<Int32>?, _ count: Int) throws(KluereError) -> [MetricKind] {
  let given = try array(pointer, count, "metrics")
  guard (1...64).contains(given.count) else {
    throw KluereError(.invalidArgument, "metric_count: \(asWritten(count)), expected 1 to 64")
  }
  var kinds: [MetricKind] = []
  for (place, value) in given.enumerated() { kinds.append(try metricKind(value, "metrics[\(place)]")) }
  return kinds
}

func judged(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int,
  _ name: String = "scores"
) throws(KluereError) -> Judged {
  Judged(
    scores: try array(scores, try tableSize(rows, classes, name), name), labels: try array(labels, rows, "labels"),
    classes: classes)
}

/// NULL, or metrics x resamples values.
private func sampleTable(
  _ pointer: UnsafeMutablePointer<Double>?, _ metrics: [MetricKind], _ resampling: ResamplingOptions
) throws(KluereError) -> UnsafeMutableBufferPointer<Double>? {
  guard let pointer else { return nil }
  let count = try tableSize(metrics.count, resampling.resamples, "samples")
  return UnsafeMutableBufferPointer(start: pointer, count: count)
}

@_cdecl("kluere_resampling_options_init")
public func resamplingOptionsInit(
  _ options: UnsafeMutablePointer<kluere_resampling_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: resamplingDefaults())
  }
}

@_cdecl("kluere_calibration_options_init")
public func calibrationOptionsInit(
  _ options: UnsafeMutablePointer<kluere_calibration_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: calibrationDefaults())
  }
}

@_cdecl("kluere_metrics_by_group")
public func metricsByGroup(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ groups: UnsafePointer<Int32>?, _ rows: Int,
  _ classes: Int, _ groupCount: Int, _ options: UnsafePointer<kluere_metrics_options>?,
  _ out: UnsafeMutablePointer<kluere_metrics>?, _ outSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = UnsafeMutableRawPointer(try required(out, "out"))
    // Refuses an element size that is none, before anything is computed; the element is written again below.
    var probe = kluere_metrics()
    try SizedStruct.initialize(&probe, min(outSize, MemoryLayout<kluere_metrics>.size), defaults: kluere_metrics())
    guard outSize <= 4096 else {
      throw KluereError(.invalidArgument, "out_size: \(asWritten(outSize)), expected sizeof(kluere_metrics)")
    }
    let options = try metricsOptions(options)
    let results = try computeMetricsByGroup(
      try judged(scores, labels, rows, classes), groups: try array(groups, rows, "groups"), groupCount: groupCount,
      options: options)
    for (group, metrics) in results.enumerated() {
      let entry = (out + group * outSize).assumingMemoryBound(to: kluere_metrics.self)
      try SizedStruct.initialize(entry, outSize, defaults: metrics.map(metricsStruct) ?? noRows(classes))
    }
  }
}

private func noRows(_ classes: Int) -> kluere_metrics {
  kluere_metrics(
    struct_size: 0, missing_classes: UInt32(clamping: classes), rows: 0, micro_f1: .nan, micro_precision: .nan,
    micro_recall: .nan, auprc: .nan, accuracy: .nan, loss: .nan)
}

@_cdecl("kluere_metrics_bootstrap")
public func metricsBootstrap(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int,
  _ options: UnsafePointer<kluere_metrics_options>?, _ resampling: UnsafePointer<kluere_resampling_options>?,
  _ metrics: UnsafePointer<Int32>?, _ metricCount: Int, _ out: UnsafeMutablePointer<kluere_interval>?,
  _ samples: UnsafeMutablePointer<Double>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try required(out, "out")
    let kinds = try metricKinds(metrics, metricCount)
    let options = try metricsOptions(options)
    let resampling = try resamplingOptions(resampling)
    let intervals = try bootstrap(
      try judged(scores, labels, rows, classes), metrics: kinds, options: options, resampling: resampling,
      samples: try sampleTable(samples, kinds, resampling))
    for (place, interval) in intervals.enumerated() {
      out[place] = kluere_interval(
        value: interval.value, low: interval.low, high: interval.high, standard_error: interval.standardError)
    }
  }
}

@_cdecl("kluere_metrics_compare")
public func metricsCompare(
  _ first: UnsafePointer<Float>?, _ second: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int,
  _ classes: Int, _ options: UnsafePointer<kluere_metrics_options>?,
  _ resampling: UnsafePointer<kluere_resampling_options>?, _ metrics: UnsafePointer<Int32>?, _ metricCount: Int,
  _ out: UnsafeMutablePointer<kluere_comparison>?, _ samples: UnsafeMutablePointer<Double>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try required(out, "out")
    let kinds = try metricKinds(metrics, metricCount)
    let options = try metricsOptions(options)
    let resampling = try resamplingOptions(resampling)
    let results = try compareSystems(
      try judged(first, labels, rows, classes, "first"), try judged(second, labels, rows, classes, "second"),
      metrics: kinds, options: options, resampling: resampling, samples: try sampleTable(samples, kinds, resampling))
    for (place, result) in results.enumerated() {
      out[place] = kluere_comparison(
        first: result.first, second: result.second, difference: result.difference, low: result.low,
        high: result.high, p_bootstrap: result.bootstrapP, p_randomization: result.randomizationP)
    }
  }
}

@_cdecl("kluere_metrics_calibration")
public func metricsCalibration(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int,
  _ options: UnsafePointer<kluere_metrics_options>?, _ calibration: UnsafePointer<kluere_calibration_options>?,
  _ outPointer: UnsafeMutablePointer<kluere_calibration>?, _ bins: UnsafeMutablePointer<kluere_calibration_bin>?,
  _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(outPointer, "out")
    let options = try metricsOptions(options)
    let calibration = try calibrationOptions(calibration)
    let table = try output(bins, capacity: capacity, needed: bins == nil ? 0 : calibration.bins, "bins")
    let result = try calibrate(
      try judged(scores, labels, rows, classes), options: options, calibration: calibration)
    out.store(
      kluere_calibration(
        struct_size: 0, bins: UInt32(clamping: result.bins.count), rows: UInt64(clamping: rows),
        ece: result.expectedError, mce: result.largestError, brier: result.brier, confidence: result.confidence,
        accuracy: result.accuracy))
    for (place, bin) in zip(table.indices, result.bins) {
      table[place] = kluere_calibration_bin(
        low: bin.low, high: bin.high, confidence: bin.confidence, accuracy: bin.accuracy,
        rows: UInt64(clamping: bin.rows))
    }
  }
}

@_cdecl("kluere_metrics_coverage")
public func metricsCoverage(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int,
  _ options: UnsafePointer<kluere_metrics_options>?, _ outPointer: UnsafeMutablePointer<kluere_coverage>?,
  _ points: UnsafeMutablePointer<kluere_coverage_point>?, _ pointCount: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(outPointer, "out")
    let options = try metricsOptions(options)
    let table = try output(points, capacity: pointCount, needed: points == nil ? 0 : pointCount, "points")
    let result = try coverageRisk(
      try judged(scores, labels, rows, classes), options: options, points: points == nil ? 1 : pointCount)
    out.store(
      kluere_coverage(
        struct_size: 0, reserved: 0, aurc: result.area, excess_aurc: result.excessArea, risk: result.risk))
    for (place, point) in zip(table.indices, result.points) {
      table[place] = kluere_coverage_point(
        coverage: point.coverage, threshold: point.threshold, risk: point.risk, micro_f1: point.microF1)
    }
  }
}

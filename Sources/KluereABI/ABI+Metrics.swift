public import CKluere
internal import KluereBase
internal import KluereMetrics

private func defaults() -> kluere_metrics_options {
  let options = MetricsOptions()
  return kluere_metrics_options(
    struct_size: UInt32(MemoryLayout<kluere_metrics_options>.size),
    no_relation: Int32(clamping: options.noRelation ?? -1), missing_class: options.missingClass.rawValue,
    score_space: Int32(options.scoresAreLogits ? KLUERE_OUTPUT_LOGITS : KLUERE_OUTPUT_PROBABILITIES))
}

func metricsOptions(_ pointer: UnsafePointer<kluere_metrics_options>?) throws(KluereError) -> MetricsOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  var options = MetricsOptions()
  options.noRelation = given.no_relation == -1 ? nil : Int(given.no_relation)
  options.missingClass = try choice(given.missing_class, "missing_class", "0 (skip), 1 (0.5) or 2 (NaN)")
  options.scoresAreLogits = try areLogits(given.score_space)
  return options
}

/// Of a score_space.
func areLogits(_ scoreSpace: Int32) throws(KluereError) -> Bool {
  guard [Int32(KLUERE_OUTPUT_PROBABILITIES), Int32(KLUERE_OUTPUT_LOGITS)].contains(scoreSpace) else {
    throw KluereError(.invalidArgument, "score_space: \(scoreSpace), expected 0 (probabilities) or 1 (logits)")
  }
  return scoreSpace == Int32(KLUERE_OUTPUT_LOGITS)
}

/// As the header's struct; struct_size is left to `SizedStruct.Out`.
func metricsStruct(_ metrics: Metrics) -> kluere_metrics {
  kluere_metrics(
    struct_size: 0, missing_classes: UInt32(clamping: metrics.missingClasses), rows: UInt64(clamping: metrics.rows),
    micro_f1: metrics.microF1, micro_precision: metrics.microPrecision, micro_recall: metrics.microRecall,
    auprc: metrics.auprc, accuracy: metrics.accuracy, loss: metrics.loss)
}

@_cdecl("kluere_metrics_options_init")
public func metricsOptionsInit(
  _ options: UnsafeMutablePointer<kluere_metrics_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_metrics_compute")
public func metricsCompute(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int,
  _ options: UnsafePointer<kluere_metrics_options>?, _ outPointer: UnsafeMutablePointer<kluere_metrics>?,
  _ perClass: UnsafeMutablePointer<kluere_class_metrics>?, _ confusion: UnsafeMutablePointer<UInt64>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(outPointer, "out")
    let options = try metricsOptions(options)
    let scores = try array(scores, try tableSize(rows, classes, "scores"), "scores")
    let labels = try array(labels, rows, "labels")
    let cells = try tableSize(classes, classes, "confusion")
    let (metrics, table) = try computeMetrics(
      scores: scores, labels: labels, classes: classes, options: options,
      confusion: confusion.map { UnsafeMutableBufferPointer(start: $0, count: cells) })
    out.store(metricsStruct(metrics))
    guard let perClass else { return }
    for (place, entry) in table.enumerated() {
      perClass[place] = kluere_class_metrics(
        precision: entry.precision, recall: entry.recall, f1: entry.f1, auprc: entry.auprc,
        support: UInt64(clamping: entry.support), predicted: UInt64(clamping: entry.predicted),
        correct: UInt64(clamping: entry.correct))
    }
  }
}

public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereEnsemble
internal import KluereMetrics

private func defaults() -> kluere_ensemble_options {
  let metrics = MetricsOptions()
  let search = WeightSearchOptions()
  return kluere_ensemble_options(
    struct_size: UInt32(MemoryLayout<kluere_ensemble_options>.size), vote: Vote.soft.rawValue,
    score_space: Int32(KLUERE_OUTPUT_PROBABILITIES), no_relation: Int32(clamping: metrics.noRelation ?? -1),
    missing_class: metrics.missingClass.rawValue, metric: search.metric.rawValue,
    rounds: UInt32(clamping: search.rounds), folds: UInt32(clamping: search.folds), seed: search.seed)
}

private struct EnsembleOptions {
  var vote: Vote
  var metric: MetricKind
  var metrics: MetricsOptions
  var search: WeightSearchOptions

  init(_ pointer: UnsafePointer<kluere_ensemble_options>?) throws(KluereError) {
    let given = try SizedStruct.read(pointer, "options", defaults: defaults())
    vote = try choice(given.vote, "vote", "0 (soft) or 1 (hard)")
    metric = try metricKind(given.metric, "metric")
    metrics = MetricsOptions(
      noRelation: given.no_relation == -1 ? nil : Int(given.no_relation),
      missingClass: try choice(given.missing_class, "missing_class", "0 (skip), 1 (0.5) or 2 (NaN)"),
      scoresAreLogits: try areLogits(given.score_space))
    search = WeightSearchOptions(
      metric: metric, rounds: Int(given.rounds), folds: Int(given.folds), seed: given.seed)
  }
}

private func members(
  _ pointer: UnsafePointer<UnsafePointer<Float>?>?, _ count: Int, _ rows: Int, _ classes: Int,
  _ options: EnsembleOptions
) throws(KluereError) -> Members {
  let pointers = try array(pointer, count, "members")
  let size = try tableSize(rows, classes, "members")
  var tables: [UnsafeBufferPointer<Float>] = []
  for (place, scores) in pointers.enumerated() {
    // More than can be are refused below, with their number.
    if place > Members.limit { break }
    tables.append(try array(try required(scores, "members[\(place)]"), size, "members[\(place)]"))
  }
  return try Members(tables, rows: rows, classes: classes, areLogits: options.metrics.scoresAreLogits)
}

private func memberWeights(_ pointer: UnsafePointer<Double>?, _ count: Int) throws(KluereError) -> [Double]? {
  guard let pointer else { return nil }
  return Array(try array(pointer, count, "weights"))
}

@_cdecl("kluere_ensemble_options_init")
public func ensembleOptionsInit(
  _ options: UnsafeMutablePointer<kluere_ensemble_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_ensemble_combine")
public func ensembleCombine(
  _ pointers: UnsafePointer<UnsafePointer<Float>?>?, _ memberCount: Int, _ weights: UnsafePointer<Double>?,
  _ rows: Int, _ classes: Int, _ options: UnsafePointer<kluere_ensemble_options>?, _ out: UnsafeMutablePointer<Float>?,
  _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let options = try EnsembleOptions(options)
    let members = try members(pointers, memberCount, rows, classes, options)
    let out = try output(out, capacity: capacity, needed: try tableSize(rows, classes, "out"))
    try combine(members, weights: try memberWeights(weights, members.count), vote: options.vote, into: out)
  }
}

@_cdecl("kluere_ensemble_rank")
public func ensembleRank(
  _ pointers: UnsafePointer<UnsafePointer<Float>?>?, _ memberCount: Int, _ weights: UnsafePointer<Double>?,
  _ labels: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int, _ options: UnsafePointer<kluere_ensemble_options>?,
  _ out: UnsafeMutablePointer<kluere_subset>?, _ capacity: Int,
  _ contributions: UnsafeMutablePointer<kluere_contribution>?, _ count: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let options = try EnsembleOptions(options)
    let members = try members(pointers, memberCount, rows, classes, options)
    guard members.count <= SubsetRanking.memberLimit else {
      throw KluereError(
        .invalidArgument, "\(members.count) members to rank, expected at most \(SubsetRanking.memberLimit)")
    }
    let table = try output(out, capacity: capacity, needed: (1 << members.count) - 1)
    let ranking = try SubsetRanking(
      members, weights: try memberWeights(weights, members.count), vote: options.vote,
      labels: try array(labels, rows, "labels"), metric: options.metric, options: options.metrics)
    for (place, subset) in zip(table.indices, ranking.subsets) {
      table[place] = kluere_subset(
        members: subset.members, micro_f1: subset.microF1, auprc: subset.auprc, accuracy: subset.accuracy,
        loss: subset.loss)
    }
    count.pointee = ranking.subsets.count
    guard let contributions else { return }
    for (place, one) in ranking.contributions.enumerated() {
      contributions[place] = kluere_contribution(
        alone: one.alone, without: one.without, leave_one_out: one.leaveOneOut, shapley: one.shapley)
    }
  }
}

@_cdecl("kluere_ensemble_search")
public func ensembleSearch(
  _ pointers: UnsafePointer<UnsafePointer<Float>?>?, _ memberCount: Int, _ labels: UnsafePointer<Int32>?,
  _ folds: UnsafePointer<Int32>?, _ rows: Int, _ classes: Int, _ options: UnsafePointer<kluere_ensemble_options>?,
  _ outPointer: UnsafeMutablePointer<kluere_weight_search>?, _ weights: UnsafeMutablePointer<Double>?,
  _ foldWeights: UnsafeMutablePointer<Double>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(outPointer, "out")
    let weights = try required(weights, "weights")
    let options = try EnsembleOptions(options)
    let members = try members(pointers, memberCount, rows, classes, options)
    let folds = folds == nil ? nil : try array(folds, rows, "folds")
    let found = try searchWeights(
      members, labels: try array(labels, rows, "labels"), folds: folds, search: options.search,
      options: options.metrics)
    out.store(
      kluere_weight_search(
        struct_size: 0, folds: UInt32(clamping: options.search.folds), value: found.value, held_out: found.heldOut,
        equal_weights: found.equal))
    for (place, weight) in found.weights.enumerated() { weights[place] = weight }
    for (place, weight) in found.foldWeights.joined().enumerated() { foldWeights?[place] = weight }
  }
}

@_cdecl("kluere_submission_write_table")
public func submissionWriteTable(
  _ dataset: OpaquePointer?, _ probabilities: UnsafePointer<Float>?, _ capacity: Int,
  _ pathPointer: UnsafePointer<CChar>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let needed = try tableSize(dataset.count, dataset.labels.count, "probabilities")
    let given = try output(
      UnsafeMutablePointer(mutating: probabilities), capacity: capacity, needed: needed, "probabilities")
    try Submission.write(
      path: try path(pathPointer, "path"), dataset: dataset, labels: dataset.labels,
      probabilities: UnsafeBufferPointer(given))
  }
}

@_cdecl("kluere_submission_read")
public func submissionRead(
  _ dataset: OpaquePointer?, _ pathPointer: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<Float>?,
  _ capacity: Int, _ predictions: UnsafeMutablePointer<Int32>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let needed = try tableSize(dataset.count, dataset.labels.count, "out")
    let out = try output(out, capacity: capacity, needed: needed)
    try Submission.read(
      path: try path(pathPointer, "path"), dataset: dataset, labels: dataset.labels, probabilities: out,
      predictions: predictions.map { UnsafeMutableBufferPointer(start: $0, count: dataset.count) })
  }
}

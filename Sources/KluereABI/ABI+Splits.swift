public import CKluere
internal import KluereBase
internal import KluereData

private func defaults() -> kluere_split_options {
  let options = SplitOptions()
  return kluere_split_options(
    struct_size: UInt32(MemoryLayout<kluere_split_options>.size),
    stratify: KLUERE_STRATIFY_LABEL.asFlags | KLUERE_STRATIFY_TYPES.asFlags, seed: options.seed,
    second_fraction: options.secondFraction, label_shares: nil, label_share_count: 0)
}

private func splitOptions(_ pointer: UnsafePointer<kluere_split_options>?) throws(KluereError) -> SplitOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  let known = KLUERE_STRATIFY_LABEL.asFlags | KLUERE_STRATIFY_TYPES.asFlags
  let stratify = try flags(given.stratify, known: known, "stratify")
  var options = SplitOptions()
  options.byLabel = stratify & KLUERE_STRATIFY_LABEL.asFlags != 0
  options.byTypes = stratify & KLUERE_STRATIFY_TYPES.asFlags != 0
  options.seed = given.seed
  options.secondFraction = given.second_fraction
  let shares = try array(given.label_shares, given.label_share_count, "label_shares")
  options.labelShares = given.label_shares == nil ? nil : Array(shares)
  return options
}

@_cdecl("kluere_split_options_init")
public func splitOptionsInit(
  _ options: UnsafeMutablePointer<kluere_split_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_dataset_folds")
public func datasetFolds(
  _ dataset: OpaquePointer?, _ foldCount: UInt32, _ options: UnsafePointer<kluere_split_options>?,
  _ out: UnsafeMutablePointer<Int32>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let options = try splitOptions(options)
    let out = try output(out, capacity: capacity, needed: dataset.count)
    _ = out.update(fromContentsOf: try dataset.folds(Int(foldCount), options))
  }
}

@_cdecl("kluere_dataset_split_stratified")
public func datasetSplitStratified(
  _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_split_options>?,
  _ first: UnsafeMutablePointer<OpaquePointer?>?, _ second: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let first = try required(first, "first")
    let second = try required(second, "second")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let (left, right) = try dataset.stratifiedSplit(try splitOptions(options))
    try storeBoth(left, right, first, second)
  }
}

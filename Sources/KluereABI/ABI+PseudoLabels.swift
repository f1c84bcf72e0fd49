public import CKluere
internal import KluereBase
internal import KluereData

private func defaults() -> kluere_pseudo_label_options {
  let options = PseudoLabelOptions()
  return kluere_pseudo_label_options(
    struct_size: UInt32(MemoryLayout<kluere_pseudo_label_options>.size), reserved: 0,
    min_confidence: options.minConfidence, max_per_label: UInt64(clamping: options.maxPerLabel ?? 0),
    max_rows: UInt64(clamping: options.maxRows ?? 0), label_shares: nil, label_share_count: 0)
}

@_cdecl("kluere_pseudo_label_options_init")
public func pseudoLabelOptionsInit(
  _ options: UnsafeMutablePointer<kluere_pseudo_label_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

private func limit(_ value: UInt64, _ name: String) throws(KluereError) -> Int? {
  value == 0 ? nil : try integer(value, name)
}

@_cdecl("kluere_dataset_pseudo_label")
public func datasetPseudoLabel(
  _ dataset: OpaquePointer?, _ probabilities: UnsafePointer<Float>?, _ probabilityCount: Int,
  _ optionsPointer: UnsafePointer<kluere_pseudo_label_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ rows: UnsafeMutablePointer<Int>?, _ capacity: Int, _ rowCount: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let given = try SizedStruct.read(optionsPointer, "options", defaults: defaults())
    var options = PseudoLabelOptions()
    options.minConfidence = given.min_confidence
    options.maxPerLabel = try limit(given.max_per_label, "max_per_label")
    options.maxRows = try limit(given.max_rows, "max_rows")
    guard given.reserved == 0 else {
      throw KluereError(.invalidArgument, "reserved: \(given.reserved), expected 0")
    }
    let shares = try array(given.label_shares, given.label_share_count, "label_shares")
    options.labelShares = given.label_shares == nil ? nil : Array(shares)
    let table = try array(probabilities, probabilityCount, "probabilities")
    var room: UnsafeMutableBufferPointer<Int>?
    if let rows {
      room = try output(rows, capacity: capacity, needed: dataset.count, "rows")
      _ = try required(rowCount, "row_count")
    }
    let (made, kept) = try dataset.pseudoLabelled(table, options)
    try out.store(DatasetObject(made))
    if let room { _ = room.update(fromContentsOf: kept) }
    rowCount?.pointee = kept.count
  }
}

@_cdecl("kluere_dataset_concat")
public func datasetConcat(
  _ first: OpaquePointer?, _ second: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let first = try Handle<DatasetObject>.borrow(first, "first").dataset
    let second = try Handle<DatasetObject>.borrow(second, "second").dataset
    try out.store(DatasetObject(try first.concatenated(with: second)))
  }
}

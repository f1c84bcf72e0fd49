public import CKluere
internal import KluereBase
internal import KluereData

/// kluere_dataset
final class DatasetObject: Handled {
  static let kind: UInt32 = 0x4B44_4154
  static let typeName = "kluere_dataset"
  let dataset: Dataset
  /// What C borrows: label names and the reasons of skipped rows.
  let labels: CStrings
  let skipped: CStrings

  init(_ dataset: Dataset) {
    self.dataset = dataset
    labels = CStrings(dataset.labels.names)
    skipped = CStrings(dataset.skipped)
  }
}

private func defaults() -> kluere_dataset_options {
  kluere_dataset_options(
    struct_size: UInt32(MemoryLayout<kluere_dataset_options>.size), format: Int32(KLUERE_FORMAT_AUTO),
    label_order: Int32(KLUERE_LABELS_KLUE), bad_rows: Int32(KLUERE_BAD_ROWS_STOP), labels: nil, label_count: 0)
}

private func formatOf(_ value: Int32) throws(KluereError) -> DatasetOptions.Format {
  try choice(
    value, "format", "0 (automatic), 1 (KLUE JSON), 2 (competition CSV), 3 (JSON Lines) or 4 (flat CSV)")
}

private func datasetOptions(_ pointer: UnsafePointer<kluere_dataset_options>?) throws(KluereError) -> DatasetOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  var options = DatasetOptions()
  options.format = try formatOf(given.format)
  options.labelOrder = try choice(given.label_order, "label_order", "0 (KLUE), 1 (competition) or 2 (custom)")
  options.badRows = try choice(given.bad_rows, "bad_rows", "0 (stop) or 1 (skip)")
  options.labels = try texts(given.labels, given.label_count, "labels")
  return options
}

@_cdecl("kluere_dataset_options_init")
public func datasetOptionsInit(
  _ options: UnsafeMutablePointer<kluere_dataset_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_dataset_read")
public func datasetRead(
  _ context: OpaquePointer?, _ pathPointer: UnsafePointer<CChar>?, _ options: UnsafePointer<kluere_dataset_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    _ = try Handle<ContextObject>.borrow(context, "context")
    let path = try path(pathPointer, "path")
    try out.store(DatasetObject(try Dataset.read(path: path, options: try datasetOptions(options))))
  }
}

@_cdecl("kluere_dataset_create")
public func datasetCreate(
  _ context: OpaquePointer?, _ examples: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ count: Int,
  _ offsetUnit: Int32, _ options: UnsafePointer<kluere_dataset_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    _ = try Handle<ContextObject>.borrow(context, "context")
    let options = try datasetOptions(options)
    let examples = try ExampleArray(examples, size: exampleSize, count: count, unit: offsetUnit)
    try out.store(DatasetObject(try Dataset.create(examples: try examples.views(), options: options)))
  }
}

@_cdecl("kluere_dataset_destroy")
public func datasetDestroy(_ dataset: OpaquePointer?) { Handle<DatasetObject>.destroy(dataset) }

@_cdecl("kluere_dataset_count")
public func datasetCount(_ dataset: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<DatasetObject>.borrow(dataset, "dataset").dataset.count
  }
}

@_cdecl("kluere_dataset_get")
public func datasetGet(
  _ dataset: OpaquePointer?, _ row: Int, _ unit: Int32, _ out: UnsafeMutablePointer<kluere_example>?,
  _ exampleSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let out = try ExampleOut(out, size: exampleSize)
    let unit = try offsetUnit(unit, "offset_unit")
    let view = dataset.example(try index(row, below: dataset.count, "row"))
    out.store(try exampleStruct(view, unit))
  }
}

@_cdecl("kluere_dataset_label_count")
public func datasetLabelCount(_ dataset: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<DatasetObject>.borrow(dataset, "dataset").dataset.labels.count
  }
}

@_cdecl("kluere_dataset_label")
public func datasetLabel(_ dataset: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<DatasetObject>.borrow(dataset, "dataset").labels[index]
  }
}

@_cdecl("kluere_dataset_label_indices")
public func datasetLabelIndices(
  _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<Int32>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let out = try output(out, capacity: capacity, needed: dataset.count)
    _ = out.update(fromContentsOf: dataset.labelIndices)
  }
}

@_cdecl("kluere_dataset_skipped_count")
public func datasetSkippedCount(_ dataset: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<DatasetObject>.borrow(dataset, "dataset").dataset.skippedCount
  }
}

@_cdecl("kluere_dataset_skipped_reason")
public func datasetSkippedReason(_ dataset: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<DatasetObject>.borrow(dataset, "dataset").skipped[index]
  }
}

@_cdecl("kluere_dataset_subset")
public func datasetSubset(
  _ dataset: OpaquePointer?, _ indices: UnsafePointer<Int>?, _ count: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let indices = Array(try array(indices, count, "indices"))
    for (place, row) in indices.enumerated() {
      _ = try index(row, below: dataset.count, "indices[\(place)]: row")
    }
    try out.store(DatasetObject(try dataset.subset(indices)))
  }
}

@_cdecl("kluere_dataset_write")
public func datasetWrite(
  _ dataset: OpaquePointer?, _ pathPointer: UnsafePointer<CChar>?, _ format: Int32
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let path = try path(pathPointer, "path")
    try dataset.write(path: path, format: try formatOf(format))
  }
}

@_cdecl("kluere_dataset_split")
public func datasetSplit(
  _ dataset: OpaquePointer?, _ secondFraction: Double, _ seed: UInt64,
  _ first: UnsafeMutablePointer<OpaquePointer?>?, _ second: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let first = try required(first, "first")
    let second = try required(second, "second")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let (left, right) = try dataset.split(secondFraction: secondFraction, seed: seed)
    try storeBoth(left, right, first, second)
  }
}

/// Both handles or none: the first is given back if there is no room for the second.
func storeBoth(
  _ left: Dataset, _ right: Dataset, _ first: UnsafeMutablePointer<OpaquePointer?>,
  _ second: UnsafeMutablePointer<OpaquePointer?>
) throws(KluereError) {
  let leftHandle = try Handle.create(DatasetObject(left))
  do throws(KluereError) {
    second.pointee = try Handle.create(DatasetObject(right))
    first.pointee = leftHandle
  } catch {
    Handle<DatasetObject>.destroy(leftHandle)
    throw error
  }
}

public import CKluere
internal import KluereBase
internal import KluereData

private func defaults() -> kluere_select_options {
  kluere_select_options(
    struct_size: UInt32(MemoryLayout<kluere_select_options>.size), exclude_labels: 0, narrow_labels: 0, reserved: 0,
    subject_type: nil, object_type: nil, labels: nil, label_count: 0)
}

/// A NUL-terminated text of the caller's; nil for NULL.
func optionalString(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(KluereError) -> String? {
  try optionalText(pointer, nulTerminated, name).map { String(decoding: $0, as: Unicode.UTF8.self) }
}

@_cdecl("kluere_select_options_init")
public func selectOptionsInit(
  _ options: UnsafeMutablePointer<kluere_select_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_dataset_select")
public func datasetSelect(
  _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_select_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let given = try SizedStruct.read(options, "options", defaults: defaults())
    var selection = RowSelection()
    selection.subjectType = try optionalString(given.subject_type, "subject_type")
    selection.objectType = try optionalString(given.object_type, "object_type")
    selection.labels = try texts(given.labels, given.label_count, "labels")
    selection.excludesLabels = try truth(given.exclude_labels, "exclude_labels")
    selection.narrowsLabels = try truth(given.narrow_labels, "narrow_labels")
    try out.store(DatasetObject(try dataset.select(selection)))
  }
}

@_cdecl("kluere_dataset_binary")
public func datasetBinary(
  _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    try out.store(DatasetObject(try dataset.binary()))
  }
}

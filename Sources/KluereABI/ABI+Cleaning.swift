public import CKluere
internal import KluereBase
internal import KluereData

private func defaults() -> kluere_clean_options {
  let options = CleaningOptions()
  return kluere_clean_options(
    struct_size: UInt32(MemoryLayout<kluere_clean_options>.size), remove_duplicates: options.removesDuplicates ? 1 : 0,
    conflicts: options.conflicts.rawValue, types: options.types.rawValue, majority_share: options.majorityShare,
    remove_ids: nil, remove_id_count: 0, corrections: nil, correction_count: 0)
}

private func cleanOptions(_ pointer: UnsafePointer<kluere_clean_options>?) throws(KluereError) -> CleaningOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  var options = CleaningOptions()
  options.removesDuplicates = try truth(given.remove_duplicates, "remove_duplicates")
  options.conflicts = try choice(
    given.conflicts, "conflicts", "0 (leave), 1 (keep first), 2 (majority), 3 (prefer relation) or 4 (drop all)")
  options.types = try choice(given.types, "types", "0 (leave), 1 (majority) or 2 (list)")
  options.majorityShare = given.majority_share
  options.removedIDs = (try texts(given.remove_ids, given.remove_id_count, "remove_ids") ?? []).map { Array($0.utf8) }
  if given.corrections != nil {
    let corrections = try array(given.corrections, given.correction_count, "corrections")
    options.corrections = []
    for (place, entry) in corrections.enumerated() {
      do throws(KluereError) {
        options.corrections?.append(try correction(entry))
      } catch { throw error.inside("corrections[\(place)]") }
    }
  } else if given.correction_count != 0 {
    throw KluereError(
      .invalidArgument, "corrections is NULL with a count of \(asWritten(given.correction_count))")
  }
  return options
}

private func correction(_ entry: kluere_type_correction) throws(KluereError) -> TypeCorrection {
  let role: EntityRole = try choice(entry.role, "role", "0 (subject) or 1 (object)")
  let to = Array(try text(entry.to, nulTerminated, "to"))
  guard !to.isEmpty else { throw KluereError(.invalidArgument, "to is empty, expected a type") }
  return TypeCorrection(
    label: Array(try text(entry.label, nulTerminated, "label")), role: role,
    from: try optionalText(entry.from, nulTerminated, "from").map { Array($0) }, to: to)
}

@_cdecl("kluere_clean_options_init")
public func cleanOptionsInit(
  _ options: UnsafeMutablePointer<kluere_clean_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_dataset_clean")
public func datasetClean(
  _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_clean_options>?,
  _ cleaned: UnsafeMutablePointer<OpaquePointer?>?, _ log: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let cleaned = try required(cleaned, "cleaned")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let (rows, text) = try Cleaning.run(dataset, try cleanOptions(options))
    try store(rows, text, cleaned, log)
  }
}

/// A dataset and a text about it, both or none; nobody may want the text.
func store(
  _ dataset: Dataset, _ text: [UInt8], _ out: UnsafeMutablePointer<OpaquePointer?>,
  _ textOut: UnsafeMutablePointer<OpaquePointer?>?
) throws(KluereError) {
  let handle = try Handle.create(DatasetObject(dataset))
  do throws(KluereError) {
    if let textOut { textOut.pointee = try Handle.create(try TextObject(text)) }
    out.pointee = handle
  } catch {
    Handle<DatasetObject>.destroy(handle)
    throw error
  }
}

@_cdecl("kluere_dataset_restore")
public func datasetRestore(
  _ cleaned: OpaquePointer?, _ log: UnsafePointer<CChar>?, _ logLength: Int,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let cleaned = try Handle<DatasetObject>.borrow(cleaned, "cleaned").dataset
    let log = try text(log, logLength, "log")
    try out.store(DatasetObject(try CleaningLog.restore(cleaned, log: log)))
  }
}

public import CKluere
internal import CKluereSupport
internal import Glibc
internal import KluereBase
internal import KluereData

@_cdecl("kluere_dataset_export_arrow")
public func datasetExportArrow(
  _ dataset: OpaquePointer?, _ schema: UnsafeMutableRawPointer?, _ array: UnsafeMutableRawPointer?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let schema = try required(schema, "schema").assumingMemoryBound(to: ArrowSchema.self)
    let array = try required(array, "array").assumingMemoryBound(to: ArrowArray.self)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let table = try FlatColumns(dataset)
    let columns = table.columns.map { column in
      let buffers = column.buffers
      var entry = ks_arrow_column()
      entry.name = constant(column.name)
      entry.format = constant(column.isText ? textFormat : numberFormat)
      entry.null_count = Int64(column.nullCount)
      entry.buffer_count = Int64(buffers.count)
      entry.buffers = (buffers[0], buffers[1], buffers.count > 2 ? buffers[2] : nil)
      return entry
    }
    let status = columns.withUnsafeBufferPointer { columns in
      ks_arrow_export(
        schema, array, columns.baseAddress, columns.count, Int64(table.rowCount),
        Unmanaged.passUnretained(table).toOpaque(),
        { owner in if let owner { _ = Unmanaged<FlatColumns>.fromOpaque(owner).retain() } },
        { owner in if let owner { Unmanaged<FlatColumns>.fromOpaque(owner).release() } })
    }
    withExtendedLifetime(table) {}
    guard status == 0 else { throw KluereError(.outOfMemory, "no memory for the columns' descriptions") }
  }
}

/// UTF-8 and int64 in the format strings of Arrow.
private let textFormat: StaticString = "u"
private let numberFormat: StaticString = "l"

private func constant(_ text: StaticString) -> UnsafePointer<CChar> {
  UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

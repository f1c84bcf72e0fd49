package import KluereBase
internal import KluereFormats

/// What cleaning did, as JSON, and the way back.
package enum CleaningLog {
  static func write(
    _ changes: [CleaningChange], _ before: Dataset, _ after: Dataset
  ) throws(KluereError) -> [UInt8] {
    var json = JSONWriter(indent: nil)
    json.beginObject()
    json.key("rows_before")
    json.integer(before.count)
    json.key("rows_after")
    json.integer(after.count)
    // As text: not every reader of JSON keeps 64 bits.
    json.key("content_before")
    json.string(String(before.contentHash, radix: 16))
    json.key("changes")
    json.beginArray()
    for change in changes.sorted(by: { $0.row < $1.row }) { try write(change, before, to: &json) }
    json.endArray()
    json.endObject()
    return json.finish()
  }

  private static func write(
    _ change: CleaningChange, _ dataset: Dataset, to json: inout JSONWriter
  ) throws(KluereError) {
    let example = dataset.example(change.row)
    json.beginObject()
    json.key("row")
    json.integer(change.row)
    if let id = example.id {
      json.key("id")
      json.string(id)
    }
    json.key("step")
    json.string(change.step)
    json.key("what")
    switch change.what {
    case .removed:
      json.string("removed")
      json.key("from")
      try RowJSON.write(example, isOpenSchema: true, to: &json)
      json.key("to")
      json.null()
    case .type(let role, let from, let to):
      json.string("\(role.name)_type")
      json.key("from")
      if let from { json.string(String(decoding: from, as: Unicode.UTF8.self)) } else { json.null() }
      json.key("to")
      json.string(String(decoding: to, as: Unicode.UTF8.self))
    }
    json.key("why")
    json.string(change.why)
    json.endObject()
  }

  /// The dataset as it was before the cleaning that wrote the log. Other rows than those that it left are refused.
  package static func restore(_ cleaned: Dataset, log: UnsafeBufferPointer<UInt8>) throws(KluereError) -> Dataset {
    let document = try JSON(borrowing: log, name: "log")
    let root = document.root
    guard let before = root["rows_before"]?.int, let after = root["rows_after"]?.int, before >= 0,
      let content = root["content_before"]?.string, let changes = root["changes"], changes.kind == .array
    else { throw KluereError(.badFormat, "log: it has no rows_before, rows_after, content_before and changes") }
    guard after == cleaned.count, before >= after, before <= after.sum(changes.count) ?? before else {
      throw KluereError(
        .invalidArgument, "log: \(before) rows before and \(after) after, but there are \(cleaned.count) rows")
    }
    var removed: [Int: JSON.Value] = [:]
    var types: [Int: [TypeChange]] = [:]
    for change in changes.elements {
      guard let row = change["row"]?.int, (0..<before).contains(row), let what = change["what"]?.string,
        let from = change["from"], let to = change["to"]
      else { throw KluereError(.badFormat, "log: \(change.place): a change lacks row, what, from or to") }
      switch what {
      case "removed": removed[row] = from
      case "subject_type": types[row, default: []].append(typeChange(.subject, from, to))
      case "object_type": types[row, default: []].append(typeChange(.object, from, to))
      default: throw KluereError(.badFormat, "log: \(change.place): there is no change \(excerpt(Array(what.utf8)))")
      }
    }
    guard removed.count == before - after else {
      throw KluereError(.badFormat, "log: \(removed.count) rows removed, expected \(before - after)")
    }
    var editor = DatasetEditor(cleaned)
    var next = 0
    for row in 0..<before {
      if let value = removed[row] {
        try restore(value, cleaned.labels, to: &editor)
      } else {
        try restore(next, types[row] ?? [], cleaned, to: &editor)
        next += 1
      }
    }
    guard let restored = editor.finish() else { throw KluereError(.badFormat, "log: no rows") }
    guard String(restored.contentHash, radix: 16) == content else {
      throw KluereError(.invalidArgument, "log: it is not of the cleaning that left these rows")
    }
    return restored
  }

  private struct TypeChange {
    var role: EntityRole
    var from: [UInt8]?
    var to: [UInt8]
  }

  private static func typeChange(_ role: EntityRole, _ from: JSON.Value, _ to: JSON.Value) -> TypeChange {
    TypeChange(role: role, from: from.string.map { Array($0.utf8) }, to: Array((to.string ?? "").utf8))
  }

  private static func restore(
    _ value: JSON.Value, _ labels: LabelSet, to editor: inout DatasetEditor
  ) throws(KluereError) {
    let scratch = TextArena()
    var id: UnsafeBufferPointer<UInt8>?
    let example: ExampleView
    do throws(KluereError) {
      example = try JSONRow(value, isOpenSchema: true, scratch).fields(&id).example()
    } catch { throw KluereError(error.status, "log: \(value.place): \(error.message)") }
    var label: Int32 = -1
    if let name = example.label {
      guard let index = labels.index(ofUTF8: name).flatMap({ Int32(exactly: $0) }) else {
        throw KluereError(
          .badFormat, "log: \(value.place): label \(excerpt(name)) is none of the \(labels.count) labels")
      }
      label = index
    }
    try editor.append(try editor.kept(example), label: label)
  }

  private static func restore(
    _ row: Int, _ types: [TypeChange], _ cleaned: Dataset,
    to editor: inout DatasetEditor
  ) throws(KluereError) {
    guard !types.isEmpty else { return try editor.append(row) }
    var example = cleaned.example(row)
    for change in types {
      let now = (change.role == .subject ? example.subject.type : example.object.type).map { Array($0) }
      guard now == change.to else {
        throw KluereError(
          .invalidArgument, "log: row \(row) has not the \(change.role.name) type \(excerpt(change.to)) of the log")
      }
      let type = try change.from.map { from throws(KluereError) in try editor.keepType(from) }
      if change.role == .subject { example.subject.type = type } else { example.object.type = type }
    }
    try editor.append(example, label: cleaned.labelIndex(row))
  }
}

internal import KluereBase
internal import KluereFormats

/// The competition's files: columns found by their names in the header, in any order, others ignored; the entities are
/// Python dict literals.
enum CompetitionCSVReader {
  static func read(
    _ bytes: UnsafeBufferPointer<UInt8>, _ path: String, into builder: inout DatasetBuilder
  ) throws(KluereError) {
    let scratch = TextArena()
    var csv = CSVReader(bytes, name: path)
    let columns = try Columns(&csv, path, scratch)
    while try csv.next() {
      scratch.removeAll()
      // The row's closure cannot borrow the reader, which is not copyable, so the fields are taken out before.
      var fields: [UnsafeBufferPointer<UInt8>] = []
      for index in 0..<csv.fieldCount { fields.append(try csv.field(index, scratch) ?? .init(start: nil, count: 0)) }
      try builder.add { (id) throws(KluereError) in
        try row(fields, columns, &id, scratch).example()
      }
    }
  }

  private struct Columns {
    var common: CSVColumns
    var subject: Int
    var object: Int

    init(_ csv: inout CSVReader, _ path: String, _ scratch: TextArena) throws(KluereError) {
      common = try CSVColumns(
        &csv, path, scratch, own: ["subject_entity", "object_entity"],
        expected: "id,sentence,subject_entity,object_entity,label,source")
      subject = try common.required("subject_entity")
      object = try common.required("object_entity")
    }
  }

  private static func row(
    _ fields: [UnsafeBufferPointer<UInt8>], _ columns: Columns, _ id: inout UnsafeBufferPointer<UInt8>?,
    _ scratch: TextArena
  ) throws(KluereError) -> RowFields {
    try columns.common.row(
      fields, &id,
      subject: { () throws(KluereError) in try entity(fields[columns.subject], "subject_entity", scratch) },
      object: { () throws(KluereError) in try entity(fields[columns.object], "object_entity", scratch) })
  }

  private static func entity(
    _ cell: UnsafeBufferPointer<UInt8>, _ name: String, _ scratch: TextArena
  ) throws(KluereError) -> EntityFields {
    let literal: PythonLiteral
    do throws(KluereError) { literal = try PythonLiteral.parse(cell) } catch {
      throw KluereError(error.status, "\(name): \(error.message)")
    }
    guard case .dict = literal else {
      throw KluereError(.badFormat, "\(name) is \(literal.kindName), expected a dict")
    }
    return EntityFields(
      word: try text(literal, "word", name, scratch), first: try index(literal, "start_idx", name),
      last: try index(literal, "end_idx", name), type: try text(literal, "type", name, scratch))
  }

  private static func text(
    _ dict: PythonLiteral, _ key: String, _ name: String, _ scratch: TextArena
  ) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
    guard let value = dict[key] else { throw KluereError(.badFormat, "\(name): '\(key)' is missing") }
    guard case .string(let bytes) = value else {
      throw KluereError(.badFormat, "\(name): '\(key)' is \(value.kindName), expected a string")
    }
    let copy = UnsafeMutableBufferPointer(start: try scratch.allocate(bytes.count), count: bytes.count)
    _ = copy.update(fromContentsOf: bytes)
    return UnsafeBufferPointer(copy)
  }

  private static func index(_ dict: PythonLiteral, _ key: String, _ name: String) throws(KluereError) -> Int {
    guard let value = dict[key] else { throw KluereError(.badFormat, "\(name): '\(key)' is missing") }
    guard case .int(let number) = value else {
      throw KluereError(.badFormat, "\(name): '\(key)' is \(value.kindName), expected a whole number")
    }
    return number
  }
}

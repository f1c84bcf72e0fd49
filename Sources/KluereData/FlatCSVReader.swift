internal import KluereBase
internal import KluereFormats

/// The table with a column for each part of an entity, as the competition's teams kept it between their notebooks.
/// Columns are found by their names; entity_pair, which follows from the types, is not looked at.
enum FlatCSVReader {
  static let header = [
    "id", "sentence", "label", "source", "subject_word", "subject_start_idx", "subject_end_idx", "subject_type",
    "object_word", "object_start_idx", "object_end_idx", "object_type", "entity_pair",
  ]

  /// Whether a CSV file's header is that of the flat table.
  static func isFlat(_ bytes: UnsafeBufferPointer<UInt8>, _ path: String) throws(KluereError) -> Bool {
    var csv = CSVReader(bytes, name: path)
    let scratch = TextArena()
    guard try csv.next() else { return false }
    for index in 0..<csv.fieldCount {
      if let field = try csv.field(index, scratch), field.elementsEqual("subject_start_idx".utf8) { return true }
    }
    return false
  }

  static func read(
    _ bytes: UnsafeBufferPointer<UInt8>, _ path: String, into builder: inout DatasetBuilder
  ) throws(KluereError) {
    let scratch = TextArena()
    var csv = CSVReader(bytes, name: path)
    let columns = try CSVColumns(
      &csv, path, scratch, own: header, expected: header.joined(separator: ","))
    let subject = try Entity(columns, "subject")
    let object = try Entity(columns, "object")
    while try csv.next() {
      scratch.removeAll()
      // The row's closure cannot borrow the reader, which is not copyable, so the fields are taken out before.
      var fields: [UnsafeBufferPointer<UInt8>] = []
      for index in 0..<csv.fieldCount { fields.append(try csv.field(index, scratch) ?? .init(start: nil, count: 0)) }
      try builder.add { (id) throws(KluereError) in
        try columns.row(
          fields, &id, subject: { () throws(KluereError) in try subject.fields(fields) },
          object: { () throws(KluereError) in try object.fields(fields) }
        ).example()
      }
    }
  }

  /// The columns of one of the two entities.
  private struct Entity {
    let name: String
    let word: Int?
    let first: Int
    let last: Int
    let type: Int?

    init(_ columns: CSVColumns, _ name: String) throws(KluereError) {
      self.name = name
      word = columns[name + "_word"]
      first = try columns.required(name + "_start_idx")
      last = try columns.required(name + "_end_idx")
      type = columns[name + "_type"]
    }

    func fields(_ fields: [UnsafeBufferPointer<UInt8>]) throws(KluereError) -> EntityFields {
      let word = word.map { fields[$0] }
      try ExampleView.checkUTF8(word, "\(name)_word")
      return EntityFields(
        word: word, first: try number(fields[first], "start_idx"), last: try number(fields[last], "end_idx"),
        type: type.map { fields[$0] })
    }

    private func number(_ field: UnsafeBufferPointer<UInt8>, _ part: String) throws(KluereError) -> Int {
      guard let number = Int(String(decoding: field, as: Unicode.UTF8.self)) else {
        throw KluereError(.badFormat, "\(name)_\(part) is \(excerpt(field)), expected a whole number")
      }
      return number
    }
  }
}

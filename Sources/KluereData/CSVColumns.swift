internal import KluereBase
internal import KluereFormats

/// Where a CSV file's header has the columns that every kind of our files has. Columns are found by their names, in any
/// order; others are ignored.
struct CSVColumns {
  let count: Int
  private let path: String
  private let expected: String
  private let places: [[UInt8]: Int]
  private let sentence: Int
  private let id: Int?
  private let label: Int?
  private let source: Int?
  private let origin: Int?

  private static let common = ["id", "sentence", "label", "source", "origin"]

  /// Reads the header. `own`: further columns that must not be there twice; `expected`: the header, for messages.
  init(
    _ csv: inout CSVReader, _ path: String, _ scratch: TextArena, own: [String], expected: String
  ) throws(KluereError) {
    guard try csv.next() else { throw KluereError(.badFormat, "\(path): the file is empty, expected a header") }
    var places: [[UInt8]: Int] = [:]
    for index in 0..<csv.fieldCount {
      guard let field = try csv.field(index, scratch) else { continue }
      let key = Array(field)
      let isOurs = (CSVColumns.common + own).contains { $0.utf8.elementsEqual(key) }
      if places.updateValue(index, forKey: key) != nil, isOurs {
        throw KluereError(.badFormat, "\(path): the header has two columns \(excerpt(key))")
      }
    }
    count = csv.fieldCount
    self.path = path
    self.expected = expected
    self.places = places
    guard let sentence = places[Array("sentence".utf8)] else {
      throw CSVColumns.missing("sentence", path, expected)
    }
    self.sentence = sentence
    id = places[Array("id".utf8)]
    label = places[Array("label".utf8)]
    source = places[Array("source".utf8)]
    origin = places[Array("origin".utf8)]
  }

  subscript(name: String) -> Int? { places[Array(name.utf8)] }

  func required(_ name: String) throws(KluereError) -> Int {
    guard let place = self[name] else { throw CSVColumns.missing(name, path, expected) }
    return place
  }

  private static func missing(_ name: String, _ path: String, _ expected: String) -> KluereError {
    KluereError(.badFormat, "\(path): the header has no column \"\(name)\", expected \(expected)")
  }

  /// A record as a row. The id is known, for messages, before anything else is looked at.
  func row(
    _ fields: [UnsafeBufferPointer<UInt8>], _ id: inout UnsafeBufferPointer<UInt8>?,
    subject: () throws(KluereError) -> EntityFields, object: () throws(KluereError) -> EntityFields
  ) throws(KluereError) -> RowFields {
    guard fields.count == count else {
      throw KluereError(.badFormat, "\(fields.count) fields, the header has \(count)")
    }
    id = self.id.map { fields[$0] }
    do throws(KluereError) { try ExampleView.checkUTF8(id, "id") } catch {
      id = nil
      throw error
    }
    try ExampleView.checkUTF8(fields[sentence], "sentence")
    return RowFields(
      sentence: fields[sentence], subject: try subject(), object: try object(),
      label: label.map { fields[$0] }, id: id, source: source.map { fields[$0] },
      origin: origin.map { fields[$0] })
  }
}

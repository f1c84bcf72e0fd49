import KluereBase
import KluereFormats
import Testing

/// All records with the line each begins on.
private func records(_ bytes: [UInt8]) throws(KluereError) -> [(line: Int, fields: [String])] {
  let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
  defer { copy.deallocate() }
  _ = copy.update(fromContentsOf: bytes)
  var reader = CSVReader(UnsafeBufferPointer(rebasing: copy[..<bytes.count]), name: "a.csv")
  let scratch = TextArena()
  var records: [(line: Int, fields: [String])] = []
  while try reader.next() {
    var fields: [String] = []
    for index in 0..<reader.fieldCount {
      guard let field = try reader.field(index, scratch) else { continue }
      fields.append(String(decoding: field, as: UTF8.self))
    }
    records.append((reader.line, fields))
  }
  return records
}

private func records(_ text: String) throws(KluereError) -> [(line: Int, fields: [String])] {
  try records(Array(text.utf8))
}

@Suite struct CSVTests {
  @Test func `quotes, commas and line breaks in fields are read`() throws {
    let found = try records("a,b,c\n\"x,\"\"y\"\"\n\",,\"\"\n1,2,3")
    #expect(found.map(\.fields) == [["a", "b", "c"], ["x,\"y\"\n", "", ""], ["1", "2", "3"]])
    #expect(found.map(\.line) == [1, 2, 4])
  }

  @Test func `CRLF, a byte order mark, empty lines and a missing last line break are fine`() throws {
    let found = try records("\u{FEFF}a,b\r\n\r\n\"1\",\"2\r\n3\"\r\n\n한,\r\n")
    #expect(found.map(\.fields) == [["a", "b"], ["1", "2\r\n3"], ["한", ""]])
    #expect(found.map(\.line) == [1, 3, 6])
  }

  @Test func `an empty file has no records`() throws {
    #expect(try records("").isEmpty)
    #expect(try records("\n\r\n").isEmpty)
  }

  @Test(arguments: ["a,\"b", "a\n\"b\nc", "a,\"b\"c", "a\"b\"", "a\rb", "\"a\"\rb", "a,\"", "\"\"\""])
  func `what RFC 4180 does not allow is refused with its line`(text: String) {
    let error = failure { () throws(KluereError) in _ = try records(text) }
    #expect(error?.status == .badFormat)
    #expect(error?.message.hasPrefix("a.csv: record on line ") == true)
  }

  @Test func `a file of commas does not eat the memory`() {
    let error = failure { () throws(KluereError) in _ = try records([UInt8](repeating: 0x2C, count: 100_000)) }
    #expect(error?.status == .badFormat)
  }

  @Test func `damaged files give errors or records but no trap`() {
    let original = Array("id,sentence\r\n1,\"a \"\"quoted\"\" one, 한국\n\"\n2,plain\n\n3,\"\"\n".utf8)
    var refused = 0
    for bytes in mutations(original, count: 2000, seed: 2) {
      if failure({ () throws(KluereError) in _ = try records(bytes) }) != nil { refused += 1 }
    }
    #expect(refused > 200)
  }

  @Test func `what is written reads back`() throws {
    let rows = [["a", "b,c", "\"", ""], ["line\nbreak", "한국", "\r", "plain"]]
    var writer = CSVWriter()
    for row in rows {
      for field in row { try writer.field(field) }
      try writer.endRecord()
    }
    let bytes = Array(writer.bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == "a,\"b,c\",\"\"\"\",\n\"line\nbreak\",한국,\"\r\",plain\n")
    #expect(try records(bytes).map(\.fields) == rows)
  }
}

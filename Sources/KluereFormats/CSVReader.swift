package import KluereBase

/// Comma-separated values as RFC 4180 has them: fields in quotes may hold commas, quotes (doubled) and line breaks.
/// Lines end in LF or CRLF; empty lines and a byte order mark are passed over. Says nothing about encodings.
package struct CSVReader: ~Copyable {
  private struct Field {
    var start: Int
    var end: Int
    var hasDoubledQuotes: Bool
  }

  /// More than this in one record is refused, so that a file of commas does not eat the memory.
  package static let columnLimit = 1000

  private let bytes: UnsafeBufferPointer<UInt8>
  private let name: String
  private var position: Int
  private var nextLine = 1
  private var fields: [Field] = []
  /// The line, from 1, that the present record begins on.
  package private(set) var line = 0

  /// `bytes` must outlive the reader. `name` of the file, for messages.
  package init(_ bytes: UnsafeBufferPointer<UInt8>, name: String) {
    self.bytes = bytes
    self.name = name
    position = byteOrderMarkLength(bytes)
  }

  package var fieldCount: Int { fields.count }

  /// Goes to the next record; false at the end of the file.
  package mutating func next() throws(KluereError) -> Bool {
    skipEmptyLines()
    fields.removeAll(keepingCapacity: true)
    line = nextLine
    guard position < bytes.count else { return false }
    while true {
      guard fields.count < CSVReader.columnLimit else {
        throw failure("more than \(CSVReader.columnLimit) fields in one record")
      }
      if position < bytes.count, bytes[position] == UInt8(ascii: "\"") { try quotedField() } else { try plainField() }
      // A comma, the end of the line or the end of the file: the fields stop at nothing else.
      guard position < bytes.count, bytes[position] == UInt8(ascii: ",") else { break }
      position += 1
    }
    endLine()
    return true
  }

  /// Field `index` of the present record: in place, or in `scratch` where quotes in it were doubled. nil past the last.
  package func field(_ index: Int, _ scratch: TextArena) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
    guard fields.indices.contains(index) else { return nil }
    let field = fields[index]
    let source = UnsafeBufferPointer(rebasing: bytes[field.start..<field.end])
    guard field.hasDoubledQuotes else { return source }
    let target = try scratch.allocate(source.count)
    var written = 0
    var skip = false
    for byte in source {
      // Quotes come in pairs here; the second of each is left out.
      if byte == UInt8(ascii: "\""), skip {
        skip = false
        continue
      }
      skip = byte == UInt8(ascii: "\"")
      target[written] = byte
      written += 1
    }
    return UnsafeBufferPointer(start: target, count: written)
  }

  // MARK: Scanning

  private mutating func plainField() throws(KluereError) {
    let start = position
    scan: while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: ","), UInt8(ascii: "\n"): break scan
      case UInt8(ascii: "\r"):
        guard position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "\n") else {
          throw failure("a carriage return alone, expected a line to end in LF or CRLF")
        }
        break scan
      case UInt8(ascii: "\""):
        throw failure("a quote inside a field that is not in quotes")
      default: position += 1
      }
    }
    fields.append(Field(start: start, end: position, hasDoubledQuotes: false))
  }

  private mutating func quotedField() throws(KluereError) {
    position += 1
    let start = position
    var doubled = false
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\n") { nextLine += 1 }
      position += 1
      guard byte == UInt8(ascii: "\"") else { continue }
      if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
        doubled = true
        position += 1
        continue
      }
      fields.append(Field(start: start, end: position - 1, hasDoubledQuotes: doubled))
      guard isFieldEnd() else { throw failure("something between the closing quote of a field and the comma") }
      return
    }
    throw failure("a quoted field that does not end")
  }

  private func isFieldEnd() -> Bool {
    guard position < bytes.count else { return true }
    switch bytes[position] {
    case UInt8(ascii: ","), UInt8(ascii: "\n"): return true
    case UInt8(ascii: "\r"): return position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "\n")
    default: return false
    }
  }

  private mutating func endLine() {
    if position < bytes.count, bytes[position] == UInt8(ascii: "\r") { position += 1 }
    if position < bytes.count, bytes[position] == UInt8(ascii: "\n") {
      position += 1
      nextLine += 1
    }
  }

  private mutating func skipEmptyLines() {
    while position < bytes.count {
      let isBreak = bytes[position] == UInt8(ascii: "\n")
      let isLongBreak =
        bytes[position] == UInt8(ascii: "\r") && position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "\n")
      guard isBreak || isLongBreak else { return }
      endLine()
    }
  }

  private func failure(_ what: String) -> KluereError {
    KluereError(.badFormat, "\(name): record on line \(line), field \(fields.count + 1): \(what)")
  }
}

package import KluereBase

/// A Python literal as repr() writes dicts, lists, tuples, strings, numbers, None, True and False: what the cells of the
/// competition's CSV files hold. Nothing is evaluated. Not read: bytes, sets, complex numbers, strings in three quotes,
/// strings side by side, \N{...}.
package indirect enum PythonLiteral: Sendable, Equatable {
  case none
  case bool(Bool)
  case int(Int)
  case float(Double)
  /// Valid UTF-8.
  case string([UInt8])
  case list([PythonLiteral])
  case tuple([PythonLiteral])
  /// In the order written, equal keys included.
  case dict([Entry])

  package struct Entry: Sendable, Equatable {
    package let key: PythonLiteral
    package let value: PythonLiteral
  }

  /// Lists, tuples and dicts inside one another: also bounds the recursion of the parser and of deinit.
  package static let depthLimit = 50
  /// Bytes of one literal. A cell is a few hundred; the tree takes a multiple of its source.
  package static let sizeLimit = 1 << 20

  /// The error says what is wrong at which byte, without a file's name.
  package static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(KluereError) -> PythonLiteral {
    guard bytes.count <= sizeLimit else {
      throw KluereError(.badFormat, "a literal of \(bytes.count) bytes, expected at most \(sizeLimit)")
    }
    if let invalid = firstInvalidUTF8(bytes) {
      throw KluereError(.invalidUTF8, "byte \(invalid) of the literal is not valid UTF-8")
    }
    var parser = PythonLiteralParser(bytes)
    return try parser.parse()
  }

  /// With its article, for messages.
  package var kindName: String {
    switch self {
    case .none: "None"
    case .bool: "a truth value"
    case .int, .float: "a number"
    case .string: "a string"
    case .list: "a list"
    case .tuple: "a tuple"
    case .dict: "a dict"
    }
  }

  /// The value of a dict's last entry with this key, as Python has it; nil where there is none.
  package subscript(key: String) -> PythonLiteral? {
    guard case .dict(let entries) = self else { return nil }
    return entries.last { entry in
      guard case .string(let bytes) = entry.key else { return false }
      return bytes.elementsEqual(key.utf8)
    }?.value
  }
}

struct PythonLiteralParser {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0
  private var depth = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func parse() throws(KluereError) -> PythonLiteral {
    skipSpace()
    let value = try value()
    skipSpace()
    guard position == bytes.count else { throw failure("the literal goes on after its end") }
    return value
  }

  /// The next byte, or 0 at the end.
  private var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func value() throws(KluereError) -> PythonLiteral {
    switch current {
    case UInt8(ascii: "{"): return try nested(Self.dict)
    case UInt8(ascii: "["): return try nested(Self.list)
    case UInt8(ascii: "("): return try nested(Self.tuple)
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try string(raw: false))
    case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return try PythonNumber.parse(bytes, &position)
    default: return try word()
    }
  }

  private mutating func nested(
    _ body: (inout PythonLiteralParser) throws(KluereError) -> PythonLiteral
  ) throws(KluereError) -> PythonLiteral {
    guard depth < PythonLiteral.depthLimit else {
      throw failure("more than \(PythonLiteral.depthLimit) lists and dicts inside one another")
    }
    depth += 1
    position += 1
    skipSpace()
    let value = try body(&self)
    depth -= 1
    return value
  }

  // MARK: Containers

  private static func dict(_ parser: inout PythonLiteralParser) throws(KluereError) -> PythonLiteral {
    var entries: [PythonLiteral.Entry] = []
    while parser.current != UInt8(ascii: "}") {
      let key = try parser.value()
      switch key {
      case .list, .dict: throw parser.failure("\(key.kindName) as a key")
      default: break
      }
      parser.skipSpace()
      guard parser.current == UInt8(ascii: ":") else { throw parser.failure("expected : after a key") }
      parser.position += 1
      parser.skipSpace()
      entries.append(PythonLiteral.Entry(key: key, value: try parser.value()))
      try parser.separator(UInt8(ascii: "}"), "expected , or } in a dict")
    }
    parser.position += 1
    return .dict(entries)
  }

  private static func list(_ parser: inout PythonLiteralParser) throws(KluereError) -> PythonLiteral {
    var values: [PythonLiteral] = []
    while parser.current != UInt8(ascii: "]") {
      values.append(try parser.value())
      try parser.separator(UInt8(ascii: "]"), "expected , or ] in a list")
    }
    parser.position += 1
    return .list(values)
  }

  /// (x) is x itself; (x,) is a tuple.
  private static func tuple(_ parser: inout PythonLiteralParser) throws(KluereError) -> PythonLiteral {
    var values: [PythonLiteral] = []
    var commas = 0
    while parser.current != UInt8(ascii: ")") {
      values.append(try parser.value())
      if try parser.separator(UInt8(ascii: ")"), "expected , or ) in a tuple") { commas += 1 }
    }
    parser.position += 1
    if commas == 0, let only = values.first { return only }
    return .tuple(values)
  }

  /// Passes a comma, or stays before the closing bracket. True for the comma.
  @discardableResult
  private mutating func separator(_ close: UInt8, _ expected: String) throws(KluereError) -> Bool {
    skipSpace()
    if current == close { return false }
    guard current == UInt8(ascii: ",") else { throw failure(expected) }
    position += 1
    skipSpace()
    return true
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"), 0x0C: position += 1
      default: return
      }
    }
  }

  // MARK: Words and strings

  private mutating func word() throws(KluereError) -> PythonLiteral {
    let start = position
    while position < bytes.count, PythonNumber.isWordByte(bytes[position]) { position += 1 }
    let word = UnsafeBufferPointer(rebasing: bytes[start..<position])
    if current == UInt8(ascii: "'") || current == UInt8(ascii: "\""), word.count == 1 {
      switch word[0] | 0x20 {
      case UInt8(ascii: "u"): return .string(try string(raw: false))
      case UInt8(ascii: "r"): return .string(try string(raw: true))
      default: break
      }
    }
    switch String(decoding: word, as: Unicode.UTF8.self) {
    case "None": return .none
    case "True": return .bool(true)
    case "False": return .bool(false)
    default:
      position = start
      throw failure("expected a literal")
    }
  }

  private mutating func string(raw: Bool) throws(KluereError) -> [UInt8] {
    let quote = current
    let start = position
    position += 1
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case quote:
        position += 1
        guard current != quote || position - start != 2 else {
          position = start
          throw failure("a string in three quotes")
        }
        return text
      case UInt8(ascii: "\\"):
        if raw { try rawBackslash(&text) } else { try escape(&text) }
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"), 0:
        throw failure("a line break or NUL in a string, expected it to be escaped")
      default:
        text.append(byte)
        position += 1
      }
    }
    position = start
    throw failure("a string that does not end")
  }

  /// Behind r: the backslash stays, and so does what follows it.
  private mutating func rawBackslash(_ text: inout [UInt8]) throws(KluereError) {
    guard position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: "\n"), bytes[position + 1] != 0 else {
      throw failure("a backslash at the end of a line")
    }
    text += bytes[position...position + 1]
    position += 2
  }

  private mutating func escape(_ text: inout [UInt8]) throws(KluereError) {
    let start = position
    position += 1
    let kind = current
    position += 1
    switch kind {
    case UInt8(ascii: "\n"): break
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(kind)
    case UInt8(ascii: "a"): text.append(0x07)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "v"): text.append(0x0B)
    case UInt8(ascii: "x"): try character(hexadecimalDigits: 2, start, &text)
    case UInt8(ascii: "u"): try character(hexadecimalDigits: 4, start, &text)
    case UInt8(ascii: "U"): try character(hexadecimalDigits: 8, start, &text)
    case UInt8(ascii: "N"):
      position = start
      throw failure("\\N{...}, which is not read here, expected the character itself or \\u")
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      var value = UInt32(kind - 0x30)
      for _ in 0..<2 {
        guard case UInt8(ascii: "0")...UInt8(ascii: "7") = current else { break }
        value = value * 8 + UInt32(current - 0x30)
        position += 1
      }
      append(value, &text)
    case 0:
      position = start
      throw failure("an escape that does not end")
    default:
      // Python keeps the backslash of an escape it does not know.
      text.append(UInt8(ascii: "\\"))
      position = start + 1
      if kind < 0x20 { throw failure("a control character behind a backslash") }
    }
  }

  private mutating func character(
    hexadecimalDigits digits: Int, _ start: Int, _ text: inout [UInt8]
  ) throws(KluereError) {
    guard let value = hexadecimalValue(bytes, position, digits: digits) else {
      position = start
      throw failure("an escape without its \(digits) hexadecimal digits")
    }
    // A surrogate is no character, in Python too it cannot be encoded, not even as one of two.
    guard value < 0x11_0000, !(0xD800...0xDFFF).contains(value) else {
      position = start
      throw failure("an escape that stands for no character")
    }
    position += digits
    append(value, &text)
  }

  private func append(_ scalar: UInt32, _ text: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4) { buffer in
      guard let base = buffer.baseAddress else { return }
      text += buffer.prefix(encodeUTF8(scalar, into: base))
    }
  }

  private func failure(_ what: String) -> KluereError {
    let end = position < bytes.count ? "" : ", found the end"
    return KluereError(.badFormat, "byte \(position) of the literal: \(what)\(end)")
  }
}

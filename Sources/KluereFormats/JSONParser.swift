internal import KluereBase

/// 16 bytes a value. A container's node stands before those of its content; keys stand before their values.
struct JSONNode: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    case null, `true`, `false`, integer, real, string, escapedString, array, object

    var isContainer: Bool { self == .array || self == .object }
  }

  /// Kind in the low byte, byte offset above it.
  private let packed: UInt64
  /// Strings and numbers: bytes of source. Containers: index of the node behind the last one inside.
  var extent: Int

  init(_ kind: Kind, at offset: Int, extent: Int) {
    // A file that fits into memory is smaller than 2^56 bytes.
    packed = UInt64(truncatingIfNeeded: offset) << 8 | UInt64(kind.rawValue)
    self.extent = extent
  }

  var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: packed)) ?? .null }
  var offset: Int { Int(truncatingIfNeeded: packed >> 8) }
}

struct JSONParser: ~Copyable {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let name: String
  private let firstLine: Int
  private var position = 0
  private var tape = GrowingBuffer<JSONNode>(for: "JSON")
  /// Tape indices of the containers that are open; at most `JSON.depthLimit`.
  private var open: [Int] = []

  init(_ bytes: UnsafeBufferPointer<UInt8>, name: String, firstLine: Int) {
    self.bytes = bytes
    self.name = name
    self.firstLine = firstLine
  }

  consuming func parse() throws(KluereError) -> GrowingBuffer<JSONNode> {
    if let invalid = firstInvalidUTF8(bytes) {
      throw KluereError(
        .invalidUTF8,
        "\(name): \(textPlace(bytes, invalid, firstLine: firstLine)) (byte \(invalid)): not valid UTF-8")
    }
    position = byteOrderMarkLength(bytes)
    try values()
    skipSpace()
    guard position == bytes.count else { throw failure("the file goes on after the value has ended") }
    return tape
  }

  // MARK: Values

  /// The next byte, or 0 at the end: as a byte of JSON outside a string, 0 is an error everywhere.
  private var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func values() throws(KluereError) {
    repeat {
      skipSpace()
      switch current {
      case UInt8(ascii: "{"):
        try begin(.object)
        if current != UInt8(ascii: "}") {
          try key()
          continue
        }
      case UInt8(ascii: "["):
        try begin(.array)
        if current != UInt8(ascii: "]") { continue }
      case UInt8(ascii: "\""): try string()
      case UInt8(ascii: "t"): try word("true", .true)
      case UInt8(ascii: "f"): try word("false", .false)
      case UInt8(ascii: "n"): try word("null", .null)
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
      default: throw failure("expected a value")
      }
      try closeContainers()
    } while !open.isEmpty
  }

  private mutating func begin(_ kind: JSONNode.Kind) throws(KluereError) {
    guard open.count < JSON.depthLimit else {
      throw failure("more than \(JSON.depthLimit) arrays and objects inside one another")
    }
    open.append(tape.count)
    try tape.append(JSONNode(kind, at: position, extent: 0))
    position += 1
    skipSpace()
  }

  /// After a value: closes what ends here, and passes the comma (and the next key) where something follows.
  private mutating func closeContainers() throws(KluereError) {
    while let container = open.last {
      skipSpace()
      let isObject = tape.elements[container].kind == .object
      switch current {
      case UInt8(ascii: ",") where tape.count > container + 1:
        position += 1
        if isObject {
          skipSpace()
          try key()
        }
        return
      case isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"):
        position += 1
        tape.elements[container].extent = tape.count
        open.removeLast()
      default:
        throw failure(isObject ? "expected , or } in an object" : "expected , or ] in an array")
      }
    }
  }

  private mutating func key() throws(KluereError) {
    guard current == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
    try string()
    skipSpace()
    guard current == UInt8(ascii: ":") else { throw failure("expected : after a key") }
    position += 1
  }

  private mutating func word(_ word: StaticString, _ kind: JSONNode.Kind) throws(KluereError) {
    let length = word.utf8CodeUnitCount
    guard bytes.count - position >= length,
      UnsafeBufferPointer(start: word.utf8Start, count: length).elementsEqual(bytes[position..<position + length])
    else { throw failure("expected a value") }
    try tape.append(JSONNode(kind, at: position, extent: length))
    position += length
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
      default: return
      }
    }
  }

  // MARK: Strings

  private mutating func string() throws(KluereError) {
    let quote = position
    position += 1
    var kind = JSONNode.Kind.string
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        try tape.append(JSONNode(kind, at: quote + 1, extent: position - quote - 1))
        position += 1
        return
      case UInt8(ascii: "\\"):
        kind = .escapedString
        guard let length = JSONEscapes.length(UnsafeBufferPointer(rebasing: bytes[position...])) else {
          throw failure("not a valid escape")
        }
        position += length
      case 0..<0x20:
        throw failure("a control character in a string, expected it to be escaped")
      default:
        position += 1
      }
    }
    position = quote
    throw failure("a string that does not end")
  }

  // MARK: Numbers

  private mutating func number() throws(KluereError) {
    let start = position
    if current == UInt8(ascii: "-") { position += 1 }
    let whole = position
    guard digits() > 0, bytes[whole] != UInt8(ascii: "0") || position == whole + 1 else {
      position = start
      throw failure("not a valid number")
    }
    var kind = JSONNode.Kind.integer
    var valid = true
    if current == UInt8(ascii: ".") {
      kind = .real
      position += 1
      valid = digits() > 0
    }
    var exponent = false
    if valid, current | 0x20 == UInt8(ascii: "e") {
      kind = .real
      exponent = true
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      valid = digits() > 0
    }
    let source = UnsafeBufferPointer(rebasing: bytes[start..<position])
    // Only these can be beyond the largest double: 10^308 has 309 digits.
    if valid, exponent || source.count > 300 {
      let value = Double(String(decoding: source, as: Unicode.UTF8.self)) ?? .infinity
      valid = value.isFinite
    }
    guard valid else {
      position = start
      throw failure("not a valid number, or one that no double holds")
    }
    try tape.append(JSONNode(kind, at: start, extent: source.count))
  }

  private mutating func digits() -> Int {
    let start = position
    while case UInt8(ascii: "0")...UInt8(ascii: "9") = current { position += 1 }
    return position - start
  }

  private func failure(_ what: String) -> KluereError {
    let found = position < bytes.count ? what : what + ", found the end"
    return KluereError(
      .badFormat, "\(name): \(textPlace(bytes, position, firstLine: firstLine)) (byte \(position)): \(found)")
  }
}

/// Escapes in JSON strings: \" \\ \/ \b \f \n \r \t and \uXXXX, surrogates only in pairs.
enum JSONEscapes {
  /// Length in bytes of the escape that `bytes` begins with, or nil if it is none.
  static func length(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard bytes.count >= 2 else { return nil }
    if bytes[1] != UInt8(ascii: "u") { return single(bytes[1]) == nil ? nil : 2 }
    guard let unit = hexadecimal(bytes, 2) else { return nil }
    switch unit {
    case 0xD800...0xDBFF:
      guard bytes.count >= 12, bytes[6] == UInt8(ascii: "\\"), bytes[7] == UInt8(ascii: "u"),
        let low = hexadecimal(bytes, 8), (0xDC00...0xDFFF).contains(low)
      else { return nil }
      return 12
    case 0xDC00...0xDFFF: return nil
    default: return 6
    }
  }

  /// Writes what `source`, whose escapes are valid, stands for; never longer than it. Returns the bytes written.
  static func decode(_ source: UnsafeBufferPointer<UInt8>, into target: UnsafeMutablePointer<UInt8>) -> Int {
    var written = 0
    var position = 0
    while position < source.count {
      let rest = UnsafeBufferPointer(rebasing: source[position...])
      guard rest[0] == UInt8(ascii: "\\"), let length = length(rest) else {
        target[written] = rest[0]
        written += 1
        position += 1
        continue
      }
      if length == 2 {
        target[written] = single(rest[1]) ?? rest[1]
        written += 1
      } else {
        var scalar = hexadecimal(rest, 2) ?? 0
        if length == 12, let low = hexadecimal(rest, 8) { scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00) }
        written += encodeUTF8(scalar, into: target + written)
      }
      position += length
    }
    return written
  }

  private static func single(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: nil
    }
  }

  private static func hexadecimal(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> UInt32? {
    hexadecimalValue(bytes, start, digits: 4)
  }
}

/// The number that `digits` (at most 8) hexadecimal digits from `start` on stand for, or nil.
func hexadecimalValue(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, digits: Int) -> UInt32? {
  guard start >= 0, bytes.count - start >= digits else { return nil }
  var value: UInt32 = 0
  for byte in bytes[start..<start + digits] {
    let digit: UInt8
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - 0x30
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
    default: return nil
    }
    value = value << 4 | UInt32(digit)
  }
  return value
}

/// Writes the UTF-8 form of `scalar`, which is below 2^21, and returns its 1 to 4 bytes' count.
func encodeUTF8(_ scalar: UInt32, into target: UnsafeMutablePointer<UInt8>) -> Int {
  func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift & 0x3F) }
  switch scalar {
  case 0..<0x80:
    target[0] = UInt8(truncatingIfNeeded: scalar)
    return 1
  case 0x80..<0x800:
    target[0] = 0xC0 | UInt8(truncatingIfNeeded: scalar >> 6)
    target[1] = tail(0)
    return 2
  case 0x800..<0x10000:
    target[0] = 0xE0 | UInt8(truncatingIfNeeded: scalar >> 12)
    target[1] = tail(6)
    target[2] = tail(0)
    return 3
  default:
    target[0] = 0xF0 | UInt8(truncatingIfNeeded: scalar >> 18 & 0x07)
    target[1] = tail(12)
    target[2] = tail(6)
    target[3] = tail(0)
    return 4
  }
}

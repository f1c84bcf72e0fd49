/// Writes JSON as Python's json.dumps(..., ensure_ascii=False) does: indented, or in one line without spaces as the
/// header of safetensors is. Texts stay UTF-8; only what must be escaped is.
package struct JSONWriter {
  private var bytes: [UInt8] = []
  private let indent: Int?
  /// Of each array or object that is open: its closing bracket, and whether something stands in it.
  private var open: [(close: UInt8, hasContent: Bool)] = []
  private var afterKey = false

  /// `indent`: spaces a level; nil writes everything in one line.
  package init(indent: Int? = 2) { self.indent = indent }

  package mutating func beginObject() { begin("{", "}") }
  package mutating func endObject() { end() }
  package mutating func beginArray() { begin("[", "]") }
  package mutating func endArray() { end() }

  package mutating func key(_ key: String) {
    separate()
    quoted(key.utf8)
    bytes.append(UInt8(ascii: ":"))
    if indent != nil { bytes.append(UInt8(ascii: " ")) }
    afterKey = true
  }

  package mutating func string(_ value: String) {
    separate()
    quoted(value.utf8)
  }

  /// Valid UTF-8.
  package mutating func string(_ value: UnsafeBufferPointer<UInt8>) {
    separate()
    quoted(value)
  }

  package mutating func integer(_ value: some FixedWidthInteger) { raw(String(value)) }

  /// As Python prints it; JSON has no word for infinity and NaN, they become null.
  package mutating func number(_ value: Double) { raw(value.isFinite ? PythonFloat.repr(value) : "null") }

  /// With the digits a Float needs: 0.1, not 0.10000000149011612.
  package mutating func number(_ value: Float) { raw(value.isFinite ? PythonFloat.repr(value) : "null") }

  package mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

  package mutating func null() { raw("null") }

  /// The text; what is still open is closed. With a newline at the end if it is indented.
  package consuming func finish() -> [UInt8] {
    while !open.isEmpty { end() }
    if indent != nil { bytes.append(UInt8(ascii: "\n")) }
    return bytes
  }

  // MARK: Layout

  private mutating func begin(_ opening: Unicode.Scalar, _ closing: Unicode.Scalar) {
    separate()
    bytes.append(UInt8(ascii: opening))
    open.append((UInt8(ascii: closing), false))
  }

  private mutating func end() {
    guard let container = open.popLast() else { return }
    if container.hasContent { newLine() }
    bytes.append(container.close)
  }

  /// Before a key or a value: the comma and the new line, unless it stands behind its key.
  private mutating func separate() {
    if afterKey {
      afterKey = false
      return
    }
    guard let container = open.last else { return }
    if container.hasContent { bytes.append(UInt8(ascii: ",")) }
    open[open.count - 1].hasContent = true
    newLine()
  }

  private mutating func newLine() {
    guard let indent else { return }
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<indent * open.count { bytes.append(UInt8(ascii: " ")) }
  }

  private mutating func raw(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
  }

  private mutating func quoted(_ text: some Sequence<UInt8>) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x08: bytes += Array("\\b".utf8)
      case 0x09: bytes += Array("\\t".utf8)
      case 0x0A: bytes += Array("\\n".utf8)
      case 0x0C: bytes += Array("\\f".utf8)
      case 0x0D: bytes += Array("\\r".utf8)
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

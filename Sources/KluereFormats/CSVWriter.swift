package import KluereBase

/// Writes CSV as Python's csv and pandas do: LF, and quotes only where a field needs them.
package struct CSVWriter: ~Copyable {
  private var buffer = GrowingBuffer<UInt8>(for: "CSV")
  private var isAtLineStart = true

  package init() {}

  package var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(buffer.elements) }

  package mutating func field(_ text: String) throws(KluereError) {
    var text = text
    // withUTF8 cannot carry a typed error out.
    var failure: KluereError?
    text.withUTF8 { bytes in
      do throws(KluereError) { try field(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  package mutating func field(_ text: UnsafeBufferPointer<UInt8>) throws(KluereError) {
    if !isAtLineStart { try buffer.append(UInt8(ascii: ",")) }
    isAtLineStart = false
    let special = [UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r")]
    let quoted = text.contains { special.contains($0) }
    guard quoted else { return try buffer.append(contentsOf: text) }
    try buffer.append(UInt8(ascii: "\""))
    for byte in text {
      if byte == UInt8(ascii: "\"") { try buffer.append(byte) }
      try buffer.append(byte)
    }
    try buffer.append(UInt8(ascii: "\""))
  }

  package mutating func endRecord() throws(KluereError) {
    try buffer.append(UInt8(ascii: "\n"))
    isAtLineStart = true
  }
}

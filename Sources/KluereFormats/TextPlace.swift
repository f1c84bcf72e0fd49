internal import KluereBase

/// Where in a text file something is, as editors count: lines and characters from 1.
func textPlace(_ bytes: UnsafeBufferPointer<UInt8>, _ offset: Int, firstLine: Int = 1) -> String {
  let end = min(max(offset, 0), bytes.count)
  var line = firstLine
  var column = 1
  for position in 0..<end {
    let byte = bytes[position]
    if byte == UInt8(ascii: "\n") {
      line += 1
      column = 1
    } else if byte & 0xC0 != 0x80 {
      // Continuation bytes of UTF-8 are no characters of their own.
      column += 1
    }
  }
  return "line \(line), column \(column)"
}

/// A text from a file for a message: one line and not much of it, in quotes unless `quoted` is false.
package func excerpt(_ bytes: some Collection<UInt8>, quoted: Bool = true) -> String {
  let limit = 40
  let mark = quoted ? "\"" : ""
  var text = mark
  // No character takes more than 4 bytes.
  let scalars = String(decoding: bytes.prefix(limit * 4 + 4), as: Unicode.UTF8.self).unicodeScalars
  for scalar in scalars.prefix(limit) {
    text.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar)
  }
  return text + (scalars.count > limit ? "..." : "") + mark
}

/// Byte offset of the first sequence that is not well-formed UTF-8, or nil if all of `bytes` is.
func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
  do {
    _ = try UTF8Span(validating: bytes.span)
    return nil
  } catch {
    return error.byteOffsets.lowerBound
  }
}

/// Length of the byte order mark that some programs put before UTF-8.
func byteOrderMarkLength(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
  bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
}

/// Strings as Python's repr() prints them.
package enum PythonRepr {
  /// In single quotes, or in double ones where single quotes stand inside and no double ones; what Python calls not
  /// printable is escaped. `text` is valid UTF-8.
  package static func append(_ text: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
    let single = UInt8(ascii: "'")
    let quote = text.contains(single) && !text.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : single
    out.append(quote)
    for scalar in String(decoding: text, as: Unicode.UTF8.self).unicodeScalars {
      switch scalar {
      case "\\": out += Array("\\\\".utf8)
      case "\n": out += Array("\\n".utf8)
      case "\r": out += Array("\\r".utf8)
      case "\t": out += Array("\\t".utf8)
      case _ where scalar.value == UInt32(quote): out += [UInt8(ascii: "\\"), quote]
      case _ where isPrintable(scalar): out += Array(String(scalar).utf8)
      case _ where scalar.value < 0x100: escape("x", scalar.value, digits: 2, to: &out)
      case _ where scalar.value < 0x10000: escape("u", scalar.value, digits: 4, to: &out)
      default: escape("U", scalar.value, digits: 8, to: &out)
      }
    }
    out.append(quote)
  }

  /// As str.isprintable says: not control, format, surrogate, private or unassigned characters, and of the separators
  /// only the space.
  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7F { return scalar.value >= 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }

  private static func escape(_ letter: Character, _ value: UInt32, digits: Int, to out: inout [UInt8]) {
    let text = String(value, radix: 16)
    out += Array("\\\(letter)".utf8)
    out += Array(String(repeating: "0", count: max(0, digits - text.utf8.count)).utf8) + Array(text.utf8)
  }
}

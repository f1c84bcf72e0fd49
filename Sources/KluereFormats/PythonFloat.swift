/// Numbers as Python prints them: the fewest digits that read back as the same value, an exponent from 1e16 on and
/// below 1e-4, always a point or an exponent. Swift finds the same digits but draws these borders elsewhere.
package enum PythonFloat {
  package static func repr(_ value: Double) -> String { restyled(value.description, value.isFinite) }

  /// The fewest digits for a Float, which are fewer than those of its Double.
  package static func repr(_ value: Float) -> String { restyled(value.description, value.isFinite) }

  /// `text` is how Swift describes a number: [-]digits[.digits][e(+|-)digits], "inf" or "nan".
  private static func restyled(_ text: String, _ isFinite: Bool) -> String {
    guard isFinite else { return text }
    var digits: [UInt8] = []
    var negative = false
    // Place of the point, counted from the first digit.
    var point: Int?
    var exponent = 0
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "-"): negative = true
      case UInt8(ascii: "."): point = digits.count
      case UInt8(ascii: "e"):
        exponent = Int(String(Substring(rest))) ?? 0
        rest = rest[rest.endIndex...]
      default: digits.append(byte)
      }
    }
    // 0.d1d2d3... x 10^scale
    var scale = (point ?? digits.count) + exponent
    let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
    digits.removeFirst(zeros)
    scale -= zeros
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    let sign = negative ? "-" : ""
    if digits.isEmpty { return sign + "0.0" }
    return sign + written(String(decoding: digits, as: Unicode.UTF8.self), scale)
  }

  private static func written(_ digits: String, _ scale: Int) -> String {
    let count = digits.utf8.count
    guard (-3...16).contains(scale) else {
      let exponent = scale - 1
      let size = String(exponent.magnitude)
      let mantissa = count == 1 ? digits : "\(digits.prefix(1)).\(digits.dropFirst())"
      return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(size.utf8.count == 1 ? "0" : "")\(size)"
    }
    if scale <= 0 { return "0." + String(repeating: "0", count: -scale) + digits }
    if scale >= count { return digits + String(repeating: "0", count: scale - count) + ".0" }
    return "\(digits.prefix(scale)).\(digits.dropFirst(scale))"
  }
}

internal import KluereBase

/// Python's integers (decimal, hexadecimal, octal, binary) and floats, with a sign and with _ between digits.
enum PythonNumber {
  /// Reads the number at `position`, which is on a sign, a point or a digit, and goes behind it.
  static func parse(_ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int) throws(KluereError) -> PythonLiteral {
    let start = position
    var negative = false
    while position < bytes.count, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") {
      if bytes[position] == UInt8(ascii: "-") { negative.toggle() }
      position += 1
    }
    let signs = position - start
    let body = position
    while position < bytes.count,
      isWordByte(bytes[position]) || bytes[position] == UInt8(ascii: ".")
        || isExponentSign(bytes, position, body)
    { position += 1 }
    let text = UnsafeBufferPointer(rebasing: bytes[body..<position])
    if signs <= 1, let value = number(text, negative) { return value }
    position = start
    throw KluereError(
      .badFormat, "byte \(start) of the literal: \(excerpt(text)) is not a number, or too large for 64 bits")
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...0xFF:
      true
    default: false
    }
  }

  /// A sign behind the e of a decimal number.
  private static func isExponentSign(_ bytes: UnsafeBufferPointer<UInt8>, _ position: Int, _ body: Int) -> Bool {
    guard position > body, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") else {
      return false
    }
    return bytes[position - 1] | 0x20 == UInt8(ascii: "e") && !isPrefixed(bytes, body)
  }

  private static func isPrefixed(_ bytes: UnsafeBufferPointer<UInt8>, _ body: Int) -> Bool {
    guard body + 1 < bytes.count, bytes[body] == UInt8(ascii: "0") else { return false }
    return [UInt8(ascii: "x"), UInt8(ascii: "o"), UInt8(ascii: "b")].contains(bytes[body + 1] | 0x20)
  }

  private static func number(_ text: UnsafeBufferPointer<UInt8>, _ negative: Bool) -> PythonLiteral? {
    if isPrefixed(text, 0) {
      let radix = text[1] | 0x20 == UInt8(ascii: "x") ? 16 : text[1] | 0x20 == UInt8(ascii: "o") ? 8 : 2
      // Python allows one _ right behind the prefix.
      let digits = text.dropFirst(text.count > 2 && text[2] == UInt8(ascii: "_") ? 3 : 2)
      guard let plain = withoutUnderscores(digits, radix) else { return nil }
      return Int((negative ? "-" : "") + plain, radix: radix).map { .int($0) }
    }
    let isInteger = !text.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }
    guard isInteger else { return float(text, negative) }
    guard let plain = withoutUnderscores(text[...], 10) else { return nil }
    // 007 is an error in Python, 000 is not.
    guard !plain.hasPrefix("0") || plain.utf8.allSatisfy({ $0 == UInt8(ascii: "0") }) else { return nil }
    return Int((negative ? "-" : "") + plain).map { .int($0) }
  }

  /// digits [. digits] [e [sign] digits], with digits on one side of the point at least.
  private static func float(_ text: UnsafeBufferPointer<UInt8>, _ negative: Bool) -> PythonLiteral? {
    let mantissaEnd = text.firstIndex { $0 | 0x20 == UInt8(ascii: "e") } ?? text.count
    let point = text[..<mantissaEnd].firstIndex(of: UInt8(ascii: ".")) ?? mantissaEnd
    let whole = text[..<point]
    let fraction = text[min(point + 1, mantissaEnd)..<mantissaEnd]
    guard !whole.isEmpty || !fraction.isEmpty else { return nil }
    var plain = negative ? "-" : ""
    guard let part = whole.isEmpty ? "0" : withoutUnderscores(whole, 10) else { return nil }
    plain += part
    if !fraction.isEmpty {
      guard let part = withoutUnderscores(fraction, 10) else { return nil }
      plain += "." + part
    }
    if mantissaEnd < text.count {
      var exponent = text[(mantissaEnd + 1)...]
      plain += "e"
      if let sign = exponent.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
        plain += sign == UInt8(ascii: "-") ? "-" : "+"
        exponent = exponent.dropFirst()
      }
      guard let part = withoutUnderscores(exponent, 10) else { return nil }
      plain += part
    }
    return Double(plain).map { .float($0) }
  }

  /// The digits alone; nil without any, with another byte among them, or with a _ that is not between two.
  private static func withoutUnderscores(_ digits: Slice<UnsafeBufferPointer<UInt8>>, _ radix: Int) -> String? {
    var plain = ""
    var afterDigit = false
    for byte in digits {
      if byte == UInt8(ascii: "_") {
        guard afterDigit else { return nil }
        afterDigit = false
        continue
      }
      let scalar = Unicode.Scalar(byte)
      guard byte < 0x80, Character(scalar).hexDigitValue.map({ $0 < radix }) == true else { return nil }
      plain.unicodeScalars.append(scalar)
      afterDigit = true
    }
    return afterDigit ? plain : nil
  }
}

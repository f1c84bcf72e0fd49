/// UTF-8 as the Unicode standard defines it (table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
package enum UTF8 {
  /// Byte offset of the first sequence that is not well-formed, or nil if all of `text` is.
  package static func firstInvalid(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    guard let base = text.baseAddress else { return nil }
    let count = text.count
    var position = 0
    while position < count {
      let lead = base[position]
      if lead < 0x80 {
        position += 1
        // Eight ASCII bytes at a time.
        while count - position >= 8,
          UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
          position += 8
        }
        continue
      }
      // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
      let length: Int
      var second: ClosedRange<UInt8> = 0x80...0xBF
      switch lead {
      case 0xC2...0xDF: length = 2
      case 0xE0: (length, second) = (3, 0xA0...0xBF)
      case 0xED: (length, second) = (3, 0x80...0x9F)
      case 0xE1...0xEF: length = 3
      case 0xF0: (length, second) = (4, 0x90...0xBF)
      case 0xF4: (length, second) = (4, 0x80...0x8F)
      case 0xF1...0xF3: length = 4
      default: return position
      }
      guard count - position >= length, second.contains(base[position + 1]),
        length < 3 || base[position + 2] & 0xC0 == 0x80,
        length < 4 || base[position + 3] & 0xC0 == 0x80
      else { return position }
      position += length
    }
    return nil
  }

  /// The character at `position` < `end` and its length in bytes. For well-formed text; anything else gives some value
  /// below 2^21 and a length that stays within `end`.
  @inline(__always)
  static func decode(_ text: UnsafePointer<UInt8>, _ position: Int, _ end: Int) -> (scalar: UInt32, length: Int) {
    let lead = UInt32(text[position])
    if lead < 0x80 { return (lead, 1) }
    let available = end - position
    if lead >= 0xE0, lead < 0xF0, available >= 3 {
      let middle = UInt32(text[position + 1] & 0x3F) << 6
      return ((lead & 0x0F) << 12 | middle | UInt32(text[position + 2] & 0x3F), 3)
    }
    if lead < 0xE0, available >= 2 {
      return ((lead & 0x1F) << 6 | UInt32(text[position + 1] & 0x3F), 2)
    }
    if lead >= 0xF0, available >= 4 {
      let upper = (lead & 0x07) << 18 | UInt32(text[position + 1] & 0x3F) << 12
      return (upper | UInt32(text[position + 2] & 0x3F) << 6 | UInt32(text[position + 3] & 0x3F), 4)
    }
    return (lead, 1)
  }

  /// Appends the UTF-8 form of `scalar`, which is below 2^21.
  static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    func tail(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift & 0x3F) }
    switch scalar {
    case 0..<0x80:
      bytes.append(UInt8(truncatingIfNeeded: scalar))
    case 0x80..<0x800:
      bytes.append(0xC0 | UInt8(truncatingIfNeeded: scalar >> 6))
      bytes.append(tail(0))
    case 0x800..<0x10000:
      bytes.append(0xE0 | UInt8(truncatingIfNeeded: scalar >> 12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    default:
      bytes.append(0xF0 | UInt8(truncatingIfNeeded: scalar >> 18 & 0x07))
      bytes.append(tail(12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    }
  }
}

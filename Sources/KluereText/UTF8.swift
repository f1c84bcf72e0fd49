internal import CKluereText

/// UTF-8 as the Unicode standard defines it (table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
package enum UTF8 {
  /// Byte offset of the first sequence that is not well-formed, or nil if all of `text` is.
  package static func firstInvalid(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
    let place = kt_first_invalid(text.baseAddress, text.count)
    return place < text.count ? place : nil
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

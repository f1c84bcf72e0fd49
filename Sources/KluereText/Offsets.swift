package import KluereBase

/// What an offset into a text counts. Raw values are KLUERE_OFFSETS_*.
package enum OffsetUnit: Int32, Sendable {
  case bytes = 0
  case codePoints = 1
  case utf16 = 2

  var name: String {
    switch self {
    case .bytes: "bytes"
    case .codePoints: "code points"
    case .utf16: "UTF-16 units"
    }
  }
}

/// Converts one offset into `text`, which is valid UTF-8. An offset inside a character or past the end is refused.
package func convertOffset(
  _ text: UnsafeBufferPointer<UInt8>, _ offset: Int, from: OffsetUnit, to: OffsetUnit
) throws(KluereError) -> Int {
  var map = OffsetMap(text, from: from, to: to)
  return try map.convert(offset)
}

/// Converts many offsets of one text. Ascending offsets cost one pass over the text altogether; one that goes back
/// starts again from the beginning.
package struct OffsetMap {
  private let text: UnsafeBufferPointer<UInt8>
  private let from: OffsetUnit
  private let to: OffsetUnit
  /// The character boundary reached, in each unit.
  private var bytes = 0
  private var codePoints = 0
  private var utf16 = 0

  /// `text` is valid UTF-8 and outlives the map.
  package init(_ text: UnsafeBufferPointer<UInt8>, from: OffsetUnit, to: OffsetUnit) {
    self.text = text
    self.from = from
    self.to = to
  }

  package mutating func convert(_ offset: Int) throws(KluereError) -> Int {
    if offset < reached(from) { (bytes, codePoints, utf16) = (0, 0, 0) }
    while reached(from) < offset, bytes < text.count { advance() }
    let position = reached(from)
    if position == offset { return reached(to) }
    if position > offset, offset >= 0 {
      throw KluereError(
        .invalidArgument, "offset \(offset) (\(from.name)) is inside a character that ends at \(position)")
    }
    while bytes < text.count { advance() }
    throw KluereError(.invalidArgument, "offset \(offset) is outside a text of \(reached(from)) \(from.name)")
  }

  private mutating func advance() {
    let lead = text[bytes]
    let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    bytes = min(bytes + length, text.count)
    codePoints += 1
    utf16 += length == 4 ? 2 : 1
  }

  private func reached(_ unit: OffsetUnit) -> Int {
    switch unit {
    case .bytes: bytes
    case .codePoints: codePoints
    case .utf16: utf16
    }
  }
}

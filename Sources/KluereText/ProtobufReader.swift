internal import KluereBase

/// Reads the fields of one protobuf message, bounded by its bytes. Fields that the caller does not ask about are skipped.
struct ProtobufReader {
  enum Value {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64
    /// A range of the file's bytes.
    case bytes(Range<Int>)
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position: Int
  private let end: Int

  init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  private func broken(_ what: String) -> KluereError {
    KluereError(.badFormat, "SentencePiece model: \(what) at byte \(position)")
  }

  /// The next field, or nil at the end.
  mutating func next() throws(KluereError) -> (field: UInt64, value: Value)? {
    guard position < end else { return nil }
    let key = try varint()
    guard key >> 3 != 0 else { throw broken("a field with number 0") }
    switch key & 7 {
    case 0: return (key >> 3, .varint(try varint()))
    case 1:
      _ = try take(8)
      return (key >> 3, .fixed64)
    case 2:
      let length = try varint()
      guard length <= UInt64(end - position) else { throw broken("a field of \(length) bytes, more than there are,") }
      return (key >> 3, .bytes(try take(Int(truncatingIfNeeded: length))))
    case 5:
      let range = try take(4)
      var number: UInt32 = 0
      for offset in 0..<4 { number |= UInt32(bytes[range.lowerBound + offset]) << UInt32(8 * offset) }
      return (key >> 3, .fixed32(number))
    default: throw broken("wire type \(key & 7), expected 0, 1, 2 or 5,")
    }
  }

  private mutating func take(_ count: Int) throws(KluereError) -> Range<Int> {
    guard count <= end - position else { throw broken("the file ends within a field") }
    position += count
    return position - count..<position
  }

  private mutating func varint() throws(KluereError) -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < end else { throw broken("the file ends within a number") }
      let byte = bytes[position]
      position += 1
      result |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return result }
    }
    throw broken("a number of more than 10 bytes")
  }
}

import KluereBase
import KluereText
import Testing

struct OffsetTests {
  /// a, two bytes, three bytes, four bytes (two UTF-16 units), b
  private let text = Array("aé가\u{1F600}b".utf8)
  /// Every character boundary: bytes, code points, UTF-16 units.
  private let boundaries = [(0, 0, 0), (1, 1, 1), (3, 2, 2), (6, 3, 3), (10, 4, 5), (11, 5, 6)]

  private func unit(_ boundary: (Int, Int, Int), _ unit: OffsetUnit) -> Int {
    switch unit {
    case .bytes: boundary.0
    case .codePoints: boundary.1
    case .utf16: boundary.2
    }
  }

  @Test func `every boundary converts between all units`() throws {
    let units: [OffsetUnit] = [.bytes, .codePoints, .utf16]
    for boundary in boundaries {
      for from in units {
        for to in units {
          let converted = try text.withUnsafeBufferPointer {
            try convertOffset($0, unit(boundary, from), from: from, to: to)
          }
          #expect(converted == unit(boundary, to))
        }
      }
    }
  }

  @Test(arguments: [
    (2, OffsetUnit.bytes, "offset 2 (bytes) is inside a character that ends at 3"),
    (7, .bytes, "offset 7 (bytes) is inside a character that ends at 10"),
    (4, .utf16, "offset 4 (UTF-16 units) is inside a character that ends at 5"),
    (12, .bytes, "offset 12 is outside a text of 11 bytes"),
    (6, .codePoints, "offset 6 is outside a text of 5 code points"),
    (Int.max, .utf16, "offset 9223372036854775807 is outside a text of 6 UTF-16 units"),
    (-1, .codePoints, "offset -1 is outside a text of 5 code points"),
    (Int.min, .bytes, "offset -9223372036854775808 is outside a text of 11 bytes"),
  ])
  func `offsets inside characters and past the end are refused`(
    _ offset: Int, _ from: OffsetUnit, _ message: String
  ) {
    let error = failure {
      _ = try text.withUnsafeBufferPointer { try convertOffset($0, offset, from: from, to: .bytes) }
    }
    #expect(error == KluereError(.invalidArgument, message))
  }

  @Test func `a map converts in any order and goes on after a refusal`() throws {
    let converted = text.withUnsafeBufferPointer { buffer in
      var map = OffsetMap(buffer, from: .codePoints, to: .bytes)
      return [0, 1, 3, 3, 5, 2, 4, 0, 99, 2].map { try? map.convert($0) }
    }
    #expect(converted == [0, 1, 6, 6, 11, 3, 10, 0, nil, 3])
  }

  @Test func `an empty text has offset 0 alone`() throws {
    let empty = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    #expect(try convertOffset(empty, 0, from: .utf16, to: .bytes) == 0)
    #expect(throws: KluereError.self) { try convertOffset(empty, 1, from: .utf16, to: .bytes) }
  }

  @Test func `random texts agree with the standard library`() throws {
    var random = Random(state: 3)
    let characters: [Unicode.Scalar] = ["a", "é", "가", "\u{1F600}", "\u{0301}", "\u{10FFFF}"]
    for _ in 0..<200 {
      var string = String.UnicodeScalarView()
      for _ in 0..<random.next(below: 20) { string.append(characters[random.next(below: characters.count)]) }
      let text = String(string)
      let bytes = Array(text.utf8)
      for (count, index) in (Array(text.unicodeScalars.indices) + [text.endIndex]).enumerated() {
        let byteOffset = text.utf8.distance(from: text.startIndex, to: index)
        let units = text.utf16.distance(from: text.startIndex, to: index)
        let converted = try bytes.withUnsafeBufferPointer {
          [
            try convertOffset($0, byteOffset, from: .bytes, to: .codePoints),
            try convertOffset($0, units, from: .utf16, to: .bytes),
            try convertOffset($0, count, from: .codePoints, to: .utf16),
          ]
        }
        #expect(converted == [count, byteOffset, units])
      }
    }
  }
}

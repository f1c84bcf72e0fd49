import KluereText
import Testing

struct UTF8Tests {
  @Test func `well formed text has no invalid byte`() {
    for text in [
      "", "a", "가나다", "a가\u{1F600}b", "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}",
    ] {
      #expect(withBytes(Array(text.utf8)) { KluereText.UTF8.firstInvalid($0) } == nil)
    }
    #expect(KluereText.UTF8.firstInvalid(UnsafeBufferPointer(start: nil, count: 0)) == nil)
  }

  @Test(arguments: [
    ([0x80] as [UInt8], 0),
    ([0x61, 0xBF], 1),
    ([0xC0, 0x80], 0),  // overlong U+0000
    ([0xC1, 0xBF], 0),
    ([0xE0, 0x80, 0x80], 0),  // overlong
    ([0xE0, 0x9F, 0xBF], 0),
    ([0xF0, 0x80, 0x80, 0x80], 0),
    ([0xF0, 0x8F, 0xBF, 0xBF], 0),
    ([0xED, 0xA0, 0x80], 0),  // lone surrogate
    ([0x61, 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80], 1),  // CESU-8
    ([0xF4, 0x90, 0x80, 0x80], 0),  // above U+10FFFF
    ([0xF5, 0x80, 0x80, 0x80], 0),
    ([0xFF], 0),
    ([0xEA, 0xB0], 0),  // cut short
    ([0xEA, 0xB0, 0x80, 0xEA], 3),
    ([0xEA, 0xB0, 0x61], 0),
    ([0xF0, 0x9F, 0x98], 0),
    ([0xC3], 0),
    ([0xC3, 0x28], 0),
    (Array("0123456789abcdef".utf8) + [0xFE], 16),
  ])
  func `the first invalid sequence is found`(_ bytes: [UInt8], _ position: Int) {
    #expect(withBytes(bytes) { KluereText.UTF8.firstInvalid($0) } == position)
  }

  @Test func `validity agrees with the standard library on random bytes`() {
    var random = Random(state: 7)
    let leads: [UInt8] = [0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xEA, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F, 0xFF]
    for _ in 0..<20_000 {
      let bytes = (0..<random.next(below: 12)).map { _ in leads[random.next(below: leads.count)] }
      let expected = String(validating: bytes, as: Unicode.UTF8.self) == nil
      #expect((withBytes(bytes) { KluereText.UTF8.firstInvalid($0) } != nil) == expected, "\(bytes)")
    }
  }
}

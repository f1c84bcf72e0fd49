import CKluereText
import KluereText
import Testing

/// The C loops against the plainest Swift that says the same.
struct TrieTests {
  private static let characters = ["a", "b", "#", " ", "é", "가", "나", "각", "漢", "\u{200B}", "\u{1F600}", "."]

  private struct Numbers {
    var state: UInt64

    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
  }

  private func text(_ random: inout Numbers, _ longest: Int) -> [UInt8] {
    let count = Int(random.next() % UInt64(longest + 1))
    return (0..<count).flatMap { _ in
      Array(TrieTests.characters[Int(random.next() % UInt64(TrieTests.characters.count))].utf8)
    }
  }

  private func characters(_ text: [UInt8]) -> [[UInt8]] {
    String(decoding: text, as: Swift.UTF8.self).unicodeScalars.map { Array(String($0).utf8) }
  }

  @Test func `a token is laid out as in C`() {
    #expect(MemoryLayout<Token>.stride == MemoryLayout<kt_token>.stride)
    #expect(MemoryLayout<Token>.offset(of: \.begin) == MemoryLayout<kt_token>.offset(of: \.begin))
    #expect(MemoryLayout<Token>.offset(of: \.end) == MemoryLayout<kt_token>.offset(of: \.end))
    #expect(MemoryLayout<Token>.offset(of: \.id) == MemoryLayout<kt_token>.offset(of: \.id))
    #expect(MemoryLayout<Token>.offset(of: \.word) == MemoryLayout<kt_token>.offset(of: \.word))
  }

  @Test(arguments: UInt64(0)..<40) func `the trie finds what dictionaries have`(seed: UInt64) throws {
    var random = Numbers(state: seed)
    var storage: [UInt8] = []
    var keys: [kt_key] = []
    var expected: [[[UInt8]: Int32]] = [[:], [:]]
    let counts = [60, 40]
    for index in 0..<counts[0] + counts[1] {
      let key = text(&random, 4)
      keys.append(kt_key(offset: storage.count, length: UInt32(key.count), value: Int32(index)))
      storage += key
      expected[index < counts[0] ? 0 : 1][key] = Int32(index)
    }
    var made: OpaquePointer?
    // Different beginnings of the keys, group by group.
    let beginnings = expected.reduce(0) { count, keys in
      count
        + Set(keys.keys.flatMap { key in characters(key).indices.map { characters(key)[...$0].flatMap(\.self) } }).count
    }
    #expect(kt_trie_create(&made, keys, counts, storage, nil, beginnings - 1) == KT_TOO_LONG)
    #expect(made == nil)
    #expect(kt_trie_create(&made, keys, counts, storage, nil, beginnings) == KT_OK)
    let trie = try #require(made)
    defer { kt_trie_destroy(trie) }
    for group in 0..<2 {
      for (key, value) in expected[group] { #expect(kt_trie_value(trie, Int32(group), key, key.count) == value) }
      for _ in 0..<200 {
        let sought = text(&random, 8)
        #expect(kt_trie_value(trie, Int32(group), sought, sought.count) == expected[group][sought] ?? -1)
        let longest = expected[group].keys.filter { sought.starts(with: $0) }.map(\.count).max() ?? 0
        #expect(kt_trie_longest(trie, Int32(group), sought, 0, sought.count) == longest)
      }
    }
  }

  /// Keys of two characters chosen so that, with the first seed, their slots lie side by side from the first one on.
  @Test func `keys that crowd one table get another`() throws {
    let (singles, pairs) = (300, 20_000)
    var bits: UInt32 = 4
    while 1 << bits < (singles + pairs + 2) * 3 / 2 { bits += 1 }
    func character(_ number: Int) -> [UInt8] { Array(String(UnicodeScalar(0x3400 + UInt32(number)) ?? "?").utf8) }
    var storage: [UInt8] = []
    var keys: [kt_key] = []
    func add(_ key: [UInt8]) {
      keys.append(kt_key(offset: storage.count, length: UInt32(key.count), value: Int32(keys.count)))
      storage += key
    }
    for number in 0..<singles { add(character(number)) }
    var isTaken = [Bool](repeating: false, count: pairs)
    var taken: Set<[UInt8]> = []
    for first in 0..<singles {
      for second in 0..<singles {
        let slot = (UInt32(first + 2) &* 0x85EB_CA77 &+ UInt32(second + 1) &* 0x9E37_79B1) >> (32 - bits)
        guard slot < pairs, !isTaken[Int(slot)] else { continue }
        isTaken[Int(slot)] = true
        let key = character(first) + character(second)
        taken.insert(key)
        add(key)
      }
    }
    #expect(taken.count > pairs / 2)
    var made: OpaquePointer?
    #expect(kt_trie_create(&made, keys, [keys.count, 0], storage, nil, .max) == KT_OK)
    let trie = try #require(made)
    defer { kt_trie_destroy(trie) }
    for key in keys {
      let text = Array(storage[key.offset..<key.offset + Int(key.length)])
      #expect(kt_trie_value(trie, 0, text, text.count) == key.value)
    }
    for first in 0..<singles where first % 7 == 0 {
      for second in 0..<singles {
        let key = character(first) + character(second)
        #expect((kt_trie_value(trie, 0, key, key.count) >= 0) == taken.contains(key))
      }
    }
  }

  @Test(arguments: UInt64(0)..<40) func `offsets count as one by one`(seed: UInt64) throws {
    var random = Numbers(state: seed)
    let bytes = text(&random, 60)
    let starts = bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 } + [bytes.count]
    // In order, overlapping, and going back.
    var tokens: [kt_token] = []
    for index in 0..<30 {
      let low = Int(random.next() % UInt64(starts.count))
      let high = min(starts.count - 1, low + Int(random.next() % 6))
      let first = index % 3 == 0 ? min(index, starts.count - 1) : low
      tokens.append(kt_token(begin: starts[first], end: starts[max(first, high)], id: 0, word: 0))
    }
    for unit in [OffsetUnit.codePoints, .utf16] {
      var found = tokens
      kt_convert_offsets(&found, found.count, bytes, bytes.count, unit == .utf16 ? 1 : 0)
      for (token, before) in zip(found, tokens) {
        let expected = try bytes.withUnsafeBufferPointer { text in
          (
            try convertOffset(text, before.begin, from: .bytes, to: unit),
            try convertOffset(text, before.end, from: .bytes, to: unit)
          )
        }
        #expect((token.begin, token.end) == expected)
      }
    }
  }
}

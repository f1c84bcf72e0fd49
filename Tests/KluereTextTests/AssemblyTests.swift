import KluereBase
import KluereText
import Testing

struct AssemblyTests {
  private func encode(
    _ a: String, _ b: String?, addSpecial: Bool = true, allowSpecial: Bool = false, maximum: Int? = nil
  ) throws -> [EncodedToken] {
    let tokenizer = try makeTokenizer(["a", "b", "##b", "가"])
    var tokens: [EncodedToken] = []
    let (first, second) = (Array(a.utf8), b.map { Array($0.utf8) })
    try first.withUnsafeBufferPointer { first in
      if let second {
        try second.withUnsafeBufferPointer {
          try tokenizer.encode(
            first, pair: $0, addSpecial: addSpecial, allowSpecial: allowSpecial, truncateTo: maximum, into: &tokens)
        }
      } else {
        try tokenizer.encode(
          first, pair: nil, addSpecial: addSpecial, allowSpecial: allowSpecial, truncateTo: maximum, into: &tokens)
      }
    }
    return tokens
  }

  @Test func `one text stands between CLS and SEP`() throws {
    #expect(
      try encode("가 ab", nil) == [
        EncodedToken(id: 2, typeID: 0, begin: 0, end: 0, sequence: -1, word: -1),
        EncodedToken(id: 8, typeID: 0, begin: 0, end: 3, sequence: 0, word: 0),
        EncodedToken(id: 5, typeID: 0, begin: 4, end: 5, sequence: 0, word: 1),
        EncodedToken(id: 7, typeID: 0, begin: 5, end: 6, sequence: 0, word: 1),
        EncodedToken(id: 3, typeID: 0, begin: 0, end: 0, sequence: -1, word: -1),
      ])
    #expect(try encode("", nil).map(\.id) == [2, 3])
    #expect(try encode("a", nil, addSpecial: false).map(\.id) == [5])
  }

  @Test func `the second text and its SEP have type 1`() throws {
    let tokens = try encode("a", "b b")
    #expect(tokens.map(\.id) == [2, 5, 3, 6, 6, 3])
    #expect(tokens.map(\.typeID) == [0, 0, 0, 1, 1, 1])
    #expect(tokens.map(\.sequence) == [-1, 0, -1, 1, 1, -1])
    #expect(tokens.map(\.word) == [-1, 0, -1, 0, 1, -1])
    #expect(try encode("a", "").map(\.id) == [2, 5, 3, 3])
    #expect(try encode("a", "b", addSpecial: false).map(\.typeID) == [0, 1])
  }

  @Test func `truncation counts the special tokens`() throws {
    #expect(try encode("a a a a", nil, maximum: 4).map(\.id) == [2, 5, 5, 3])
    #expect(try encode("a a a a", nil, maximum: 2).map(\.id) == [2, 3])
    #expect(try encode("a a a a", "b", maximum: 6).map(\.id) == [2, 5, 5, 3, 6, 3])
    #expect(try encode("a a", nil, addSpecial: false, maximum: 0).isEmpty)
    #expect(
      failure { _ = try encode("a", "b", maximum: 2) }
        == KluereError(.invalidArgument, "max_tokens: 2, expected at least the 3 special tokens"))
    #expect(failure { _ = try encode("a", nil, maximum: -1) }?.status == .invalidArgument)
  }

  @Test func `longest first takes from the longer text`() {
    for (a, b, maximum, expected) in [
      (3, 3, 6, (3, 3)), (9, 2, 6, (4, 2)), (2, 9, 6, (2, 4)), (9, 9, 7, (3, 4)), (5, 9, 7, (3, 4)), (9, 5, 7, (4, 3)),
      (0, 9, 4, (0, 4)), (9, 0, 4, (4, 0)), (9, 9, 0, (0, 0)), (Int.max, Int.max, 5, (2, 3)),
    ] {
      var (first, second) = (a, b)
      Tokenizer.truncateLongestFirst(&first, &second, maximum: maximum)
      #expect((first, second) == expected, "\(a) and \(b) to \(maximum)")
    }
  }

  @Test func `decoding refuses ids that do not exist`() throws {
    let tokenizer = try makeTokenizer(["a", "##b"])
    #expect(try tokenizer.decode([2, 5, 6, 3], skipSpecial: true, cleanUp: true) == Array("ab".utf8))
    for id in [Int32(7), -1, .min, .max] {
      #expect(
        failure { _ = try tokenizer.decode([5, id], skipSpecial: true, cleanUp: false) }
          == KluereError(.invalidArgument, "ids[1]: \(id) is outside a vocabulary of 7 tokens"))
    }
  }
}

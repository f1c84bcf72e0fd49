import KluereBase
import KluereText
import Testing

struct WordPieceTests {
  @Test func `the longest piece wins at each step`() throws {
    let tokenizer = try makeTokenizer(["가", "가나", "##나", "##나다", "##다라", "##라"])
    #expect(tokenizer.words("가나다") == ["[UNK]"])  // 가나, then no ##다: no way back to 가 ##나다
    #expect(tokenizer.words("가나다라") == ["가나", "##다라"])
    #expect(tokenizer.words("가 가나") == ["가", "가나"])
  }

  @Test func `offsets are bytes and words are numbered`() throws {
    let tokenizer = try makeTokenizer(["가나", "##다", ".", "a"])
    #expect(
      tokenizer.pieces(" 가나다. a가 ") == [
        Token(id: 5, begin: 1, end: 7, word: 0), Token(id: 6, begin: 7, end: 10, word: 0),
        Token(id: 7, begin: 10, end: 11, word: 1), Token(id: 1, begin: 12, end: 16, word: 2),
      ])
  }

  @Test func `a word of 100 characters is split and one of 101 is unknown`() throws {
    let tokenizer = try makeTokenizer(["가", "##가"])
    #expect(tokenizer.pieces(String(repeating: "가", count: 100)).count == 100)
    #expect(
      tokenizer.pieces(String(repeating: "가", count: 101)) == [Token(id: 1, begin: 0, end: 303, word: 0)])
    // Dropped characters do not count, but belong to the unknown word.
    let gaps = Array(repeating: "가", count: 100).joined(separator: "\u{200B}")
    #expect(tokenizer.pieces(gaps).count == 100)
    #expect(tokenizer.pieces(gaps + "\u{200B}가\u{200B}").map(\.end) == [603])
  }

  @Test func `dropped characters join what stands around them`() throws {
    let tokenizer = try makeTokenizer(["가나", "##다", "가"])
    #expect(
      tokenizer.pieces("가\u{200B}\u{0}나\u{FEFF}다\u{AD} 가") == [
        Token(id: 5, begin: 0, end: 10, word: 0), Token(id: 6, begin: 13, end: 16, word: 0),
        Token(id: 7, begin: 19, end: 22, word: 1),
      ])
    #expect(tokenizer.pieces("\u{200B}\u{FFFD}").isEmpty)
  }

  @Test func `ideographs and punctuation stand alone`() throws {
    let pieces = ["漢", "字", "##字", "a", "##漢", "!", "#"]
    #expect(try makeTokenizer(pieces).words("a漢字!##") == ["a", "漢", "字", "!", "#", "#"])
    let joined = try makeTokenizer(pieces) { $0.tokenizeChineseChars = false }
    #expect(joined.words("a漢字!") == ["a", "##漢", "##字", "!"])
  }

  @Test func `lower case strips accents too unless told otherwise`() throws {
    let pieces = ["cafe", "café", "Cafe", "i\u{307}", "i", "\u{1112}", "##\u{1161}", "##\u{11AB}"]
    #expect(try makeTokenizer(pieces) { $0.doLowerCase = true }.words("CAFÉ İ") == ["cafe", "i"])
    let accents = try makeTokenizer(pieces) { ($0.doLowerCase, $0.stripAccents) = (true, false) }
    #expect(accents.words("CAFÉ") == ["café"])
    #expect(accents.pieces("İ") == [Token(id: 8, begin: 0, end: 2, word: 0)])
    let cased = try makeTokenizer(pieces) { ($0.doLowerCase, $0.stripAccents) = (false, true) }
    #expect(cased.words("Café") == ["Cafe"])
    // Hangul falls apart into jamo, each with the syllable's offsets.
    #expect(cased.pieces("한").map(\.begin) == [0, 0, 0])
    #expect(cased.pieces("한").map(\.end) == [3, 3, 3])
  }

  @Test func `special tokens in the text are text unless allowed`() throws {
    let tokenizer = try makeTokenizer(["가", "[", "]", "SEP", "##나"], added: ["[E]", "[MASK]"])
    #expect(tokenizer.words("가[SEP]가") == ["가", "[", "SEP", "]", "가"])
    #expect(
      tokenizer.pieces("가[SEP]가 [E]", allowSpecial: true) == [
        Token(id: 5, begin: 0, end: 3, word: 0), Token(id: 3, begin: 3, end: 8, word: 1),
        Token(id: 5, begin: 8, end: 11, word: 2), Token(id: 10, begin: 12, end: 15, word: 3),
      ])
    #expect(tokenizer.vocabularySize == 11)
    #expect(tokenizer.addedTokens.map(\.content) == ["[E]"])
    #expect(tokenizer.addedTokens.map(\.id) == [10])
    #expect(tokenizer.isSpecial(10) && tokenizer.isSpecial(4) && !tokenizer.isSpecial(5))
  }

  @Test func `tokens and ids are looked up both ways`() throws {
    let tokenizer = try makeTokenizer(["가", "##나", "", "é", "e\u{301}"], added: ["[E]"])
    for id in 0..<Int32(tokenizer.vocabularySize) {
      let token = try #require(tokenizer.token(id))
      #expect(tokenizer.id(of: token) == id)
      #expect(String(cString: try #require(tokenizer.tokenCString(id))) == token)
    }
    #expect(tokenizer.id(of: "##가") == nil)
    #expect(tokenizer.token(-1) == nil)
    #expect(tokenizer.token(Int32(tokenizer.vocabularySize)) == nil)
    #expect(tokenizer.tokenCString(.max) == nil)
    #expect(
      [tokenizer.padID, tokenizer.unknownID, tokenizer.clsID, tokenizer.sepID, tokenizer.maskID] == [0, 1, 2, 3, 4])
  }

  @Test func `named tokens that the vocabulary lacks get the next ids`() throws {
    let tokenizer = try Tokenizer(
      vocabulary: Array("[UNK]\r\na\r\nb".utf8), configuration: TokenizerConfiguration(), addedSpecialTokens: ["[X]"])
    #expect([tokenizer.sepID, tokenizer.padID, tokenizer.clsID, tokenizer.maskID] == [3, 4, 5, 6])
    #expect(tokenizer.id(of: "[X]") == 7)
    #expect(tokenizer.token(2) == "b")
  }

  @Test func `vocabularies that cannot be right are refused`() {
    func message(_ bytes: [UInt8], _ change: (inout TokenizerConfiguration) -> Void = { _ in }) -> KluereError? {
      var configuration = TokenizerConfiguration()
      change(&configuration)
      return failure { _ = try Tokenizer(vocabulary: bytes, configuration: configuration) }
    }
    #expect(message([]) == KluereError(.badFormat, "vocabulary: empty, expected one piece a line"))
    #expect(message(Array("a\nb\n".utf8)) == KluereError(.badFormat, "vocabulary: no [UNK] among 2 pieces"))
    #expect(
      message(Array("[UNK]\nab\n".utf8) + [0xED, 0xA0, 0x80, 0x0A])
        == KluereError(.badFormat, "vocabulary: line 3: not UTF-8 at byte 9 of the file"))
    #expect(message([UInt8](repeating: 0x0A, count: (1 << 20) + 1))?.status == .unsupported)
    #expect(message([UInt8](repeating: 0x61, count: (16 << 20) + 1))?.status == .unsupported)
    #expect(
      message(Array("[UNK]\n".utf8)) { $0.addedTokens = [AddedToken(content: "x", special: false, id: 7)] }
        == KluereError(.badFormat, "added token x: id 7, expected 1 by the vocabulary"))
    #expect(message(Array("[UNK]\n".utf8)) { $0.maxInputCharsPerWord = -1 }?.status == .invalidArgument)
    #expect(message(Array("[UNK]\n".utf8)) { $0.clsToken = "" }?.status == .invalidArgument)
    #expect(
      message(Array("[UNK]\n".utf8)) { $0.clsToken = String(repeating: "c", count: 1025) }?.status == .unsupported)
  }

  @Test func `random bytes never trap and offsets stay inside`() throws {
    var random = Random(state: 11)
    let leads: [UInt8] = [
      0x20, 0x61, 0x5B, 0x80, 0xBF, 0xC3, 0xCC, 0xE0, 0xE3, 0xEA, 0xED, 0xEF, 0xF0, 0xF4, 0xF7, 0xFF,
    ]
    for variant in 0..<4 {
      let tokenizer = try makeTokenizer(["a", "##a", "가", "##가", "é", "##\u{301}"], added: ["[a]"]) {
        $0.doLowerCase = variant & 1 != 0
        $0.stripAccents = variant & 2 != 0
        $0.addedTokens = [
          AddedToken(content: "a[", special: false, singleWord: true, lstrip: true, rstrip: true),
          AddedToken(content: "é", special: false, normalized: false), AddedToken(content: "漢", special: false),
        ]
      }
      for round in 0..<300 {
        let bytes = (0..<random.next(below: 60)).map { _ in
          round % 2 == 0 ? UInt8(random.next(below: 256)) : leads[random.next(below: leads.count)]
        }
        let tokens = tokenizer.pieces(bytes, allowSpecial: round % 3 == 0)
        #expect(tokens.count <= max(bytes.count, 1) * 3)
        #expect(tokens.allSatisfy { $0.begin >= 0 && $0.begin <= $0.end && $0.end <= bytes.count })
      }
    }
  }

  @Test func `a text has no more pieces than bytes`() throws {
    let tokenizer = try makeTokenizer(["i", "##\u{307}", "\u{1100}", "##\u{1161}", "##\u{11A8}", "漢"]) {
      ($0.doLowerCase, $0.stripAccents) = (true, true)
      $0.addedTokens = [AddedToken(content: " ", special: false)]
    }
    for text in ["각", "漢", "İ", "漢漢 漢", "\u{1D160}"] {
      #expect(tokenizer.pieces(text).count <= text.utf8.count, "\(text)")
    }
  }
}

import Glibc
import KluereBase
import KluereFormats
import KluereModel
import KluereText
import Testing

/// tokenizer.json files made by Tests/fuzz/make_tokenizers.py, and what Tests/fuzz/run.sh found worth keeping beside them.
/// What real ones make of real text is compared with the tokenizers library in the Python tests.
@Suite struct TokenizerFileTests {
  private static let folder =
    String("\(#filePath)".dropLast("KluereModelTests/TokenizerFileTests.swift".count)) + "fuzz/corpus/tokenizer/"

  private static let texts = [
    "AbA  bA나무 무",
    "나무무 a\u{301}A\u{301}b",
    "<mask> x",
    "  <mask>ab  ",
    "\r\n A\r\n",
  ]

  /// What tokenizers 0.23.3 makes of a text: ids, begins and ends in bytes in turn, and the ids as text again.
  private struct Row {
    let (name, text): (String, Int)
    let ids: [Int32]
    let places: [Int]
    let decoded: String

    init(_ name: String, _ text: Int, _ ids: [Int32], _ places: [Int], _ decoded: String) {
      (self.name, self.text, self.ids, self.places, self.decoded) = (name, text, ids, places, decoded)
    }
  }

  private static let golden: [Row] = [
    Row("plain", 0, [13, 5, 4, 7, 6, 11, 10], [0, 2, 2, 3, 5, 6, 5, 6, 6, 7, 7, 13, 14, 17], "ab a ba나무무"),
    Row("plain", 1, [4, 11, 10, 5, 3, 13], [0, 3, 0, 6, 6, 9, 10, 11, 11, 13, 13, 17], "나무무 a<unk>ab"),
    Row("plain", 2, [12, 4, 3], [0, 6, 7, 8, 7, 8], "<mask> <unk>"),
    Row("plain", 3, [12, 13], [0, 8, 8, 10], "<mask>ab"),
    Row("plain", 4, [5], [3, 4], "a"),
    Row("steps", 0, [13, 6, 4, 7, 6, 11, 10], [0, 2, 2, 3, 4, 5, 5, 6, 6, 7, 7, 13, 14, 17], "aba ba나무무"),
    Row("steps", 1, [4, 11, 10, 5, 3, 13], [0, 3, 0, 6, 6, 9, 9, 11, 11, 13, 13, 17], "나무무 a<unk>ab"),
    Row("steps", 2, [12, 4, 3], [0, 6, 6, 7, 7, 8], "<mask> <unk>"),
    Row("steps", 3, [12, 13], [0, 8, 8, 10], "<mask>ab"),
    Row("steps", 4, [4, 3, 5], [0, 1, 0, 2, 2, 4], "<unk> a"),
    Row(
      "bytes", 0, [269, 77, 4, 4, 7, 77, 11, 4, 10], [0, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 13, 13, 14, 14, 17],
      "AbA  bA나무 무"),
    Row(
      "bytes", 1, [11, 10, 5, 216, 141, 77, 216, 141, 7],
      [0, 6, 6, 9, 9, 11, 11, 16, 11, 16, 11, 16, 11, 16, 11, 16, 16, 17], "나무무 a\u{301}A\u{301}b"),
    Row("bytes", 2, [268, 4, 132], [0, 6, 6, 7, 7, 8], "<mask> x"),
    Row("bytes", 3, [268, 8, 4, 4], [0, 8, 8, 10, 10, 11, 11, 12], "<mask>ab  "),
    Row("bytes", 4, [25, 22, 4, 77, 25, 22], [0, 2, 0, 2, 2, 3, 3, 6, 3, 6, 3, 6], "\r\n A\r\n"),
    Row("words", 0, [9, 5, 0, 10, 10], [0, 2, 2, 3, 5, 10, 10, 13, 13, 17], "ab a [UNK] 무 무"),
    Row("words", 1, [0, 10, 10, 5, 9], [0, 3, 3, 6, 6, 9, 10, 11, 13, 17], "[UNK] 무 무 a ab"),
    Row("words", 2, [0, 0, 0, 0], [0, 1, 1, 5, 5, 6, 7, 8], "[UNK] [UNK] [UNK] [UNK]"),
    Row("words", 3, [0, 0, 0, 9], [2, 3, 3, 7, 7, 8, 8, 10], "[UNK] [UNK] [UNK] ab"),
    Row("words", 4, [5], [3, 4], "a"),
  ]

  private static func tokenizer(_ name: String) throws -> Tokenizer {
    let bytes = try Files.readAll(folder + name)
    return try TokenizerFolder.open(
      file: name.hasSuffix(".json") ? name : name + ".json", bytes, addedSpecialTokens: [])
  }

  private static func tokens(_ text: String, _ tokenizer: Tokenizer) -> [Token] {
    var text = text
    var tokens: [Token] = []
    do { try text.withUTF8 { try tokenizer.tokenize($0, allowSpecial: true, into: &tokens) } } catch {
      Issue.record(error)
    }
    return tokens
  }

  @Test func `tokens, places and decoded text are those of the tokenizers library`() throws {
    for row in Self.golden {
      let tokenizer = try Self.tokenizer(row.name + ".json")
      let tokens = Self.tokens(Self.texts[row.text], tokenizer)
      #expect(tokens.map(\.id) == row.ids, "\(row.name) \(row.text)")
      #expect(tokens.flatMap { [$0.begin, $0.end] } == row.places, "\(row.name) \(row.text)")
      let decoded = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: true)
      #expect(String(decoding: decoded, as: Unicode.UTF8.self).utf8.elementsEqual(row.decoded.utf8), "\(row.name)")
    }
  }

  @Test func `every file of the corpus is refused or works`() throws {
    let directory = try #require(opendir(Self.folder))
    defer { closedir(directory) }
    var (files, worked) = (0, 0)
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: Unicode.UTF8.self)
      }
      if name.hasPrefix(".") { continue }
      files += 1
      guard let tokenizer = try? Self.tokenizer(name) else { continue }
      worked += 1
      for text in Self.texts {
        let tokens = Self.tokens(text, tokenizer)
        #expect(tokens.allSatisfy { $0.begin >= 0 && $0.end <= text.utf8.count && $0.id >= 0 })
        _ = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: false)
      }
    }
    #expect(files >= 20 && worked >= 8)
  }
}

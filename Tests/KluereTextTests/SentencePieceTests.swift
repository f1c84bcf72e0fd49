import Foundation
import KluereBase
import KluereText
import Testing

/// Small models made by Tests/fuzz/make_sentencepiece.py, and what Tests/fuzz/run.sh found worth keeping beside them. What
/// they make of real text is compared with the sentencepiece library in the Python tests.
@Suite struct SentencePieceTests {
  private static let folder =
    String("\(#filePath)".dropLast("KluereTextTests/SentencePieceTests.swift".count)) + "fuzz/corpus/sentencepiece/"

  private static func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: folder + name)))
  }

  private static func tokenizer(_ bytes: [UInt8], fairseq: Bool = false) throws -> Tokenizer {
    var configuration = TokenizerConfiguration()
    (configuration.clsToken, configuration.sepToken, configuration.padToken) = ("<s>", "</s>", "<pad>")
    (configuration.unkToken, configuration.maskToken) = ("<unk>", "")
    return try Tokenizer(
      sentencePiece: TokenizerFile(name: "x", bytes: bytes), fairseq: fairseq, configuration: configuration,
      template: { SpecialTemplate(robertaWith: $0, $1) })
  }

  private static func pieces(_ text: String, _ tokenizer: Tokenizer) -> [Token] {
    var text = text
    var tokens: [Token] = []
    do { try text.withUTF8 { try tokenizer.tokenize($0, allowSpecial: false, into: &tokens) } } catch {
      Issue.record(error)
    }
    return tokens
  }

  private static let texts = ["이 사람은 AB이다.", "  [E1]\u{3000}x\u{200B}y ", "", "\u{1F600}\u{1F600}", "\u{FFFF}a"]

  @Test func `every file of the corpus is refused or works`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted()
    #expect(names.count >= 3)
    var worked = 0
    for name in names {
      for fairseq in [false, true] {
        guard let tokenizer = try? Self.tokenizer(try Self.bytes(name), fairseq: fairseq) else { continue }
        worked += 1
        for text in Self.texts {
          let tokens = Self.pieces(text, tokenizer)
          #expect(tokens.allSatisfy { $0.begin <= $0.end && $0.end <= text.utf8.count && $0.id >= 0 })
          _ = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: false)
        }
      }
    }
    #expect(worked >= 4)
  }

  @Test func `tokens cover the text and spell it again`() throws {
    for name in ["plain.model", "bytes.model"] {
      let tokenizer = try Self.tokenizer(try Self.bytes(name))
      let tokens = Self.pieces("이 사람은 학교", tokenizer)
      #expect(tokens.first?.begin == 0 && tokens.last?.end == "이 사람은 학교".utf8.count)
      for (before, after) in zip(tokens, tokens.dropFirst()) {
        #expect(before.end <= after.begin || name == "bytes.model")
      }
      if name == "bytes.model" {
        let text = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: false)
        #expect(String(decoding: text, as: Swift.UTF8.self) == "이 사람은 학교")
      }
    }
  }

  @Test func `the character map, spaces and user-defined symbols`() throws {
    let tokenizer = try Self.tokenizer(try Self.bytes("bytes.model"))
    func spelled(_ text: String) throws -> String {
      let ids = Self.pieces(text, tokenizer).map(\.id)
      return String(
        decoding: try tokenizer.decode(ids, skipSpecial: false, cleanUp: false), as: Swift.UTF8.self)
    }
    #expect(try spelled(" A\u{3000} BC ") == "a bcd")
    #expect(try spelled("x\u{200B}y") == "xy")
    let symbol = try #require(tokenizer.id(of: "[E1]"))
    #expect(Self.pieces("가[E1]나", tokenizer).contains { $0.id == symbol && $0.begin == 3 && $0.end == 7 })
  }

  @Test func `moved ids of XLM-R`() throws {
    let bytes = try Self.bytes("plain.model")
    let (plain, moved) = (try Self.tokenizer(bytes), try Self.tokenizer(bytes, fairseq: true))
    #expect(["<s>", "<pad>", "</s>", "<unk>"].map { moved.id(of: $0) } == [0, 1, 2, 3])
    let (a, b) = (Self.pieces("이 사람은 뷁", plain), Self.pieces("이 사람은 뷁", moved))
    #expect(b.map(\.id) == a.map { $0.id == plain.unknownID ? 3 : $0.id + 1 })
    #expect(moved.vocabularySize == plain.vocabularySize + (plain.id(of: "<pad>") == nil ? 1 : 0))
  }

  @Test func `another type of model is refused by name`() throws {
    let bytes = try Self.bytes("bpe.model")
    #expect { try Self.tokenizer(bytes) } throws: { ($0 as? KluereError)?.message.contains("BPE") == true }
  }

  @Test func `a long text without spaces takes linear time`() throws {
    let tokenizer = try Self.tokenizer(try Self.bytes("bytes.model"))
    #expect(Self.pieces(String(repeating: "가나", count: 100_000), tokenizer).count >= 100_000)
  }
}

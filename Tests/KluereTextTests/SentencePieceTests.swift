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

  // MARK: Files that are made to take memory

  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    var length: [UInt8] = []
    var rest = content.count
    while rest > 0x7F {
      length.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    // Numbers above 15 take two bytes.
    let key = number < 16 ? [number << 3 | 2] : [(number & 15) << 3 | 0x82, number >> 4]
    return key + length + [UInt8(rest)] + content
  }

  /// A piece; `type`: of sentencepiece_model.proto.
  private static func piece(_ text: [UInt8], type: UInt8 = 1) -> [UInt8] { field(1, field(1, text) + [0x18, type]) }

  private static let unknown = piece(Array("<unk>".utf8), type: 2)

  private static func refusal(_ bytes: [UInt8]) -> String? {
    let error = failure { _ = try tokenizer(bytes) }
    return error?.status == .unsupported ? error?.message : nil
  }

  @Test func `pieces that share too few beginnings are refused`() throws {
    var random = Random(state: 3)
    func long(_ count: Int) -> [UInt8] {
      var file = Self.unknown
      for _ in 0..<count { file += Self.piece((0..<1000).map { _ in UInt8(33 + random.next(below: 90)) }) }
      return file
    }
    #expect(
      Self.refusal(long(1100))
        == "vocabulary: 1100 pieces that begin in more than 1050776 ways, expected at most 1048576 and two a piece")
    #expect(try Self.tokenizer(long(100)).vocabularySize == 104)
  }

  @Test func `strings of the trainer are bounded`() throws {
    let long = [UInt8](repeating: 0x61, count: 1025)
    for (number, name) in [(44, "unk_surface"), (47, "eos_piece"), (48, "pad_piece")] {
      let given = UInt8(number)
      #expect(
        Self.refusal(Self.unknown + Self.field(2, Self.field(given, long)))
          == "SentencePiece model: \(name) has 1025 bytes, expected at most 1024")
      _ = try Self.tokenizer(Self.unknown + Self.field(2, Self.field(given, Array(long.dropLast()))))
    }
  }

  @Test func `user-defined pieces are bounded`() throws {
    var file = Self.unknown
    func add(_ numbers: Range<Int>) {
      for number in numbers {
        // As `piece`, which takes a while for so many.
        file += [0x0A, 8, 0x0A, 4, 0x61, 0x61 + UInt8(number >> 12), 0x30 + UInt8(number >> 6 & 63)]
        file += [0x30 + UInt8(number & 63), 0x18, 4]
      }
    }
    add(0..<1 << 16)
    #expect(try Self.tokenizer(file).vocabularySize == 4 + 1 << 16)
    add(1 << 16..<1 << 16 + 1)
    #expect(Self.refusal(file) == "SentencePiece model: 65537 user-defined pieces, expected at most 65536")
  }

  @Test func `a long text without spaces takes linear time`() throws {
    let tokenizer = try Self.tokenizer(try Self.bytes("bytes.model"))
    #expect(Self.pieces(String(repeating: "가나", count: 100_000), tokenizer).count >= 100_000)
  }
}

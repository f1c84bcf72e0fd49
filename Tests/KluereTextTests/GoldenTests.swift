import Foundation
import KluereBase
import KluereText
import Testing

/// Against Hugging Face's tokenizers: Tests/tokenizer_golden.json, written by Tests/generate_tokenizer_golden.py.
struct GoldenTests {
  struct Golden: Decodable {
    struct Case: Decodable {
      let lowercase: Bool
      let strip_accents: Bool?
      let chinese: Bool
      let allow: Bool
      let texts: [String]
      let pieces: [[Int]]
    }
    struct Added: Decodable {
      let content: String
      let special, single_word, lstrip, rstrip, normalized: Bool
    }
    struct Decoded: Decodable {
      let ids: [Int32]
      let skip, clean: Bool
      let text: String

      init(from decoder: any Decoder) throws {
        var row = try decoder.unkeyedContainer()
        ids = try row.decode([Int32].self)
        skip = try row.decode(Bool.self)
        clean = try row.decode(Bool.self)
        text = try row.decode(String.self)
      }
    }
    struct Truncated: Decodable {
      let a, b, maximum: Int
      let ids, types: [Int32]

      init(from decoder: any Decoder) throws {
        var row = try decoder.unkeyedContainer()
        a = try row.decode(Int.self)
        b = try row.decode(Int.self)
        maximum = try row.decode(Int.self)
        ids = try row.decode([Int32].self)
        types = try row.decode([Int32].self)
      }
    }
    let vocabulary: [String]
    let cases: [Case]
    let added: [Added]
    let added_cases: [Case]
    let decoded: [Decoded]
    let truncated: [Truncated]
  }

  private let golden: Golden

  init() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    golden = try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: folder.appending(path: "tokenizer_golden.json")))
  }

  private func tokenizer(_ lowercase: Bool, _ stripAccents: Bool?, _ chinese: Bool, added: Bool) throws -> Tokenizer {
    var configuration = TokenizerConfiguration()
    configuration.doLowerCase = lowercase
    configuration.stripAccents = stripAccents
    configuration.tokenizeChineseChars = chinese
    if added {
      configuration.addedTokens = golden.added.map {
        AddedToken(
          content: $0.content, special: $0.special, singleWord: $0.single_word, lstrip: $0.lstrip, rstrip: $0.rstrip,
          normalized: $0.normalized)
      }
    }
    return try Tokenizer(
      vocabulary: Array(golden.vocabulary.joined(separator: "\n").utf8), configuration: configuration)
  }

  private func check(_ cases: [Golden.Case], added: Bool) throws {
    for row in cases {
      let tokenizer = try tokenizer(row.lowercase, row.strip_accents, row.chinese, added: added)
      #expect(row.texts.count == row.pieces.count && !row.texts.isEmpty)
      for (text, expected) in zip(row.texts, row.pieces) {
        let bytes = Array(text.utf8)
        let tokens = tokenizer.pieces(bytes, allowSpecial: row.allow)
        let found = try bytes.withUnsafeBufferPointer { buffer in
          var map = OffsetMap(buffer, from: .bytes, to: .codePoints)
          return try tokens.flatMap {
            [Int($0.id), try map.convert($0.begin), try map.convert($0.end), Int($0.word)]
          }
        }
        #expect(found == expected, "\(text.debugDescription), lower case \(row.lowercase), allowed \(row.allow)")
      }
    }
  }

  @Test func `ids and offsets and words equal those of tokenizers`() throws {
    try check(golden.cases, added: false)
  }

  @Test func `added tokens are matched as tokenizers matches them`() throws {
    try check(golden.added_cases, added: true)
  }

  @Test func `decoded text equals that of tokenizers`() throws {
    let tokenizer = try tokenizer(false, nil, true, added: false)
    for row in golden.decoded {
      let text = try tokenizer.decode(row.ids, skipSpecial: row.skip, cleanUp: row.clean)
      #expect(text == Array(row.text.utf8), "\(row.ids)")
    }
  }

  @Test func `pairs are cut and joined as tokenizers does it`() throws {
    let tokenizer = try tokenizer(false, nil, true, added: false)
    for row in golden.truncated {
      let (a, b) = (
        Array(String(repeating: "a ", count: row.a).utf8), Array(String(repeating: "b ", count: row.b).utf8)
      )
      var tokens: [EncodedToken] = []
      try a.withUnsafeBufferPointer { first in
        try b.withUnsafeBufferPointer { second in
          try tokenizer.encode(
            first, pair: second, addSpecial: true, allowSpecial: false, truncateTo: row.maximum, into: &tokens)
        }
      }
      #expect(tokens.map(\.id) == row.ids, "\(row.a) and \(row.b) to \(row.maximum)")
      #expect(tokens.map(\.typeID) == row.types, "\(row.a) and \(row.b) to \(row.maximum)")
    }
  }
}

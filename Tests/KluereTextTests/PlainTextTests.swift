import KluereBase
import KluereText
import Testing

/// Text that needs no normalization is read as it is. The same models, told in a way that forbids this, say the same.
struct PlainTextTests {
  private static let common = ["가", "나", "다", "각", "a", "b", "1", ".", " ", " "]
  private static let rare = [
    "ZZ", "  ", "\u{2581}", "漢", "\u{3000}", "\u{301}", "\u{1F600}", "é", "\t", "뷁", "[", "\u{AD}",
  ]

  private struct Numbers {
    var state: UInt64

    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
  }

  private static func text(_ random: inout Numbers) -> String {
    let rarely = random.next(3) == 0
    return (0..<random.next(40)).map { _ in
      rarely && random.next(6) == 0 ? rare[random.next(rare.count)] : common[random.next(common.count)]
    }.joined()
  }

  /// Single characters, some of them missing, and longer pieces with and without a mark at the front.
  private static func pieces(_ random: inout Numbers) -> [(text: String, score: Float)] {
    var pieces: [(text: String, score: Float)] = [("\u{2581}", -3)]
    for character in common + rare where ![" ", "  ", "\u{2581}", "ZZ"].contains(character) && random.next(8) > 0 {
      pieces.append((character, -4 - Float(random.next(64)) / 16))
    }
    var taken = Set(pieces.map(\.text))
    for _ in 0..<80 {
      let letters = (0..<2 + random.next(3)).map { _ in common[random.next(8)] }.joined()
      let piece = random.next(2) == 0 ? "\u{2581}" + letters : letters
      // Few different scores, so that paths tie.
      if taken.insert(piece).inserted { pieces.append((piece, -5 - Float(random.next(8)) / 2)) }
    }
    return pieces
  }

  private static func tokens(_ text: String, _ tokenizer: Tokenizer) throws -> [Token] {
    var tokens: [Token] = []
    try tokenizer.tokenize(Array(text.utf8), into: &tokens)
    return tokens
  }

  // MARK: Character maps

  /// A character map as SentencePiece has it: a double array of one block of 256 units for each node.
  private static func characterMap(_ rules: [(String, String)]) -> [UInt8] {
    var nodes: [(children: [UInt8: Int], value: Int?)] = [([:], nil)]
    var replacements: [UInt8] = []
    for (from, to) in rules {
      var node = 0
      for byte in from.utf8 {
        if nodes[node].children[byte] == nil {
          nodes[node].children[byte] = nodes.count
          nodes.append(([:], nil))
        }
        node = nodes[node].children[byte] ?? 0
      }
      nodes[node].value = replacements.count
      replacements += Array(to.utf8) + [0]
    }
    // The children of node n are in block n + 1, at its beginning exclusive-or the byte; a node's own unit tells where.
    var units = [UInt32](repeating: 0, count: 256 * (nodes.count + 1))
    units[0] = 256 << 10
    for (number, node) in nodes.enumerated() {
      let base = 256 * (number + 1)
      for (byte, child) in node.children {
        let place = base ^ Int(byte)
        let offset = UInt32(place ^ (256 * (child + 1)))
        units[place] = offset << 10 | (nodes[child].value == nil ? 0 : 1 << 8) | UInt32(byte)
      }
      if let value = node.value { units[base] = UInt32(value) | 1 << 31 }
    }
    var bytes: [UInt8] = []
    for number in [UInt32(4 * units.count)] + units {
      for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
    return bytes + replacements
  }

  /// None; of characters; of two that stay alone; from a space; of a space; of a cluster; of many.
  private static let maps: [[(String, String)]] = [
    [], [("é", "b"), ("1", "가나")], [("a.", "b"), ("가나", "다")], [(" .", ".")], [(" ", "b")],
    [("가\u{301}", "나"), ("a\u{301}", "b")], [("b 가", "1"), ("\u{3000}", " "), ("\u{AD}", "")],
  ]

  // MARK: SentencePiece

  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [number << 3 | 2]
    var count = content.count
    while count > 127 {
      bytes.append(UInt8(count & 127) | 128)
      count >>= 7
    }
    return bytes + [UInt8(count)] + content
  }

  private static func piece(_ text: String, _ score: Float, _ type: UInt8) -> [UInt8] {
    let bits = score.bitPattern
    let number = (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
    return field(1, field(1, Array(text.utf8)) + [2 << 3 | 5] + number + [3 << 3, type])
  }

  /// `symbol`: a user-defined piece that no text has; with one nothing is read as it is.
  private static func sentencePiece(
    _ pieces: [(text: String, score: Float)], _ rules: [(String, String)] = [], symbol: Bool, prefix: Bool,
    fairseq: Bool
  ) throws -> Tokenizer {
    var bytes = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
    for entry in pieces { bytes += piece(entry.text, entry.score, 1) }
    if symbol { bytes += piece("QQQQ", 0, 4) }
    let map = rules.isEmpty ? [] : field(2, characterMap(rules))
    bytes += field(3, map + [3 << 3, prefix ? 1 : 0, 4 << 3, 1, 5 << 3, 1])
    var configuration = TokenizerConfiguration()
    (configuration.clsToken, configuration.sepToken, configuration.padToken) = ("<s>", "</s>", "")
    (configuration.unkToken, configuration.maskToken) = ("<unk>", "")
    return try Tokenizer(
      sentencePiece: TokenizerFile(name: "x", bytes: bytes), fairseq: fairseq, configuration: configuration,
      template: { SpecialTemplate(robertaWith: $0, $1) })
  }

  @Test(arguments: UInt64(0)..<28) func `a SentencePiece model`(seed: UInt64) throws {
    var random = Numbers(state: seed)
    var pieces = Self.pieces(&random)
    // A piece that reaches across words forbids reading a text word by word.
    if seed % 4 == 3 { pieces.append(("가\u{2581}나", -2)) }
    let (prefix, fairseq) = (seed % 2 == 0, seed % 3 == 0)
    let map = Self.maps[Int(seed) % Self.maps.count]
    let plain = try Self.sentencePiece(pieces, map, symbol: false, prefix: prefix, fairseq: fairseq)
    let slow = try Self.sentencePiece(pieces, map, symbol: true, prefix: prefix, fairseq: fairseq)
    for _ in 0..<300 {
      let text = Self.text(&random)
      #expect(try Self.tokens(text, plain) == Self.tokens(text, slow), "\(text)")
      var (a, b): ([Token], [Token]) = ([], [])
      var copy = text
      try copy.withUTF8 { try plain.tokenizeContinuation($0, into: &a) }
      try copy.withUTF8 { try slow.tokenizeContinuation($0, into: &b) }
      #expect(a == b, "\(text)")
    }
  }

  // MARK: tokenizer.json

  private static func unigram(
    _ pieces: [(text: String, score: Float)], _ seed: UInt64, slow: Bool
  ) throws -> Tokenizer {
    var rules = MetaspaceUnigram.Rules()
    rules.pieces = [(Array("<unk>".utf8), 0)] + pieces.map { (Array($0.text.utf8), Double($0.score)) }
    rules.splitsAtWhiteSpace = seed % 2 == 0
    var metaspace = MetaspaceUnigram.Metaspace()
    metaspace.prepends = [.always, .first, .never][Int(seed % 3)]
    rules.metaspace = metaspace
    let map = maps[Int(seed / 2) % maps.count]
    if !map.isEmpty { rules.normalizer.append(.characterMap(characterMap(map))) }
    if seed % 4 < 2 { rules.normalizer.append(.replaceSpaces(atLeast: 2, with: [0x20])) }
    if seed % 5 < 2 { rules.normalizer.append(.replace(Array("a.".utf8), with: Array("b".utf8))) }
    if seed % 5 == 3 { rules.normalizer.append(.strip(left: true, right: true)) }
    if slow { rules.normalizer.append(.replace([0x20], with: [0x20])) }
    var configuration = TokenizerConfiguration()
    (configuration.clsToken, configuration.sepToken, configuration.padToken) = ("", "", "")
    (configuration.unkToken, configuration.maskToken) = ("<unk>", "")
    configuration.addedTokens = [AddedToken(content: "ZZ", special: false, normalized: false)]
    return try Tokenizer(
      unigram: rules, file: TokenizerFile(name: "x", bytes: []), configuration: configuration, template: .bare)
  }

  @Test(arguments: UInt64(0)..<60) func `a unigram model of a tokenizer.json`(seed: UInt64) throws {
    var random = Numbers(state: seed)
    let pieces = Self.pieces(&random)
    let plain = try Self.unigram(pieces, seed, slow: false)
    let slow = try Self.unigram(pieces, seed, slow: true)
    for _ in 0..<300 {
      let text = Self.text(&random)
      #expect(try Self.tokens(text, plain) == Self.tokens(text, slow), "\(text)")
    }
  }

  @Test func `a word longer than the room for it, and a text longer than what is read in one go`() throws {
    var random = Numbers(state: 1)
    let pieces = Self.pieces(&random)
    let plain = try Self.sentencePiece(pieces, symbol: false, prefix: true, fairseq: false)
    let slow = try Self.sentencePiece(pieces, symbol: true, prefix: true, fairseq: false)
    for count in [120, 127, 128, 129, 20_000, 40_000] {
      let text = String(repeating: "가a", count: count) + " 나"
      #expect(try Self.tokens(text, plain) == Self.tokens(text, slow))
    }
  }
}

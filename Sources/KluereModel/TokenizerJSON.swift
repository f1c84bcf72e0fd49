internal import KluereBase
internal import KluereFormats
internal import KluereText

/// tokenizer.json of Hugging Face's tokenizers library, with a WordPiece or a unigram model. Every part is read; what we
/// do not do is refused by name. The sections truncation and padding are what the file's last user asked for, not part of
/// the tokenizer: they are passed over.
struct TokenizerJSON {
  static let name = "tokenizer.json"

  let template: SpecialTemplate
  private let model: Model
  private let addedTokens: [AddedToken]
  private let file: TokenizerFile

  private enum Model {
    case wordPiece(WordPieceRules)
    case unigram(MetaspaceUnigram.Rules)
  }

  private struct WordPieceRules {
    /// As the lines of a vocab.txt.
    var vocabulary: [UInt8]
    var unknown: String
    var prefix: String
    var maximumCharacters: Int
    var lowercase: Bool
    var stripAccents: Bool?
    var spaceIdeographs: Bool
  }

  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    let file = try JSONFields(bytes, path: path)
    self.file = TokenizerFile(name: TokenizerJSON.name, bytes: bytes)
    guard let model = try file.object("model") else {
      throw KluereError(.badFormat, "\(path): model is missing")
    }
    // Files of the first years have no type in the model; only WordPiece has a prefix, only unigram an unk_id.
    var old = try model.int("unk_id") == nil ? "none" : "Unigram"
    if try model.string("continuing_subword_prefix") != nil { old = "WordPiece" }
    switch try model.string("type") ?? old {
    case "WordPiece": self.model = .wordPiece(try TokenizerJSON.wordPiece(file, model, path))
    case "Unigram": self.model = .unigram(try UnigramJSON(file, model, path: path).rules)
    case let other:
      throw KluereError(.unsupported, "\(path): model \"\(other)\" is not supported, expected WordPiece or Unigram")
    }
    var added: [AddedToken] = []
    for token in try file.objects("added_tokens") ?? [] {
      guard let content = try token.string("content"), let id = try token.int("id").flatMap({ Int32(exactly: $0) })
      else {
        throw KluereError(.badFormat, "\(path): added_tokens: entry \(added.count) has no content or no id")
      }
      added.append(
        AddedToken(
          content: content, special: try token.bool("special") ?? false,
          singleWord: try token.bool("single_word") ?? false, lstrip: try token.bool("lstrip") ?? false,
          rstrip: try token.bool("rstrip") ?? false, normalized: try token.bool("normalized"), id: id))
    }
    addedTokens = added
    template = try TokenizerJSON.template(try file.object("post_processor"), path)
  }

  /// Puts the file's rules in place of a configuration's defaults.
  func apply(to configuration: inout TokenizerConfiguration) {
    configuration.addedTokens = addedTokens
    switch model {
    case .wordPiece(let rules):
      configuration.unkToken = rules.unknown
      configuration.wordpiecePrefix = rules.prefix
      configuration.maxInputCharsPerWord = rules.maximumCharacters
      configuration.doLowerCase = rules.lowercase
      configuration.stripAccents = rules.stripAccents
      configuration.tokenizeChineseChars = rules.spaceIdeographs
    case .unigram(let rules):
      func first(_ candidates: String...) -> String {
        candidates.first { name in addedTokens.contains { $0.content.utf8Key == name.utf8Key } } ?? ""
      }
      configuration.unkToken = String(decoding: rules.pieces[Int(rules.unknownID)].text, as: Unicode.UTF8.self)
      configuration.clsToken = first("<s>", "[CLS]")
      configuration.sepToken = first("</s>", "[SEP]")
      configuration.padToken = first("<pad>", "[PAD]")
      configuration.maskToken = first("<mask>", "[MASK]")
      configuration.tokenizerClass = "PreTrainedTokenizerFast"
    }
  }

  func tokenizer(
    _ configuration: TokenizerConfiguration, addedSpecialTokens: [String], sourceFiles: [TokenizerFile] = []
  ) throws(KluereError) -> Tokenizer {
    switch model {
    case .wordPiece(let rules):
      return try Tokenizer(
        vocabulary: rules.vocabulary, configuration: configuration, template: template,
        addedSpecialTokens: addedSpecialTokens, sourceFiles: sourceFiles)
    case .unigram(let rules):
      return try Tokenizer(
        unigram: rules, file: file, configuration: configuration, template: template,
        addedSpecialTokens: addedSpecialTokens, sourceFiles: sourceFiles)
    }
  }

  // MARK: WordPiece

  private static func wordPiece(
    _ file: JSONFields, _ model: JSONFields, _ path: String
  ) throws(KluereError) -> WordPieceRules {
    guard let normalizer = try file.object("normalizer") else {
      throw KluereError(.unsupported, "\(path): normalizer: none, expected BertNormalizer")
    }
    try expect(try normalizer.string("type") ?? "none", "BertNormalizer", path, "normalizer")
    if try normalizer.bool("clean_text") == false {
      throw KluereError(.unsupported, "\(path): normalizer: clean_text false is not supported")
    }
    try expect(try file.object("pre_tokenizer")?.string("type") ?? "none", "BertPreTokenizer", path, "pre_tokenizer")
    let prefix = try model.string("continuing_subword_prefix") ?? "##"
    if let decoder = try file.object("decoder") {
      try expect(try decoder.string("type") ?? "none", "WordPiece", path, "decoder")
      try expect(try decoder.string("prefix") ?? "##", prefix, path, "decoder: prefix")
    }
    return WordPieceRules(
      vocabulary: try vocabulary(model, path), unknown: try model.string("unk_token") ?? "[UNK]", prefix: prefix,
      maximumCharacters: try model.int("max_input_chars_per_word") ?? 100,
      lowercase: try normalizer.bool("lowercase") ?? true, stripAccents: try normalizer.bool("strip_accents"),
      spaceIdeographs: try normalizer.bool("handle_chinese_chars") ?? true)
  }

  private static func expect(
    _ found: String, _ expected: String, _ path: String, _ place: String
  ) throws(KluereError) {
    guard found.utf8Key == expected.utf8Key else {
      throw KluereError(.unsupported, "\(path): \(place) \"\(found)\" is not supported, expected \"\(expected)\"")
    }
  }

  /// Pieces in the order of their ids, one a line.
  private static func vocabulary(_ model: JSONFields, _ path: String) throws(KluereError) -> [UInt8] {
    guard let entries = try model.object("vocab") else {
      throw KluereError(.badFormat, "\(path): model: vocab is missing")
    }
    let count = entries.count
    var pieces = [[UInt8]?](repeating: nil, count: count)
    try entries.forEachInt { (piece, id) throws(KluereError) in
      guard id >= 0, id < count, pieces[id] == nil else {
        throw KluereError(
          .badFormat, "\(path): model: vocab: \"\(piece)\" has id \(id), expected ids from 0 to \(count - 1), each once"
        )
      }
      let bytes = piece.utf8Key
      guard !bytes.contains(0x0A), !bytes.contains(0x0D) else {
        throw KluereError(.unsupported, "\(path): model: vocab: piece \(id) has a line break, which is not supported")
      }
      pieces[id] = bytes
    }
    var lines: [UInt8] = []
    for piece in pieces {
      lines += piece ?? []
      lines.append(0x0A)
    }
    return lines
  }

  // MARK: Post-processor

  private static func template(_ file: JSONFields?, _ path: String) throws(KluereError) -> SpecialTemplate {
    guard let file else { return .bare }
    let place = "\(path): post_processor"
    switch try file.string("type") ?? "none" {
    case "BertProcessing":
      let (cls, sep) = (try numbered(file, "cls", place), try numbered(file, "sep", place))
      return SpecialTemplate(bertWith: cls, sep)
    case "TemplateProcessing":
      return SpecialTemplate(
        single: try items(file, "single", texts: 1, place), pair: try items(file, "pair", texts: 2, place))
    case let other:
      throw KluereError(
        .unsupported, "\(place) \"\(other)\" is not supported, expected TemplateProcessing or BertProcessing")
    }
  }

  /// A token and its id: ["[SEP]", 3].
  private static func numbered(_ file: JSONFields, _ name: String, _ place: String) throws(KluereError) -> Int32 {
    guard let id = file.number(in: name, at: 1), let number = Int32(exactly: id), number >= 0 else {
      throw KluereError(.badFormat, "\(place): \(name): expected a token and its id")
    }
    return number
  }

  private static func items(
    _ file: JSONFields, _ name: String, texts: Int32, _ place: String
  ) throws(KluereError) -> [SpecialTemplate.Item] {
    guard let list = try file.objects(name) else {
      throw KluereError(.badFormat, "\(place): \(name) is missing")
    }
    var items: [SpecialTemplate.Item] = []
    var next: Int32 = 0
    for entry in list {
      if let special = try entry.object("SpecialToken") {
        let type = Int32(clamping: try special.int("type_id") ?? 0)
        let token = try special.string("id") ?? ""
        guard let ids = try file.object("special_tokens")?.object(token)?.integers("ids"), !ids.isEmpty else {
          throw KluereError(.badFormat, "\(place): \(name): special_tokens has no ids for \"\(token)\"")
        }
        for id in ids {
          guard let id = Int32(exactly: id), id >= 0 else {
            throw KluereError(.badFormat, "\(place): special_tokens: \"\(token)\" has id \(id), expected 0 or more")
          }
          items.append(.special(id: id, typeID: type))
        }
      } else if let text = try entry.object("Sequence") {
        let type = Int32(clamping: try text.int("type_id") ?? 0)
        let sequence: Int32 = try text.string("id") == "B" ? 1 : 0
        guard sequence == next else {
          throw KluereError(.unsupported, "\(place): \(name): expected each text once, A before B")
        }
        items.append(.text(sequence: sequence, typeID: type))
        next += 1
      } else {
        throw KluereError(.badFormat, "\(place): \(name): expected entries SpecialToken and Sequence")
      }
    }
    guard next == texts else {
      throw KluereError(.unsupported, "\(place): \(name): \(next) texts, expected \(texts)")
    }
    return items
  }
}

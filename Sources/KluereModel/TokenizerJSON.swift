internal import KluereBase
internal import KluereFormats
internal import KluereText

/// tokenizer.json of Hugging Face's tokenizers library, with a WordPiece model. Every part is read; what we do not do is
/// refused by name. The sections truncation and padding are what the file's last user asked for, not part of the
/// tokenizer: they are passed over.
struct TokenizerJSON {
  static let name = "tokenizer.json"

  /// As the lines of a vocab.txt.
  let vocabulary: [UInt8]
  let template: SpecialTemplate
  private let unknown: String
  private let prefix: String
  private let maximumCharacters: Int
  private let addedTokens: [AddedToken]
  private let lowercase: Bool
  private let stripAccents: Bool?
  private let spaceIdeographs: Bool

  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    let file = try JSONFields(bytes, path: path)
    guard let model = try file.object("model") else {
      throw KluereError(.badFormat, "\(path): model is missing")
    }
    // Files of the first years have no type in the model; only WordPiece has a prefix.
    let old = try model.string("continuing_subword_prefix") == nil ? "none" : "WordPiece"
    let type = try model.string("type")
    try TokenizerJSON.expect(type ?? old, "WordPiece", path, "model")
    unknown = try model.string("unk_token") ?? "[UNK]"
    prefix = try model.string("continuing_subword_prefix") ?? "##"
    maximumCharacters = try model.int("max_input_chars_per_word") ?? 100
    vocabulary = try TokenizerJSON.vocabulary(model, path)

    guard let normalizer = try file.object("normalizer") else {
      throw KluereError(.unsupported, "\(path): normalizer: none, expected BertNormalizer")
    }
    try TokenizerJSON.expect(try normalizer.string("type") ?? "none", "BertNormalizer", path, "normalizer")
    if try normalizer.bool("clean_text") == false {
      throw KluereError(.unsupported, "\(path): normalizer: clean_text false is not supported")
    }
    lowercase = try normalizer.bool("lowercase") ?? true
    stripAccents = try normalizer.bool("strip_accents")
    spaceIdeographs = try normalizer.bool("handle_chinese_chars") ?? true
    let splitter = try file.object("pre_tokenizer")?.string("type") ?? "none"
    try TokenizerJSON.expect(splitter, "BertPreTokenizer", path, "pre_tokenizer")
    if let decoder = try file.object("decoder") {
      try TokenizerJSON.expect(try decoder.string("type") ?? "none", "WordPiece", path, "decoder")
      let decoded = try decoder.string("prefix") ?? "##"
      try TokenizerJSON.expect(decoded, prefix, path, "decoder: prefix")
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
    configuration.unkToken = unknown
    configuration.wordpiecePrefix = prefix
    configuration.maxInputCharsPerWord = maximumCharacters
    configuration.doLowerCase = lowercase
    configuration.stripAccents = stripAccents
    configuration.tokenizeChineseChars = spaceIdeographs
    configuration.addedTokens = addedTokens
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

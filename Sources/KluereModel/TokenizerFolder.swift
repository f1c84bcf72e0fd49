internal import CKluereSupport
package import KluereBase
internal import KluereFormats
package import KluereText

/// The tokenizer's files in a model folder: tokenizer.json or vocab.txt with tokenizer_config.json, special_tokens_map.json and
/// added_tokens.json where present, as transformers reads and writes them.
package enum TokenizerFolder {
  static let vocabularyName = "vocab.txt"
  static let configurationName = "tokenizer_config.json"
  static let specialTokensName = "special_tokens_map.json"
  static let addedTokensName = "added_tokens.json"

  static let names =
    [
      TokenizerJSON.name, vocabularyName, configurationName, specialTokensName, addedTokensName,
    ] + SentencePieceFolder.names

  /// `path`: a folder, a tokenizer.json, or a vocab.txt (which then comes with the defaults of KLUE's vocabularies:
  /// cased). In a folder a tokenizer.json goes before a SentencePiece model or a vocab.txt, as in transformers.
  package static func open(_ path: String, addedSpecialTokens: [String]) throws(KluereError) -> Tokenizer {
    guard ks_path_kind(path) == 2 else {
      return try open(file: path, try Files.readAll(path), addedSpecialTokens: addedSpecialTokens)
    }
    var sources: [TokenizerFile] = []
    for name in names where ks_path_kind(path + "/" + name) == 1 {
      sources.append(TokenizerFile(name: name, bytes: try Files.readAll(path + "/" + name)))
    }
    let mainNames = [TokenizerJSON.name] + SentencePieceFolder.names + [vocabularyName]
    guard let main = mainNames.lazy.compactMap({ name in sources.first { $0.name == name } }).first else {
      throw KluereError(
        .io, "\(path): there is no \(mainNames.joined(separator: ", ")) in this folder")
    }
    func fields(_ name: String) throws(KluereError) -> JSONFields? {
      guard let file = sources.first(where: { $0.name == name }) else { return nil }
      return try JSONFields(file.bytes, path: path + "/" + name)
    }
    if SentencePieceFolder.names.contains(main.name) {
      let isWhole = addedSpecialTokens.isEmpty && sources.contains { $0.name == configurationName }
      let fields = try fields(configurationName)
      return try named(path + "/" + main.name) { () throws(KluereError) in
        try SentencePieceFolder.open(
          main, fields, addedSpecialTokens: addedSpecialTokens, sources: isWhole ? sources : [])
      }
    }
    var configuration = TokenizerConfiguration()
    var added: [Int32: AddedToken] = [:]
    var specialNames: Set<String> = []
    var json: TokenizerJSON?
    if main.name == TokenizerJSON.name {
      let file = try TokenizerJSON(main.bytes, path: path + "/" + main.name)
      file.apply(to: &configuration)
      for token in configuration.addedTokens { if let id = token.id { added[id] = token } }
      json = file
    }
    if let fields = try fields(specialTokensName) {
      try readSpecialTokens(fields, into: &configuration, &specialNames)
    }
    if let fields = try fields(configurationName) {
      try readSpecialTokens(fields, into: &configuration, &specialNames)
      configuration.doLowerCase = try fields.bool("do_lower_case") ?? configuration.doLowerCase
      configuration.tokenizeChineseChars =
        try fields.bool("tokenize_chinese_chars") ?? configuration.tokenizeChineseChars
      configuration.stripAccents = try fields.bool("strip_accents") ?? configuration.stripAccents
      if let length = try fields.double("model_max_length"), length >= 1, length < 1e9 {
        // transformers writes 1e30 for "no limit".
        configuration.modelMaxLength = Int(exactly: length.rounded())
      }
      if try fields.bool("do_basic_tokenize") == false {
        throw KluereError(.unsupported, "\(path)/\(configurationName): do_basic_tokenize false is not supported")
      }
      // A tokenizer.json says itself what it is; vocab.txt is read as its class reads it.
      let kind = try fields.string("tokenizer_class")
      if let kind, json != nil { configuration.tokenizerClass = kind }
      if let kind, json == nil, !supportedClasses.contains(kind) {
        throw KluereError(
          .unsupported,
          "\(path)/\(configurationName): tokenizer_class \"\(kind)\" is not supported, expected BertTokenizer or another "
            + "WordPiece tokenizer"
        )
      }
      for token in try addedTokens(fields, path) { if let id = token.id { added[id] = token } }
    }
    if let fields = try fields(addedTokensName) {
      for content in fields.keys {
        guard let number = try fields.int(content), let id = Int32(exactly: number) else {
          throw KluereError(.badFormat, "\(path)/\(addedTokensName): \"\(content)\" has no id")
        }
        // The older file says no more than names and ids; what is special stands in the lists of special tokens.
        if added[id] == nil {
          added[id] = AddedToken(content: content, special: specialNames.contains(content), id: id)
        }
      }
    }
    configuration.addedTokens = added.sorted { $0.key < $1.key }.map(\.value)
    // Without its configuration a folder does not say all that ours would: then it is written anew.
    let isWhole = addedSpecialTokens.isEmpty && sources.contains { $0.name == configurationName }
    return try named(path + "/" + main.name) { () throws(KluereError) in
      if let json {
        return try json.tokenizer(
          configuration, addedSpecialTokens: addedSpecialTokens, sourceFiles: isWhole ? sources : [])
      }
      return try Tokenizer(
        vocabulary: main.bytes, configuration: configuration, addedSpecialTokens: addedSpecialTokens,
        sourceFiles: isWhole ? sources : [])
    }
  }

  /// One file alone; what it is, its name says.
  package static func open(
    file path: String, _ bytes: [UInt8], addedSpecialTokens: [String]
  ) throws(KluereError) -> Tokenizer {
    var configuration = TokenizerConfiguration()
    // Cased: lower-casing would also strip accents, and with them take Hangul syllables apart.
    configuration.doLowerCase = false
    if path.hasSuffix(".model") {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      return try named(path) { () throws(KluereError) in
        try SentencePieceFolder.open(
          TokenizerFile(name: name, bytes: bytes), nil, addedSpecialTokens: addedSpecialTokens, sources: [])
      }
    }
    if path.hasSuffix(".json") {
      let file = try TokenizerJSON(bytes, path: path)
      file.apply(to: &configuration)
      configuration.addsNamedTokens = false
      return try named(path) { () throws(KluereError) in
        try file.tokenizer(configuration, addedSpecialTokens: addedSpecialTokens)
      }
    }
    return try named(path) { () throws(KluereError) in
      try Tokenizer(vocabulary: bytes, configuration: configuration, addedSpecialTokens: addedSpecialTokens)
    }
  }

  /// The tokenizer knows no files; errors get the path in front here.
  private static func named(
    _ path: String, _ body: () throws(KluereError) -> Tokenizer
  ) throws(KluereError) -> Tokenizer {
    do throws(KluereError) { return try body() } catch {
      throw KluereError(error.status, "\(path): \(error.message)")
    }
  }

  private static let supportedClasses: Set<String> = [
    "BertTokenizer", "BertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast",
  ]

  /// tokenizer_config.json's added_tokens_decoder.
  static func addedTokens(_ fields: JSONFields, _ path: String) throws(KluereError) -> [AddedToken] {
    guard let decoder = try fields.object("added_tokens_decoder") else { return [] }
    var tokens: [AddedToken] = []
    for key in decoder.keys {
      guard let id = Int32(key), let token = try decoder.object(key), let content = try token.string("content") else {
        throw KluereError(
          .badFormat, "\(path)/\(configurationName): added_tokens_decoder entry \"\(key)\" is no token")
      }
      tokens.append(
        AddedToken(
          content: content, special: try token.bool("special") ?? false,
          singleWord: try token.bool("single_word") ?? false, lstrip: try token.bool("lstrip") ?? false,
          rstrip: try token.bool("rstrip") ?? false, normalized: try token.bool("normalized"), id: id))
    }
    return tokens
  }

  static func readSpecialTokens(
    _ fields: JSONFields, into configuration: inout TokenizerConfiguration, _ names: inout Set<String>
  ) throws(KluereError) {
    names.formUnion(try fields.tokens("additional_special_tokens") ?? [])
    configuration.unkToken = try fields.token("unk_token") ?? configuration.unkToken
    configuration.sepToken = try fields.token("sep_token") ?? configuration.sepToken
    configuration.padToken = try fields.token("pad_token") ?? configuration.padToken
    configuration.clsToken = try fields.token("cls_token") ?? configuration.clsToken
    configuration.maskToken = try fields.token("mask_token") ?? configuration.maskToken
  }

  /// Files that describe `tokenizer`, for a model folder: those it came from, else ours.
  static func files(_ tokenizer: Tokenizer) -> [(name: String, bytes: [UInt8])] {
    if !tokenizer.sourceFiles.isEmpty { return tokenizer.sourceFiles.map { ($0.name, $0.bytes) } }
    let c = tokenizer.configuration
    // Tokens of the vocabulary that were declared with flags of their own keep them; those of the five special roles need
    // no declaration.
    let declared = c.addedTokens.filter { token in !tokenizer.addedTokens.contains { $0.content == token.content } }
    let tokens = (declared + tokenizer.addedTokens).sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    let special: [(String, String)] = [
      ("unk_token", c.unkToken), ("sep_token", c.sepToken), ("pad_token", c.padToken),
      ("cls_token", c.clsToken), ("mask_token", c.maskToken),
    ]
    var configuration = JSONText()
    if !tokens.isEmpty {
      configuration.addObject(
        "added_tokens_decoder",
        tokens.map { token in
          (
            String(token.id ?? -1),
            .object([
              ("content", .string(token.content)), ("lstrip", .bool(token.lstrip)),
              ("normalized", .bool(token.normalized)), ("rstrip", .bool(token.rstrip)),
              ("single_word", .bool(token.singleWord)), ("special", .bool(token.special)),
            ])
          )
        })
    }
    let isBert = tokenizer.mainFile.name == vocabularyName
    if isBert {
      configuration.add("do_basic_tokenize", true)
      configuration.add("do_lower_case", c.doLowerCase)
    }
    if let length = c.modelMaxLength { configuration.add("model_max_length", length) }
    if isBert {
      if let strip = c.stripAccents {
        configuration.add("strip_accents", strip)
      } else {
        configuration.addNull("strip_accents")
      }
      configuration.add("tokenize_chinese_chars", c.tokenizeChineseChars)
    }
    configuration.add("tokenizer_class", c.tokenizerClass)
    var map = JSONText()
    for (name, token) in special where !token.isEmpty {
      configuration.add(name, token)
      map.add(name, token)
    }
    var files = [
      (tokenizer.mainFile.name, tokenizer.mainFile.bytes), (configurationName, configuration.finish()),
      (specialTokensName, map.finish()),
    ]
    if !tokenizer.addedTokens.isEmpty {
      var added = JSONText()
      for token in tokenizer.addedTokens { added.add(token.content, Int(token.id ?? -1)) }
      files.append((addedTokensName, added.finish()))
    }
    return files
  }
}

package import KluereBase

/// The rules of one tokenizer, as tokenizer_config.json has them. A SentencePiece tokenizer may lack special tokens: "".
package struct TokenizerConfiguration: Sendable, Equatable {
  package var doLowerCase = true
  /// nil: as doLowerCase.
  package var stripAccents: Bool?
  package var tokenizeChineseChars = true
  package var unkToken = "[UNK]"
  package var sepToken = "[SEP]"
  package var padToken = "[PAD]"
  package var clsToken = "[CLS]"
  package var maskToken = "[MASK]"
  /// The five named tokens are added tokens, whether listed or not, as where transformers opens a folder. Else only those
  /// that are listed, as where tokenizers opens a file.
  package var addsNamedTokens = true
  package var modelMaxLength: Int?
  package var maxInputCharsPerWord = 100
  package var wordpiecePrefix = "##"
  /// transformers' class that reads the files.
  package var tokenizerClass = "BertTokenizer"
  /// Those with ids come first, in that order; then the others as they are listed.
  package var addedTokens: [AddedToken] = []

  package init() {}
}

package struct TokenizerFile: Sendable {
  package let name: String
  package let bytes: [UInt8]

  package init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
  }
}

/// How text between added tokens becomes pieces.
enum Segmenter: Sendable {
  case wordPiece(PreTokenizer)
  case sentencePiece(SentencePiece)
  case unigram(MetaspaceUnigram)
}

/// BERT's tokenizer as Hugging Face's BertTokenizerFast runs it, a unigram model as its tokenizers library runs it, or
/// SentencePiece as its own library runs it, over the bytes of UTF-8. Immutable.
package final class Tokenizer: Sendable {
  package let configuration: TokenizerConfiguration
  /// The files that it was read from, to write them again unchanged; empty if it was not read from a whole folder.
  package let sourceFiles: [TokenizerFile]
  /// The file with the pieces: a vocab.txt or a SentencePiece model.
  package let mainFile: TokenizerFile
  /// Tokens beyond the vocabulary in the order of their ids, which are set.
  package let addedTokens: [AddedToken]
  /// -1 where the tokenizer has no such token; so are the others.
  package let unknownID: Int32
  package let sepID: Int32
  package let padID: Int32
  package let clsID: Int32
  package let maskID: Int32
  package let template: SpecialTemplate

  let strings: TokenStrings
  private let added: AddedTokenTable
  let segmenter: Segmenter
  private let rawMatcher: AddedTokenMatcher
  private let normalizedMatcher: AddedTokenMatcher
  /// What decoding writes for added tokens that are matched in normalized text.
  private let normalizedTexts: [Int32: [UInt8]]

  /// `addedSpecialTokens`: special tokens of the caller, which get the vocabulary's id or the next free one. `template`:
  /// nil for BERT's.
  package init(
    vocabulary bytes: [UInt8], configuration: TokenizerConfiguration, template: SpecialTemplate? = nil,
    addedSpecialTokens: [String] = [], sourceFiles: [TokenizerFile] = []
  ) throws(KluereError) {
    let vocabulary = try Vocabulary(bytes)
    guard configuration.maxInputCharsPerWord >= 0 else {
      throw KluereError(
        .invalidArgument, "max_input_chars_per_word: \(configuration.maxInputCharsPerWord), expected 0 or more")
    }
    let model = try WordPiece(
      vocabulary, prefix: Array(configuration.wordpiecePrefix.utf8), unknown: configuration.unkToken,
      maximumCharacters: configuration.maxInputCharsPerWord)
    let normalizer = Normalizer(
      lowercase: configuration.doLowerCase,
      stripAccents: configuration.stripAccents ?? configuration.doLowerCase,
      spaceIdeographs: configuration.tokenizeChineseChars)
    for token in [configuration.sepToken, configuration.padToken, configuration.clsToken, configuration.maskToken]
    where token.isEmpty {
      throw KluereError(
        .invalidArgument, "a special token is empty, expected [SEP], [PAD], [CLS] and [MASK] or the like")
    }
    let added = try AddedTokenTable(
      configuration, addedSpecialTokens, vocabularyCount: vocabulary.pieces.count
    ) { model.id(of: $0) }
    self.configuration = configuration
    mainFile = TokenizerFile(name: "vocab.txt", bytes: bytes)
    self.sourceFiles = sourceFiles
    self.added = added
    addedTokens = added.beyondVocabulary
    unknownID = model.unknownID
    sepID = added.id(of: configuration.sepToken)
    padID = added.id(of: configuration.padToken)
    clsID = added.id(of: configuration.clsToken)
    maskID = added.id(of: configuration.maskToken)
    self.template = template ?? SpecialTemplate(bertWith: clsID, sepID)
    strings = try TokenStrings(vocabulary.pieces.count, added: added.beyondVocabulary) {
      vocabulary.bytes[vocabulary.pieces[$0]]
    }
    try self.template.check(within: strings.count)
    segmenter = .wordPiece(PreTokenizer(model: model, normalizer: normalizer))
    rawMatcher = try added.matcher(normalized: nil)
    normalizedTexts = added.normalizedTexts { bytes, text in
      if let base = bytes.baseAddress { text.append(base, 0, bytes.count, normalizer) }
    }
    normalizedMatcher = try added.matcher(normalized: normalizedTexts)
  }

  /// A SentencePiece model; `read`: what the file says, if that is known. `fairseq`: with XLM-R's ids, those of the file moved
  /// by one and <s>, <pad>, </s>, <unk> before them. Special tokens that the configuration names and the file lacks are added;
  /// "" names none.
  package init(
    sentencePiece file: TokenizerFile, _ read: SentencePieceModel? = nil, fairseq: Bool,
    configuration: TokenizerConfiguration, template: (_ cls: Int32, _ sep: Int32) -> SpecialTemplate,
    addedSpecialTokens: [String] = [], sourceFiles: [TokenizerFile] = []
  ) throws(KluereError) {
    let model = if let read { read } else { try SentencePieceModel(file.bytes) }
    let pieces = try SentencePiece(model, fairseq: fairseq)
    let first = fairseq ? ["<s>", "<pad>", "</s>", "<unk>"].map(\.utf8Key) : []
    if fairseq {
      guard model.pieces.count >= 3, (0..<3).map({ Array(model.text($0)) }) == ["<unk>", "<s>", "</s>"].map(\.utf8Key)
      else {
        throw KluereError(.unsupported, "SentencePiece model: expected <unk>, <s> and </s> as pieces 0 to 2 for XLM-R")
      }
    }
    let count = model.pieces.count + (fairseq ? 1 : 0)
    var configuration = configuration
    // There is no text between the raw and the pieces that could be matched.
    for index in configuration.addedTokens.indices { configuration.addedTokens[index].normalized = false }
    let added = try AddedTokenTable(configuration, addedSpecialTokens, vocabularyCount: count) { text in
      if let place = first.firstIndex(of: text) { return Int32(truncatingIfNeeded: place) }
      return pieces.fileID(text).map { pieces.id($0) }
    }
    self.configuration = configuration
    self.sourceFiles = sourceFiles
    mainFile = file
    self.added = added
    addedTokens = added.beyondVocabulary
    unknownID = pieces.unknownID
    sepID = added.id(of: configuration.sepToken)
    padID = added.id(of: configuration.padToken)
    clsID = added.id(of: configuration.clsToken)
    maskID = added.id(of: configuration.maskToken)
    self.template = template(clsID, sepID)
    strings = try TokenStrings(count, added: added.beyondVocabulary) { id in
      id < first.count ? first[id][...] : model.text(fairseq ? id - 1 : id)
    }
    try self.template.check(within: strings.count)
    segmenter = .sentencePiece(pieces)
    rawMatcher = try added.matcher(normalized: nil)
    normalizedTexts = [:]
    normalizedMatcher = try AddedTokenMatcher([])
  }

  /// A unigram model of a tokenizer.json; `file` is that file.
  package init(
    unigram rules: MetaspaceUnigram.Rules, file: TokenizerFile, configuration: TokenizerConfiguration,
    template: SpecialTemplate, addedSpecialTokens: [String] = [], sourceFiles: [TokenizerFile] = []
  ) throws(KluereError) {
    let unigram = try MetaspaceUnigram(rules)
    let added = try AddedTokenTable(configuration, addedSpecialTokens, vocabularyCount: rules.pieces.count) {
      unigram.id(of: $0)
    }
    self.configuration = configuration
    self.sourceFiles = sourceFiles
    mainFile = file
    self.added = added
    addedTokens = added.beyondVocabulary
    unknownID = unigram.unknownID
    sepID = added.id(of: configuration.sepToken)
    padID = added.id(of: configuration.padToken)
    clsID = added.id(of: configuration.clsToken)
    maskID = added.id(of: configuration.maskToken)
    self.template = template
    strings = try TokenStrings(rules.pieces.count, added: added.beyondVocabulary) { rules.pieces[$0].text[...] }
    try template.check(within: strings.count)
    segmenter = .unigram(unigram)
    rawMatcher = try added.matcher(normalized: nil)
    normalizedTexts = added.normalizedTexts { bytes, text in
      guard let base = bytes.baseAddress else { return }
      var scratch = NormalizedText()
      unigram.normalizer.normalize(base, 0, bytes.count, into: &text, scratch: &scratch)
    }
    normalizedMatcher = try added.matcher(normalized: normalizedTexts)
  }

  /// Added tokens included.
  package var vocabularySize: Int { strings.count }

  package func token(_ id: Int32) -> String? {
    strings.bytes(id).map { String(decoding: $0, as: Unicode.UTF8.self) }
  }

  /// NUL-terminated; lives as long as the tokenizer. nil if there is no such id.
  package func tokenCString(_ id: Int32) -> UnsafePointer<CChar>? {
    strings.bytes(id)?.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
  }

  /// What decoding makes of a token, nil if there is no such id.
  func decodedText(_ id: Int32) -> [UInt8]? {
    if !normalizedTexts.isEmpty, let text = normalizedTexts[id] { return text }
    return strings.bytes(id).map { Array($0) }
  }

  package func id(of token: String) -> Int32? {
    if let id = added.ids[token.utf8Key] { return id }
    switch segmenter {
    case .wordPiece(let words): return words.model.id(of: token.utf8Key)
    case .unigram(let unigram): return unigram.id(of: token.utf8Key)
    case .sentencePiece(let pieces): return pieces.fileID(token.utf8Key).map { pieces.id($0) }
    }
  }

  /// What `allowSpecial` would match.
  package var specialTokens: [(content: String, id: Int32)] {
    added.tokens.filter(\.special).map { ($0.content, $0.id ?? unknownID) }
  }

  package var isWordPiece: Bool { if case .wordPiece = segmenter { true } else { false } }

  /// This tokenizer with more special tokens; those that it has stay as they are.
  package func with(specialTokens wanted: [String]) throws(KluereError) -> Tokenizer {
    let missing = wanted.filter { id(of: $0) == nil }
    if missing.isEmpty { return self }
    var configuration = configuration
    configuration.addedTokens = added.tokens
    let template = template
    switch segmenter {
    case .wordPiece:
      return try Tokenizer(
        vocabulary: mainFile.bytes, configuration: configuration, template: template,
        addedSpecialTokens: missing)
    case .sentencePiece(let pieces):
      return try Tokenizer(
        sentencePiece: mainFile, pieces.model, fairseq: pieces.shift == 1, configuration: configuration,
        template: { _, _ in template }, addedSpecialTokens: missing)
    case .unigram(let unigram):
      return try Tokenizer(
        unigram: unigram.rules, file: mainFile, configuration: configuration, template: template,
        addedSpecialTokens: missing)
    }
  }

  package func isSpecial(_ id: Int32) -> Bool { added.specialIDs.contains(id) }

  /// Appends the pieces of `text`; of WordPiece at most as many as it has bytes. Special tokens are never among them
  /// unless `allowSpecial`: then "[SEP]" in the text is that token, as by default in Hugging Face. Added tokens that are
  /// not special are always matched. `text` is valid UTF-8; the pieces of anything else mean nothing.
  package func tokenize(
    _ text: UnsafeBufferPointer<UInt8>, allowSpecial: Bool, into tokens: inout [Token]
  ) throws(KluereError) {
    try tokenize(text, allowSpecial: allowSpecial, continues: false, into: &tokens)
  }

  /// The same of bytes in an array, special tokens being text.
  package func tokenize(_ text: [UInt8], into tokens: inout [Token]) throws(KluereError) {
    try text.withUnsafeBufferPointer { (bytes) throws(KluereError) in
      try tokenize(bytes, allowSpecial: false, into: &tokens)
    }
  }

  /// `continues`: the text goes on with a word, so that a unigram model puts no space before it.
  func tokenize(
    _ text: UnsafeBufferPointer<UInt8>, allowSpecial: Bool, continues: Bool, into tokens: inout [Token]
  ) throws(KluereError) {
    var scratch = Scratch()
    try tokenize(text, allowSpecial: allowSpecial, continues: continues, scratch: &scratch, into: &tokens)
  }

  /// `scratch` is kept between calls.
  func tokenize(
    _ text: UnsafeBufferPointer<UInt8>, allowSpecial: Bool, continues: Bool, scratch: inout Scratch,
    into tokens: inout [Token]
  ) throws(KluereError) {
    tokenizeAll(text, allowSpecial: allowSpecial, continues: continues, scratch: &scratch, into: &tokens)
    if let error = scratch.takeError() { throw error }
  }

  private func tokenizeAll(
    _ text: UnsafeBufferPointer<UInt8>, allowSpecial: Bool, continues: Bool, scratch: inout Scratch,
    into tokens: inout [Token]
  ) {
    guard let base = text.baseAddress else { return }
    var word: Int32 = 0
    scratch.unigram.continues = continues
    if !rawMatcher.canMatch(allowSpecial: allowSpecial) {
      return tokenizeStretch(
        base, 0, text.count, allowSpecial: allowSpecial, word: &word, scratch: &scratch, into: &tokens)
    }
    rawMatcher.split(base, 0, text.count, allowSpecial: allowSpecial) { begin, end, id in
      if let id {
        tokens.append(Token(id: id, begin: begin, end: end, word: word))
        word &+= 1
        scratch.unigram.continues = false
      } else {
        tokenizeStretch(base, begin, end, allowSpecial: allowSpecial, word: &word, scratch: &scratch, into: &tokens)
      }
    }
  }

  /// [begin, end) of `text` has no added token of the kind that is matched in the text as it is.
  private func tokenizeStretch(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, allowSpecial: Bool, word: inout Int32,
    scratch: inout Scratch, into tokens: inout [Token]
  ) {
    switch segmenter {
    case .wordPiece(let words):
      tokenizeWords(
        words, text, begin, end, allowSpecial: allowSpecial, word: &word, scratch: &scratch.words, into: &tokens)
    case .sentencePiece(let pieces):
      pieces.tokenize(
        text, begin, end, continues: scratch.unigram.continues, word: &word, scratch: &scratch.pieces, into: &tokens)
      scratch.unigram.continues = false
    case .unigram(let unigram):
      tokenize(
        unigram, text, begin, end, allowSpecial: allowSpecial, word: &word, scratch: &scratch.unigram, into: &tokens)
    }
  }

  struct Scratch: ~Copyable {
    var words = NormalizedText()
    var pieces = SentencePiece.Scratch()
    var unigram = MetaspaceUnigram.Scratch()

    fileprivate mutating func takeError() -> KluereError? {
      let found = pieces.search.error ?? unigram.search.error
      pieces.search.error = nil
      unigram.search.error = nil
      return found
    }
  }

  private func tokenize(
    _ unigram: MetaspaceUnigram, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, allowSpecial: Bool,
    word: inout Int32, scratch: inout MetaspaceUnigram.Scratch, into tokens: inout [Token]
  ) {
    let matchesNormalized = normalizedMatcher.canMatch(allowSpecial: allowSpecial)
    if !matchesNormalized,
      unigram.tokenizePlain(text, begin, end, word: &word, scratch: &scratch, into: &tokens)
    {
      return
    }
    unigram.normalize(text, begin, end, scratch: &scratch)
    let normalized = scratch.normalized
    guard matchesNormalized else {
      return unigram.tokenize(0, normalized.bytes.count, word: &word, scratch: &scratch, into: &tokens)
    }
    normalized.bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      normalizedMatcher.split(base, 0, bytes.count, allowSpecial: allowSpecial) { from, to, id in
        if let id {
          tokens.append(Token(id: id, begin: normalized.begins[from], end: normalized.ends[to - 1], word: word))
          word &+= 1
          scratch.continues = false
        } else {
          unigram.tokenize(from, to, word: &word, scratch: &scratch, into: &tokens)
        }
      }
    }
  }

  private func tokenizeWords(
    _ words: PreTokenizer, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, allowSpecial: Bool,
    word: inout Int32, scratch: inout NormalizedText, into tokens: inout [Token]
  ) {
    let normalizer = words.normalizer
    let matchesNormalized = normalizedMatcher.canMatch(allowSpecial: allowSpecial)
    if normalizer.keepsCharacters, !matchesNormalized {
      return words.splitKept(text, begin, end, word: &word, scratch: &scratch, into: &tokens)
    }
    if matchesNormalized {
      scratch.removeAll()
      scratch.append(text, begin, end, normalizer)
      scratch.bytes.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return }
        normalizedMatcher.split(base, 0, bytes.count, allowSpecial: allowSpecial) { from, to, id in
          if let id {
            tokens.append(
              Token(id: id, begin: scratch.begins[from], end: scratch.ends[to - 1], word: word))
            word &+= 1
          } else {
            words.splitNormalized(scratch, from, to, word: &word, into: &tokens)
          }
        }
      }
      return
    }
    // Between spaces at a time: neither marks nor words reach across, and memory stays small.
    var start = begin
    while start < end {
      var stop = start
      while stop < end, text[stop] != 0x20 { stop += 1 }
      stop = min(stop + 1, end)
      scratch.removeAll()
      scratch.append(text, start, stop, normalizer)
      words.splitNormalized(scratch, 0, scratch.bytes.count, word: &word, into: &tokens)
      start = stop
    }
  }

  /// Cuts two texts of `a` and `b` pieces to `maximum` together as Hugging Face's fast tokenizers do: the shorter stays
  /// whole if it fits beside as much of the longer, else both get half, the longer (the second if equal) one more.
  package static func truncateLongestFirst(_ a: inout Int, _ b: inout Int, maximum: Int) {
    guard maximum >= 0, a >= 0, b >= 0, a.sum(b).map({ $0 > maximum }) ?? true else { return }
    var shorter = min(a, b)
    var longer = shorter > maximum ? shorter : max(shorter, maximum - shorter)
    if shorter.sum(longer).map({ $0 > maximum }) ?? true {
      shorter = maximum / 2
      longer = shorter + maximum % 2
    }
    (a, b) = a > b ? (longer, shorter) : (shorter, longer)
  }
}

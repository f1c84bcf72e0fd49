internal import KluereBase
internal import KluereText

/// SentencePiece models as transformers names them: sentencepiece.bpe.model for XLM-R and its relatives, the others for T5,
/// ALBERT and theirs.
enum SentencePieceFolder {
  static let xlmName = "sentencepiece.bpe.model"
  static let names = [xlmName, "spiece.model", "tokenizer.model", "sentencepiece.model"]

  /// `fields`: tokenizer_config.json. Without one the special tokens are those of the family that the file belongs to.
  static func open(
    _ file: TokenizerFile, _ fields: JSONFields?, addedSpecialTokens: [String], sources: [TokenizerFile]
  ) throws(KluereError) -> Tokenizer {
    let model = try SentencePieceModel(file.bytes)
    var configuration = TokenizerConfiguration()
    configuration.unkToken = model.unknown
    let isXLM = file.name == xlmName
    // BARThez numbers its file as fairseq does; XLM-R's file begins with <unk>, <s>, </s> and is moved by one.
    let fairseq = isXLM && model.first == "<unk>"
    if isXLM {
      (configuration.clsToken, configuration.sepToken) = ("<s>", "</s>")
      (configuration.padToken, configuration.maskToken) = ("<pad>", "<mask>")
      configuration.unkToken = "<unk>"
      configuration.addedTokens = [AddedToken(content: "<mask>", special: true, lstrip: true)]
      configuration.tokenizerClass = "XLMRobertaTokenizer"
    } else {
      let isBert = model.has("[CLS]") && model.has("[SEP]")
      configuration.clsToken = isBert ? "[CLS]" : ""
      configuration.sepToken = isBert ? "[SEP]" : model.has(model.eos) ? model.eos : ""
      configuration.padToken = model.has(model.pad) ? model.pad : ""
      configuration.maskToken = model.has("[MASK]") ? "[MASK]" : ""
      configuration.tokenizerClass = isBert ? "AlbertTokenizer" : "T5Tokenizer"
    }
    if let fields {
      var names: Set<String> = []
      try TokenizerFolder.readSpecialTokens(fields, into: &configuration, &names)
      if let length = try fields.double("model_max_length"), length >= 1, length < 1e9 {
        configuration.modelMaxLength = Int(exactly: length.rounded())
      }
      if let kind = try fields.string("tokenizer_class") { configuration.tokenizerClass = kind }
      let stated = try TokenizerFolder.addedTokens(fields, file.name)
      let contents = Set(stated.map(\.content))
      configuration.addedTokens = configuration.addedTokens.filter { !contents.contains($0.content) } + stated
    }
    return try Tokenizer(
      sentencePiece: file, model, fairseq: fairseq, configuration: configuration,
      template: { cls, sep in
        if isXLM { return SpecialTemplate(robertaWith: cls, sep) }
        if cls >= 0, sep >= 0 { return SpecialTemplate(bertWith: cls, sep) }
        return sep >= 0 ? SpecialTemplate(t5With: sep) : .bare
      },
      addedSpecialTokens: addedSpecialTokens, sourceFiles: sources)
  }
}

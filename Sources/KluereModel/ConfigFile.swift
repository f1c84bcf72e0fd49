internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereFormats

/// config.json of Hugging Face transformers: read with the defaults of its configuration classes, written so that
/// AutoConfig and AutoModelForSequenceClassification open it.
struct ConfigFile {
  static let name = "config.json"
  var configuration: ModelConfiguration
  /// id2label in order; nil where the file has none or only the generic LABEL_0, LABEL_1, ...
  var labels: [String]?
  /// Number of labels the file states, also where their names are generic.
  var labelCount: Int?

  init(configuration: ModelConfiguration, labels: [String]) {
    self.configuration = configuration
    self.labels = labels
    labelCount = labels.count
  }

  /// What is not supported is refused by name, never ignored.
  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    let file = try JSONFields(bytes, path: path)
    func unsupported(_ field: String, _ value: String, _ expected: String) -> KluereError {
      KluereError(.unsupported, "\(path): \(field) \"\(value)\" is not supported, expected \(expected)")
    }
    let families = ModelFamily.allCases.map { "\"\($0.name)\"" }.joined(separator: ", ")
    guard let type = try file.string("model_type") else {
      throw KluereError(.badFormat, "\(path): model_type is missing, expected one of \(families)")
    }
    var c = ModelConfiguration()
    guard let family = ModelFamily.allCases.first(where: { $0.name == type }) else {
      throw unsupported("model_type", type, "one of \(families)")
    }
    c.family = family
    switch try file.string("hidden_act") ?? "gelu" {
    case "gelu": c.activation = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": c.activation = .geluNew
    case "relu": c.activation = .relu
    case let other: throw unsupported("hidden_act", other, "\"gelu\", \"gelu_new\" or \"relu\"")
    }
    if let pruned = try file.object("pruned_heads"), pruned.count > 0 {
      throw unsupported("pruned_heads", "of \(pruned.count) layers", "none")
    }
    c.tiesDecoder = try file.bool("tie_word_embeddings") ?? true
    if let positions = try file.string("position_embedding_type"), positions != "absolute" {
      throw unsupported("position_embedding_type", positions, "\"absolute\"")
    }
    for flag in ["is_decoder", "add_cross_attention"] where try file.bool(flag) == true {
      throw unsupported(flag, "true", "false: an encoder")
    }
    if let problem = try file.string("problem_type"), problem != "single_label_classification" {
      throw unsupported("problem_type", problem, "\"single_label_classification\"")
    }
    let roberta = c.family.countsPositionsFromPadding
    let electra = c.family == .electra
    c.hiddenSize = try file.int("hidden_size") ?? (electra ? 256 : 768)
    c.layerCount = try file.int("num_hidden_layers") ?? 12
    c.headCount = try file.int("num_attention_heads") ?? (electra ? 4 : 12)
    c.intermediateSize = try file.int("intermediate_size") ?? (electra ? 1024 : 3072)
    if electra { c.embeddingSize = try file.int("embedding_size") ?? 128 }
    c.vocabularySize = try file.int("vocab_size") ?? (roberta ? 50265 : 30522)
    c.typeVocabularySize = try file.int("type_vocab_size") ?? 2
    let padding = try file.int("pad_token_id") ?? (roberta ? 1 : 0)
    guard let padToken = Int32(exactly: padding), padToken >= 0, padding < c.vocabularySize else {
      throw KluereError(
        .badFormat, "\(path): pad_token_id \(padding) is outside a vocabulary of \(c.vocabularySize) pieces")
    }
    c.padTokenID = padToken
    let rows = try file.int("max_position_embeddings") ?? 512
    c.maxPositions = rows.sum(-Int(c.firstPosition)) ?? 0
    c.maxTokens = min(256, c.maxPositions)
    c.hiddenDropout = Float(try file.double("hidden_dropout_prob") ?? 0.1)
    c.attentionDropout = Float(try file.double("attention_probs_dropout_prob") ?? 0.1)
    c.classifierDropout = try file.double("classifier_dropout").map { Float($0) }
    c.layerNormEpsilon = Float(try file.double("layer_norm_eps") ?? 1e-12)
    c.initializerRange = Float(try file.double("initializer_range") ?? 0.02)
    do throws(KluereError) { try c.validate() } catch {
      throw KluereError(.badFormat, "\(path): \(error.message)")
    }
    configuration = c
    if let map = try file.object("id2label") {
      labelCount = map.count
      var names: [String] = []
      for number in 0..<map.count {
        guard let label = try map.string(String(number)) else {
          throw KluereError(.badFormat, "\(path): id2label has \(map.count) entries but none for \(number)")
        }
        names.append(label)
      }
      let generic = names.enumerated().allSatisfy { $0.element == "LABEL_\($0.offset)" }
      labels = generic ? nil : names
    }
  }

  /// The file's bytes. `dtype` and `transformers_version` are left to transformers.
  func encoded(bosTokenID: Int32, eosTokenID: Int32, tokenizerClass: String) -> [UInt8] {
    let c = configuration
    let roberta = c.family.countsPositionsFromPadding
    let names = labels ?? []
    var file = JSONText()
    // With a head that transformers does not have it opens the encoder.
    let task = c.task == .classification && c.head != .cls ? ModelTask.encoder : c.task
    file.add("architectures", [c.family.className + task.classSuffix])
    file.add("attention_probs_dropout_prob", c.attentionDropout)
    if roberta { file.add("bos_token_id", Int(bosTokenID)) }
    if let dropout = c.classifierDropout {
      file.add("classifier_dropout", dropout)
    } else {
      file.addNull("classifier_dropout")
    }
    if c.family == .electra { file.add("embedding_size", c.embeddingWidth) }
    if roberta { file.add("eos_token_id", Int(eosTokenID)) }
    file.add("hidden_act", c.activation == .relu ? "relu" : c.activation == .geluNew ? "gelu_new" : "gelu")
    file.add("hidden_dropout_prob", c.hiddenDropout)
    file.add("hidden_size", c.hiddenSize)
    file.addObject("id2label", names.enumerated().map { (String($0.offset), .string($0.element)) })
    file.add("initializer_range", c.initializerRange)
    file.add("intermediate_size", c.intermediateSize)
    file.addObject("label2id", names.enumerated().map { ($0.element, .integer($0.offset)) })
    file.add("layer_norm_eps", c.layerNormEpsilon)
    file.add("max_position_embeddings", c.positionRows)
    file.add("model_type", c.family.name)
    file.add("num_attention_heads", c.headCount)
    file.add("num_hidden_layers", c.layerCount)
    file.add("pad_token_id", Int(c.padTokenID))
    file.add("position_embedding_type", "absolute")
    if c.task == .classification { file.add("problem_type", "single_label_classification") }
    file.add("tie_word_embeddings", c.tiesDecoder)
    // KLUE's RoBERTa is tokenized as BERT is; without this AutoTokenizer would look for RoBERTa's own BPE files.
    file.add("tokenizer_class", tokenizerClass)
    file.add("type_vocab_size", c.typeVocabularySize)
    file.add("vocab_size", c.vocabularySize)
    return file.finish()
  }
}

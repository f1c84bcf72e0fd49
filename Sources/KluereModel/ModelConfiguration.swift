package import KluereBase
package import KluereCompute

/// Encoder families. They differ in names, position numbers, the embedding's width and the head, not in the layers. Raw
/// values are KLUERE_FAMILY_*.
package enum ModelFamily: Int32, Sendable, CaseIterable {
  case bert = 0
  case roberta = 1
  case xlmRoberta = 2
  case electra = 3

  /// `model_type` in config.json.
  package var name: String {
    switch self {
    case .bert: "bert"
    case .roberta: "roberta"
    case .xlmRoberta: "xlm-roberta"
    case .electra: "electra"
    }
  }

  /// Of the encoder's tensors.
  var prefix: String {
    switch self {
    case .bert: "bert."
    case .roberta, .xlmRoberta: "roberta."
    case .electra: "electra."
    }
  }

  /// RoBERTa counts a sentence's positions from the padding id + 1 (modeling_roberta.py,
  /// create_position_ids_from_input_ids).
  var countsPositionsFromPadding: Bool { self == .roberta || self == .xlmRoberta }

  /// Begins the names of transformers' classes.
  var className: String {
    switch self {
    case .bert: "Bert"
    case .roberta: "Roberta"
    case .xlmRoberta: "XLMRoberta"
    case .electra: "Electra"
    }
  }
}

/// What stands on top of the encoder. Raw values are KLUERE_TASK_*.
package enum ModelTask: Int32, Sendable {
  case classification = 0
  case maskedLM = 1
  case encoder = 2

  /// Ends the names of transformers' classes.
  var classSuffix: String {
    switch self {
    case .classification: "ForSequenceClassification"
    case .maskedLM: "ForMaskedLM"
    case .encoder: "Model"
    }
  }
}

/// Everything that decides a model's shape and arithmetic.
package struct ModelConfiguration: Equatable, Sendable {
  package var family: ModelFamily = .roberta
  package var task: ModelTask = .classification
  package var hiddenSize = 256
  /// Width of the embeddings, nil: the hidden size. Only ELECTRA has another.
  package var embeddingSize: Int?
  /// Of the feed-forward layers.
  package var activation: Activation = .gelu
  /// The masked-LM decoder's weights are the word embeddings.
  package var tiesDecoder = true
  /// Of a model without a head: whether it has the dense layer over [CLS].
  package var hasPooler = false
  package var layerCount = 4
  package var headCount = 4
  package var intermediateSize = 1024
  /// Longest input in tokens, special tokens included.
  package var maxPositions = 512
  package var vocabularySize = 0
  package var typeVocabularySize = 1
  package var padTokenID: Int32 = 1
  package var inputForm: InputForm = .typedMarkerPunct
  /// Of a classifier.
  package var head: RelationHead = .cls
  /// Token types say what belongs to an entity: 1 subject, 2 object; there are three of them then.
  package var entitySegments = false
  /// Of the form `.template`.
  package var inputTemplate: String?
  package var particles: ParticleRule = .fixed
  /// nil: the form's own.
  package var afterMarker: AfterMarker?
  /// Sentences are cropped to this many tokens.
  package var maxTokens = 256
  package var hiddenDropout: Float = 0.1
  package var attentionDropout: Float = 0.1
  /// nil: hiddenDropout, as Hugging Face does.
  package var classifierDropout: Float?
  package var layerNormEpsilon: Float = 1e-5
  package var initializerRange: Float = 0.02

  package init() {}

  /// What is done after a closing marker.
  package var afterMarkerInUse: AfterMarker { afterMarker ?? inputForm.afterMarker }

  package var headWidth: Int { hiddenSize / headCount }

  package var embeddingWidth: Int { embeddingSize ?? hiddenSize }

  /// Number of a sentence's first position.
  package var firstPosition: Int32 { family.countsPositionsFromPadding ? padTokenID + 1 : 0 }

  /// Rows of the position table: `max_position_embeddings` in config.json.
  package var positionRows: Int { maxPositions + Int(firstPosition) }

  /// Limits far above any real model that keep every product of sizes inside Int.
  package func validate() throws(KluereError) {
    func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(KluereError) {
      guard range.contains(value) else {
        throw KluereError(
          .invalidArgument, "\(name): \(value), expected \(range.lowerBound) to \(range.upperBound)")
      }
    }
    func checkShare(_ name: String, _ value: Float) throws(KluereError) {
      // Thresholds have 16 bits: nearer to 1 the scale of what is kept would be infinite.
      guard value >= 0, value <= 0.99 else {
        throw KluereError(.invalidArgument, "\(name): \(value), expected 0 to 0.99")
      }
    }
    try check("hidden_size", hiddenSize, 1...65_536)
    if let embeddingSize {
      try check("embedding_size", embeddingSize, 1...65_536)
      guard family == .electra || embeddingSize == hiddenSize else {
        throw KluereError(
          .invalidArgument, "embedding_size: \(embeddingSize), a model of \(family.name) has hidden_size \(hiddenSize)")
      }
    }
    guard [.gelu, .geluNew, .relu].contains(activation) else {
      throw KluereError(.invalidArgument, "activation: expected gelu, gelu_new or relu")
    }
    try check("layer_count", layerCount, 1...1024)
    try check("head_count", headCount, 1...1024)
    guard hiddenSize % headCount == 0 else {
      throw KluereError(.invalidArgument, "hidden_size: \(hiddenSize) is not a multiple of head_count \(headCount)")
    }
    try check("intermediate_size", intermediateSize, 1...1_048_576)
    try check("max_positions", maxPositions, 8...1_048_576)
    try check("vocabulary", vocabularySize, 1...100_000_000)
    let fewestTypes = entitySegments ? ModelConfiguration.entitySegmentTypes : 1
    try check("type_vocab_size", typeVocabularySize, fewestTypes...1024)
    try check("max_tokens", maxTokens, 8...maxPositions)
    if try parsedTemplate().beside != nil, task == .classification, !head.readsMarkers {
      throw KluereError(
        .invalidArgument,
        "head: \(head.name) with the input form \(inputForm.name), whose text does not see the markers, expected a head that "
          + "reads markers, such as entity_start")
    }
    guard padTokenID >= 0, Int(padTokenID) < vocabularySize else {
      throw KluereError(
        .invalidArgument, "pad_token_id: \(padTokenID) is outside a vocabulary of \(vocabularySize) pieces")
    }
    try checkShare("hidden_dropout", hiddenDropout)
    try checkShare("attention_dropout", attentionDropout)
    if let classifierDropout { try checkShare("classifier_dropout", classifierDropout) }
    guard layerNormEpsilon > 0, layerNormEpsilon < 1 else {
      throw KluereError(
        .invalidArgument, "layer_norm_epsilon: \(layerNormEpsilon), expected more than 0 and less than 1")
    }
    guard initializerRange >= 0, initializerRange <= 10 else {
      throw KluereError(.invalidArgument, "initializer_range: \(initializerRange), expected 0 to 10")
    }
  }

  /// Whether the form has markers beside the text.
  package var hasMarkersBeside: Bool {
    do throws(KluereError) { return try parsedTemplate().beside != nil } catch { return false }
  }

  /// Token types that entity segments need.
  static let entitySegmentTypes = 3

  /// The template of the form, read.
  package func parsedTemplate() throws(KluereError) -> InputTemplate {
    guard let text = inputForm.template ?? inputTemplate else {
      throw KluereError(.invalidArgument, "input_template: missing, the input form template needs one")
    }
    guard inputForm == .template || inputTemplate == nil else {
      throw KluereError(
        .invalidArgument,
        "input_template: given with the input form \(inputForm.name), expected the input form template")
    }
    return try InputTemplate(text)
  }
}

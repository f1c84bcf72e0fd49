/// Names of a model's tensors in weight files, as transformers' modeling_bert, _roberta, _xlm_roberta and _electra give
/// them.
struct TensorNames {
  private let family: ModelFamily
  private let prefix: String
  private let tied: Bool

  init(_ configuration: ModelConfiguration) {
    family = configuration.family
    prefix = configuration.family.prefix
    tied = configuration.tiesDecoder
  }

  var word: String { prefix + "embeddings.word_embeddings.weight" }
  var position: String { prefix + "embeddings.position_embeddings.weight" }
  var type: String { prefix + "embeddings.token_type_embeddings.weight" }
  var embeddingNorm: String { prefix + "embeddings.LayerNorm" }
  var projection: String { prefix + "embeddings_project" }
  func layer(_ number: Int) -> String { prefix + "encoder.layer.\(number)." }
  var pooler: String { prefix + "pooler.dense" }

  private static let head = "relation_head."
  /// Rows of the last layer behind those of the classifier's own (`PairHeads`).
  static let pairHeads = "pair_heads"
  /// Behind the name of an int8 tensor: the scales of its rows, as compressed-tensors names them.
  static let scales = "_scale"

  func headLayer(_ layer: HeadPlan.HeadLayer) -> String {
    switch layer {
    // BERT's classifier goes through the pooler.
    case .classifierDense: family == .bert ? pooler : "classifier.dense"
    case .pooler: pooler
    case .own(let name): TensorNames.head + name
    }
  }

  /// transformers' name for its own head.
  func headOutput(_ head: RelationHead) -> String {
    guard head == .cls else { return TensorNames.head + "output" }
    return family == .bert ? "classifier" : "classifier.out_proj"
  }

  var maskedLMDense: String {
    switch family {
    case .bert: "cls.predictions.transform.dense"
    case .roberta, .xlmRoberta: "lm_head.dense"
    case .electra: "generator_predictions.dense"
    }
  }
  var maskedLMNorm: String {
    switch family {
    case .bert: "cls.predictions.transform.LayerNorm"
    case .roberta, .xlmRoberta: "lm_head.layer_norm"
    case .electra: "generator_predictions.LayerNorm"
    }
  }
  var decoderWeight: String {
    switch family {
    case .bert: "cls.predictions.decoder.weight"
    case .roberta, .xlmRoberta: "lm_head.decoder.weight"
    case .electra: "generator_lm_head.weight"
    }
  }
  /// transformers keeps the bias twice and ties the two with the weights; untied, the decoder's own is the one that counts.
  var decoderBias: String { tied ? biases.head : biases.decoder }
  private var otherBias: String { tied ? biases.decoder : biases.head }

  private var biases: (head: String, decoder: String) {
    switch family {
    case .bert: ("cls.predictions.bias", "cls.predictions.decoder.bias")
    case .roberta, .xlmRoberta: ("lm_head.bias", "lm_head.decoder.bias")
    case .electra: ("generator_lm_head.bias", "generator_lm_head.bias")
    }
  }

  /// Whether the encoder is complete without this tensor: it belongs to a head or to the pooler.
  func isHead(_ name: String) -> Bool {
    name.hasPrefix(prefix + "pooler.")
      || isRelationHead(name) || ["classifier.", "cls.", "lm_head.", "generator_"].contains { name.hasPrefix($0) }
  }

  /// Whether it belongs to a head of this library's own, of which each has its own meaning under the same names.
  func isRelationHead(_ name: String) -> Bool {
    name.hasPrefix(TensorNames.head) || name.hasPrefix(TensorNames.pairHeads + ".")
  }

  /// Names under which a tensor may stand: its own, without the family's prefix (a base model saves so), with the older
  /// LayerNorm.gamma and beta, and the second name that masked-LM heads give their bias; then as the report's team saved
  /// its models: an encoder, and a torch.nn.Sequential of dense, activation, dropout, output.
  func alternatives(_ name: String) -> [String] {
    var names = [name]
    if name.hasPrefix(prefix) { names.append(String(name.dropFirst(prefix.count))) }
    for name in names {
      if name.hasSuffix("LayerNorm.weight") { names.append(name.dropLast("weight".count) + "gamma") }
      if name.hasSuffix("LayerNorm.bias") { names.append(name.dropLast("bias".count) + "beta") }
    }
    if name == decoderBias { names.append(otherBias) }
    if name.hasPrefix(prefix) { names.append("encoder." + name.dropFirst(prefix.count)) }
    for (own, theirs) in [("dense.", "classifier.0."), ("output.", "classifier.3.")]
    where name.hasPrefix(TensorNames.head + own) {
      names.append(theirs + name.dropFirst((TensorNames.head + own).count))
    }
    return names
  }

  /// Index buffers, which older versions saved along.
  func isBuffer(_ name: String) -> Bool { name.hasSuffix("position_ids") || name.hasSuffix("token_type_ids") }

  /// The second copy of what is tied, or the bias that an untied head has and does not use.
  func isCopy(_ name: String) -> Bool { name == otherBias && name != decoderBias || tied && name == decoderWeight }
}

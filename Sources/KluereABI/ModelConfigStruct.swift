internal import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereModel

/// The seed of random weights; it is no part of a model's configuration.
private let defaultSeed: UInt64 = 42
/// "Not given" in the header's fields.
private let notGiven: Float = -1

func defaultModelConfig() -> kluere_model_config {
  var config = modelConfigStruct(ModelConfiguration())
  config.max_tokens = 0
  config.layer_norm_epsilon = 0
  config.embedding_size = 0
  config.after_marker = -1
  return config
}

/// A configuration as the header's struct, all fields as they are used. struct_size is left to `SizedStruct`,
/// input_template to whom its text belongs.
func modelConfigStruct(_ configuration: ModelConfiguration) -> kluere_model_config {
  kluere_model_config(
    struct_size: UInt32(MemoryLayout<kluere_model_config>.size), family: configuration.family.rawValue,
    hidden_size: UInt32(clamping: configuration.hiddenSize), layer_count: UInt32(clamping: configuration.layerCount),
    head_count: UInt32(clamping: configuration.headCount),
    intermediate_size: UInt32(clamping: configuration.intermediateSize),
    max_positions: UInt32(clamping: configuration.maxPositions), input_form: configuration.inputForm.rawValue,
    max_tokens: UInt32(clamping: configuration.maxTokens), hidden_dropout: configuration.hiddenDropout,
    attention_dropout: configuration.attentionDropout, classifier_dropout: configuration.classifierDropout ?? notGiven,
    layer_norm_epsilon: configuration.layerNormEpsilon, initializer_range: configuration.initializerRange,
    seed: defaultSeed, task: configuration.task.rawValue,
    activation: activationCodes.first { $0.value == configuration.activation }?.code ?? 0,
    embedding_size: UInt32(clamping: configuration.embeddingWidth), untied_decoder: configuration.tiesDecoder ? 0 : 1,
    input_template: nil, particles: configuration.particles.rawValue,
    after_marker: configuration.afterMarkerInUse.rawValue, head: configuration.head.rawValue,
    entity_segments: configuration.entitySegments ? 1 : 0, recipe: nil)
}

/// The header's struct as a configuration; ranges are checked by the model.
func modelConfiguration(_ config: kluere_model_config) throws(KluereError) -> ModelConfiguration {
  var configuration = ModelConfiguration()
  configuration.family = try choice(config.family, "family", "0 (BERT), 1 (RoBERTa), 2 (XLM-RoBERTa) or 3 (ELECTRA)")
  configuration.hiddenSize = Int(config.hidden_size)
  configuration.layerCount = Int(config.layer_count)
  configuration.headCount = Int(config.head_count)
  configuration.intermediateSize = Int(config.intermediate_size)
  configuration.maxPositions = Int(config.max_positions)
  configuration.inputForm = try inputForm(config.input_form)
  configuration.inputTemplate = try inputTemplate(config.input_template)
  configuration.particles = try particles(config.particles)
  if config.after_marker != -1 { configuration.afterMarker = try afterMarker(config.after_marker) }
  configuration.maxTokens = config.max_tokens > 0 ? Int(config.max_tokens) : min(256, configuration.maxPositions)
  configuration.hiddenDropout = config.hidden_dropout
  configuration.attentionDropout = config.attention_dropout
  configuration.classifierDropout = config.classifier_dropout == notGiven ? nil : config.classifier_dropout
  let usual: Float = configuration.family == .bert || configuration.family == .electra ? 1e-12 : 1e-5
  configuration.layerNormEpsilon = config.layer_norm_epsilon == 0 ? usual : config.layer_norm_epsilon
  configuration.initializerRange = config.initializer_range
  configuration.task = try task(config.task)
  guard let activation = activationCodes.first(where: { $0.code == config.activation })?.value else {
    throw KluereError(.invalidArgument, "activation: \(config.activation), expected 0 (GELU), 1 (GELU_NEW) or 2 (RELU)")
  }
  configuration.activation = activation
  if config.embedding_size != 0 { configuration.embeddingSize = Int(config.embedding_size) }
  guard config.untied_decoder <= 1 else {
    throw KluereError(.invalidArgument, "untied_decoder: \(config.untied_decoder), expected 0 or 1")
  }
  configuration.tiesDecoder = config.untied_decoder == 0
  configuration.head = try relationHead(config.head)
  configuration.entitySegments = try truth(config.entity_segments, "entity_segments")
  return configuration
}

/// KLUERE_ACTIVATION_*
private let activationCodes: [(code: Int32, value: Activation)] = [(0, .gelu), (1, .geluNew), (2, .relu)]

func task(_ value: Int32) throws(KluereError) -> ModelTask {
  try choice(value, "task", "0 (classification), 1 (masked LM) or 2 (encoder)")
}

func relationHead(_ value: Int32) throws(KluereError) -> RelationHead {
  try choice(value, "head", "one of KLUERE_HEAD_*, 0 to 9")
}

func inputForm(_ value: Int32) throws(KluereError) -> InputForm {
  try choice(value, "input_form", "one of KLUERE_INPUT_*, 0 to 18")
}

/// NULL: nil.
func inputTemplate(_ given: UnsafePointer<CChar>?) throws(KluereError) -> String? {
  guard let given else { return nil }
  return String(decoding: try text(given, nulTerminated, "input_template"), as: Unicode.UTF8.self)
}

func particles(_ value: Int32) throws(KluereError) -> ParticleRule {
  try choice(value, "particles", "0 (fixed) or 1 (agree)")
}

func afterMarker(_ value: Int32) throws(KluereError) -> AfterMarker {
  try choice(value, "after_marker", "0 (new word), 1 (continuation) or 2 (KLUE's repair)")
}

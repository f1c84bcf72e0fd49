internal import CKluere
internal import KluereBase
internal import KluereModel

/// The seed of random weights; it is no part of a model's configuration.
private let defaultSeed: UInt64 = 42
/// "Not given" in the header's fields.
private let notGiven: Float = -1

func defaultModelConfig() -> kluere_model_config {
  var config = modelConfigStruct(ModelConfiguration())
  config.max_tokens = 0
  config.layer_norm_epsilon = 0
  return config
}

/// A configuration as the header's struct, all fields as they are used. struct_size is left to `SizedStruct`.
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
    seed: defaultSeed)
}

/// The header's struct as a configuration; ranges are checked by the model.
func modelConfiguration(_ config: kluere_model_config) throws(KluereError) -> ModelConfiguration {
  var configuration = ModelConfiguration()
  configuration.family = try choice(config.family, "family", "0 (BERT) or 1 (RoBERTa)")
  configuration.hiddenSize = Int(config.hidden_size)
  configuration.layerCount = Int(config.layer_count)
  configuration.headCount = Int(config.head_count)
  configuration.intermediateSize = Int(config.intermediate_size)
  configuration.maxPositions = Int(config.max_positions)
  configuration.inputForm = try inputForm(config.input_form)
  configuration.maxTokens = config.max_tokens > 0 ? Int(config.max_tokens) : min(256, configuration.maxPositions)
  configuration.hiddenDropout = config.hidden_dropout
  configuration.attentionDropout = config.attention_dropout
  configuration.classifierDropout = config.classifier_dropout == notGiven ? nil : config.classifier_dropout
  let usual: Float = configuration.family == .bert ? 1e-12 : 1e-5
  configuration.layerNormEpsilon = config.layer_norm_epsilon == 0 ? usual : config.layer_norm_epsilon
  configuration.initializerRange = config.initializer_range
  return configuration
}

func inputForm(_ value: Int32) throws(KluereError) -> InputForm {
  try choice(value, "input_form", "0 (entity pair) or 1 (typed entity markers)")
}

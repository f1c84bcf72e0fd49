package import KluereBase
package import KluereCompute
package import KluereData
internal import KluereDecoding
internal import KluereFormats
package import KluereText

/// Tokenizer, labels and weights. Immutable, so any number of threads may use it.
package final class Model: Sendable {
  package let context: Context
  package let configuration: ModelConfiguration
  package let tokenizer: Tokenizer
  package let labels: LabelSet
  package let layout: ParameterLayout
  package let weights: ModelWeights
  /// For each tensor of the layout: whether the folder lacked it and it was made at random.
  package let newlyInitialized: [Bool]
  /// Names of tensors in the opened folder's files that this model has no use for.
  package let unusedTensors: [String]
  /// Travels with the model and into its folder.
  package let extras: ModelExtras
  /// Second copies of tied tensors, which go back into the folder as they were.
  let copies: [StoredTensor]
  /// What entity types do to logits in prediction; nil: nothing.
  package let types: TypeRoutes?
  private let encoder: InputEncoder

  init(
    context: Context, configuration: ModelConfiguration, tokenizer: Tokenizer, labels: LabelSet,
    layout: ParameterLayout, weights: ModelWeights, newlyInitialized: [Bool],
    unusedTensors: [String] = [], copies: [StoredTensor] = [], extras: ModelExtras = ModelExtras()
  ) throws(KluereError) {
    self.context = context
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.labels = labels
    self.layout = layout
    self.weights = weights
    self.newlyInitialized = newlyInitialized
    self.unusedTensors = unusedTensors
    self.copies = copies
    self.extras = extras
    types = layout.classifier == nil ? nil : TypeRoutes(extras.typeMask, extras.pairHeads, extras.typePairs, labels)
    guard layout.pairHeadRows == (layout.classifier == nil ? 0 : extras.pairHeads?.rowCount ?? 0) else {
      throw KluereError(.internal, "model: its layout has \(layout.pairHeadRows) rows of pair heads")
    }
    // Only a classifier needs the markers of its input form.
    var form = configuration
    if configuration.task != .classification {
      form.inputForm = .entityPair
      form.inputTemplate = nil
    }
    encoder = try InputEncoder(tokenizer, form)
  }

  /// A model with random weights; its vocabulary size and padding id are the tokenizer's.
  package static func create(
    context: Context, tokenizer: Tokenizer, configuration: ModelConfiguration, labels: LabelSet, seed: UInt64
  ) throws(KluereError) -> Model {
    var configuration = configuration
    let tokens = configuration.task == .classification ? try configuration.parsedTemplate().addedTokens : []
    let tokenizer = try tokenizer.with(specialTokens: tokens)
    configuration.vocabularySize = tokenizer.vocabularySize
    configuration.padTokenID = tokenizer.padID
    let types = configuration.family.countsPositionsFromPadding ? 1 : 2
    configuration.typeVocabularySize = configuration.entitySegments ? ModelConfiguration.entitySegmentTypes : types
    try configuration.validate()
    let layout = try ParameterLayout(configuration, labelCount: labels.count)
    let weights = try FloatStorage(count: layout.count, on: context.backend, for: "weights")
    var initializer = WeightInitializer(seed: seed, deviation: configuration.initializerRange)
    for slot in layout.tensors { try initializer.fill(slot, in: weights, on: context.backend) }
    return try Model(
      context: context, configuration: configuration, tokenizer: tokenizer, labels: labels, layout: layout,
      weights: ModelWeights(arena: weights, layout, on: context.backend),
      newlyInitialized: layout.tensors.map { _ in true })
  }

  /// The same model with other weights, which it takes over.
  package func with(weights: FloatStorage) throws(KluereError) -> Model {
    try Model(
      context: context, configuration: configuration, tokenizer: tokenizer, labels: labels, layout: layout,
      weights: ModelWeights(arena: weights, layout, on: context.backend),
      newlyInitialized: layout.tensors.map { _ in false }, extras: extras.withoutFitted)
  }

  /// The same model, its weights shared, with other extras.
  package func with(extras: ModelExtras) throws(KluereError) -> Model {
    if let decoding = extras.decoding {
      guard decoding.classes == labels.count else {
        throw KluereError(
          .invalidArgument, "decoding of \(decoding.classes) classes, but the model has \(labels.count) labels")
      }
      guard configuration.task == .classification else {
        throw KluereError(.state, "decoding: the model has no classification head whose logits it could decode")
      }
    }
    return try Model(
      context: context, configuration: configuration, tokenizer: tokenizer, labels: labels, layout: layout,
      weights: weights, newlyInitialized: newlyInitialized, unusedTensors: unusedTensors, copies: copies,
      extras: extras)
  }

  /// A copy of the weights that its owner may write.
  package func copyWeights() throws(KluereError) -> FloatStorage { try weights.copy() }

  /// Tokens of an example. `example` has been validated.
  package func encode(
    _ example: ExampleView, _ scratch: inout InputEncoder.Scratch, into out: inout EncodedExample
  ) throws(KluereError) { try encoder.encode(example, &scratch, into: &out) }

  /// What prediction in this precision reads. Call it inside `context.exclusive`, and again for each call while the result
  /// `isProvisional`. `fewRows`: the call is for so few that packing all weights at once would be most of its time.
  package func weightsForInference(
    _ precision: Precision, _ form: WeightForm = .float32, fewRows: Bool = false
  ) throws(KluereError) -> NetworkWeights {
    try weights.forInference(layout, precision, form, fewRows: fewRows)
  }
}

package import KluereBase
package import KluereCompute

/// One worker's forward and backward passes over packed batches: owns activations, borrows weights. Not for several
/// threads at once; run it inside `Context.exclusive`.
package final class Network {
  private let configuration: ModelConfiguration
  private let layout: ParameterLayout
  private let labelCount: Int
  private let backend: any Backend
  private let precision: Precision
  private let training: Bool
  private let layers: [EncoderLayer]
  private let classifier: ClassificationHead?
  private var maskedLM: MaskedLMHead?
  private var memory = NetworkMemory()
  private var recordings = Recordings()
  private var loader = BatchLoader()
  /// The batch of the last forward pass; with recordings, what it was padded to.
  private var shape = BatchShape()
  private var dropout = DropoutPlan.off

  /// `training` keeps what a backward pass needs. The device has been asked whether it supports `precision`.
  package init(
    _ configuration: ModelConfiguration, _ layout: ParameterLayout, on context: Context,
    precision: Precision = .float32,
    training: Bool
  ) {
    self.configuration = configuration
    self.layout = layout
    self.backend = context.backend
    self.precision = precision
    self.training = training
    labelCount = layout.classifier?.output.out ?? 0
    layers = layout.layers.enumerated().map { EncoderLayer(number: $0.offset, slots: $0.element) }
    classifier = layout.classifier.map { ClassificationHead($0) }
    maskedLM = layout.maskedLM.map { MaskedLMHead($0) }
  }

  /// Makes room for batches up to this size, so that later passes allocate nothing.
  package func reserve(tokens: Int, sequences: Int) throws(KluereError) {
    try memory.prepare(
      configuration, precision, labelCount: labelCount, tokens: tokens, sequences: sequences, training: training,
      on: backend)
  }

  /// Last hidden states [tokens, hidden] in device memory, valid until the next call; fp32 where the residual path is.
  package func encode(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> Values {
    try begin(batch, dropout)
    let pass = try makePass(weights)
    try recorded(.encode, weights) { () throws(KluereError) in try runEncoder(pass) }
    return try hiddenStates()
  }

  /// Logits [sequences, labels] in device memory, valid until the next call.
  package func forward(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> UnsafeMutablePointer<Float> {
    guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
    try begin(batch, dropout)
    let pass = try makePass(weights)
    let head = try headMemory()
    try recorded(.classify, weights) { () throws(KluereError) in
      try runEncoder(pass)
      try classifier.forward(pass, try hiddenStates(), head)
    }
    return head.logits
  }

  private func begin(_ batch: TokenBatch, _ dropout: DropoutPlan) throws(KluereError) {
    guard batch.tokenCount > 0 else { throw KluereError(.internal, "forward pass: the batch is empty") }
    self.dropout = dropout
    shape = BatchShape(batch, padded: !training && backend.recordsPasses)
    try reserve(tokens: shape.tokens, sequences: shape.sequences)
    try loader.load(batch, shape, firstPosition: configuration.firstPosition, into: memory, on: backend)
  }

  private func recorded(
    _ kind: Recordings.Kind, _ weights: NetworkWeights, _ body: () throws(KluereError) -> Void
  ) throws(KluereError) {
    guard shape.isPadded else { return try body() }
    try recordings.run(kind, shape, memory.addresses + weights.addresses, on: backend, body)
  }

  private func runEncoder(_ pass: Pass) throws(KluereError) {
    guard let embedded = memory.embedded, let embeddingTokens else { throw Network.unprepared }
    try backend.embedding(
      embedded, stream: memory.embeddedStream, xhat: memory.embeddingXhat, rstd: memory.embeddingRstd,
      tables(pass.weights.floats, word: pass.packed?.word), embeddingTokens,
      gain: pass.weights.floats + layout.embeddingNorm.gain, bias: pass.weights.floats + layout.embeddingNorm.bias,
      rows: shape.tokens, width: configuration.embeddingWidth, epsilon: configuration.layerNormEpsilon,
      pass.mask(dropout.hidden, DropoutSite.embedding))
    if let projection = layout.projection, let projected = memory.projected {
      try pass.linear(projected, embedded, projection, rows: shape.tokens)
    }
    let scratch = try layerScratch()
    for (layer, layerMemory) in zip(layers, memory.layers) { try layer.forward(pass, layerMemory, scratch) }
  }

  private func hiddenStates() throws(KluereError) -> Values {
    if let last = memory.layers.last { return last.residual(last.output, last.outputStream) }
    guard let embedded = memory.embedded else { throw Network.unprepared }
    return memory.embeddedStream.map { Values($0) } ?? embedded
  }

  /// BERT's tanh pooler over the hidden states that the last `encode` gave: [sequences, hidden] in device memory.
  package func pool(_ weights: NetworkWeights) throws(KluereError) -> ConstantFloats {
    let dense = layout.pooler ?? (configuration.family == .bert ? layout.classifier?.dense : nil)
    guard let dense else { throw KluereError(.unsupported, "pooler: the model has none") }
    let head = try headMemory()
    let pass = try makePass(weights)
    try backend.gatherRows(
      head.gathered, try hiddenStates(), head.firstRows, count: shape.sequences, width: configuration.hiddenSize)
    let (input, output) = (Values(head.gathered, precision.ofHead), Values(head.dense, precision.ofHead))
    try pass.linear(output, input, dense, rows: shape.sequences, .tanh)
    return UnsafePointer(head.dense)
  }

  /// Logits [rows, vocabulary] of the masked-LM head at these rows of the last `encode`, in device memory.
  package func maskedLogits(_ weights: NetworkWeights, rows: [Int32]) throws(KluereError) -> ConstantFloats {
    guard maskedLM != nil else { throw KluereError(.state, "model: it has no masked-LM head") }
    guard rows.allSatisfy({ $0 >= 0 && Int($0) < shape.tokens }) else { throw Network.unprepared }
    let pass = try makePass(weights)
    let memory = try maskedLM?.prepare(pass, rows: rows.count)
    guard let memory else { throw Network.unprepared }
    try backend.copyIn(memory.rows, rows)
    try maskedLM?.forward(pass, try hiddenStates(), memory, count: rows.count)
    return UnsafePointer(memory.logits)
  }

  /// Ranges of masked tokens whose logits are in memory together: equal ones, as few as `MaskedLMHead` has memory for.
  package func maskedSlices(_ count: Int) -> [Range<Int>] { maskedLM?.slices(count) ?? [] }

  /// Adds the losses of masked tokens of the last `encode` to `update`, and to the gradients those of the decoder times
  /// `scale`; prepares the backward pass. `rows`: their places in the batch, ascending; `labels`: inside the vocabulary.
  package func maskedLoss(
    _ weights: NetworkWeights, rows: [Int32], labels: [Int32], scale: Float, _ update: UpdateStorage,
    gradients: FloatStorage
  ) throws(KluereError) {
    guard rows.count == labels.count, rows.allSatisfy({ $0 >= 0 && Int($0) < shape.tokens }) else {
      throw Network.unprepared
    }
    let (pass, hidden) = (try makePass(weights), try hiddenStates())
    try maskedLM?.loss(
      pass, hidden, rows: rows, labels: labels, scale: scale, update, parameters: gradients.pointer)
  }

  /// Adds the sum of the rows' losses of the last forward pass to `update` and prepares the backward pass with gradients
  /// times `scale`. `labels`: one per sequence, inside the labels.
  package func loss(_ labels: [Int32], scale: Float, _ update: UpdateStorage) throws(KluereError) {
    guard labels.count == shape.sequences, let device = memory.labels else {
      throw KluereError(.internal, "loss: \(labels.count) labels for \(shape.sequences) sequences")
    }
    try backend.copyIn(device, labels)
    let head = try headMemory()
    try backend.crossEntropy(
      head.logitsGradient, head.logits, labels: device, rows: shape.sequences, classes: labelCount, scale: scale,
      update)
  }

  /// Gradients of all parameters += those of the last `loss`.
  package func backward(_ weights: NetworkWeights, gradients: FloatStorage) throws(KluereError) {
    let pass = try makePass(weights)
    guard let gradient = memory.gradient, let xhat = memory.embeddingXhat, let rstd = memory.embeddingRstd,
      let embeddingTokens
    else { throw Network.unprepared }
    try backend.fill(gradient.floats, 0, count: shape.tokens * configuration.hiddenSize)
    if let maskedLM {
      try maskedLM.backward(pass, hiddenGradient: gradient, parameters: gradients.pointer)
    } else {
      guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
      try classifier.backward(pass, try headMemory(), hiddenGradient: gradient, parameters: gradients.pointer)
    }
    let scratch = try layerScratch()
    for (layer, layerMemory) in zip(layers, memory.layers).reversed() {
      try layer.backward(pass, layerMemory, scratch, gradient: gradient, parameters: gradients.pointer)
    }
    try backend.embeddingBackward(
      tables(gradients.pointer), dgain: gradients.pointer + layout.embeddingNorm.gain,
      dbias: gradients.pointer + layout.embeddingNorm.bias,
      try backwardThroughProjection(pass, gradient, scratch, parameters: gradients.pointer), xhat: xhat, rstd: rstd,
      gain: pass.weights.floats + layout.embeddingNorm.gain, embeddingTokens, rows: shape.tokens,
      width: configuration.embeddingWidth, pass.mask(dropout.hidden, DropoutSite.embedding))
  }

  /// Gradient of the embedding's result: `gradient` itself unless a projection stands between (ELECTRA).
  private func backwardThroughProjection(
    _ pass: Pass, _ gradient: Values, _ scratch: LayerScratch, parameters: Floats
  ) throws(KluereError) -> Values {
    guard let projection = layout.projection, let embedded = memory.embedded, let wide = scratch.wide else {
      return gradient
    }
    var incoming = gradient
    if gradient.precision != precision {
      // Products take two factors of one kind.
      try backend.convert(scratch.projection, gradient, count: shape.tokens * configuration.hiddenSize)
      incoming = scratch.projection
    }
    try pass.linearBackwardWeight(parameters, incoming, embedded, projection, rows: shape.tokens)
    try pass.linearBackwardInput(wide, incoming, projection, rows: shape.tokens, accumulate: false)
    return wide
  }

  // MARK: Views of the present batch

  private static let unprepared = KluereError(.internal, "network: no batch has been loaded")

  /// `word`: its place if that is not in the arena; only read then.
  private func tables(_ base: ConstantFloats, word: ConstantFloats? = nil) -> EmbeddingTables {
    tables(Floats(mutating: base), word: word.map { Floats(mutating: $0) })
  }

  private func tables(_ base: Floats, word: Floats? = nil) -> EmbeddingTables {
    EmbeddingTables(
      word: word ?? base + layout.word, position: base + layout.position,
      type: base + layout.type,
      wordRows: configuration.vocabularySize, positionRows: configuration.positionRows,
      typeRows: configuration.typeVocabularySize, wordPadding: configuration.padTokenID,
      positionPadding: configuration.family.countsPositionsFromPadding ? configuration.padTokenID : -1)
  }

  private var embeddingTokens: EmbeddingTokens? {
    guard let ids = memory.ids, let positions = memory.positions, let types = memory.types else { return nil }
    return EmbeddingTokens(ids: ids, positions: positions, types: types)
  }

  private func unsigned(_ pointer: UnsafeMutablePointer<Int32>) -> UnsafePointer<UInt32> {
    UnsafePointer(UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt32.self))
  }

  private func makePass(_ weights: NetworkWeights) throws(KluereError) -> Pass {
    guard let offsets = memory.offsets, let samples = memory.samples, let positions = memory.positionsInSentence else {
      throw Network.unprepared
    }
    let sequences = PackedSequences(
      offsets: offsets, count: shape.sequences, rows: shape.tokens, longest: shape.longest)
    return Pass(
      backend: backend, configuration: configuration, weights: weights.base, packed: weights.packed, dropout: dropout,
      tokens: shape.tokens, sequences: shape.sequences, packedSequences: sequences, samples: unsigned(samples),
      positions: unsigned(positions), headPrecision: precision.ofHead)
  }

  private func layerScratch() throws(KluereError) -> LayerScratch {
    guard let projection = memory.projection, let activation = memory.activation else { throw Network.unprepared }
    return LayerScratch(projection: projection, activation: activation, wide: memory.wide)
  }

  private func headMemory() throws(KluereError) -> HeadMemory {
    guard let gathered = memory.head, let dropped = memory.headDropped, let dense = memory.headDense,
      let denseDropped = memory.headDenseDropped, let logits = memory.logits, let firstRows = memory.firstRows,
      let samples = memory.sequenceSamples, let zeros = memory.zeros
    else { throw Network.unprepared }
    return HeadMemory(
      gathered: gathered, dropped: dropped, dense: dense, densePre: memory.headDensePre, denseDropped: denseDropped,
      logits: logits,
      gradient: memory.headGradient, logitsGradient: memory.logitsGradient, firstRows: firstRows,
      samples: unsigned(samples), zeros: unsigned(zeros))
  }
}

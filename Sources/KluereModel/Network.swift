package import KluereBase
package import KluereCompute

/// One worker's forward and backward passes over packed batches: owns activations, borrows weights. Not for several
/// threads at once; run it inside `Context.exclusive`.
package final class Network {
  private let configuration: ModelConfiguration
  private let layout: ParameterLayout
  private let labelCount: Int
  private let backend: any Backend
  private let training: Bool
  private let layers: [EncoderLayer]
  private let classifier: ClassificationHead?
  private var maskedLM: MaskedLMHead?
  private var memory = NetworkMemory()
  /// The batch of the last forward pass.
  private var tokens = 0
  private var sequences = 0
  private var dropout = DropoutPlan.off

  /// `training` keeps what a backward pass needs.
  package init(_ configuration: ModelConfiguration, _ layout: ParameterLayout, on context: Context, training: Bool) {
    self.configuration = configuration
    self.layout = layout
    self.backend = context.backend
    self.training = training
    labelCount = layout.classifier?.output.out ?? 0
    layers = layout.layers.enumerated().map { EncoderLayer(number: $0.offset, slots: $0.element) }
    classifier = layout.classifier.map { ClassificationHead($0) }
    maskedLM = layout.maskedLM.map { MaskedLMHead($0) }
  }

  /// Makes room for batches up to this size, so that later passes allocate nothing.
  package func reserve(tokens: Int, sequences: Int) throws(KluereError) {
    try memory.prepare(
      configuration, labelCount: labelCount, tokens: tokens, sequences: sequences, training: training, on: backend)
  }

  /// Last hidden states [tokens, hidden] in device memory, valid until the next call. `weights` has the layout's shape.
  package func encode(
    weights: FloatStorage, packed: PackedWeights? = nil, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> UnsafeMutablePointer<Float> {
    tokens = batch.tokenCount
    sequences = batch.sequenceCount
    self.dropout = dropout
    guard tokens > 0 else { throw KluereError(.internal, "forward pass: the batch is empty") }
    try reserve(tokens: tokens, sequences: sequences)
    try load(batch)
    let pass = try makePass(weights, packed)
    guard let embedded = memory.embedded, let embeddingTokens else { throw Network.unprepared }
    try backend.embedding(
      embedded, xhat: memory.embeddingXhat, rstd: memory.embeddingRstd, tables(weights.pointer, word: packed?.word),
      embeddingTokens, gain: pass.weights + layout.embeddingNorm.gain, bias: pass.weights + layout.embeddingNorm.bias,
      rows: tokens, width: configuration.embeddingWidth, epsilon: configuration.layerNormEpsilon,
      pass.mask(dropout.hidden, DropoutSite.embedding))
    if let projection = layout.projection, let projected = memory.projected {
      try pass.linear(projected, embedded, projection, rows: tokens)
    }
    let scratch = try layerScratch()
    for (layer, layerMemory) in zip(layers, memory.layers) { try layer.forward(pass, layerMemory, scratch) }
    return memory.layers.last?.output ?? embedded
  }

  /// Logits [sequences, labels] in device memory, valid until the next call.
  package func forward(
    weights: FloatStorage, packed: PackedWeights? = nil, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> UnsafeMutablePointer<Float> {
    guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
    let hidden = try encode(weights: weights, packed: packed, batch, dropout)
    let head = try headMemory()
    try classifier.forward(try makePass(weights, packed), hidden, head)
    return head.logits
  }

  /// BERT's tanh pooler over the hidden states that the last `encode` gave: [sequences, hidden] in device memory.
  package func pool(weights: FloatStorage, packed: PackedWeights? = nil) throws(KluereError) -> ConstantFloats {
    let dense = layout.pooler ?? (configuration.family == .bert ? layout.classifier?.dense : nil)
    guard let dense else { throw KluereError(.unsupported, "pooler: the model has none") }
    guard let hidden = memory.layers.last?.output else { throw Network.unprepared }
    let head = try headMemory()
    let pass = try makePass(weights, packed)
    try backend.gatherRows(
      head.gathered, hidden, head.firstRows, count: sequences, width: configuration.hiddenSize)
    try pass.linear(head.dense, head.gathered, dense, rows: sequences, .tanh)
    return UnsafePointer(head.dense)
  }

  /// Logits [rows, vocabulary] of the masked-LM head at these rows of the last `encode`, in device memory.
  package func maskedLogits(
    weights: FloatStorage, packed: PackedWeights? = nil, rows: [Int32]
  ) throws(KluereError) -> ConstantFloats {
    guard maskedLM != nil else { throw KluereError(.state, "model: it has no masked-LM head") }
    guard let hidden = memory.layers.last?.output, rows.allSatisfy({ $0 >= 0 && Int($0) < tokens }) else {
      throw Network.unprepared
    }
    let pass = try makePass(weights, packed)
    let memory = try maskedLM?.prepare(pass, rows: rows.count)
    guard let memory else { throw Network.unprepared }
    try copyIn(memory.rows, rows)
    try maskedLM?.forward(pass, hidden, memory, count: rows.count)
    return UnsafePointer(memory.logits)
  }

  /// Sum of the rows' losses of the last forward pass; prepares the backward pass with gradients times `scale`.
  /// `labels`: one per sequence, inside the labels.
  package func loss(_ labels: [Int32], scale: Float) throws(KluereError) -> Double {
    guard labels.count == sequences, let device = memory.labels else {
      throw KluereError(.internal, "loss: \(labels.count) labels for \(sequences) sequences")
    }
    try copyIn(device, labels)
    let head = try headMemory()
    return try backend.crossEntropy(
      head.logitsGradient, head.logits, labels: device, rows: sequences, classes: labelCount, scale: scale)
  }

  /// Gradients of all parameters += those of the last `loss`.
  package func backward(weights: FloatStorage, gradients: FloatStorage) throws(KluereError) {
    let pass = try makePass(weights, nil)
    guard let gradient = memory.gradient, let xhat = memory.embeddingXhat, let rstd = memory.embeddingRstd,
      let embeddingTokens
    else { throw Network.unprepared }
    try backend.fill(gradient, 0, count: tokens * configuration.hiddenSize)
    guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
    try classifier.backward(pass, try headMemory(), hiddenGradient: gradient, parameters: gradients.pointer)
    let scratch = try layerScratch()
    for (layer, layerMemory) in zip(layers, memory.layers).reversed() {
      try layer.backward(pass, layerMemory, scratch, gradient: gradient, parameters: gradients.pointer)
    }
    var embeddingGradient = gradient
    if let projection = layout.projection, let embedded = memory.embedded, let wide = scratch.wide {
      try pass.linearBackwardWeight(gradients.pointer, gradient, embedded, projection, rows: tokens)
      try pass.linearBackwardInput(wide, gradient, projection, rows: tokens, accumulate: false)
      embeddingGradient = wide
    }
    try backend.embeddingBackward(
      tables(gradients.pointer), dgain: gradients.pointer + layout.embeddingNorm.gain,
      dbias: gradients.pointer + layout.embeddingNorm.bias, embeddingGradient, xhat: xhat, rstd: rstd,
      gain: pass.weights + layout.embeddingNorm.gain, embeddingTokens, rows: tokens,
      width: configuration.embeddingWidth, pass.mask(dropout.hidden, DropoutSite.embedding))
  }

  // MARK: Views of the present batch

  private static let unprepared = KluereError(.internal, "network: no batch has been loaded")

  /// `word`: its place if that is not in the arena; only read then.
  private func tables(_ base: Floats, word: ConstantFloats? = nil) -> EmbeddingTables {
    EmbeddingTables(
      word: word.map { Floats(mutating: $0) } ?? base + layout.word, position: base + layout.position,
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

  private func makePass(_ weights: FloatStorage, _ packed: PackedWeights?) throws(KluereError) -> Pass {
    guard let offsets = memory.offsets, let samples = memory.samples, let positions = memory.positionsInSentence else {
      throw Network.unprepared
    }
    return Pass(
      backend: backend, configuration: configuration, weights: weights.pointer, packed: packed, dropout: dropout,
      tokens: tokens, sequences: sequences, offsets: offsets, samples: unsigned(samples),
      positions: unsigned(positions))
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

  // MARK: Loading a batch

  private func copyIn<Element: BitwiseCopyable>(
    _ device: UnsafeMutablePointer<Int32>, _ host: [Element]
  ) throws(KluereError) {
    let bytes = host.count * MemoryLayout<Int32>.size
    // withUnsafeBytes rethrows untyped errors; a Result carries ours out.
    let result: Result<Void, KluereError> = host.withUnsafeBytes { source in
      guard let base = source.baseAddress, source.count == bytes else { return .success(()) }
      do throws(KluereError) {
        return .success(try backend.copyIn(UnsafeMutableRawPointer(device), base, bytes: bytes))
      } catch { return .failure(error) }
    }
    try result.get()
  }

  /// Per-sequence numbers, kept between calls so that a batch allocates nothing.
  private var firstRows: [Int32] = []
  private var sequenceSamples: [UInt32] = []
  private var zeros: [Int32] = []

  private func load(_ batch: TokenBatch) throws(KluereError) {
    guard let ids = memory.ids, let positions = memory.positions, let types = memory.types,
      let samples = memory.samples, let inSentence = memory.positionsInSentence, let offsets = memory.offsets,
      let first = memory.firstRows, let sequenceSample = memory.sequenceSamples, let zero = memory.zeros
    else { throw Network.unprepared }
    firstRows.removeAll(keepingCapacity: true)
    sequenceSamples.removeAll(keepingCapacity: true)
    zeros.removeAll(keepingCapacity: true)
    for sequence in 0..<batch.sequenceCount {
      let row = batch.offsets[sequence]
      firstRows.append(row)
      sequenceSamples.append(batch.samples[Int(row)])
      zeros.append(0)
    }
    try copyIn(ids, batch.ids)
    try copyIn(positions, batch.positions)
    try copyIn(types, batch.types)
    try copyIn(samples, batch.samples)
    try copyIn(inSentence, batch.positionsInSentence)
    try copyIn(offsets, batch.offsets)
    try copyIn(first, firstRows)
    try copyIn(sequenceSample, sequenceSamples)
    try copyIn(zero, zeros)
  }
}

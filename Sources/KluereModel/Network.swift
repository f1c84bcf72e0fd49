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
  /// Dropout masks of the head's output in training; each gives logits of its own.
  package let dropoutSamples: Int
  private let plan: BackwardPlan
  private let computesAllRows: Bool
  private let layers: [EncoderLayer]
  private let classifier: ClassificationHead?
  private var maskedLM: MaskedLMHead?
  private var types: TypeStage?
  private var memory = NetworkMemory()
  private var recordings = Recordings()
  private var loader = BatchLoader()
  /// Of the last forward pass.
  private var reads = ReadRows()
  /// The batch of the last forward pass; with recordings, what it was padded to.
  private var shape = BatchShape()
  private var dropout = DropoutPlan.off

  /// `training` keeps what a backward pass needs, `plan` says of what. `types`: what entity types do to the logits, not nil
  /// for a layout with pair heads. The device has been asked whether it supports `precision`. `computesAllRows`: the top
  /// layer's too that nobody reads, for comparison.
  package init(
    _ configuration: ModelConfiguration, _ layout: ParameterLayout, on context: Context,
    precision: Precision = .float32, training: Bool, dropoutSamples: Int = 1, plan: BackwardPlan = BackwardPlan(),
    types: TypeRoutes? = nil, computesAllRows: Bool = false
  ) {
    self.configuration = configuration
    self.layout = layout
    self.backend = context.backend
    self.precision = precision
    self.training = training
    self.dropoutSamples = training ? max(1, dropoutSamples) : 1
    self.plan = plan
    self.computesAllRows = computesAllRows
    labelCount = layout.classifier == nil ? 0 : layout.labelCount
    self.types = types.map { TypeStage($0) }
    layers = layout.layers.enumerated().map { EncoderLayer(number: $0.offset, slots: $0.element) }
    classifier = layout.classifier.map { ClassificationHead(HeadPlan(configuration.head, configuration.family), $0) }
    maskedLM = layout.maskedLM.map { MaskedLMHead($0) }
  }

  /// Makes room for batches up to this size, so that later passes allocate nothing.
  package func reserve(tokens: Int, sequences: Int) throws(KluereError) {
    let half = tokens / 2  // the most that is read by itself
    guard let bound = classifier?.plan.mostRows, let most = sequences.product(bound), most <= half, !computesAllRows
    else {
      try prepare(BatchShape(tokens: tokens, sequences: sequences, read: half))
      return try prepare(BatchShape(tokens: tokens, sequences: sequences, read: 0))
    }
    try prepare(BatchShape(tokens: tokens, sequences: sequences, read: most))
  }

  private func prepare(_ shape: BatchShape) throws(KluereError) {
    let head = HeadMemory.Shape(
      plan: classifier?.plan, hidden: configuration.hiddenSize, labels: labelCount, sentences: shape.sequences,
      dropoutSamples: dropoutSamples, training: training)
    try memory.prepare(configuration, precision, shape, head: head, backward: training ? plan : nil, on: backend)
    guard let rows = shape.sequences.product(dropoutSamples) else { throw Network.unprepared }
    try types?.reserve(rows: rows, training: training, on: backend)
  }

  /// Last hidden states [tokens, hidden] in device memory, valid until the next call; fp32 where the residual path is.
  package func encode(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> Values {
    reads.take(batch)
    return try runEncoder(weights, batch, dropout)
  }

  /// The same for the masked-LM head: at these rows, in any order. Others may not be there.
  package func encode(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan = .off, only rows: [Int32]
  ) throws(KluereError) {
    if computesAllRows { reads.take(batch) } else { try reads.take(batch, rows: rows) }
    _ = try runEncoder(weights, batch, dropout)
  }

  /// The same for `firstStates` and `pool`: at each sequence's first row.
  package func encodeFirst(_ weights: NetworkWeights, _ batch: TokenBatch) throws(KluereError) {
    if computesAllRows { reads.take(batch) } else { try reads.takeFirst(batch) }
    _ = try runEncoder(weights, batch, .off)
  }

  private func runEncoder(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan
  ) throws(KluereError) -> Values {
    try begin(batch, dropout)
    let pass = try makePass(weights)
    try recorded(.encode, weights) { () throws(KluereError) in try runEncoder(pass) }
    return try hiddenStates()
  }

  /// Logits [dropoutSamples, sequences, labels] in device memory, valid until the next call.
  package func forward(
    _ weights: NetworkWeights, _ batch: TokenBatch, _ dropout: DropoutPlan = .off
  ) throws(KluereError) -> UnsafeMutablePointer<Float> {
    guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
    try reads.take(batch, of: classifier.plan)
    if computesAllRows { reads.take(batch) }
    try begin(batch, dropout)
    try loader.loadSpans(batch, shape, reads, of: classifier.plan, into: memory.head, on: backend)
    let pass = try makePass(weights)
    try recorded(.classify, weights) { () throws(KluereError) in
      try runEncoder(pass)
      try classifier.forward(pass, try hiddenStates(), memory.head.before(types), copies: dropoutSamples)
      if let logits = memory.head.logits {
        try types?.forward(logits, rows: dropoutSamples * shape.sequences, on: backend)
      }
    }
    guard let logits = memory.head.logits else { throw Network.unprepared }
    return logits
  }

  private func begin(_ batch: TokenBatch, _ dropout: DropoutPlan) throws(KluereError) {
    guard batch.tokenCount > 0 else { throw KluereError(.internal, "forward pass: the batch is empty") }
    self.dropout = dropout
    shape = BatchShape(batch, reads, padded: !training && backend.recordsPasses)
    try prepare(shape)
    try loader.load(batch, shape, reads, firstPosition: configuration.firstPosition, into: memory, on: backend)
    try types?.load(batch, sequences: shape.sequences, copies: dropoutSamples, on: backend)
  }

  private func recorded(
    _ kind: Recordings.Kind, _ weights: NetworkWeights, _ body: () throws(KluereError) -> Void
  ) throws(KluereError) {
    guard shape.isPadded else { return try body() }
    let addresses = memory.addresses + (types?.addresses ?? []) + weights.addresses
    try recordings.run(kind, shape, addresses, on: backend, body)
  }

  private func runEncoder(_ pass: Pass) throws(KluereError) {
    guard let embedded = memory.embedded, let embeddingTokens else { throw Network.unprepared }
    let gain = pass.weights.floats + layout.embeddingNorm.gain
    let bias = pass.weights.floats + layout.embeddingNorm.bias
    if let word = pass.packed?.narrowWord, let products = backend.narrowProducts {
      products.embedding(
        embedded, word: word, tables(pass.weights.floats), embeddingTokens, gain: gain, bias: bias, rows: shape.tokens,
        width: configuration.embeddingWidth, epsilon: configuration.layerNormEpsilon)
    } else {
      try backend.embedding(
        embedded, stream: memory.embeddedStream, xhat: memory.embeddingXhat, rstd: memory.embeddingRstd,
        tables(pass.weights.floats, word: pass.packed?.word), embeddingTokens, gain: gain, bias: bias,
        rows: shape.tokens, width: configuration.embeddingWidth, epsilon: configuration.layerNormEpsilon,
        pass.mask(dropout.hidden, DropoutSite.embedding, pass.all))
    }
    if let projection = layout.projection, let projected = memory.projected {
      try pass.linear(projected, embedded, projection, rows: shape.tokens)
    }
    let scratch = try layerScratch()
    for (layer, layerMemory) in zip(layers, memory.layers) { try layer.forward(pass, layerMemory, scratch) }
  }

  /// Of the rows that are read.
  private func hiddenStates() throws(KluereError) -> Values {
    if let last = memory.layers.last { return last.residual(last.output, last.outputStream) }
    guard let embedded = memory.embedded else { throw Network.unprepared }
    return memory.embeddedStream.map { Values($0) } ?? embedded
  }

  /// Hidden states of the sequences' first rows that the last encoding gave: [sequences, hidden] in device memory.
  package func firstStates() throws(KluereError) -> Floats {
    guard let gathered = memory.head.blocks, let firstRows = memory.head.firstRows else { throw Network.unprepared }
    try backend.gatherRows(
      gathered, try hiddenStates(), firstRows, count: shape.sequences, width: configuration.hiddenSize)
    return gathered
  }

  /// BERT's tanh pooler over them: [sequences, hidden] in device memory.
  package func pool(_ weights: NetworkWeights) throws(KluereError) -> ConstantFloats {
    let dense = layout.pooler
    guard let dense else { throw KluereError(.unsupported, "pooler: the model has none") }
    let gathered = try firstStates()
    let pooled = gathered + shape.sequences * configuration.hiddenSize
    try makePass(weights).linear(
      Values(pooled, precision.ofHead), Values(gathered, precision.ofHead), dense, rows: shape.sequences, .tanh)
    return UnsafePointer(pooled)
  }

  /// Logits [rows, vocabulary] of the masked-LM head at these rows of the last `encode`, in device memory.
  package func maskedLogits(_ weights: NetworkWeights, rows: [Int32]) throws(KluereError) -> ConstantFloats {
    guard maskedLM != nil else { throw KluereError(.state, "model: it has no masked-LM head") }
    let places = try places(of: rows)
    let pass = try makePass(weights)
    let memory = try maskedLM?.prepare(pass, rows: rows.count)
    guard let memory else { throw Network.unprepared }
    try backend.copyIn(memory.rows, places)
    try maskedLM?.forward(pass, try hiddenStates(), memory, count: rows.count)
    return UnsafePointer(memory.logits)
  }

  /// Where rows of the batch are in the last hidden states.
  private func places(of rows: [Int32]) throws(KluereError) -> [Int32] {
    let places = rows.compactMap { reads.place(of: $0) }
    guard places.count == rows.count else { throw Network.unprepared }
    return places
  }

  /// Ranges of masked tokens whose logits are in memory together: equal ones, as few as `MaskedLMHead` has memory for.
  package func maskedSlices(_ count: Int) -> [Range<Int>] { maskedLM?.slices(count) ?? [] }

  /// Adds the losses of masked tokens of the last `encode` to `update`, and to the gradients those of the decoder times
  /// `scale`; prepares the backward pass. `rows`: their places in the batch, ascending; `labels`: inside the vocabulary.
  package func maskedLoss(
    _ weights: NetworkWeights, rows: [Int32], labels: [Int32], scale: Float, _ update: UpdateStorage,
    gradients: FloatStorage
  ) throws(KluereError) {
    guard rows.count == labels.count else { throw Network.unprepared }
    let places = try places(of: rows)
    let (pass, hidden) = (try makePass(weights), try hiddenStates())
    try maskedLM?.loss(
      pass, hidden, rows: places, labels: labels, scale: scale, update, parameters: gradients.pointer)
  }

  /// Adds the sum of the rows' losses of the last forward pass to `update`, over all dropout samples, and prepares the
  /// backward pass with gradients of their mean over those samples times `scale`. `labels`: one per sequence, inside the
  /// labels. `rule`: nil for cross entropy.
  package func loss(
    _ labels: [Int32], _ rule: LossRule? = nil, scale: Float, _ update: UpdateStorage
  ) throws(KluereError) {
    guard labels.count == shape.sequences, let device = memory.head.labels, let logits = memory.head.logits else {
      throw KluereError(.internal, "loss: \(labels.count) labels for \(shape.sequences) sequences")
    }
    for copy in 0..<dropoutSamples { try backend.copyIn(device + copy * labels.count, labels) }
    let scale = scale / Float(dropoutSamples)
    let target = types?.gradient ?? memory.head.logitsGradient
    guard let rule, let gradient = target else {
      return try backend.crossEntropy(
        target, logits, labels: device, rows: dropoutSamples * shape.sequences, classes: labelCount, scale: scale,
        update)
    }
    // One at a time: the rule's teacher has a row for each sentence, not for each of its samples.
    for copy in 0..<dropoutSamples {
      let start = copy * shape.sequences * labelCount
      try backend.classificationLoss(
        gradient + start, logits + start, labels: device, rows: shape.sequences, classes: labelCount, scale: scale,
        rule, update)
    }
  }

  /// Gradients of all parameters that are not frozen += those of the last `loss`.
  package func backward(_ weights: NetworkWeights, gradients: FloatStorage) throws(KluereError) {
    let pass = try makePass(weights)
    guard let gradient = memory.gradient else { throw Network.unprepared }
    let output = memory.layers.last?.read?.gradient ?? gradient
    try backend.fill(output.floats, 0, count: shape.topRows * configuration.hiddenSize)
    if let maskedLM {
      try maskedLM.backward(pass, hiddenGradient: output, parameters: gradients.pointer)
    } else {
      guard let classifier else { throw KluereError(.state, "model: it has no classification head") }
      try types?.backward(rows: dropoutSamples * shape.sequences, on: backend)
      try classifier.backward(
        pass, memory.head.before(types), copies: dropoutSamples, hiddenGradient: output,
        parameters: gradients.pointer)
    }
    try backwardEncoder(pass, output: output, gradient, gradients: gradients.pointer)
  }

  /// From `output`, the gradient of the last hidden states, down to the lowest parameters that want one.
  private func backwardEncoder(
    _ pass: Pass, output: Values, _ gradient: Values, gradients: Floats
  ) throws(KluereError) {
    let scratch = try layerScratch()
    for number in layers.indices.reversed() where number >= plan.firstLayer {
      let layer = layers[number]
      let isTop = number == layers.count - 1
      // The top layer's values are still those of the forward pass.
      if plan.recomputesLayers, !isTop { try layer.forward(pass, memory.layers[number], scratch) }
      try layer.backward(
        pass, memory.layers[number], scratch, output: isTop ? output : gradient, gradient: gradient,
        parameters: number < plan.frozenLayers ? nil : gradients,
        needsInput: number > plan.firstLayer || !plan.freezesEmbeddings)
    }
    if plan.freezesEmbeddings { return }
    guard let xhat = memory.embeddingXhat, let rstd = memory.embeddingRstd, let embeddingTokens else {
      throw Network.unprepared
    }
    try backend.embeddingBackward(
      tables(gradients), dgain: gradients + layout.embeddingNorm.gain, dbias: gradients + layout.embeddingNorm.bias,
      try backwardThroughProjection(pass, gradient, scratch, parameters: gradients), xhat: xhat, rstd: rstd,
      gain: pass.weights.floats + layout.embeddingNorm.gain, embeddingTokens, rows: shape.tokens,
      width: configuration.embeddingWidth, pass.mask(dropout.hidden, DropoutSite.embedding, pass.all))
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

  static func unsigned(_ pointer: UnsafeMutablePointer<Int32>) -> UnsafePointer<UInt32> {
    UnsafePointer(UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt32.self))
  }

  private func makePass(_ weights: NetworkWeights) throws(KluereError) -> Pass {
    guard let offsets = memory.offsets, let samples = memory.samples, let positions = memory.positionsInSentence else {
      throw Network.unprepared
    }
    var all = LayerRows(
      count: shape.tokens, numbers: nil,
      sequences: PackedSequences(
        offsets: offsets, count: shape.sequences, rows: shape.tokens, longest: shape.longest),
      samples: Network.unsigned(samples), positions: Network.unsigned(positions))
    all.sequences.texts = memory.texts.map { UnsafePointer($0) }
    var read = all
    if let numbers = memory.read {
      read.count = shape.read
      read.numbers = UnsafePointer(numbers.rows)
      read.sequences.queryOffsets = UnsafePointer(numbers.offsets)
      read.sequences.queryRows = shape.read
      read.sequences.longestQueries = shape.longestRead
      read.sequences.texts = numbers.texts.map { UnsafePointer($0) }
      read.samples = Network.unsigned(numbers.samples)
      read.positions = Network.unsigned(numbers.positions)
    }
    return Pass(
      backend: backend, configuration: configuration, weights: weights.base, packed: weights.packed, dropout: dropout,
      sequences: shape.sequences, all: all, read: read,
      queriesStart: NetworkMemory.queriesStart(shape, configuration), headPrecision: precision.ofHead)
  }

  private func layerScratch() throws(KluereError) -> LayerScratch {
    guard let projection = memory.projection, let activation = memory.activation else { throw Network.unprepared }
    return LayerScratch(
      projection: projection, activation: activation, wide: memory.wide, unwanted: memory.unwantedNorm)
  }
}

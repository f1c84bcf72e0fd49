internal import KluereBase
internal import KluereCompute

/// Memory of the masked-LM head in a forward pass alone; one row per masked token.
struct MaskedLMMemory {
  var rows: UnsafeMutablePointer<Int32>
  /// [hidden]
  var gathered: Floats
  /// [embedding width]
  var dense: Floats
  var normed: Floats
  /// [vocabulary]
  var logits: Floats
}

/// Memory of the masked-LM head in training. Logits and their gradients, the largest values of a model by far, are there
/// for one slice of the rows at a time.
struct MaskedLMTrainingMemory {
  var count: Int
  var rows: UnsafeMutablePointer<Int32>
  var labels: UnsafeMutablePointer<Int32>
  /// [hidden]
  var gathered: Floats
  /// [embedding width]: before and after the activation; normalised; after the norm; gradient of the latter.
  var pre: Floats
  var dense: Floats
  var xhat: Floats
  var rstd: Floats
  var normed: Floats
  var gradient: Floats
  /// [slice, vocabulary]
  var logits: Floats
}

/// The masked-LM heads of transformers: dense, activation, layer norm, decoder with a bias of its own. The activation is
/// that of the layers for BERT (BertPredictionHeadTransform), GELU for RoBERTa (RobertaLMHead) and ELECTRA
/// (ElectraGeneratorPredictions). It works on the rows asked for only.
struct MaskedLMHead {
  private let slots: MaskedLMSlots
  private var floats = GrowingStorage<Float>(for: "masked-LM head")
  private var ints = GrowingStorage<Int32>(for: "masked-LM head")
  /// Of the last `loss`, for its backward pass.
  private var training: MaskedLMTrainingMemory?

  init(_ slots: MaskedLMSlots) { self.slots = slots }

  private func activation(_ pass: Pass) -> Activation {
    pass.configuration.family == .bert ? pass.configuration.activation : .gelu
  }

  // MARK: Memory

  /// Logits of a slice: 64 MiB, at least one row.
  private static let sliceFloats = 1 << 24

  /// 0 ..< count in as few equal parts as fit.
  func slices(_ count: Int) -> [Range<Int>] {
    let most = max(1, MaskedLMHead.sliceFloats / max(1, slots.decoder.out))
    let parts = (count + most - 1) / most
    return (0..<parts).map { part in count * part / parts..<count * (part + 1) / parts }
  }

  /// Pieces of these numbers of floats, each aligned.
  private mutating func carve(_ pass: Pass, rows: Int, _ sizes: [Int?]) throws(KluereError) -> [Floats] {
    var places: [Int] = []
    var total = 0
    for size in sizes {
      places.append(total)
      guard let size, let next = total.sum(size)?.sum(16) else {
        throw KluereError(.outOfMemory, "masked-LM head: \(rows) rows do not fit in memory")
      }
      total = next / 16 * 16
    }
    let base = try floats.reserve(total, on: pass.backend)
    return places.map { base + $0 }
  }

  mutating func prepare(_ pass: Pass, rows: Int) throws(KluereError) -> MaskedLMMemory {
    let (hidden, width) = (slots.dense.width, slots.dense.out)
    let parts = try carve(
      pass, rows: rows,
      [rows.product(hidden), rows.product(width), rows.product(width), rows.product(slots.decoder.out)])
    return MaskedLMMemory(
      rows: try ints.reserve(rows, on: pass.backend), gathered: parts[0], dense: parts[1], normed: parts[2],
      logits: parts[3])
  }

  private mutating func prepareTraining(_ pass: Pass, rows: Int) throws(KluereError) -> MaskedLMTrainingMemory {
    let (hidden, width) = (slots.dense.width, slots.dense.out)
    let narrow = rows.product(width)
    let slice = slices(rows).reduce(0) { max($0, $1.count) }
    let parts = try carve(
      pass, rows: rows,
      [rows.product(hidden), narrow, narrow, narrow, rows, narrow, narrow, slice.product(slots.decoder.out)])
    // Behind each other; both are 32-bit.
    let numbers = try ints.reserve(2 * ((rows + 15) / 16 * 16), on: pass.backend)
    return MaskedLMTrainingMemory(
      count: rows, rows: numbers, labels: numbers + (rows + 15) / 16 * 16, gathered: parts[0], pre: parts[1],
      dense: parts[2], xhat: parts[3], rstd: parts[4], normed: parts[5], gradient: parts[6], logits: parts[7])
  }

  // MARK: Inference

  /// hidden [tokens, hidden] -> memory.logits [count, vocabulary] at memory.rows.
  func forward(_ pass: Pass, _ hidden: Values, _ memory: MaskedLMMemory, count: Int) throws(KluereError) {
    func values(_ floats: Floats) -> Values { Values(floats, pass.headPrecision) }
    try pass.backend.gatherRows(
      memory.gathered, hidden, memory.rows, count: count, width: pass.configuration.hiddenSize)
    try pass.linear(
      values(memory.dense), values(memory.gathered), slots.dense, rows: count, activation(pass))
    try pass.backend.residualNorm(
      values(memory.normed), stream: nil, xhat: nil, rstd: nil, values(memory.dense), residual: nil,
      gain: pass.weights.floats + slots.norm.gain, bias: pass.weights.floats + slots.norm.bias, rows: count,
      width: slots.dense.out, epsilon: pass.configuration.layerNormEpsilon, .off)
    try pass.linear(values(memory.logits), values(memory.normed), slots.decoder, rows: count)
  }

  // MARK: Training

  /// hidden [tokens, hidden] at `rows` -> the losses of `labels` added to `update`. The decoder's gradients are made at
  /// once, slice by slice: += those of its weights (the word embeddings, if they are tied) and its bias.
  mutating func loss(
    _ pass: Pass, _ hidden: Values, rows: [Int32], labels: [Int32], scale: Float, _ update: UpdateStorage,
    parameters: Floats
  ) throws(KluereError) {
    training = nil
    let memory = try prepareTraining(pass, rows: rows.count)
    let backend = pass.backend
    let width = slots.dense.out
    func values(_ floats: Floats) -> Values { Values(floats, pass.headPrecision) }
    try backend.copyIn(memory.rows, rows)
    try backend.copyIn(memory.labels, labels)
    try backend.gatherRows(
      memory.gathered, hidden, memory.rows, count: memory.count, width: pass.configuration.hiddenSize)
    try pass.linear(
      values(memory.dense), pre: values(memory.pre), values(memory.gathered), slots.dense, rows: memory.count,
      activation(pass))
    try backend.residualNorm(
      values(memory.normed), stream: nil, xhat: values(memory.xhat), rstd: memory.rstd, values(memory.dense),
      residual: nil, gain: pass.weights.floats + slots.norm.gain, bias: pass.weights.floats + slots.norm.bias,
      rows: memory.count, width: width, epsilon: pass.configuration.layerNormEpsilon, .off)
    let logits = values(memory.logits)
    for slice in slices(memory.count) {
      let normed = values(memory.normed + slice.lowerBound * width)
      try pass.linear(logits, normed, slots.decoder, rows: slice.count)
      // Each logit gives way to its gradient.
      try backend.crossEntropy(
        memory.logits, memory.logits, labels: memory.labels + slice.lowerBound, rows: slice.count,
        classes: slots.decoder.out, scale: scale, update)
      try pass.linearBackwardWeight(parameters, logits, normed, slots.decoder, rows: slice.count)
      try pass.linearBackwardInput(
        values(memory.gradient + slice.lowerBound * width), logits, slots.decoder, rows: slice.count, accumulate: false)
    }
    training = memory
  }

  /// After `loss`: the gradient of hidden +=, which the caller has zeroed, and those of the head below the decoder.
  func backward(_ pass: Pass, hiddenGradient: Values, parameters: Floats) throws(KluereError) {
    guard let memory = training else { throw KluereError(.internal, "masked-LM head: no loss before its gradient") }
    let backend = pass.backend
    let (count, width) = (memory.count, slots.dense.out)
    func values(_ floats: Floats) -> Values { Values(floats, pass.headPrecision) }
    // The norm has no residual: what would be its gradient is not looked at.
    let inner = values(memory.dense)
    try backend.residualNormBackward(
      dx: inner, dsum: values(memory.gradient), dgain: parameters + slots.norm.gain,
      dbias: parameters + slots.norm.bias, values(memory.gradient), xhat: values(memory.xhat), rstd: memory.rstd,
      gain: pass.weights.floats + slots.norm.gain, rows: count, width: width, .off)
    try backend.activateBackward(inner, inner, values(memory.pre), count: count * width, activation(pass))
    try pass.linearBackwardWeight(parameters, inner, values(memory.gathered), slots.dense, rows: count)
    // The gathered rows have been read for the last time: they take their gradient.
    try pass.linearBackwardInput(values(memory.gathered), inner, slots.dense, rows: count, accumulate: false)
    try backend.scatterAddRows(
      hiddenGradient, memory.gathered, memory.rows, count: count, width: pass.configuration.hiddenSize)
  }
}

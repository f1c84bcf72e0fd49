internal import KluereBase
internal import KluereCompute

/// Pointers and sizes that one pass over a batch shares.
struct Pass {
  let backend: any Backend
  let configuration: ModelConfiguration
  let weights: Weights
  /// Weights packed once, by offset of the plain ones; empty in training.
  let packed: PackedWeights?
  let dropout: DropoutPlan
  let tokens: Int
  let sequences: Int
  let packedSequences: PackedSequences
  let samples: UnsafePointer<UInt32>
  let positions: UnsafePointer<UInt32>
  /// Of the fp32 values that the heads work on.
  let headPrecision: Precision

  func mask(_ threshold: UInt32, _ site: UInt32) -> DropoutMask {
    DropoutMask(seed: dropout.seed, threshold: threshold, site: site, sample: samples, position: positions)
  }

  /// y = act(x w^T + b) for the parameters at `slot`.
  func linear(
    _ y: Values, pre: Values? = nil, _ x: Values, _ slot: LinearSlot, rows: Int, _ activation: Activation = .none
  ) throws(KluereError) {
    if pre == nil, let packed, let narrow = packed.narrow(slot.weight), let products = backend.narrowProducts {
      try products.linear(
        y, x, narrow, packed.form, bias: weights.floats + slot.bias, rows: rows, out: slot.out, in: slot.width,
        activation)
    } else if pre == nil, let packed = packed?[slot.weight] {
      try backend.linearPacked(
        y, x, packed, bias: weights.floats + slot.bias, rows: rows, out: slot.out, in: slot.width, activation)
    } else if pre == nil, let mapped = packed?.mapped[slot.weight] {
      try backend.linear(
        y, x, parts: mapped.parts, bias: weights.floats + slot.bias, rows: rows, out: slot.out, in: slot.width,
        activation)
    } else {
      try backend.linear(
        y, pre: pre, x, weights + slot.weight, bias: weights + slot.bias, rows: rows, out: slot.out, in: slot.width,
        activation)
    }
  }

  /// Gradients of weights and bias +=; nil: nobody wants them.
  func linearBackwardWeight(
    _ gradients: Floats?, _ dy: Values, _ x: Values, _ slot: LinearSlot, rows: Int
  ) throws(KluereError) {
    guard let gradients else { return }
    try backend.linearBackwardWeight(
      gradients + slot.weight, gradients + slot.bias, dy, x, rows: rows, out: slot.out, in: slot.width)
  }

  /// Gradient of the input, = or +=.
  func linearBackwardInput(
    _ dx: Values, _ dy: Values, _ slot: LinearSlot, rows: Int, accumulate: Bool
  ) throws(KluereError) {
    try backend.linearBackwardInput(
      dx, dy, weights + slot.weight, rows: rows, out: slot.out, in: slot.width, accumulate: accumulate)
  }
}

/// Scratch that layers share within one pass.
struct LayerScratch {
  var projection: Values
  var activation: Values
  /// Backward only: widest gradient, [max(3 hidden, intermediate)].
  var wide: Values?
  /// Takes the gradients of a frozen layer's norms, which come along with those of their inputs. [2 hidden]
  var unwanted: Floats?
}

/// One post-norm transformer layer (BERT, Devlin et al. 2019): attention and feed-forward, each followed by
/// LN(x + dropout(f(x))).
struct EncoderLayer {
  let number: Int
  let slots: LayerSlots

  /// Reads memory.input, writes everything else of `memory`. All are [tokens, width].
  func forward(_ pass: Pass, _ memory: LayerMemory, _ scratch: LayerScratch) throws(KluereError) {
    let c = pass.configuration
    try pass.linear(memory.qkv, memory.input, slots.qkv, rows: pass.tokens)
    try pass.backend.attention(
      memory.context, lse: memory.lse, memory.qkv, pass.packedSequences, heads: c.headCount, headWidth: c.headWidth,
      pass.mask(pass.dropout.attention, DropoutSite.attention(layer: number)))
    try pass.linear(scratch.projection, memory.context, slots.attentionOutput, rows: pass.tokens)
    try pass.backend.residualNorm(
      memory.middle, stream: memory.middleStream, xhat: memory.attentionXhat, rstd: memory.attentionRstd,
      scratch.projection, residual: memory.residual(memory.input, memory.inputStream),
      gain: pass.weights.floats + slots.attentionNorm.gain, bias: pass.weights.floats + slots.attentionNorm.bias,
      rows: pass.tokens, width: c.hiddenSize, epsilon: c.layerNormEpsilon,
      pass.mask(pass.dropout.hidden, DropoutSite.attentionOutput(layer: number)))
    try pass.linear(
      scratch.activation, pre: memory.pre, memory.middle, slots.intermediate, rows: pass.tokens,
      c.activation)
    try pass.linear(scratch.projection, scratch.activation, slots.output, rows: pass.tokens)
    try pass.backend.residualNorm(
      memory.output, stream: memory.outputStream, xhat: memory.outputXhat, rstd: memory.outputRstd,
      scratch.projection, residual: memory.residual(memory.middle, memory.middleStream),
      gain: pass.weights.floats + slots.outputNorm.gain, bias: pass.weights.floats + slots.outputNorm.bias,
      rows: pass.tokens, width: c.hiddenSize, epsilon: c.layerNormEpsilon,
      pass.mask(pass.dropout.hidden, DropoutSite.output(layer: number)))
  }

  /// `gradient` holds the gradient of memory.output and then, if `needsInput`, that of memory.input. Gradients of
  /// parameters +=; nil: the layer is frozen.
  func backward(
    _ pass: Pass, _ memory: LayerMemory, _ scratch: LayerScratch, gradient: Values, parameters: Floats?,
    needsInput: Bool
  ) throws(KluereError) {
    let c = pass.configuration
    guard let lse = memory.lse, let attentionXhat = memory.attentionXhat, let attentionRstd = memory.attentionRstd,
      let pre = memory.pre, let outputXhat = memory.outputXhat, let outputRstd = memory.outputRstd,
      let wide = scratch.wide
    else { throw KluereError(.internal, "layer \(number): its memory is that of inference") }
    let attentionNorm = try places(slots.attentionNorm, parameters, scratch, width: c.hiddenSize)
    let outputNorm = try places(slots.outputNorm, parameters, scratch, width: c.hiddenSize)

    // Second norm: afterwards `projection` is the gradient of the feed-forward result, `gradient` that of the residual.
    try pass.backend.residualNormBackward(
      dx: scratch.projection, dsum: gradient, dgain: outputNorm.gain, dbias: outputNorm.bias, gradient,
      xhat: outputXhat, rstd: outputRstd,
      gain: pass.weights.floats + slots.outputNorm.gain, rows: pass.tokens, width: c.hiddenSize,
      pass.mask(pass.dropout.hidden, DropoutSite.output(layer: number)))
    if parameters != nil {
      // The activation is cheaper to compute again than to keep for every layer.
      try pass.backend.activate(
        scratch.activation, pre, count: pass.tokens * c.intermediateSize, c.activation)
    }
    try pass.linearBackwardWeight(parameters, scratch.projection, scratch.activation, slots.output, rows: pass.tokens)
    try pass.linearBackwardInput(wide, scratch.projection, slots.output, rows: pass.tokens, accumulate: false)
    try pass.backend.activateBackward(wide, wide, pre, count: pass.tokens * c.intermediateSize, c.activation)
    try pass.linearBackwardWeight(parameters, wide, memory.middle, slots.intermediate, rows: pass.tokens)
    try pass.linearBackwardInput(gradient, wide, slots.intermediate, rows: pass.tokens, accumulate: true)

    try pass.backend.residualNormBackward(
      dx: scratch.projection, dsum: gradient, dgain: attentionNorm.gain, dbias: attentionNorm.bias, gradient,
      xhat: attentionXhat, rstd: attentionRstd,
      gain: pass.weights.floats + slots.attentionNorm.gain, rows: pass.tokens, width: c.hiddenSize,
      pass.mask(pass.dropout.hidden, DropoutSite.attentionOutput(layer: number)))
    try pass.linearBackwardWeight(
      parameters, scratch.projection, memory.context, slots.attentionOutput, rows: pass.tokens)
    // memory.middle has been read for the last time: it takes the gradient of the context.
    try pass.linearBackwardInput(
      memory.middle, scratch.projection, slots.attentionOutput, rows: pass.tokens, accumulate: false)
    try pass.backend.attentionBackward(
      wide, memory.middle, memory.context, lse: lse, memory.qkv, pass.packedSequences, heads: c.headCount,
      headWidth: c.headWidth, pass.mask(pass.dropout.attention, DropoutSite.attention(layer: number)))
    try pass.linearBackwardWeight(parameters, wide, memory.input, slots.qkv, rows: pass.tokens)
    if needsInput { try pass.linearBackwardInput(gradient, wide, slots.qkv, rows: pass.tokens, accumulate: true) }
  }

  private func places(
    _ norm: NormSlot, _ parameters: Floats?, _ scratch: LayerScratch, width: Int
  ) throws(KluereError) -> (gain: Floats, bias: Floats) {
    if let parameters { return (parameters + norm.gain, parameters + norm.bias) }
    guard let unwanted = scratch.unwanted else { throw KluereError(.internal, "layer \(number): it is not frozen") }
    return (unwanted, unwanted + width)
  }
}

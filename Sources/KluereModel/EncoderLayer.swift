internal import KluereBase
internal import KluereCompute

/// Rows that a layer computes.
struct LayerRows {
  var count: Int
  /// Their numbers in the batch; nil: they are all.
  var numbers: UnsafePointer<Int32>?
  /// Keys are those of all rows.
  var sequences: PackedSequences
  /// Their dropout's coordinates.
  var samples: UnsafePointer<UInt32>
  var positions: UnsafePointer<UInt32>
}

/// Pointers and sizes that one pass over a batch shares.
struct Pass {
  let backend: any Backend
  let configuration: ModelConfiguration
  let weights: Weights
  /// Weights packed once, by offset of the plain ones; empty in training.
  let packed: PackedWeights?
  let dropout: DropoutPlan
  let sequences: Int
  let all: LayerRows
  /// Those that the top layer computes.
  let read: LayerRows
  /// `NetworkMemory.queriesStart`
  let queriesStart: Int
  /// Of the fp32 values that the heads work on.
  let headPrecision: Precision

  func mask(_ threshold: UInt32, _ site: UInt32, _ rows: LayerRows) -> DropoutMask {
    DropoutMask(seed: dropout.seed, threshold: threshold, site: site, sample: rows.samples, position: rows.positions)
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
/// LN(x + dropout(f(x))). The top layer has all tokens' keys and values, and everything else for the rows that are read.
struct EncoderLayer {
  let number: Int
  let slots: LayerSlots

  private func rows(_ pass: Pass, _ memory: LayerMemory) -> LayerRows { memory.queries == nil ? pass.all : pass.read }

  /// Reads memory.input, writes everything else of `memory`. All are [tokens, width], or [read rows, width].
  func forward(_ pass: Pass, _ memory: LayerMemory, _ scratch: LayerScratch) throws(KluereError) {
    let c = pass.configuration
    let rows = rows(pass, memory)
    try project(pass, memory, rows)
    try pass.backend.attention(
      memory.context, lse: memory.lse, memory.attention(width: c.hiddenSize), rows.sequences, heads: c.headCount,
      headWidth: c.headWidth, pass.mask(pass.dropout.attention, DropoutSite.attention(layer: number), rows))
    try pass.linear(scratch.projection, memory.context, slots.attentionOutput, rows: rows.count)
    let input = memory.read.map { Values($0.summand) } ?? memory.residual(memory.input, memory.inputStream)
    try pass.backend.residualNorm(
      memory.middle, stream: memory.middleStream, xhat: memory.attentionXhat, rstd: memory.attentionRstd,
      scratch.projection, residual: input,
      gain: pass.weights.floats + slots.attentionNorm.gain, bias: pass.weights.floats + slots.attentionNorm.bias,
      rows: rows.count, width: c.hiddenSize, epsilon: c.layerNormEpsilon,
      pass.mask(pass.dropout.hidden, DropoutSite.attentionOutput(layer: number), rows))
    try pass.linear(
      scratch.activation, pre: memory.pre, memory.middle, slots.intermediate, rows: rows.count,
      c.activation)
    try pass.linear(scratch.projection, scratch.activation, slots.output, rows: rows.count)
    try pass.backend.residualNorm(
      memory.output, stream: memory.outputStream, xhat: memory.outputXhat, rstd: memory.outputRstd,
      scratch.projection, residual: memory.residual(memory.middle, memory.middleStream),
      gain: pass.weights.floats + slots.outputNorm.gain, bias: pass.weights.floats + slots.outputNorm.bias,
      rows: rows.count, width: c.hiddenSize, epsilon: c.layerNormEpsilon,
      pass.mask(pass.dropout.hidden, DropoutSite.output(layer: number), rows))
  }

  /// Queries, keys and values.
  private func project(_ pass: Pass, _ memory: LayerMemory, _ rows: LayerRows) throws(KluereError) {
    guard let queries = memory.queries else {
      return try pass.linear(memory.qkv, memory.input, slots.qkv, rows: rows.count)
    }
    try pass.linear(memory.qkv, memory.input, slots.keys, rows: pass.all.count)
    guard let read = memory.read, let numbers = rows.numbers else {
      return try pass.linear(queries, memory.input, slots.queries, rows: rows.count)
    }
    let width = pass.configuration.hiddenSize
    try pass.backend.gatherRows(
      read.summand, memory.residual(memory.input, memory.inputStream), numbers, count: rows.count, width: width)
    if read.factor.precision.isHalf {
      try pass.backend.convert(read.factor, Values(read.summand), count: rows.count * width)
    }
    try pass.linear(queries, read.factor, slots.queries, rows: rows.count)
  }

  /// `output` holds the gradient of memory.output and is overwritten; if `needsInput`, `gradient` takes that of
  /// memory.input. They are the same array, except for a layer of which some rows are read. Gradients of parameters +=; nil:
  /// the layer is frozen.
  func backward(
    _ pass: Pass, _ memory: LayerMemory, _ scratch: LayerScratch, output: Values, gradient: Values,
    parameters: Floats?, needsInput: Bool
  ) throws(KluereError) {
    let c = pass.configuration
    let rows = rows(pass, memory)
    guard let lse = memory.lse, let attentionXhat = memory.attentionXhat, let attentionRstd = memory.attentionRstd,
      let pre = memory.pre, let outputXhat = memory.outputXhat, let outputRstd = memory.outputRstd,
      let wide = scratch.wide
    else { throw KluereError(.internal, "layer \(number): its memory is that of inference") }
    let attentionNorm = try places(slots.attentionNorm, parameters, scratch, width: c.hiddenSize)
    let outputNorm = try places(slots.outputNorm, parameters, scratch, width: c.hiddenSize)

    // Second norm: afterwards `projection` is the gradient of the feed-forward result, `output` that of the residual.
    try pass.backend.residualNormBackward(
      dx: scratch.projection, dsum: output, dgain: outputNorm.gain, dbias: outputNorm.bias, output,
      xhat: outputXhat, rstd: outputRstd,
      gain: pass.weights.floats + slots.outputNorm.gain, rows: rows.count, width: c.hiddenSize,
      pass.mask(pass.dropout.hidden, DropoutSite.output(layer: number), rows))
    if parameters != nil {
      // The activation is cheaper to compute again than to keep for every layer.
      try pass.backend.activate(
        scratch.activation, pre, count: rows.count * c.intermediateSize, c.activation)
    }
    try pass.linearBackwardWeight(parameters, scratch.projection, scratch.activation, slots.output, rows: rows.count)
    try pass.linearBackwardInput(wide, scratch.projection, slots.output, rows: rows.count, accumulate: false)
    try pass.backend.activateBackward(wide, wide, pre, count: rows.count * c.intermediateSize, c.activation)
    try pass.linearBackwardWeight(parameters, wide, memory.middle, slots.intermediate, rows: rows.count)
    try pass.linearBackwardInput(output, wide, slots.intermediate, rows: rows.count, accumulate: true)

    try pass.backend.residualNormBackward(
      dx: scratch.projection, dsum: output, dgain: attentionNorm.gain, dbias: attentionNorm.bias, output,
      xhat: attentionXhat, rstd: attentionRstd,
      gain: pass.weights.floats + slots.attentionNorm.gain, rows: rows.count, width: c.hiddenSize,
      pass.mask(pass.dropout.hidden, DropoutSite.attentionOutput(layer: number), rows))
    try pass.linearBackwardWeight(
      parameters, scratch.projection, memory.context, slots.attentionOutput, rows: rows.count)
    // memory.middle has been read for the last time: it takes the gradient of the context.
    try pass.linearBackwardInput(
      memory.middle, scratch.projection, slots.attentionOutput, rows: rows.count, accumulate: false)
    // The gradient of qkv lies in `wide` as qkv itself does.
    let queries = memory.queries.map { _ in wide + pass.queriesStart }
    let inner =
      queries.map { AttentionValues(queries: $0, keys: wide, width: c.hiddenSize) }
      ?? AttentionValues(joined: wide, width: c.hiddenSize)
    try pass.backend.attentionBackward(
      inner, memory.middle, memory.context, lse: lse, memory.attention(width: c.hiddenSize), rows.sequences,
      heads: c.headCount, headWidth: c.headWidth,
      pass.mask(pass.dropout.attention, DropoutSite.attention(layer: number), rows))
    guard let queries else {
      try pass.linearBackwardWeight(parameters, wide, memory.input, slots.qkv, rows: rows.count)
      if needsInput { try pass.linearBackwardInput(gradient, wide, slots.qkv, rows: rows.count, accumulate: true) }
      return
    }
    try pass.linearBackwardWeight(
      parameters, queries, memory.read?.factor ?? memory.input, slots.queries, rows: rows.count)
    try pass.linearBackwardWeight(parameters, wide, memory.input, slots.keys, rows: pass.all.count)
    guard needsInput else { return }
    try pass.linearBackwardInput(output, queries, slots.queries, rows: rows.count, accumulate: true)
    // Rows that are not read have the gradient of their keys and values alone.
    try pass.linearBackwardInput(
      gradient, wide, slots.keys, rows: pass.all.count, accumulate: memory.read == nil)
    if memory.read != nil, let numbers = rows.numbers {
      try pass.backend.scatterAddRows(gradient, output.floats, numbers, count: rows.count, width: c.hiddenSize)
    }
  }

  private func places(
    _ norm: NormSlot, _ parameters: Floats?, _ scratch: LayerScratch, width: Int
  ) throws(KluereError) -> (gain: Floats, bias: Floats) {
    if let parameters { return (parameters + norm.gain, parameters + norm.bias) }
    guard let unwanted = scratch.unwanted else { throw KluereError(.internal, "layer \(number): it is not frozen") }
    return (unwanted, unwanted + width)
  }
}

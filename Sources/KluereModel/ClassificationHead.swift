internal import KluereBase
internal import KluereCompute

/// Memory of the head; one row per sequence.
struct HeadMemory {
  var gathered: Floats
  var dropped: Floats
  var dense: Floats
  /// Before the activation; nil in inference.
  var densePre: Floats?
  var denseDropped: Floats
  var logits: Floats
  var gradient: Floats?
  var logitsGradient: Floats?
  /// Row of each sequence's [CLS].
  var firstRows: UnsafePointer<Int32>
  var samples: UnsafePointer<UInt32>
  var zeros: UnsafePointer<UInt32>
}

/// The [CLS] heads of transformers' sequence classifiers.
/// BERT: pooler (dense, tanh), dropout, classifier. RoBERTa: dropout, dense, tanh, dropout, out_proj. ELECTRA: as RoBERTa,
/// with GELU whatever the layers have.
struct ClassificationHead {
  private let dense: LinearSlot
  private let output: LinearSlot

  init(_ slots: ClassifierSlots) {
    dense = slots.dense
    output = slots.output
  }

  private func activation(_ pass: Pass) -> Activation { pass.configuration.family == .electra ? .gelu : .tanh }
  private func dropsFirst(_ pass: Pass) -> Bool { pass.configuration.family != .bert }

  private func mask(_ pass: Pass, _ memory: HeadMemory, _ site: UInt32) -> DropoutMask {
    DropoutMask(
      seed: pass.dropout.seed, threshold: pass.dropout.classifier, site: site, sample: memory.samples,
      position: memory.zeros)
  }

  /// hidden [tokens, width] -> memory.logits [sequences, labels].
  func forward(_ pass: Pass, _ hidden: ConstantFloats, _ memory: HeadMemory) throws(KluereError) {
    let width = pass.configuration.hiddenSize
    let rows = pass.sequences
    try pass.backend.gatherRows(memory.gathered, hidden, memory.firstRows, count: rows, width: width)
    var input = memory.gathered
    if dropsFirst(pass) {
      try pass.backend.dropout(
        memory.dropped, memory.gathered, rows: rows, width: width, mask(pass, memory, DropoutSite.beforeHead))
      input = memory.dropped
    }
    try pass.linear(memory.dense, pre: memory.densePre, input, dense, rows: rows, activation(pass))
    try pass.backend.dropout(
      memory.denseDropped, memory.dense, rows: rows, width: width, mask(pass, memory, DropoutSite.insideHead))
    try pass.linear(memory.logits, memory.denseDropped, output, rows: rows)
  }

  /// memory.logitsGradient -> gradient of hidden +=, which the caller has zeroed.
  func backward(
    _ pass: Pass, _ memory: HeadMemory, hiddenGradient: Floats, parameters: Floats
  ) throws(KluereError) {
    let width = pass.configuration.hiddenSize
    let rows = pass.sequences
    guard let dlogits = memory.logitsGradient, let gradient = memory.gradient, let densePre = memory.densePre else {
      throw KluereError(.internal, "classification head: its memory is that of inference")
    }
    try pass.linearBackwardWeight(parameters, dlogits, memory.denseDropped, output, rows: rows)
    try pass.linearBackwardInput(gradient, dlogits, output, rows: rows, accumulate: false)
    try pass.backend.dropout(
      gradient, gradient, rows: rows, width: width, mask(pass, memory, DropoutSite.insideHead))
    let activation = activation(pass)
    try pass.backend.activateBackward(
      gradient, gradient, activation == .tanh ? memory.dense : densePre, count: rows * width, activation)
    let dropsFirst = dropsFirst(pass)
    try pass.linearBackwardWeight(
      parameters, gradient, dropsFirst ? memory.dropped : memory.gathered, dense, rows: rows)
    // memory.denseDropped has been read for the last time: it takes the gradient of the gathered rows.
    try pass.linearBackwardInput(memory.denseDropped, gradient, dense, rows: rows, accumulate: false)
    if dropsFirst {
      try pass.backend.dropout(
        memory.denseDropped, memory.denseDropped, rows: rows, width: width,
        mask(pass, memory, DropoutSite.beforeHead))
    }
    try pass.backend.scatterAddRows(hiddenGradient, memory.denseDropped, memory.firstRows, count: rows, width: width)
  }
}

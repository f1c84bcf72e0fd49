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

  /// The head is fp32 in every precision: its rows are few, and its logits decide.
  private func values(_ pass: Pass, _ floats: Floats) -> Values { Values(floats, pass.headPrecision) }

  /// hidden [tokens, width] -> memory.logits [sequences, labels].
  func forward(_ pass: Pass, _ hidden: Values, _ memory: HeadMemory) throws(KluereError) {
    let width = pass.configuration.hiddenSize
    let rows = pass.sequences
    try pass.backend.gatherRows(memory.gathered, hidden, memory.firstRows, count: rows, width: width)
    var input = memory.gathered
    if dropsFirst(pass) {
      try pass.backend.dropout(
        values(pass, memory.dropped), values(pass, memory.gathered), rows: rows, width: width,
        mask(pass, memory, DropoutSite.beforeHead))
      input = memory.dropped
    }
    try pass.linear(
      values(pass, memory.dense), pre: memory.densePre.map { values(pass, $0) }, values(pass, input), dense, rows: rows,
      activation(pass))
    try pass.backend.dropout(
      values(pass, memory.denseDropped), values(pass, memory.dense), rows: rows, width: width,
      mask(pass, memory, DropoutSite.insideHead))
    try pass.linear(values(pass, memory.logits), values(pass, memory.denseDropped), output, rows: rows)
  }

  /// memory.logitsGradient -> gradient of hidden +=, which the caller has zeroed.
  func backward(
    _ pass: Pass, _ memory: HeadMemory, hiddenGradient: Values, parameters: Floats
  ) throws(KluereError) {
    let width = pass.configuration.hiddenSize
    let rows = pass.sequences
    guard let dlogits = memory.logitsGradient, let gradient = memory.gradient, let densePre = memory.densePre else {
      throw KluereError(.internal, "classification head: its memory is that of inference")
    }
    let (scores, inner) = (values(pass, dlogits), values(pass, gradient))
    // memory.denseDropped has been read for the last time after the first product: it takes the gradient of the gathered
    // rows.
    let outer = values(pass, memory.denseDropped)
    try pass.linearBackwardWeight(parameters, scores, outer, output, rows: rows)
    try pass.linearBackwardInput(inner, scores, output, rows: rows, accumulate: false)
    try pass.backend.dropout(inner, inner, rows: rows, width: width, mask(pass, memory, DropoutSite.insideHead))
    let activation = activation(pass)
    try pass.backend.activateBackward(
      inner, inner, values(pass, activation == .tanh ? memory.dense : densePre), count: rows * width, activation)
    let dropsFirst = dropsFirst(pass)
    try pass.linearBackwardWeight(
      parameters, inner, values(pass, dropsFirst ? memory.dropped : memory.gathered), dense, rows: rows)
    try pass.linearBackwardInput(outer, inner, dense, rows: rows, accumulate: false)
    if dropsFirst {
      try pass.backend.dropout(outer, outer, rows: rows, width: width, mask(pass, memory, DropoutSite.beforeHead))
    }
    try pass.backend.scatterAddRows(hiddenGradient, outer.floats, memory.firstRows, count: rows, width: width)
  }
}

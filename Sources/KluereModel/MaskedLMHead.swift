internal import KluereBase
internal import KluereCompute

/// Memory of the masked-LM head; one row per masked token.
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

/// The masked-LM heads of transformers: dense, activation, layer norm, decoder with a bias of its own. The activation is
/// that of the layers for BERT (BertPredictionHeadTransform), GELU for RoBERTa (RobertaLMHead) and ELECTRA
/// (ElectraGeneratorPredictions). It works on the rows asked for only.
struct MaskedLMHead {
  private let slots: MaskedLMSlots
  private var floats = GrowingStorage<Float>(for: "masked-LM head")
  private var ints = GrowingStorage<Int32>(for: "masked-LM head")

  init(_ slots: MaskedLMSlots) { self.slots = slots }

  mutating func prepare(_ pass: Pass, rows: Int) throws(KluereError) -> MaskedLMMemory {
    let (hidden, width) = (slots.dense.width, slots.dense.out)
    let sizes = [rows.product(hidden), rows.product(width), rows.product(width), rows.product(slots.decoder.out)]
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
    return MaskedLMMemory(
      rows: try ints.reserve(rows, on: pass.backend), gathered: base + places[0], dense: base + places[1],
      normed: base + places[2], logits: base + places[3])
  }

  /// hidden [tokens, hidden] -> memory.logits [count, vocabulary] at memory.rows.
  func forward(_ pass: Pass, _ hidden: Values, _ memory: MaskedLMMemory, count: Int) throws(KluereError) {
    let c = pass.configuration
    func values(_ floats: Floats) -> Values { Values(floats, pass.headPrecision) }
    try pass.backend.gatherRows(memory.gathered, hidden, memory.rows, count: count, width: c.hiddenSize)
    try pass.linear(
      values(memory.dense), values(memory.gathered), slots.dense, rows: count,
      c.family == .bert ? c.activation : .gelu)
    try pass.backend.residualNorm(
      values(memory.normed), stream: nil, xhat: nil, rstd: nil, values(memory.dense), residual: nil,
      gain: pass.weights.floats + slots.norm.gain, bias: pass.weights.floats + slots.norm.bias, rows: count,
      width: slots.dense.out, epsilon: c.layerNormEpsilon, .off)
    try pass.linear(values(memory.logits), values(memory.normed), slots.decoder, rows: count)
  }
}

internal import CKluereCUDA
package import KluereBase

/// A CUDA device: kluere_cuda.h behind the `Backend` protocol.
package final class CUDABackend: Backend, @unchecked Sendable {
  private let device: OpaquePointer
  /// The chip's name.
  package let name: String
  /// Major and minor number of the compute capability, as in "sm_90".
  package let architecture: String
  private let hasBF16: Bool
  private let hasF16: Bool

  /// Device `ordinal`, from 0. Throws `.unsupported` with all that was looked for.
  package init(ordinal: Int) throws(KluereError) {
    var message = [CChar](repeating: 0, count: 4096)
    var opened: OpaquePointer?
    let status = kc_open(CInt(clamping: ordinal), nil, nil, &opened, &message, message.count)
    guard status == KC_OK, let opened else {
      throw KluereError(CUDABackend.status(status), "CUDA device \(ordinal): \(CUDABackend.line(message))")
    }
    var info = kc_info()
    guard kc_describe(opened, &info) == KC_OK else {
      kc_close(opened)
      throw KluereError(.device, "CUDA device \(ordinal): it does not describe itself")
    }
    device = opened
    name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: Unicode.UTF8.self) }
    architecture = "sm_\(info.major)\(info.minor)"
    hasBF16 = info.bf16 != 0
    hasF16 = info.f16 != 0
  }

  deinit { kc_close(device) }

  private static func line(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: Unicode.UTF8.self)
  }

  private static func status(_ code: CInt) -> Status {
    switch Int(code) {
    case KC_OUT_OF_MEMORY: .outOfMemory
    case KC_UNSUPPORTED: .unsupported
    case KC_FORKED: .state
    default: .device
    }
  }

  @inline(__always)
  private func check(_ code: CInt, _ operation: StaticString) throws(KluereError) {
    if code != KC_OK { throw failure(code, operation) }
  }

  private func failure(_ code: CInt, _ operation: StaticString) -> KluereError {
    let reason = kc_error(device).map { String(cString: $0) } ?? "status \(code)"
    return KluereError(CUDABackend.status(code), "\(name): \(operation): \(reason)")
  }

  package func parallel(_ items: Int, _ body: (Int) -> Void) { for item in 0..<max(items, 0) { body(item) } }

  // MARK: Memory

  package var isHost: Bool { false }

  package func supports(_ precision: Precision) -> Bool {
    switch precision {
    case .float32: true
    case .tf32, .bfloat16: hasBF16
    case .float16: hasF16
    }
  }

  package var preferredPrecision: Precision { hasBF16 ? .bfloat16 : hasF16 ? .float16 : .float32 }

  package func selfTest() throws(KluereError) { try check(kc_selftest(device), "self-test") }

  package func allocate(bytes: Int) throws(KluereError) -> UnsafeMutableRawPointer {
    var memory: UnsafeMutableRawPointer?
    try check(kc_allocate(device, bytes, &memory), "memory")
    guard let memory else { throw KluereError(.outOfMemory, "\(name): memory: none for \(bytes) bytes") }
    return memory
  }

  package func free(_ memory: UnsafeMutableRawPointer) { kc_free(device, memory) }

  package func copyIn(_ device: UnsafeMutableRawPointer, _ host: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    try check(kc_copy_in(self.device, device, host, bytes), "copy to the device")
  }

  package func copyOut(_ host: UnsafeMutableRawPointer, _ device: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    try check(kc_copy_out(self.device, host, device, bytes), "copy from the device")
  }

  package func copy(_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    try check(kc_copy(device, to, from, bytes), "copy")
  }

  package func fill(_ x: Floats, _ value: Float, count: Int) throws(KluereError) {
    try check(kc_fill(device, x, value, count), "fill")
  }

  package func convert(_ y: Values, _ x: Values, count: Int) throws(KluereError) {
    try check(kc_convert(device, array(y), array(x), count), "convert")
  }

  // MARK: Translation

  private func array(_ values: Values?) -> kc_array {
    kc_array(data: values?.address, type: values?.precision.rawValue ?? 0)
  }

  private func weights(_ weights: Weights?) -> kc_weights {
    kc_weights(
      f32: weights?.floats, half: weights?.half.map { UnsafeRawPointer($0.address) },
      half_type: weights?.half?.precision.rawValue ?? 0)
  }

  private func descriptor(_ mask: DropoutMask) -> kc_dropout {
    kc_dropout(
      seed: mask.seed, threshold: mask.threshold, site: mask.site, sample: mask.sample, position: mask.position)
  }

  private func code(_ activation: Activation) -> CInt {
    switch activation {
    case .none: CInt(KC_ACT_NONE)
    case .gelu: CInt(KC_ACT_GELU)
    case .tanh: CInt(KC_ACT_TANH)
    case .geluNew: CInt(KC_ACT_GELU_NEW)
    case .relu: CInt(KC_ACT_RELU)
    }
  }

  private func tables(_ t: EmbeddingTables) -> kc_tables {
    kc_tables(
      word: t.word, position: t.position, type: t.type, word_rows: Int32(clamping: t.wordRows),
      position_rows: Int32(clamping: t.positionRows), type_rows: Int32(clamping: t.typeRows),
      word_padding: t.wordPadding, position_padding: t.positionPadding)
  }

  private func tokens(_ t: EmbeddingTokens) -> kc_tokens {
    kc_tokens(ids: t.ids, positions: t.positions, types: t.types)
  }

  // MARK: Linear layers

  package func linear(
    _ y: Values, pre: Values?, _ x: Values, _ w: Weights, bias: Weights?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) {
    try check(
      kc_linear(
        device, array(y), array(pre), array(x), weights(w), weights(bias), rows, out, width, code(activation)),
      "linear")
  }

  package func linearBackwardInput(
    _ dx: Values, _ dy: Values, _ w: Weights, rows: Int, out: Int, in width: Int, accumulate: Bool
  ) throws(KluereError) {
    try check(
      kc_linear_backward_input(device, array(dx), array(dy), weights(w), rows, out, width, accumulate ? 1 : 0),
      "linear, gradient of input")
  }

  package func linearBackwardWeight(
    _ dw: Floats, _ dbias: Floats?, _ dy: Values, _ x: Values, rows: Int, out: Int, in width: Int
  ) throws(KluereError) {
    try check(
      kc_linear_backward_weight(device, dw, dbias, array(dy), array(x), rows, out, width),
      "linear, gradient of weights")
  }

  // cuBLASLt takes weights as they lie.
  package func packedCount(out: Int, in width: Int) -> Int { 0 }
  package func pack(_ packed: Floats, _ w: ConstantFloats, out: Int, in width: Int) throws(KluereError) {}
  package func linearPacked(
    _ y: Values, _ x: Values, _ packed: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) { throw KluereError(.internal, "linear: this device packs no weights") }
  package func takesParts(_ count: Int, out: Int, in width: Int) -> Bool { false }
  package func pack(_ packed: Floats, parts: [ConstantFloats?], out: Int, in width: Int) throws(KluereError) {}
  package func linear(
    _ y: Values, _ x: Values, parts: [ConstantFloats?], bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) { throw KluereError(.internal, "linear: this device reads no weights in parts") }

  // MARK: Elementwise

  package func activate(_ y: Values, _ x: Values, count: Int, _ activation: Activation) throws(KluereError) {
    try check(kc_activate(device, code(activation), array(y), array(x), count), "activation")
  }

  package func activateBackward(
    _ dx: Values, _ dy: Values, _ x: Values, count: Int, _ activation: Activation
  ) throws(KluereError) {
    try check(
      kc_activate_backward(device, code(activation), array(dx), array(dy), array(x), count), "activation, gradient")
  }

  package func dropout(_ y: Values, _ x: Values, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError) {
    var mask = descriptor(mask)
    try check(kc_dropout_apply(device, array(y), array(x), rows, width, &mask), "dropout")
  }

  // MARK: Layer norm

  package func residualNorm(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ x: Values, residual: Values?, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kc_residual_norm(
        device, array(y), stream, array(xhat), rstd, array(x), array(residual), gain, bias, rows, width, epsilon,
        &mask),
      "layer norm")
  }

  package func residualNormBackward(
    dx: Values, dsum: Values, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kc_residual_norm_backward(
        device, array(dx), array(dsum), dgain, dbias, array(dy), array(xhat), rstd, gain, rows, width, &mask),
      "layer norm, gradient")
  }

  // MARK: Embeddings and rows

  package func embedding(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens,
    gain: ConstantFloats, bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var (tables, tokens) = (self.tables(tables), self.tokens(tokens))
    try check(
      kc_embedding(
        device, array(y), stream, array(xhat), rstd, &tables, &tokens, gain, bias, rows, width, epsilon, &mask),
      "embedding")
  }

  package func embeddingBackward(
    _ gradients: EmbeddingTables, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, _ tokens: EmbeddingTokens, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var (tables, tokens) = (self.tables(gradients), self.tokens(tokens))
    try check(
      kc_embedding_backward(
        device, &tables, dgain, dbias, array(dy), array(xhat), rstd, gain, &tokens, rows, width, &mask),
      "embedding, gradient")
  }

  package func gatherRows(
    _ y: Floats, _ x: Values, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { try check(kc_gather_rows(device, y, array(x), index, count, width), "gather rows") }

  package func scatterAddRows(
    _ dx: Values, _ dy: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { try check(kc_scatter_add_rows(device, array(dx), dy, index, count, width), "scatter rows") }

  package func poolSpans(
    _ y: Floats, largest: UnsafeMutablePointer<Int32>?, _ x: Values, _ spans: RowSpans, width: Int, maximum: Bool
  ) throws(KluereError) {
    try check(
      kc_pool_spans(
        device, y, largest, x.floats, spans.spans, spans.features, spans.count, width, maximum ? 1 : 0), "pooling")
  }

  package func poolSpansBackward(
    _ dx: Values, _ dy: ConstantFloats, largest: UnsafePointer<Int32>?, _ spans: RowSpans, width: Int
  ) throws(KluereError) {
    try check(
      kc_pool_spans_backward(
        device, dx.floats, dy, largest, spans.spans, spans.features, spans.count, width), "pooling, gradient")
  }

  // MARK: Attention

  private func input(
    _ values: AttentionValues, _ sequences: PackedSequences, heads: Int, headWidth: Int
  ) -> kc_attention_input {
    kc_attention_input(
      queries: array(values.queries), keys: array(values.keys), query_stride: values.queryStride,
      key_stride: values.keyStride, query_offsets: sequences.queryOffsets, key_offsets: sequences.offsets,
      texts: sequences.texts, sequences: sequences.count, rows: sequences.queryRows,
      longest_queries: sequences.longestQueries, longest_keys: sequences.longest, heads: heads, head_width: headWidth)
  }

  package func attention(
    _ out: Values, lse: Floats?, _ input: AttentionValues, _ sequences: PackedSequences, heads: Int, headWidth: Int,
    _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var input = self.input(input, sequences, heads: heads, headWidth: headWidth)
    try check(kc_attention(device, array(out), lse, &input, &mask), "attention")
  }

  package func attentionBackward(
    _ gradient: AttentionValues, _ dout: Values, _ out: Values, lse: ConstantFloats, _ input: AttentionValues,
    _ sequences: PackedSequences, heads: Int, headWidth: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var input = self.input(input, sequences, heads: heads, headWidth: headWidth)
    try check(
      kc_attention_backward(
        device, array(gradient.queries), array(gradient.keys), array(dout), array(out), lse, &input, &mask),
      "attention, gradient")
  }

  // MARK: Loss and optimizer

  private func state(_ update: UpdateStorage) -> UnsafeMutablePointer<kc_update_state> {
    UnsafeMutableRawPointer(update.pointer).assumingMemoryBound(to: kc_update_state.self)
  }

  package func crossEntropy(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ update: UpdateStorage
  ) throws(KluereError) {
    try check(
      kc_cross_entropy(device, dlogits, logits, labels, rows, classes, scale, state(update)), "cross-entropy")
  }

  package func classificationLoss(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ rule: LossRule, _ update: UpdateStorage
  ) throws(KluereError) {
    var terms = kc_loss_rule(
      weights: rule.weights, margins: rule.margins, teacher: rule.teacher, on_target: rule.onTarget,
      off_target: rule.offTarget, gamma: rule.gamma, sharpness: rule.sharpness, temperature: rule.temperature,
      hard: rule.hard, soft: rule.soft, agreement: rule.agreement, detached: rule.isDetached ? 1 : 0)
    try check(
      kc_classification_loss(device, dlogits, logits, labels, rows, classes, scale, &terms, state(update)),
      "classification loss")
  }

  package func softmax(_ y: Floats, _ x: ConstantFloats, rows: Int, classes: Int) throws(KluereError) {
    try check(kc_softmax(device, y, x, rows, classes), "softmax")
  }

  package func startUpdates(_ update: UpdateStorage, lossScale: Float, goodUpdates: UInt32) throws(KluereError) {
    try check(kc_update_start(device, state(update), lossScale, goodUpdates), "loss scale")
  }

  package func beginUpdate(_ update: UpdateStorage) throws(KluereError) {
    try check(kc_update_begin(device, state(update)), "loss")
  }

  package func prepareUpdate(
    _ update: UpdateStorage, gradients: ConstantFloats, count: Int, maxNorm: Double, dynamic: Bool
  ) throws(KluereError) {
    try check(
      kc_update_prepare(
        device, state(update), gradients, count, maxNorm, dynamic ? 1 : 0, CUDABackend.scaleGrowthInterval),
      "gradient norm")
  }

  /// torch.amp.GradScaler's default.
  private static let scaleGrowthInterval: UInt32 = 2000

  package func adamW(
    _ w: Floats, half: Values?, m: Floats, v: Floats, gradient: ConstantFloats, count: Int, _ rule: AdamWUpdate,
    _ update: UpdateStorage
  ) throws(KluereError) {
    var options = kc_adamw(
      learning_rate: rule.learningRate, beta1: rule.beta1, beta2: rule.beta2, epsilon: rule.epsilon,
      weight_decay: rule.weightDecay, correction1: rule.correction1, correction2: rule.correction2)
    try check(kc_adamw_apply(device, w, array(half), m, v, gradient, count, &options, state(update)), "AdamW")
  }

  package func readUpdate(_ update: UpdateStorage) throws(KluereError) -> UpdateNumbers {
    var read = kc_update_state()
    try check(kc_update_read(device, state(update), &read), "numbers of the update")
    var numbers = UpdateNumbers()
    numbers.lossSum = read.loss_sum
    numbers.gradNorm = read.grad_norm
    numbers.gradientScale = read.gradient_scale
    numbers.skip = read.skip
    numbers.lossScale = read.loss_scale
    numbers.goodUpdates = read.good_updates
    return numbers
  }

  package func lerp(_ y: Floats, _ x: ConstantFloats, weight: Float, count: Int) throws(KluereError) {
    try check(kc_lerp(device, y, x, weight, count), "average of weights")
  }

  // MARK: Recorded passes

  private final class Graph: RecordedPass {
    let graph: OpaquePointer
    /// Keeps the device, which must outlive its graphs.
    private let backend: CUDABackend

    init(_ graph: OpaquePointer, _ backend: CUDABackend) {
      self.graph = graph
      self.backend = backend
    }

    deinit { kc_graph_destroy(backend.device, graph) }
  }

  package var recordsPasses: Bool { true }

  package func record(_ body: () throws(KluereError) -> Void) throws(KluereError) -> (any RecordedPass)? {
    // A device that cannot record computes all the same.
    guard kc_capture_begin(device) == KC_OK else { return nil }
    var graph: OpaquePointer?
    do throws(KluereError) { try body() } catch {
      _ = kc_capture_end(device, &graph)
      if let graph { kc_graph_destroy(device, graph) }
      if error.status == .device { return nil }
      throw error
    }
    let code = kc_capture_end(device, &graph)
    if code == KC_LOST { throw failure(code, "recorded pass") }
    guard code == KC_OK, let graph else { return nil }
    return Graph(graph, self)
  }

  package func replay(_ pass: any RecordedPass) throws(KluereError) {
    guard let pass = pass as? Graph else { throw KluereError(.internal, "recorded pass: of another device") }
    try check(kc_graph_launch(device, pass.graph), "recorded pass")
  }
}

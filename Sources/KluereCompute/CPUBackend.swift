internal import CKluereCPU
internal import CKluereSupport
internal import Glibc
package import KluereBase

/// The backend that always works: kluere_cpu.h behind the `Backend` protocol. Device memory is host memory.
package final class CPUBackend: Backend, @unchecked Sendable {
  let engine: OpaquePointer
  private var rowLosses: [Double] = []

  /// `instructionSet`: nil for the best of this machine, else "plain", "avx2", "avx512" or "neon".
  package init(threads: Int, instructionSet: String?) throws(KluereError) {
    var isa = kk_isa_best()
    if let instructionSet {
      let all = [KK_ISA_PLAIN, KK_ISA_AVX2, KK_ISA_AVX512, KK_ISA_NEON].map { CInt($0) }
      guard let wanted = all.first(where: { String(cString: kk_isa_name($0)) == instructionSet }) else {
        throw KluereError(
          .invalidArgument, "KLUERE_CPU: \"\(instructionSet)\" is none of plain, avx2, avx512 and neon")
      }
      guard kk_isa_supported(wanted) != 0 else {
        throw KluereError(.unsupported, "KLUERE_CPU: this machine does not run \(instructionSet) code")
      }
      isa = wanted
    }
    guard let engine = kk_engine_create(isa, CInt(clamping: threads)) else {
      throw KluereError(.outOfMemory, "CPU engine: memory or threads for \(threads) workers are not to be had")
    }
    self.engine = engine
  }

  deinit { kk_engine_destroy(engine) }

  package static var availableCores: Int { Int(kk_cpu_count()) }
  package var threadCount: Int { Int(kk_engine_threads(engine)) }
  package var instructionSet: String { String(cString: kk_isa_name(kk_engine_isa(engine))) }

  /// Status of an operation that needs scratch memory.
  @inline(__always)
  func check(_ result: CInt, _ operation: StaticString) throws(KluereError) {
    if result != 0 { throw KluereError(.outOfMemory, "\(operation): scratch memory is not to be had") }
  }

  package func parallel(_ items: Int, _ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      var body = body
      withUnsafeMutablePointer(to: &body) { pointer in
        kk_parallel(
          engine, max(items, 0),
          { context, item in context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(item) }, pointer)
      }
    }
  }

  // MARK: Memory

  package var isHost: Bool { true }

  package func allocate(bytes: Int) throws(KluereError) -> UnsafeMutableRawPointer {
    // Linux promises more memory than there is and kills the process that uses it: what cannot fit is refused here.
    guard bytes >= 0, bytes <= CPUBackend.physicalMemory, let memory = ks_allocate_zeroed(bytes) else {
      throw KluereError(.outOfMemory, "")
    }
    return memory
  }

  private static let physicalMemory: Int = {
    let pages = sysconf(CInt(_SC_PHYS_PAGES))
    let size = sysconf(CInt(_SC_PAGESIZE))
    return pages > 0 && size > 0 ? pages.multipliedReportingOverflow(by: size).partialValue : Int.max
  }()

  package func free(_ memory: UnsafeMutableRawPointer) { ks_free_zeroed(memory) }

  package func copyIn(_ device: UnsafeMutableRawPointer, _ host: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    memcpy(device, host, bytes)
  }

  package func copyOut(_ host: UnsafeMutableRawPointer, _ device: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    memcpy(host, device, bytes)
  }

  package func copy(_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, bytes: Int) throws(KluereError) {
    memmove(to, from, bytes)
  }

  package func fill(_ x: Floats, _ value: Float, count: Int) throws(KluereError) { kk_fill(engine, x, value, count) }

  package func supports(_ precision: Precision) -> Bool { precision == .float32 }
  package var preferredPrecision: Precision { .float32 }

  package func convert(_ y: Values, _ x: Values, count: Int) throws(KluereError) {
    memmove(y.address, x.address, count * MemoryLayout<Float>.size)
  }

  // MARK: Linear layers

  func code(_ activation: Activation) -> CInt {
    switch activation {
    case .none: CInt(KK_ACT_NONE)
    case .gelu: CInt(KK_ACT_GELU)
    case .tanh: CInt(KK_ACT_TANH)
    case .geluNew: CInt(KK_ACT_GELU_NEW)
    case .relu: CInt(KK_ACT_RELU)
    }
  }

  package func linear(
    _ y: Values, pre: Values?, _ x: Values, _ w: Weights, bias: Weights?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) {
    try check(
      kk_linear(
        engine, y.floats, pre?.floats, x.floats, w.floats, bias?.floats, rows, out, width, code(activation)), "linear")
  }

  package func linearBackwardInput(
    _ dx: Values, _ dy: Values, _ w: Weights, rows: Int, out: Int, in width: Int, accumulate: Bool
  ) throws(KluereError) {
    try check(
      kk_linear_backward_input(engine, dx.floats, dy.floats, w.floats, rows, out, width, accumulate ? 1 : 0),
      "linear, gradient of input")
  }

  package func linearBackwardWeight(
    _ dw: Floats, _ dbias: Floats?, _ dy: Values, _ x: Values, rows: Int, out: Int, in width: Int
  ) throws(KluereError) {
    try check(
      kk_linear_backward_weight(engine, dw, dbias, dy.floats, x.floats, rows, out, width),
      "linear, gradient of weights")
  }

  package func packedCount(out: Int, in width: Int) -> Int { kk_packed_size(engine, out, width) }

  package func pack(_ packed: Floats, _ w: ConstantFloats, out: Int, in width: Int) throws(KluereError) {
    kk_pack(engine, packed, w, out, width)
  }

  package func linearPacked(
    _ y: Values, _ x: Values, _ packed: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) {
    try check(
      kk_linear_packed(engine, y.floats, x.floats, packed, bias, rows, out, width, code(activation)), "linear")
  }

  package func takesParts(_ count: Int, out: Int, in width: Int) -> Bool {
    guard count > 1 else { return count == 1 }
    // A part ends with a whole panel.
    let rows = out / count
    return rows > 0 && rows.product(count) == out && rows.product(width) == packedCount(out: rows, in: width)
  }

  package func pack(_ packed: Floats, parts: [ConstantFloats?], out: Int, in width: Int) throws(KluereError) {
    kk_pack_parts(engine, packed, parts, parts.count, out, width)
  }

  package func linear(
    _ y: Values, _ x: Values, parts: [ConstantFloats?], bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation
  ) throws(KluereError) {
    try check(
      kk_linear_parts(
        engine, y.floats, x.floats, parts, parts.count, bias, rows, out, width, code(activation)), "linear")
  }

  // MARK: Elementwise

  package func activate(_ y: Values, _ x: Values, count: Int, _ activation: Activation) throws(KluereError) {
    kk_activate(engine, code(activation), y.floats, x.floats, count)
  }

  package func activateBackward(
    _ dx: Values, _ dy: Values, _ x: Values, count: Int, _ activation: Activation
  ) throws(KluereError) { kk_activate_backward(engine, code(activation), dx.floats, dy.floats, x.floats, count) }

  private func descriptor(_ mask: DropoutMask) -> kk_dropout {
    kk_dropout(
      seed: mask.seed, threshold: mask.threshold, site: mask.site, sample: mask.sample, position: mask.position)
  }

  package func dropout(_ y: Values, _ x: Values, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError) {
    var mask = descriptor(mask)
    kk_dropout_apply(engine, y.floats, x.floats, rows, width, &mask)
  }

  // MARK: Layer norm. A stream is what y is already: fp32 has nothing to keep beside it, and no caller asks for one.

  package func residualNorm(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ x: Values, residual: Values?, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    kk_residual_norm(
      engine, y.floats, xhat?.floats, rstd, x.floats, residual?.floats, gain, bias, rows, width, epsilon, &mask)
  }

  package func residualNormBackward(
    dx: Values, dsum: Values, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kk_residual_norm_backward(
        engine, dx.floats, dsum.floats, dgain, dbias, dy.floats, xhat.floats, rstd, gain, rows, width, &mask),
      "layer norm, gradient")
  }

  // MARK: Embeddings and rows

  package func embedding(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens,
    gain: ConstantFloats, bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    kk_embedding(
      engine, y.floats, xhat?.floats, rstd, tables.word, tables.position, tables.type, tokens.ids, tokens.positions,
      tokens.types, gain, bias, rows, width, epsilon, &mask)
  }

  package func embeddingBackward(
    _ gradients: EmbeddingTables, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, _ tokens: EmbeddingTokens, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kk_embedding_backward(
        engine, gradients.word, gradients.position, gradients.type, dgain, dbias, dy.floats, xhat.floats, rstd, gain,
        tokens.ids, tokens.positions, tokens.types, rows, width, gradients.wordRows, gradients.positionRows,
        gradients.typeRows, gradients.wordPadding, gradients.positionPadding, &mask),
      "embedding, gradient")
  }

  package func gatherRows(
    _ y: Floats, _ x: Values, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { kk_gather_rows(engine, y, x.floats, index, count, width) }

  package func scatterAddRows(
    _ dx: Values, _ dy: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { kk_scatter_add_rows(engine, dx.floats, dy, index, count, width) }

  package func poolSpans(
    _ y: Floats, largest: UnsafeMutablePointer<Int32>?, _ x: Values, _ spans: RowSpans, width: Int, maximum: Bool
  ) throws(KluereError) {
    kk_pool_spans(
      engine, y, largest, x.floats, spans.spans, spans.features * spans.count, width, maximum ? 1 : 0)
  }

  package func poolSpansBackward(
    _ dx: Values, _ dy: ConstantFloats, largest: UnsafePointer<Int32>?, _ spans: RowSpans, width: Int
  ) throws(KluereError) {
    kk_pool_spans_backward(engine, dx.floats, dy, largest, spans.spans, spans.features * spans.count, width)
  }

  // MARK: Attention

  private func input(
    _ values: AttentionValues, _ sequences: PackedSequences, heads: Int, headWidth: Int
  ) -> kk_attention_input {
    kk_attention_input(
      queries: values.queries.floats, keys: values.keys.floats, query_stride: values.queryStride,
      key_stride: values.keyStride, query_offsets: sequences.queryOffsets, key_offsets: sequences.offsets,
      sequences: sequences.count, heads: heads, head_width: headWidth, texts: sequences.texts)
  }

  package func attention(
    _ out: Values, lse: Floats?, _ input: AttentionValues, _ sequences: PackedSequences, heads: Int, headWidth: Int,
    _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var input = self.input(input, sequences, heads: heads, headWidth: headWidth)
    try check(kk_attention(engine, out.floats, lse, &input, &mask), "attention")
  }

  package func attentionBackward(
    _ gradient: AttentionValues, _ dout: Values, _ out: Values, lse: ConstantFloats, _ input: AttentionValues,
    _ sequences: PackedSequences, heads: Int, headWidth: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    var input = self.input(input, sequences, heads: heads, headWidth: headWidth)
    try check(
      kk_attention_backward(
        engine, gradient.queries.floats, gradient.keys.floats, dout.floats, out.floats, lse, &input, &mask),
      "attention, gradient")
  }

  // MARK: Loss and optimizer

  package func crossEntropy(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ update: UpdateStorage
  ) throws(KluereError) {
    if rowLosses.count < rows { rowLosses = [Double](repeating: 0, count: rows) }
    let lossScale = update.pointer.pointee.lossScale
    kk_cross_entropy(engine, &rowLosses, dlogits, logits, labels, rows, classes, scale * lossScale)
    var sum = 0.0
    for row in 0..<rows { sum += rowLosses[row] }
    update.pointer.pointee.lossSum += sum
  }

  package func classificationLoss(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ rule: LossRule, _ update: UpdateStorage
  ) throws(KluereError) {
    if rowLosses.count < rows { rowLosses = [Double](repeating: 0, count: rows) }
    var terms = kk_loss_rule(
      weights: rule.weights, margins: rule.margins, teacher: rule.teacher, on_target: rule.onTarget,
      off_target: rule.offTarget, gamma: rule.gamma, sharpness: rule.sharpness, temperature: rule.temperature,
      hard: rule.hard, soft: rule.soft, agreement: rule.agreement, detached: rule.isDetached ? 1 : 0)
    let lossScale = update.pointer.pointee.lossScale
    kk_classification_loss(engine, &rowLosses, dlogits, logits, labels, rows, classes, scale * lossScale, &terms)
    var sum = 0.0
    for row in 0..<rows { sum += rowLosses[row] }
    update.pointer.pointee.lossSum += sum
  }

  package func softmax(_ y: Floats, _ x: ConstantFloats, rows: Int, classes: Int) throws(KluereError) {
    kk_softmax(engine, y, x, rows, classes)
  }

  package func startUpdates(_ update: UpdateStorage, lossScale: Float, goodUpdates: UInt32) throws(KluereError) {
    var numbers = UpdateNumbers()
    numbers.lossScale = lossScale
    numbers.goodUpdates = goodUpdates
    update.pointer.pointee = numbers
  }

  package func beginUpdate(_ update: UpdateStorage) throws(KluereError) { update.pointer.pointee.lossSum = 0 }

  package func prepareUpdate(
    _ update: UpdateStorage, gradients: ConstantFloats, count: Int, maxNorm: Double, dynamic: Bool
  ) throws(KluereError) {
    // A scale that changes is for fp16, which this backend refuses.
    update.pointer.pointee.prepare(squares: kk_sum_of_squares(engine, gradients, count), maxNorm: maxNorm)
  }

  package func adamW(
    _ w: Floats, half: Values?, m: Floats, v: Floats, gradient: ConstantFloats, count: Int, _ rule: AdamWUpdate,
    _ update: UpdateStorage
  ) throws(KluereError) {
    let numbers = update.pointer.pointee
    if numbers.skip != 0 { return }
    var options = kk_adamw(
      learning_rate: rule.learningRate, beta1: rule.beta1, beta2: rule.beta2, epsilon: rule.epsilon,
      weight_decay: rule.weightDecay, grad_scale: numbers.gradientScale, correction1: rule.correction1,
      correction2: rule.correction2)
    kk_adamw_apply(engine, w, m, v, gradient, count, &options)
  }

  package func readUpdate(_ update: UpdateStorage) throws(KluereError) -> UpdateNumbers { update.pointer.pointee }

  package func lerp(_ y: Floats, _ x: ConstantFloats, weight: Float, count: Int) throws(KluereError) {
    kk_lerp(engine, y, x, weight, count)
  }

  // MARK: Recorded passes: a call costs nothing here that a recording would save

  package var recordsPasses: Bool { false }
  package func record(_ body: () throws(KluereError) -> Void) throws(KluereError) -> (any RecordedPass)? { nil }
  package func replay(_ pass: any RecordedPass) throws(KluereError) {
    throw KluereError(.internal, "recorded pass: the CPU has none")
  }
}

internal import CKluereCPU
internal import CKluereSupport
internal import Glibc
package import KluereBase

/// The backend that always works: kluere_cpu.h behind the `Backend` protocol. Device memory is host memory.
package final class CPUBackend: Backend, @unchecked Sendable {
  private let engine: OpaquePointer
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
  private func check(_ result: CInt, _ operation: StaticString) throws(KluereError) {
    if result != 0 { throw KluereError(.outOfMemory, "\(operation): scratch memory is not to be had") }
  }

  // MARK: Memory

  package var isHost: Bool { true }

  package func allocate(bytes: Int) -> UnsafeMutableRawPointer? {
    // Linux promises more memory than there is and kills the process that uses it: what cannot fit is refused here.
    guard bytes >= 0, bytes <= CPUBackend.physicalMemory else { return nil }
    return ks_allocate_zeroed(bytes)
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

  package func fill(_ x: Floats, _ value: Float, count: Int) throws(KluereError) { kk_fill(engine, x, value, count) }

  // MARK: Linear layers

  private func code(_ activation: Activation) -> CInt {
    switch activation {
    case .none: CInt(KK_ACT_NONE)
    case .gelu: CInt(KK_ACT_GELU)
    case .tanh: CInt(KK_ACT_TANH)
    case .geluNew: CInt(KK_ACT_GELU_NEW)
    case .relu: CInt(KK_ACT_RELU)
    }
  }

  package func linear(
    _ y: Floats, pre: Floats?, _ x: ConstantFloats, _ w: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int,
    in width: Int, _ activation: Activation
  ) throws(KluereError) {
    try check(kk_linear(engine, y, pre, x, w, bias, rows, out, width, code(activation)), "linear")
  }

  package func linearBackwardInput(
    _ dx: Floats, _ dy: ConstantFloats, _ w: ConstantFloats, rows: Int, out: Int, in width: Int, accumulate: Bool
  ) throws(KluereError) {
    try check(
      kk_linear_backward_input(engine, dx, dy, w, rows, out, width, accumulate ? 1 : 0), "linear, gradient of input")
  }

  package func linearBackwardWeight(
    _ dw: Floats, _ dbias: Floats?, _ dy: ConstantFloats, _ x: ConstantFloats, rows: Int, out: Int, in width: Int
  ) throws(KluereError) {
    try check(
      kk_linear_backward_weight(engine, dw, dbias, dy, x, rows, out, width), "linear, gradient of weights")
  }

  package func packedCount(out: Int, in width: Int) -> Int { kk_packed_size(engine, out, width) }

  package func pack(_ packed: Floats, _ w: ConstantFloats, out: Int, in width: Int) throws(KluereError) {
    kk_pack(engine, packed, w, out, width)
  }

  package func linearPacked(
    _ y: Floats, _ x: ConstantFloats, _ packed: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int,
    in width: Int, _ activation: Activation
  ) throws(KluereError) {
    try check(kk_linear_packed(engine, y, x, packed, bias, rows, out, width, code(activation)), "linear")
  }

  // MARK: Elementwise

  package func activate(
    _ y: Floats, _ x: ConstantFloats, count: Int, _ activation: Activation
  ) throws(KluereError) { kk_activate(engine, code(activation), y, x, count) }

  package func activateBackward(
    _ dx: Floats, _ dy: ConstantFloats, _ x: ConstantFloats, count: Int, _ activation: Activation
  ) throws(KluereError) { kk_activate_backward(engine, code(activation), dx, dy, x, count) }

  private func descriptor(_ mask: DropoutMask) -> kk_dropout {
    kk_dropout(
      seed: mask.seed, threshold: mask.threshold, site: mask.site, sample: mask.sample, position: mask.position)
  }

  package func dropout(
    _ y: Floats, _ x: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    kk_dropout_apply(engine, y, x, rows, width, &mask)
  }

  // MARK: Layer norm

  package func residualNorm(
    _ y: Floats, xhat: Floats?, rstd: Floats?, _ x: ConstantFloats, residual: ConstantFloats?, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    kk_residual_norm(engine, y, xhat, rstd, x, residual, gain, bias, rows, width, epsilon, &mask)
  }

  package func residualNormBackward(
    dx: Floats, dsum: Floats, dgain: Floats, dbias: Floats, _ dy: ConstantFloats, xhat: ConstantFloats,
    rstd: ConstantFloats, gain: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kk_residual_norm_backward(engine, dx, dsum, dgain, dbias, dy, xhat, rstd, gain, rows, width, &mask),
      "layer norm, gradient")
  }

  // MARK: Embeddings and rows

  package func embedding(
    _ y: Floats, xhat: Floats?, rstd: Floats?, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens,
    gain: ConstantFloats, bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    kk_embedding(
      engine, y, xhat, rstd, tables.word, tables.position, tables.type, tokens.ids, tokens.positions, tokens.types,
      gain, bias, rows, width, epsilon, &mask)
  }

  package func embeddingBackward(
    _ gradients: EmbeddingTables, dgain: Floats, dbias: Floats, _ dy: Floats, xhat: ConstantFloats,
    rstd: ConstantFloats, gain: ConstantFloats, _ tokens: EmbeddingTokens, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kk_embedding_backward(
        engine, gradients.word, gradients.position, gradients.type, dgain, dbias, dy, xhat, rstd, gain, tokens.ids,
        tokens.positions, tokens.types, rows, width, gradients.wordRows, gradients.positionRows, gradients.typeRows,
        gradients.wordPadding, gradients.positionPadding, &mask),
      "embedding, gradient")
  }

  package func gatherRows(
    _ y: Floats, _ x: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { kk_gather_rows(engine, y, x, index, count, width) }

  package func scatterAddRows(
    _ dx: Floats, _ dy: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int
  ) throws(KluereError) { kk_scatter_add_rows(engine, dx, dy, index, count, width) }

  // MARK: Attention

  package func attention(
    _ out: Floats, lse: Floats?, _ qkv: ConstantFloats, offsets: UnsafePointer<Int32>, sequences: Int, heads: Int,
    headWidth: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(kk_attention(engine, out, lse, qkv, offsets, sequences, heads, headWidth, &mask), "attention")
  }

  package func attentionBackward(
    _ dqkv: Floats, _ dout: ConstantFloats, _ out: ConstantFloats, lse: ConstantFloats, _ qkv: ConstantFloats,
    offsets: UnsafePointer<Int32>, sequences: Int, heads: Int, headWidth: Int, _ mask: DropoutMask
  ) throws(KluereError) {
    var mask = descriptor(mask)
    try check(
      kk_attention_backward(engine, dqkv, dout, out, lse, qkv, offsets, sequences, heads, headWidth, &mask),
      "attention, gradient")
  }

  // MARK: Loss and optimizer

  package func crossEntropy(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float
  ) throws(KluereError) -> Double {
    if rowLosses.count < rows { rowLosses = [Double](repeating: 0, count: rows) }
    kk_cross_entropy(engine, &rowLosses, dlogits, logits, labels, rows, classes, scale)
    var sum = 0.0
    for row in 0..<rows { sum += rowLosses[row] }
    return sum
  }

  package func softmax(_ y: Floats, _ x: ConstantFloats, rows: Int, classes: Int) throws(KluereError) {
    kk_softmax(engine, y, x, rows, classes)
  }

  package func sumOfSquares(_ x: ConstantFloats, count: Int) throws(KluereError) -> Double {
    kk_sum_of_squares(engine, x, count)
  }

  package func adamW(
    _ w: Floats, m: Floats, v: Floats, gradient: ConstantFloats, count: Int, _ update: AdamWUpdate
  ) throws(KluereError) {
    var options = kk_adamw(
      learning_rate: update.learningRate, beta1: update.beta1, beta2: update.beta2, epsilon: update.epsilon,
      weight_decay: update.weightDecay, grad_scale: update.gradientScale, correction1: update.correction1,
      correction2: update.correction2)
    kk_adamw_apply(engine, w, m, v, gradient, count, &options)
  }
}

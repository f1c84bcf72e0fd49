package import KluereBase

/// What a linear layer applies to its result.
package enum Activation: Sendable {
  case none
  /// x/2 (1 + erf(x / sqrt 2))
  case gelu
  case tanh
  /// x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  case geluNew
  case relu
}

/// Which elements a dropout keeps: a pure function of these values and the column, recomputed in the backward pass.
/// See kluere_cpu.h for the exact bits, which all backends share.
package struct DropoutMask {
  /// Already mixed with the training step.
  package var seed: UInt64
  /// round(p * 65536); 0 keeps everything.
  package var threshold: UInt32
  /// Number of the place in the network; attention adds the head's number.
  package var site: UInt32
  /// For each row: the sentence's number within the update, and the token's position in its sentence.
  package var sample: UnsafePointer<UInt32>?
  package var position: UnsafePointer<UInt32>?

  package init(
    seed: UInt64, threshold: UInt32, site: UInt32, sample: UnsafePointer<UInt32>?, position: UnsafePointer<UInt32>?
  ) {
    self.seed = seed
    self.threshold = threshold
    self.site = site
    self.sample = sample
    self.position = position
  }

  package static var off: DropoutMask { DropoutMask(seed: 0, threshold: 0, site: 0, sample: nil, position: nil) }
}

/// One AdamW update of a flat range of parameters (torch.optim.AdamW). `correction1/2` = 1 - beta^step.
package struct AdamWUpdate: Sendable {
  package var learningRate: Float
  package var beta1: Float
  package var beta2: Float
  package var epsilon: Float
  package var weightDecay: Float
  /// Multiplies the gradient: the clipping coefficient.
  package var gradientScale: Float
  package var correction1: Double
  package var correction2: Double

  package init(
    learningRate: Float, beta1: Float, beta2: Float, epsilon: Float, weightDecay: Float, gradientScale: Float,
    correction1: Double, correction2: Double
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
    self.correction1 = correction1
    self.correction2 = correction2
  }
}

/// Device memory of fp32 values. Only the backend that allocated it may follow the pointer.
package typealias Floats = UnsafeMutablePointer<Float>
package typealias ConstantFloats = UnsafePointer<Float>

/// The operations an encoder and its training need. The encoder is written once against this list; a device implements
/// it. All matrices are row-major without padding, rows are the tokens of a packed batch, outputs come first. "+=" is
/// said where an output accumulates; everything else overwrites.
///
/// Thread rule: one operation at a time per backend (`Context.exclusive`).
package protocol Backend: AnyObject, Sendable {
  // MARK: Memory
  /// Whether device memory is the host's: pointers of either may stand for the other.
  var isHost: Bool { get }
  /// Zeroed, 64-byte aligned device memory, nil when there is none.
  func allocate(bytes: Int) -> UnsafeMutableRawPointer?
  func free(_ memory: UnsafeMutableRawPointer)
  func copyIn(_ device: UnsafeMutableRawPointer, _ host: UnsafeRawPointer, bytes: Int) throws(KluereError)
  func copyOut(_ host: UnsafeMutableRawPointer, _ device: UnsafeRawPointer, bytes: Int) throws(KluereError)
  func fill(_ x: Floats, _ value: Float, count: Int) throws(KluereError)

  // MARK: Linear layers, weights w [out, in]
  /// y [rows, out] = act(x w^T + bias); pre: the value before act, if wanted.
  func linear(
    _ y: Floats, pre: Floats?, _ x: ConstantFloats, _ w: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int,
    in width: Int, _ activation: Activation) throws(KluereError)
  /// dx [rows, in] = or += dy w.
  func linearBackwardInput(
    _ dx: Floats, _ dy: ConstantFloats, _ w: ConstantFloats, rows: Int, out: Int, in width: Int, accumulate: Bool
  ) throws(KluereError)
  /// dw += dy^T x, dbias += column sums of dy.
  func linearBackwardWeight(
    _ dw: Floats, _ dbias: Floats?, _ dy: ConstantFloats, _ x: ConstantFloats, rows: Int, out: Int, in width: Int
  ) throws(KluereError)
  /// Floats that `pack` writes; 0 when this backend has no use for packed weights.
  func packedCount(out: Int, in width: Int) -> Int
  func pack(_ packed: Floats, _ w: ConstantFloats, out: Int, in width: Int) throws(KluereError)
  /// Same bits as `linear`.
  func linearPacked(
    _ y: Floats, _ x: ConstantFloats, _ packed: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int,
    in width: Int, _ activation: Activation) throws(KluereError)

  // MARK: Elementwise
  func activate(_ y: Floats, _ x: ConstantFloats, count: Int, _ activation: Activation) throws(KluereError)
  /// dx = dy f'(x), for tanh with x its result. dx may be dy.
  func activateBackward(
    _ dx: Floats, _ dy: ConstantFloats, _ x: ConstantFloats, count: Int, _ activation: Activation) throws(KluereError)
  /// y = dropout(x); the backward is the same call on the gradient.
  func dropout(_ y: Floats, _ x: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError)

  // MARK: Layer norm
  /// y = LN(residual + dropout(x)); saves the normalised value and 1 / standard deviation for the backward.
  func residualNorm(
    _ y: Floats, xhat: Floats?, rstd: Floats?, _ x: ConstantFloats, residual: ConstantFloats?, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask) throws(KluereError)
  /// dsum: gradient of the residual; dx: gradient of x. dgain, dbias +=. dsum may be dy.
  func residualNormBackward(
    dx: Floats, dsum: Floats, dgain: Floats, dbias: Floats, _ dy: ConstantFloats, xhat: ConstantFloats,
    rstd: ConstantFloats, gain: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError)

  // MARK: Embeddings and rows
  func embedding(
    _ y: Floats, xhat: Floats?, rstd: Floats?, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens,
    gain: ConstantFloats, bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError)
  /// Gradients of the three tables, gain and bias +=. dy is overwritten.
  func embeddingBackward(
    _ gradients: EmbeddingTables, dgain: Floats, dbias: Floats, _ dy: Floats, xhat: ConstantFloats,
    rstd: ConstantFloats, gain: ConstantFloats, _ tokens: EmbeddingTokens, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError)
  /// y[i] = x[index[i]]
  func gatherRows(_ y: Floats, _ x: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int)
    throws(KluereError)
  /// dx[index[i]] += dy[i]
  func scatterAddRows(_ dx: Floats, _ dy: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int)
    throws(KluereError)

  // MARK: Attention over packed sequences
  /// qkv [rows, 3 * heads * headWidth], out [rows, heads * headWidth], lse [heads, rows] if wanted.
  func attention(
    _ out: Floats, lse: Floats?, _ qkv: ConstantFloats, offsets: UnsafePointer<Int32>, sequences: Int, heads: Int,
    headWidth: Int, _ mask: DropoutMask) throws(KluereError)
  func attentionBackward(
    _ dqkv: Floats, _ dout: ConstantFloats, _ out: ConstantFloats, lse: ConstantFloats, _ qkv: ConstantFloats,
    offsets: UnsafePointer<Int32>, sequences: Int, heads: Int, headWidth: Int, _ mask: DropoutMask
  ) throws(KluereError)

  // MARK: Loss and optimizer
  /// Host-side sum over rows of -log softmax(logits)[label]; dlogits = scale * (softmax - onehot).
  func crossEntropy(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float
  ) throws(KluereError) -> Double
  func softmax(_ y: Floats, _ x: ConstantFloats, rows: Int, classes: Int) throws(KluereError)
  func sumOfSquares(_ x: ConstantFloats, count: Int) throws(KluereError) -> Double
  func adamW(
    _ w: Floats, m: Floats, v: Floats, gradient: ConstantFloats, count: Int, _ update: AdamWUpdate
  ) throws(KluereError)
}

/// The three tables that are added up for a token, and their numbers of rows.
package struct EmbeddingTables {
  package var word: Floats
  package var position: Floats
  package var type: Floats
  package var wordRows: Int
  package var positionRows: Int
  package var typeRows: Int
  /// Rows that get no gradient (torch.nn.Embedding's padding_idx), -1 for none.
  package var wordPadding: Int32
  package var positionPadding: Int32

  package init(
    word: Floats, position: Floats, type: Floats, wordRows: Int, positionRows: Int, typeRows: Int, wordPadding: Int32,
    positionPadding: Int32
  ) {
    self.word = word
    self.position = position
    self.type = type
    self.wordRows = wordRows
    self.positionRows = positionRows
    self.typeRows = typeRows
    self.wordPadding = wordPadding
    self.positionPadding = positionPadding
  }
}

/// Row numbers in the three tables, one each per token; all checked to be inside the tables.
package struct EmbeddingTokens {
  package var ids: UnsafePointer<Int32>
  package var positions: UnsafePointer<Int32>
  package var types: UnsafePointer<Int32>

  package init(ids: UnsafePointer<Int32>, positions: UnsafePointer<Int32>, types: UnsafePointer<Int32>) {
    self.ids = ids
    self.positions = positions
    self.types = types
  }
}

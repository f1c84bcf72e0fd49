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

/// One AdamW update of a flat range of parameters (torch.optim.AdamW). `correction1/2` = 1 - beta^step. The gradient is
/// multiplied with the update's gradientScale.
package struct AdamWUpdate: Sendable {
  package var learningRate: Float
  package var beta1: Float
  package var beta2: Float
  package var epsilon: Float
  package var weightDecay: Float
  package var correction1: Double
  package var correction2: Double

  package init(
    learningRate: Float, beta1: Float, beta2: Float, epsilon: Float, weightDecay: Float, correction1: Double,
    correction2: Double
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.correction1 = correction1
    self.correction2 = correction2
  }
}

/// Device memory of fp32 values. Only the backend that allocated it may follow the pointer.
package typealias Floats = UnsafeMutablePointer<Float>
package typealias ConstantFloats = UnsafePointer<Float>

/// The operations an encoder and its training need. The encoder is written once against this list; a device implements
/// it. All matrices are row-major without padding, rows are the tokens of a packed batch, outputs come first. "+=" is
/// said where an output accumulates; everything else overwrites. Values are of one precision within a call, except where
/// a call says that one of them may be fp32.
///
/// Thread rule: one operation at a time per backend (`Context.exclusive`).
package protocol Backend: AnyObject, Sendable {
  // MARK: Memory
  /// Whether device memory is the host's: pointers of either may stand for the other.
  var isHost: Bool { get }
  func supports(_ precision: Precision) -> Bool
  /// What `Precision` is best where the caller leaves the choice to the device.
  var preferredPrecision: Precision { get }
  /// Throws if the device's arithmetic is not what it should be.
  func selfTest() throws(KluereError)
  /// Zeroed, 64-byte aligned device memory. `.outOfMemory`, with the device's own figures if it has some, or a device that
  /// does not work.
  func allocate(bytes: Int) throws(KluereError) -> UnsafeMutableRawPointer
  func free(_ memory: UnsafeMutableRawPointer)
  func copyIn(_ device: UnsafeMutableRawPointer, _ host: UnsafeRawPointer, bytes: Int) throws(KluereError)
  func copyOut(_ host: UnsafeMutableRawPointer, _ device: UnsafeRawPointer, bytes: Int) throws(KluereError)
  /// From device memory to device memory.
  func copy(_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, bytes: Int) throws(KluereError)
  func fill(_ x: Floats, _ value: Float, count: Int) throws(KluereError)
  /// y = x in another precision.
  func convert(_ y: Values, _ x: Values, count: Int) throws(KluereError)

  // MARK: Linear layers, weights w [out, in]
  /// y [rows, out] = act(x w^T + bias); pre: the value before act, if wanted. y may be fp32.
  func linear(
    _ y: Values, pre: Values?, _ x: Values, _ w: Weights, bias: Weights?, rows: Int, out: Int, in width: Int,
    _ activation: Activation) throws(KluereError)
  /// dx [rows, in] = or += dy w. dx may be fp32.
  func linearBackwardInput(
    _ dx: Values, _ dy: Values, _ w: Weights, rows: Int, out: Int, in width: Int, accumulate: Bool
  ) throws(KluereError)
  /// dw += dy^T x, dbias += column sums of dy.
  func linearBackwardWeight(
    _ dw: Floats, _ dbias: Floats?, _ dy: Values, _ x: Values, rows: Int, out: Int, in width: Int
  ) throws(KluereError)
  /// Floats that `pack` writes; 0 when this backend has no use for packed weights.
  func packedCount(out: Int, in width: Int) -> Int
  func pack(_ packed: Floats, _ w: ConstantFloats, out: Int, in width: Int) throws(KluereError)
  /// Same bits as `linear`.
  func linearPacked(
    _ y: Values, _ x: Values, _ packed: ConstantFloats, bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation) throws(KluereError)
  /// Whether weights of `count` parts, `out / count` rows in each, may go to the next two.
  func takesParts(_ count: Int, out: Int, in width: Int) -> Bool
  /// Weights whose rows stand in several places, one part below the other.
  func pack(_ packed: Floats, parts: [ConstantFloats?], out: Int, in width: Int) throws(KluereError)
  /// Same bits as `linear`.
  func linear(
    _ y: Values, _ x: Values, parts: [ConstantFloats?], bias: ConstantFloats?, rows: Int, out: Int, in width: Int,
    _ activation: Activation) throws(KluereError)

  // MARK: Elementwise
  func activate(_ y: Values, _ x: Values, count: Int, _ activation: Activation) throws(KluereError)
  /// dx = dy f'(x), for tanh with x its result. dx may be dy.
  func activateBackward(
    _ dx: Values, _ dy: Values, _ x: Values, count: Int, _ activation: Activation) throws(KluereError)
  /// y = dropout(x); the backward is the same call on the gradient.
  func dropout(_ y: Values, _ x: Values, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError)

  // MARK: Layer norm
  /// y = LN(residual + dropout(x)); saves the normalised value and 1 / standard deviation for the backward. stream: y once
  /// more, unrounded. residual may be fp32.
  func residualNorm(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ x: Values, residual: Values?, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask) throws(KluereError)
  /// dsum: gradient of the residual; dx: gradient of x. dgain, dbias +=. dsum may be dy; both may be fp32.
  func residualNormBackward(
    dx: Values, dsum: Values, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, rows: Int, width: Int, _ mask: DropoutMask) throws(KluereError)

  // MARK: Embeddings and rows
  func embedding(
    _ y: Values, stream: Floats?, xhat: Values?, rstd: Floats?, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens,
    gain: ConstantFloats, bias: ConstantFloats, rows: Int, width: Int, epsilon: Float, _ mask: DropoutMask
  ) throws(KluereError)
  /// Gradients of the three tables, gain and bias +=. dy is overwritten; it may be fp32.
  func embeddingBackward(
    _ gradients: EmbeddingTables, dgain: Floats, dbias: Floats, _ dy: Values, xhat: Values, rstd: ConstantFloats,
    gain: ConstantFloats, _ tokens: EmbeddingTokens, rows: Int, width: Int, _ mask: DropoutMask
  ) throws(KluereError)
  /// y[i] = x[index[i]], as fp32
  func gatherRows(_ y: Floats, _ x: Values, _ index: UnsafePointer<Int32>, count: Int, width: Int)
    throws(KluereError)
  /// dx[index[i]] += dy[i]
  func scatterAddRows(_ dx: Values, _ dy: ConstantFloats, _ index: UnsafePointer<Int32>, count: Int, width: Int)
    throws(KluereError)

  /// y [features, count, width] = mean, or maximum of each column, of the rows of each span of fp32 x. largest: shaped as y:
  /// the rows that maxima come from. A span without rows gives 0.
  func poolSpans(
    _ y: Floats, largest: UnsafeMutablePointer<Int32>?, _ x: Values, _ spans: RowSpans, width: Int, maximum: Bool
  ) throws(KluereError)
  /// dx += its gradient. largest: that of the maximum, nil for the mean.
  func poolSpansBackward(
    _ dx: Values, _ dy: ConstantFloats, largest: UnsafePointer<Int32>?, _ spans: RowSpans, width: Int
  ) throws(KluereError)

  // MARK: Attention over packed sequences
  /// out [queries, heads * headWidth], lse [heads, queries] if wanted; the mask has a sample and a position for each query.
  func attention(
    _ out: Values, lse: Floats?, _ input: AttentionValues, _ sequences: PackedSequences, heads: Int, headWidth: Int,
    _ mask: DropoutMask) throws(KluereError)
  /// gradient: laid out as input.
  func attentionBackward(
    _ gradient: AttentionValues, _ dout: Values, _ out: Values, lse: ConstantFloats, _ input: AttentionValues,
    _ sequences: PackedSequences, heads: Int, headWidth: Int, _ mask: DropoutMask) throws(KluereError)

  // MARK: Loss and optimizer. The numbers of an update stay on the device until somebody reads them.
  /// update.lossSum += sum over rows of -log softmax(logits)[label]; dlogits = scale * lossScale * (softmax - onehot).
  func crossEntropy(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ update: UpdateStorage) throws(KluereError)
  /// The same for any other loss; dlogits must not be the logits.
  func classificationLoss(
    _ dlogits: Floats?, _ logits: ConstantFloats, labels: UnsafePointer<Int32>, rows: Int, classes: Int, scale: Float,
    _ rule: LossRule, _ update: UpdateStorage) throws(KluereError)
  func softmax(_ y: Floats, _ x: ConstantFloats, rows: Int, classes: Int) throws(KluereError)
  /// Sets lossScale and goodUpdates; once, before the first update.
  func startUpdates(_ update: UpdateStorage, lossScale: Float, goodUpdates: UInt32) throws(KluereError)
  /// lossSum = 0
  func beginUpdate(_ update: UpdateStorage) throws(KluereError)
  /// gradNorm, gradientScale and skip from the gradients. maxNorm 0: no clipping. dynamic: lossScale follows the rule of
  /// torch.amp.GradScaler.
  func prepareUpdate(
    _ update: UpdateStorage, gradients: ConstantFloats, count: Int, maxNorm: Double, dynamic: Bool
  ) throws(KluereError)
  /// Does nothing where update.skip is set. half: also the 16-bit copy of w.
  func adamW(
    _ w: Floats, half: Values?, m: Floats, v: Floats, gradient: ConstantFloats, count: Int, _ rule: AdamWUpdate,
    _ update: UpdateStorage) throws(KluereError)
  func readUpdate(_ update: UpdateStorage) throws(KluereError) -> UpdateNumbers
  /// y += weight (x - y), weight in [0, 1]; 1 copies x to the bit (torch.lerp).
  func lerp(_ y: Floats, _ x: ConstantFloats, weight: Float, count: Int) throws(KluereError)

  // MARK: Recorded passes
  /// Whether calls can be recorded and run again as one.
  var recordsPasses: Bool { get }
  /// Runs the calls of `body` as a recording, not for their effect; nil if the device would not.
  func record(_ body: () throws(KluereError) -> Void) throws(KluereError) -> (any RecordedPass)?
  func replay(_ pass: any RecordedPass) throws(KluereError)

  // MARK: Threads
  /// Calls `body` once for each of `items` numbers on the host's threads, in any order; returns when all are done.
  func parallel(_ items: Int, _ body: (Int) -> Void)
}

/// Sentences of a packed batch as attention needs them.
package struct PackedSequences {
  /// Device memory: sequence s owns rows offsets[s] ..< offsets[s + 1].
  package var offsets: UnsafePointer<Int32>
  package var count: Int
  package var rows: Int
  /// At least the length of the longest one.
  package var longest: Int
  /// The same for the rows that ask: all of them, unless told otherwise.
  package var queryOffsets: UnsafePointer<Int32>
  package var queryRows: Int
  package var longestQueries: Int
  /// nil: every row of a sequence reads all of it. Else device memory [count, 3]: first row of the sequence's text, the
  /// text's rows, and how many of the rows that ask are the text's, which are the first. Those read the text alone; the
  /// others read it, and behind it the sequence's rows that are not the text's. The text begins the sequence, or is an
  /// earlier sequence's; a gradient takes the former alone.
  package var texts: UnsafePointer<Int32>?

  package init(offsets: UnsafePointer<Int32>, count: Int, rows: Int, longest: Int) {
    self.offsets = offsets
    self.count = count
    self.rows = rows
    self.longest = longest
    (queryOffsets, queryRows, longestQueries) = (offsets, rows, longest)
  }
}

/// What attention reads, or the gradients of it: rows of queries, and rows of keys with their values behind them. A row
/// begins so many values behind the one before.
package struct AttentionValues {
  package var queries: Values
  package var queryStride: Int
  package var keys: Values
  package var keyStride: Int

  /// Of one product: [rows, 3 width].
  package init(joined: Values, width: Int) {
    (queries, queryStride) = (joined, 3 * width)
    (keys, keyStride) = (joined + width, 3 * width)
  }

  /// [queries, width] and [rows, 2 width].
  package init(queries: Values, keys: Values, width: Int) {
    (self.queries, queryStride) = (queries, width)
    (self.keys, keyStride) = (keys, 2 * width)
  }
}

/// Spans of rows, several for each sentence. Those of one sentence may overlap, those of two never do.
package struct RowSpans {
  /// Device memory [features, count, 2]: begin and end.
  package var spans: UnsafePointer<Int32>
  package var features: Int
  /// Sentences.
  package var count: Int

  package init(spans: UnsafePointer<Int32>, features: Int, count: Int) {
    self.spans = spans
    self.features = features
    self.count = count
  }
}

/// A recorded sequence of operations, freed with the object. The memory that it names must stay where it is.
package protocol RecordedPass: AnyObject {}

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

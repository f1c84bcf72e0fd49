internal import KluereBase
internal import KluereCompute
internal import KluereMetrics
internal import KluereModel

/// Where an update is in its run.
struct UpdatePosition {
  /// Updates made before.
  let step: Int
  let totalSteps: Int
  /// The pass over the rows, from 0.
  let epoch: Int
}

/// What one forward and backward pass of an update works with.
struct UpdatePass {
  let network: Network
  let weights: NetworkWeights
  let batch: TokenBatch
  let dropout: DropoutPlan
  /// 1 / what `Objective.begin` returned.
  let scale: Float
  let numbers: UpdateStorage
  let gradients: FloatStorage
}

/// What a trainer learns from its rows, and by what it is measured. The loop, the optimizer and the checkpoints are the
/// same for all of them.
protocol Objective: AnyObject {
  /// What the rows must be to resume with them.
  var train: CheckpointState.Rows { get }
  var evaluation: CheckpointState.Rows? { get }
  /// Tokens of each row to learn from.
  var lengths: [Int32] { get }
  /// What entity types do to the logits in training; nil: nothing.
  var types: TypeRoutes? { get }
  /// What a checkpoint says of masked-LM training; nil: classification.
  var masking: MaskingOptions? { get }

  /// Before an epoch with passes of at most this many rows: makes room. Returns the sequences of such a pass.
  func reserve(rows: Int) throws(KluereError) -> Int
  /// Before the first pass of an update over `rows`, and again where that is repeated. Returns what the sum of the
  /// update's losses is divided by: known beforehand, so that micro-batches need not be held together.
  func begin(_ rows: ArraySlice<UInt32>, _ position: UpdatePosition) throws(KluereError) -> Int
  /// Before the rows of a pass are loaded.
  func beginPass()
  /// Loads row number `place` of the update. Its number is its dropout's coordinate: that does not depend on how the update
  /// is cut into micro-batches.
  func load(_ place: Int, into batch: inout TokenBatch)
  /// Adds the losses of the rows that were loaded to the numbers, and their gradients to the gradients.
  func add(_ pass: UpdatePass) throws(KluereError)

  /// The figures of weights on the evaluation rows, without dropout.
  func measure(_ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> Metrics
}

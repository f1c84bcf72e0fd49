internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereMetrics
internal import KluereModel

/// Relations of labelled rows; the loss of an update is the mean over its rows.
final class ClassificationObjective: Objective {
  private let model: Model
  private let rows: TrainingRows
  private let held: TrainingRows?
  private let evaluator: Evaluator
  let lengths: [Int32]
  let masking: MaskingOptions? = nil

  /// Rows of the update, and the labels of those in the pass.
  private var chosen: ArraySlice<UInt32> = []
  private var labels: [Int32] = []
  private var unpacked = EncodedRows.Unpacked()

  init(_ model: Model, _ train: Dataset, _ evaluation: Dataset?, _ precision: Precision) throws(KluereError) {
    guard model.layout.classifier != nil else {
      throw KluereError(.state, "trainer: the model has no classification head; open it with that task")
    }
    self.model = model
    rows = try TrainingRows(train, model, "train")
    // Not Optional.map: its closure carries no typed error.
    var held: TrainingRows?
    if let evaluation { held = try TrainingRows(evaluation, model, "evaluation") }
    self.held = held
    lengths = rows.lengths
    evaluator = Evaluator(model, precision)
  }

  var train: CheckpointState.Rows { CheckpointState.Rows(count: rows.count, contentHash: rows.contentHash) }
  var evaluation: CheckpointState.Rows? {
    held.map { CheckpointState.Rows(count: $0.count, contentHash: $0.contentHash) }
  }

  func reserve(rows: Int) throws(KluereError) -> Int { rows }

  func begin(_ rows: ArraySlice<UInt32>, _ position: UpdatePosition) throws(KluereError) -> Int {
    chosen = rows
    return rows.count
  }

  func beginPass() { labels.removeAll(keepingCapacity: true) }

  func load(_ place: Int, into batch: inout TokenBatch) {
    let row = Int(chosen[chosen.startIndex + place])
    rows.encoded.load(row, sample: place, into: &batch, &unpacked)
    labels.append(rows.labels[row])
  }

  func add(_ pass: UpdatePass) throws(KluereError) {
    _ = try pass.network.forward(pass.weights, pass.batch, pass.dropout)
    try pass.network.loss(labels, scale: pass.scale, pass.numbers)
    try pass.network.backward(pass.weights, gradients: pass.gradients)
  }

  func measure(_ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> Metrics {
    guard let held else { throw KluereError(.internal, "trainer: there are no evaluation rows") }
    return try evaluator.measure(held, weights, stop: stop)
  }

  /// The same on rows of the caller's.
  func measure(_ dataset: Dataset, _ weights: NetworkWeights, stop: () -> Bool) throws(KluereError) -> Metrics {
    try evaluator.measure(try TrainingRows(dataset, model, "evaluation"), weights, stop: stop)
  }
}

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
  let types: TypeRoutes?
  let masking: MaskingOptions? = nil

  /// Rows of the update, and the labels of those in the pass.
  private var chosen: ArraySlice<UInt32> = []
  private var labels: [Int32] = []
  /// The training rows of the pass, copies counted.
  private var batchRows: [Int] = []
  /// nil: cross entropy.
  let loss: TrainingLoss?
  private var unpacked = EncodedRows.Unpacked()

  /// `softTargets`: those of the rows, as the loss compares with them; empty: none.
  init(
    _ model: Model, _ train: Dataset, _ evaluation: Dataset?, _ configuration: TrainingConfiguration,
    softTargets: (Int) throws(KluereError) -> [Float]
  ) throws(KluereError) {
    guard model.layout.classifier != nil else {
      throw KluereError(.state, "trainer: the model has no classification head; open it with that task")
    }
    try configuration.validate(for: model.configuration)
    self.model = model
    rows = try TrainingRows(train, model, "train")
    types = try rows.trainingTypes(model, configuration.loss)
    // Not Optional.map: its closure carries no typed error.
    var held: TrainingRows?
    if let evaluation { held = try TrainingRows(evaluation, model, "evaluation") }
    self.held = held
    loss = try TrainingLoss.make(
      configuration.loss, softTargets: try softTargets(rows.count), labels: rows.labels, classes: model.labels.count,
      on: model.context.backend)
    lengths = rows.lengths(copies: loss?.copies ?? 1)
    evaluator = Evaluator(model, configuration.precision)
  }

  var train: CheckpointState.Rows { CheckpointState.Rows(count: rows.count, contentHash: rows.contentHash) }
  var evaluation: CheckpointState.Rows? {
    held.map { CheckpointState.Rows(count: $0.count, contentHash: $0.contentHash) }
  }

  func reserve(rows: Int) throws(KluereError) -> Int {
    let sequences = rows.product(loss?.copies ?? 1) ?? .max
    try loss?.reserve(rows: sequences)
    return sequences
  }

  func begin(_ chosen: ArraySlice<UInt32>, _ position: UpdatePosition) throws(KluereError) -> Int {
    self.chosen = chosen
    loss?.begin(rows: chosen, labels: rows.labels, step: position.step, totalSteps: position.totalSteps)
    return chosen.count
  }

  func beginPass() {
    labels.removeAll(keepingCapacity: true)
    batchRows.removeAll(keepingCapacity: true)
  }

  func load(_ place: Int, into batch: inout TokenBatch) {
    let row = Int(chosen[chosen.startIndex + place])
    let copies = loss?.copies ?? 1
    for copy in 0..<copies {
      rows.encoded.load(row, sample: place * copies + copy, into: &batch, &unpacked)
      labels.append(rows.labels[row])
      batchRows.append(row)
    }
  }

  func add(_ pass: UpdatePass) throws(KluereError) {
    _ = try pass.network.forward(pass.weights, pass.batch, pass.dropout)
    try pass.network.loss(labels, try loss?.rule(rows: batchRows), scale: pass.scale, pass.numbers)
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

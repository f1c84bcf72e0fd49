internal import KluereCompute
internal import KluereMetrics

/// Where a run stands; with the weights and the moments, all that resuming needs.
struct Progress: Equatable, Sendable {
  /// Updates made.
  var step = 0
  /// The pass over the rows that the next update belongs to, from 0.
  var epoch = 0
  /// The next micro-batch of that pass; 0: the last update, if any, ended a pass.
  var nextBatch = 0
  /// The update after which `run` evaluated last; 0: none.
  var evaluatedStep = 0
  /// Of the chosen metric; nil before the first evaluation that gave a number.
  var best: Double?
  var bestStep = 0
  var evaluationsWithoutImprovement = 0
  /// fp16 alone: what the next update's loss is multiplied with, updates since that changed, and updates that were not
  /// made because of it.
  var lossScale: Float = 1
  var goodUpdates: UInt32 = 0
  var skipped = 0
  /// Times that the weights entered their average.
  var averaged = 0

  /// Whether an evaluation is due after this update, in a run of `totalSteps`.
  func isEvaluationPoint(_ configuration: TrainingConfiguration, totalSteps: Int) -> Bool {
    guard step > 0 else { return false }
    if step >= totalSteps { return true }
    return configuration.evaluateEvery > 0 ? step % configuration.evaluateEvery == 0 : nextBatch == 0
  }

  /// Takes up the result of an evaluation after the present update; true if it is the best so far.
  mutating func note(_ metrics: Metrics, _ metric: BestMetric) -> Bool {
    evaluatedStep = step
    let value =
      switch metric {
      case .microF1: metrics.microF1
      case .auprc: metrics.auprc
      case .loss: metrics.loss
      }
    // Strictly better, and NaN is not.
    let isBest: Bool
    if let best {
      isBest = metric == .loss ? value < best : value > best
    } else {
      isBest = value.isFinite
    }
    if isBest {
      best = value
      bestStep = step
      evaluationsWithoutImprovement = 0
    } else {
      evaluationsWithoutImprovement += 1
    }
    return isBest
  }
}

extension Progress {
  /// Where a run begins; fp16 with the loss scale that torch.amp.GradScaler begins with.
  init(_ precision: Precision) {
    self.init()
    if precision == .float16 { lossScale = 65536 }
  }
}

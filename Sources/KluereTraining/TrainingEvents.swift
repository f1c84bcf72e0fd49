package import KluereMetrics

/// One update, or where training stands. The fields are those of kluere_step_info.
package struct StepInfo: Sendable, Equatable {
  /// Updates made so far.
  package var step = 0
  package var totalSteps = 0
  /// After the last update.
  package var done = false
  package var sentences = 0
  package var tokens = 0
  /// Passes over the rows so far.
  package var epoch = 0.0
  /// Mean over the update's sentences, with dropout; NaN where no update was made since the trainer exists.
  package var loss = Double.nan
  package var learningRate = 0.0
  /// Before clipping.
  package var gradNorm = Double.nan
  package var seconds = 0.0
  /// fp16: the gradients overflowed, nothing was changed but the loss scale.
  package var skipped = false
  /// What the loss of this update was multiplied with.
  package var lossScale = 1.0

  package init() {}
}

/// What `Trainer.run` reports. Raw values are those of KLUERE_EVENT_*.
package struct TrainEvent: Sendable {
  package enum Kind: Int32, Sendable {
    case step = 0
    case evaluation = 1
    case checkpoint = 2
  }

  package var kind: Kind
  package var step: StepInfo
  /// Of an evaluation.
  package var metrics: Metrics?
  /// Of a checkpoint: the folder written.
  package var path: String?
  /// Evaluations and checkpoints: the best weights so far.
  package var isBest = false
}

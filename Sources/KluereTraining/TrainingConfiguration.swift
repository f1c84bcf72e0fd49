package import KluereBase
package import KluereCompute
internal import KluereModel

/// The shape of the learning rate after warm-up. Raw values are those of KLUERE_SCHEDULE_*.
package enum ScheduleKind: Int32, Sendable {
  case linear = 0
  case cosine = 1
  case constant = 2
  case cosineWithRestarts = 3
  case polynomial = 4
  case inverseSquareRoot = 5

  static let names = "linear, cosine, constant, cosine_with_restarts, polynomial or inverse_sqrt"

  /// The value in trainer_state.json.
  var name: String {
    switch self {
    case .linear: "linear"
    case .cosine: "cosine"
    case .constant: "constant"
    case .cosineWithRestarts: "cosine_with_restarts"
    case .polynomial: "polynomial"
    case .inverseSquareRoot: "inverse_sqrt"
    }
  }

  init?(name: String) {
    switch name {
    case ScheduleKind.linear.name: self = .linear
    case ScheduleKind.cosine.name: self = .cosine
    case ScheduleKind.constant.name: self = .constant
    case ScheduleKind.cosineWithRestarts.name: self = .cosineWithRestarts
    case ScheduleKind.polynomial.name: self = .polynomial
    case ScheduleKind.inverseSquareRoot.name: self = .inverseSquareRoot
    default: return nil
    }
  }
}

/// What decides checkpoint-best and early stopping. Raw values are those of KLUERE_BEST_*.
package enum BestMetric: Int32, Sendable {
  case microF1 = 0
  case auprc = 1
  case loss = 2

  /// The value in trainer_state.json.
  var name: String {
    switch self {
    case .microF1: "micro_f1"
    case .auprc: "auprc"
    case .loss: "loss"
    }
  }

  init?(name: String) {
    switch name {
    case BestMetric.microF1.name: self = .microF1
    case BestMetric.auprc.name: self = .auprc
    case BestMetric.loss.name: self = .loss
    default: return nil
    }
  }
}

/// Everything that decides a training run, apart from the model and the rows. The defaults of the library exist here
/// and nowhere else; the fields are those of kluere_train_options.
package struct TrainingConfiguration: Sendable, Equatable {
  /// Sentences of a micro-batch.
  package var batchSentences = 32
  /// More than 0: micro-batches of at most this many tokens in place of `batchSentences`.
  package var batchTokens = 0
  /// Micro-batches of one update.
  package var accumulation = 1
  /// Order of the rows and dropout.
  package var seed: UInt64 = 42
  /// More than 0: this many updates; 0: by `epochs`.
  package var maxSteps = 0
  /// Passes over the rows; fractions allowed.
  package var epochs = 3.0
  /// The peak, after warm-up. KLUE-baseline's for its base models.
  package var learningRate = 5e-5
  package var beta1 = 0.9
  package var beta2 = 0.999
  package var epsilon = 1e-8
  package var weightDecay = 0.01
  /// Global 2-norm; 0: no clipping.
  package var maxGradNorm = 1.0
  package var schedule = ScheduleKind.linear
  /// Sentences of like length share a micro-batch.
  package var groupByLength = false
  /// More than 0: updates of warm-up.
  package var warmupSteps = 0
  /// Else this share of all updates.
  package var warmupRatio = 0.1
  /// nil: the model's.
  package var hiddenDropout: Float?
  package var attentionDropout: Float?
  package var classifierDropout: Float?
  /// Masks of the dropout before the head's output layer; the loss is the mean of theirs.
  package var multiSampleDropout = 1
  package var bestMetric = BestMetric.microF1
  /// Updates between evaluations in `run`; 0: at the end of each epoch.
  package var evaluateEvery = 0
  /// Updates between writes of checkpoint-last in `run`; 0: at each evaluation.
  package var checkpointEvery = 0
  /// Evaluations without improvement before `run` stops early; 0: never.
  package var patience = 0
  /// nil: `run` writes no files.
  package var outputDirectory: String?
  package var precision = Precision.float32
  /// Passes are split where the device's memory does not hold a whole micro-batch.
  package var splitsOnOutOfMemory = false
  /// nil: cross entropy.
  package var loss: LossConfiguration?
  package var extras = TrainingExtras()

  package init() {}

  /// Limits far above any use that keep every number derived from them exact: counts of updates in a double, counts of
  /// sentences and tokens in 32 bits.
  private static let stepLimit = 1 << 48
  private static let batchLimit = 1 << 24

  package func validate() throws(KluereError) {
    try check("batch_sentences", batchSentences, 1...1 << 20)
    try check("batch_tokens", batchTokens, 0...TrainingConfiguration.batchLimit)
    try check("accumulation", accumulation, 1...1 << 20)
    try check("max_steps", maxSteps, 0...TrainingConfiguration.stepLimit)
    try check("warmup_steps", warmupSteps, 0...TrainingConfiguration.stepLimit)
    try check("evaluate_every", evaluateEvery, 0...TrainingConfiguration.stepLimit)
    try check("checkpoint_every", checkpointEvery, 0...TrainingConfiguration.stepLimit)
    try check("patience", patience, 0...TrainingConfiguration.stepLimit)
    // 0 epochs are no training, unless max_steps says how long.
    guard epochs >= 0, epochs <= 1e6, epochs > 0 || maxSteps > 0 else {
      throw KluereError(.invalidArgument, "epochs: \(epochs), expected more than 0 and at most 1000000")
    }
    try checkFloat("learning_rate", learningRate)
    try checkFloat("weight_decay", weightDecay)
    try checkFloat("max_grad_norm", maxGradNorm)
    // As float32, in which the moments are computed: a beta that rounds to 1 would never take up a gradient, an epsilon
    // that rounds to 0 divides 0 by 0 where a parameter has no gradient.
    try checkShare("beta1", beta1, rounded: Float(beta1))
    try checkShare("beta2", beta2, rounded: Float(beta2))
    guard Float(epsilon) > 0, Float(epsilon).isFinite else {
      throw KluereError(.invalidArgument, "epsilon: \(epsilon), expected more than 0 (1e-45 to 3e38)")
    }
    guard warmupRatio >= 0, warmupRatio <= 1 else {
      throw KluereError(.invalidArgument, "warmup_ratio: \(warmupRatio), expected 0 to 1")
    }
    try checkDropout("hidden_dropout", hiddenDropout)
    try checkDropout("attention_dropout", attentionDropout)
    try checkDropout("classifier_dropout", classifierDropout)
    try loss?.validate(labels: nil)
    try check("multi_sample_dropout", multiSampleDropout, 1...64)
    try extras.validate(self)
    if let outputDirectory, outputDirectory.isEmpty || outputDirectory.utf8.contains(0) {
      throw KluereError(.invalidArgument, "output_directory: expected a path, found an empty one or one with a NUL")
    }
  }

  /// The head's dropout in use.
  func classifierDropout(of model: ModelConfiguration) -> Float {
    classifierDropout ?? model.classifierDropout ?? model.hiddenDropout
  }

  /// What no model of this configuration can be trained with.
  func validate(for model: ModelConfiguration) throws(KluereError) {
    guard multiSampleDropout == 1 || classifierDropout(of: model) > 0 else {
      throw KluereError(
        .invalidArgument,
        "multi_sample_dropout: \(multiSampleDropout) with classifier_dropout 0, expected 1 or a dropout to sample")
    }
  }

  private func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(KluereError) {
    guard range.contains(value) else {
      throw KluereError(.invalidArgument, "\(name): \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
  }

  private func checkFloat(_ name: String, _ value: Double) throws(KluereError) {
    guard value >= 0, Float(value).isFinite else {
      throw KluereError(.invalidArgument, "\(name): \(value), expected at least 0 and at most 3.4e38")
    }
  }

  private func checkShare(_ name: String, _ value: Double, rounded: Float) throws(KluereError) {
    guard rounded >= 0, value >= 0, rounded < 1 else {
      throw KluereError(.invalidArgument, "\(name): \(value), expected at least 0 and less than 1")
    }
  }

  private func checkDropout(_ name: String, _ value: Float?) throws(KluereError) {
    // Dropout works in steps of 1/65536; close to 1 nothing is kept and the scale of what is kept overflows.
    guard let value else { return }
    guard value >= 0, value <= 0.99 else {
      throw KluereError(.invalidArgument, "\(name): \(value), expected -1 (the model's) or 0 to 0.99")
    }
  }
}

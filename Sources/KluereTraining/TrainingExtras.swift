internal import Glibc
internal import KluereBase
internal import KluereFormats

/// The update that a gradient leads to. Raw values are those of KLUERE_OPTIMIZER_*.
package enum OptimizerKind: Int32, Sendable {
  /// torch.optim.AdamW
  case adamW = 0
  /// AdamW of transformers before version 5 (optim="adamw_hf", correct_bias=True).
  case adamWHF = 1

  /// The value in trainer_state.json.
  var name: String {
    switch self {
    case .adamW: "adamw"
    case .adamWHF: "adamw_hf"
    }
  }

  init?(name: String) {
    switch name {
    case OptimizerKind.adamW.name: self = .adamW
    case OptimizerKind.adamWHF.name: self = .adamWHF
    default: return nil
    }
  }
}

/// Options of a run that most runs leave alone; the fields are those of kluere_train_options.
package struct TrainingExtras: Sendable, Equatable {
  /// A layer's learning rate is this times that of the next one up; 1: all the same.
  package var layerDecay = 1.0
  /// Times the learning rate, for everything behind the last layer.
  package var headRateFactor = 1.0
  package var freezesEmbeddings = false
  /// The lowest ones.
  package var frozenLayers = 0
  /// Exponential moving average of the weights; 0: none.
  package var emaDecay = 0.0
  /// Decay min(emaDecay, (1 + n) / (10 + n)) after n updates.
  package var emaWarmup = false
  /// Equal mean of the weights after this share of the updates; 0: none.
  package var swaStart = 0.0
  /// Updates from one summand to the next.
  package var swaEvery = 1
  /// More than 0: the learning rate from there on.
  package var swaLearningRate = 0.0
  package var recomputesLayers = false
  package var optimizer = OptimizerKind.adamW
  /// 0: transformers' default.
  package var scheduleCycles = 0.0
  package var schedulePower = 0.0
  /// nil: transformers' default.
  package var endLearningRate: Double?

  package init() {}

  func validate(_ configuration: TrainingConfiguration) throws(KluereError) {
    try check("layer_decay", layerDecay, "more than 0 and at most 1") { $0 > 0 && $0 <= 1 }
    try check("head_learning_rate_factor", headRateFactor, "more than 0 and at most 1000000") { $0 > 0 && $0 <= 1e6 }
    guard frozenLayers >= 0 else {
      throw KluereError(.invalidArgument, "freeze_layers: \(frozenLayers), expected at least 0")
    }
    try check("ema_decay", emaDecay, "0 (none) or more, and less than 1") { $0 >= 0 && Float(1 - $0) > 0 && $0 < 1 }
    try check("swa_start", swaStart, "0 (none) or more, and less than 1") { $0 >= 0 && $0 < 1 }
    guard swaEvery >= 1, swaEvery <= 1 << 48 else {
      throw KluereError(.invalidArgument, "swa_every: \(swaEvery), expected 1 to \(1 << 48)")
    }
    try check("swa_learning_rate", swaLearningRate, "0 (the schedule's) to 3.4e38") { $0 >= 0 && Float($0).isFinite }
    try validateAverages()
    try validateSchedule(configuration)
    try validateOptimizer(configuration)
  }

  private func check(
    _ name: String, _ value: Double, _ expected: String, _ isRight: (Double) -> Bool
  ) throws(KluereError) {
    guard isRight(value) else {
      throw KluereError(.invalidArgument, "\(name): \(value), expected \(expected)")
    }
  }

  private func validateAverages() throws(KluereError) {
    func refused(_ option: String, _ other: String) -> KluereError {
      KluereError(.invalidArgument, "\(option) with \(other), expected one without the other")
    }
    if emaDecay > 0, swaStart > 0 { throw refused("ema_decay: \(emaDecay)", "swa_start: \(swaStart)") }
    if emaWarmup, emaDecay == 0 { throw refused("ema_warmup: 1", "ema_decay: 0") }
    if swaEvery != 1, swaStart == 0 { throw refused("swa_every: \(swaEvery)", "swa_start: 0") }
    if swaLearningRate > 0, swaStart == 0 {
      throw refused("swa_learning_rate: \(swaLearningRate)", "swa_start: 0")
    }
  }

  private func validateSchedule(_ configuration: TrainingConfiguration) throws(KluereError) {
    let schedule = configuration.schedule
    func refused(_ option: String, _ expected: String) -> KluereError {
      KluereError(.invalidArgument, "\(option) with schedule: \(schedule.name), expected schedule \(expected)")
    }
    try check("schedule_cycles", scheduleCycles, "0 (the schedule's) to 1000000") { $0 >= 0 && $0 <= 1e6 }
    try check("schedule_power", schedulePower, "0 (the schedule's) to 1000") { $0 >= 0 && $0 <= 1000 }
    if scheduleCycles > 0, schedule != .cosine, schedule != .cosineWithRestarts {
      throw refused("schedule_cycles: \(scheduleCycles)", "cosine or cosine_with_restarts")
    }
    if schedule == .cosineWithRestarts, scheduleCycles != scheduleCycles.rounded() {
      throw KluereError(
        .invalidArgument, "schedule_cycles: \(scheduleCycles) with schedule: \(schedule.name), expected a whole number")
    }
    if schedulePower > 0, schedule != .polynomial { throw refused("schedule_power: \(schedulePower)", "polynomial") }
    if let endLearningRate {
      try check("end_learning_rate", endLearningRate, "-1 (the schedule's) or 0 to 3.4e38") {
        $0 >= 0 && Float($0).isFinite
      }
      if schedule != .polynomial { throw refused("end_learning_rate: \(endLearningRate)", "polynomial") }
    }
    let end = endLearningRate ?? ScheduleShape.defaultEnd
    if schedule == .polynomial, end >= configuration.learningRate {
      throw KluereError(
        .invalidArgument,
        "end_learning_rate: \(end) with learning_rate: \(configuration.learningRate), expected less than that")
    }
  }

  private func validateOptimizer(_ configuration: TrainingConfiguration) throws(KluereError) {
    let rate = max(configuration.learningRate, swaLearningRate) * max(1, headRateFactor)
    // A learning rate that fits a float may not once it is multiplied.
    try check("head_learning_rate_factor", headRateFactor, "a learning rate of at most 3.4e38 with it") { _ in
      Float(rate).isFinite
    }
    // It decays after the update: by all there is or more, and nothing of the update is left.
    if optimizer == .adamWHF, rate * configuration.weightDecay >= 1 {
      throw KluereError(
        .invalidArgument,
        "weight_decay: \(configuration.weightDecay) with optimizer: adamw_hf, expected less than 1 / learning rate, "
          + "which is \(1 / rate)")
    }
  }
}

// MARK: - In trainer_state.json

extension TrainingExtras {
  init(_ object: StateReader) throws(KluereError) {
    layerDecay = try object.double("layer_decay")
    headRateFactor = try object.double("head_learning_rate_factor")
    freezesEmbeddings = try object.bool("freeze_embeddings")
    frozenLayers = try object.int("freeze_layers")
    emaDecay = try object.double("ema_decay")
    emaWarmup = try object.bool("ema_warmup")
    swaStart = try object.double("swa_start")
    swaEvery = try object.int("swa_every")
    swaLearningRate = try object.double("swa_learning_rate")
    recomputesLayers = try object.bool("checkpoint_activations")
    guard let optimizer = OptimizerKind(name: try object.string("optimizer")) else {
      throw object.wrong("optimizer", "adamw or adamw_hf")
    }
    self.optimizer = optimizer
    scheduleCycles = try object.double("schedule_cycles")
    schedulePower = try object.double("schedule_power")
    endLearningRate = try object.optionalDouble("end_learning_rate")
  }

  func write(to json: inout JSONWriter) {
    json.field("layer_decay", layerDecay)
    json.field("head_learning_rate_factor", headRateFactor)
    json.field("freeze_embeddings", freezesEmbeddings)
    json.field("freeze_layers", frozenLayers)
    json.field("ema_decay", emaDecay)
    json.field("ema_warmup", emaWarmup)
    json.field("swa_start", swaStart)
    json.field("swa_every", swaEvery)
    json.field("swa_learning_rate", swaLearningRate)
    json.field("checkpoint_activations", recomputesLayers)
    json.field("optimizer", optimizer.name)
    json.field("schedule_cycles", scheduleCycles)
    json.field("schedule_power", schedulePower)
    json.field("end_learning_rate", endLearningRate)
  }
}

package import KluereBase
internal import KluereCompute
package import KluereModel

/// Which weights count: those of the training, or their average once there is one.
extension Trainer {
  /// A run's average begins as a copy of the weights: what is frozen has its values in it too.
  static func makeAverage(
    _ live: Model, _ given: FloatStorage?, _ configuration: TrainingConfiguration, totalSteps: Int
  ) throws(KluereError) -> WeightAverage? {
    guard let rule = AveragingRule(configuration.extras, totalSteps: totalSteps) else { return nil }
    // Not ??: its closure carries no typed error.
    let arena: FloatStorage
    if let given { arena = given } else { arena = try live.copyWeights() }
    return try WeightAverage(rule, arena: arena, configuration.precision, on: live.context.backend)
  }

  /// nil: there is none yet.
  var presentAverage: WeightAverage? { progress.averaged > 0 ? average : nil }

  /// What an evaluation reads. Weights that change with every update are not worth packing.
  func weightsToEvaluate(_ half: HalfWeights?) throws(KluereError) -> NetworkWeights {
    guard let average = presentAverage else { return NetworkWeights(live.weights.arena, half: half) }
    return try live.context.exclusive { () throws(KluereError) in try average.refresh(on: live.context.backend) }
  }

  /// A model with a copy of the weights that count.
  package func exportModel() throws(KluereError) -> Model {
    try alone { () throws(KluereError) in
      guard let average = presentAverage else { return try live.with(weights: try live.copyWeights()) }
      let backend = live.context.backend
      let copy = try FloatStorage(count: average.arena.count, on: backend, for: "weights")
      try backend.copy(copy.pointer, average.arena.pointer, bytes: copy.count * MemoryLayout<Float>.size)
      return try live.with(weights: copy)
    }
  }
}

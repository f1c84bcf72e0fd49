internal import KluereBase
internal import KluereCompute
internal import KluereModel

/// When the weights enter their average, and how much they count. As torch.optim.swa_utils.AveragedModel: the first ones
/// are taken over whole.
package struct AveragingRule: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// Exponential moving average.
    case exponential(decay: Double, warmup: Bool)
    /// Equal mean (Izmailov et al. 2018) of every n-th update after the first `start` ones.
    case equal(start: Int, every: Int)
  }

  package let kind: Kind

  /// nil: there is no average.
  package init?(_ extras: TrainingExtras, totalSteps: Int) {
    if extras.emaDecay > 0 {
      kind = .exponential(decay: extras.emaDecay, warmup: extras.emaWarmup)
    } else if extras.swaStart > 0 {
      kind = .equal(start: AveragingRule.start(extras, totalSteps), every: extras.swaEvery)
    } else {
      return nil
    }
  }

  /// Updates before the first that counts: fewer than there are.
  static func start(_ extras: TrainingExtras, _ totalSteps: Int) -> Int {
    min(Int(exactly: (extras.swaStart * Double(totalSteps)).rounded(.down)) ?? 0, max(totalSteps - 1, 0))
  }

  /// Weight of the weights after update `step`, counted from 1, when `averaged` have entered; nil: they do not.
  package func weight(step: Int, averaged: Int) -> Float? {
    switch kind {
    case .exponential(let decay, let warmup):
      if averaged == 0 { return 1 }
      let count = Double(averaged)
      return Float(1 - (warmup ? min(decay, (1 + count) / (10 + count)) : decay))
    case .equal(let start, let every):
      guard step > start, (step - start - 1) % every == 0 else { return nil }
      return Float(1 / Double(averaged + 1))
    }
  }
}

/// The average of a run's weights: what it evaluates and what comes out of it, once it holds something.
final class WeightAverage {
  let rule: AveragingRule
  /// Shaped as the weights.
  let arena: FloatStorage
  /// What products read in 16-bit precisions; only valid after `refresh`.
  private let half: HalfWeights?

  init(
    _ rule: AveragingRule, arena: FloatStorage, _ precision: Precision, on backend: any Backend
  ) throws(KluereError) {
    self.rule = rule
    self.arena = arena
    half = precision.isHalf ? try HalfWeights(count: arena.count, precision, on: backend) : nil
  }

  /// The weights after update `step` enter; false if they do not.
  func add(
    _ weights: FloatStorage, step: Int, averaged: Int, from start: Int, on backend: any Backend
  ) throws(KluereError) -> Bool {
    guard let weight = rule.weight(step: step, averaged: averaged) else { return false }
    // Before `start` both are what they were at the beginning.
    try backend.lerp(arena.pointer + start, weights.pointer + start, weight: weight, count: arena.count - start)
    return true
  }

  /// What a forward pass reads. Inside `Context.exclusive`.
  func refresh(on backend: any Backend) throws(KluereError) -> NetworkWeights {
    try half?.fill(from: arena, on: backend)
    return NetworkWeights(arena, half: half)
  }
}

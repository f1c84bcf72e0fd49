internal import Glibc

/// What some schedules can be told; the defaults are those of transformers.
package struct ScheduleShape: Sendable, Equatable {
  static let defaultEnd = 1e-7

  /// Waves of the cosine; nil: half a one, or with restarts one.
  package var cycles: Double?
  /// Of the polynomial.
  package var power = 1.0
  /// Where the polynomial ends.
  package var end = defaultEnd

  package init() {}
}

/// The learning rate of each update: warm-up from 0, then the shape. As get_scheduler of Hugging Face transformers.
package struct Schedule: Sendable, Equatable {
  package let kind: ScheduleKind
  package let peak: Double
  package let warmupSteps: Int
  package let totalSteps: Int
  package let shape: ScheduleShape
  /// From update `start` on, counted from 0, the learning rate is this one.
  private var final: (start: Int, rate: Double)?

  package init(
    kind: ScheduleKind, peak: Double, warmupSteps: Int, totalSteps: Int, shape: ScheduleShape = ScheduleShape()
  ) {
    self.kind = kind
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
    self.shape = shape
  }

  /// A share of warm-up is rounded up, as in transformers.
  init(_ configuration: TrainingConfiguration, totalSteps: Int) {
    let share = (Double(totalSteps) * configuration.warmupRatio).rounded(.up)
    let extras = configuration.extras
    var shape = ScheduleShape()
    if extras.scheduleCycles > 0 { shape.cycles = extras.scheduleCycles }
    if extras.schedulePower > 0 { shape.power = extras.schedulePower }
    if let end = extras.endLearningRate { shape.end = end }
    self.init(
      kind: configuration.schedule, peak: configuration.learningRate,
      warmupSteps: configuration.warmupSteps > 0 ? configuration.warmupSteps : Int(exactly: share) ?? totalSteps,
      totalSteps: totalSteps, shape: shape)
    if extras.swaStart > 0, extras.swaLearningRate > 0 {
      final = (AveragingRule.start(extras, totalSteps), extras.swaLearningRate)
    }
  }

  /// Learning rate of update `step`, counted from 0: with warm-up the first update has learning rate 0.
  package func rate(_ step: Int) -> Double {
    if let final, step >= final.start { return final.rate }
    return peak * factor(step)
  }

  private func factor(_ step: Int) -> Double {
    if step < warmupSteps { return Double(step) / Double(warmupSteps) }
    let length = Double(max(1, totalSteps - warmupSteps))
    let progress = Double(step - warmupSteps) / length
    switch kind {
    case .constant: return 1
    case .linear: return max(0, Double(totalSteps - step) / length)
    case .cosine: return max(0, 0.5 * (1 + cos(.pi * (shape.cycles ?? 0.5) * 2 * progress)))
    case .cosineWithRestarts:
      if progress >= 1 { return 0 }
      return max(0, 0.5 * (1 + cos(.pi * ((shape.cycles ?? 1) * progress).truncatingRemainder(dividingBy: 1))))
    case .polynomial:
      if step > totalSteps { return shape.end / peak }
      return ((peak - shape.end) * pow(1 - progress, shape.power) + shape.end) / peak
    case .inverseSquareRoot:
      // transformers' time scale: the warm-up, or 10000.
      let scale = Double(warmupSteps > 0 ? warmupSteps : 10_000)
      return 1 / ((Double(step - warmupSteps) + scale) / scale).squareRoot()
    }
  }

  package static func == (a: Schedule, b: Schedule) -> Bool {
    a.kind == b.kind && a.peak == b.peak && a.warmupSteps == b.warmupSteps && a.totalSteps == b.totalSteps
      && a.shape == b.shape && a.final?.start == b.final?.start && a.final?.rate == b.final?.rate
  }
}

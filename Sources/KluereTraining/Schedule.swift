internal import Glibc

/// The learning rate of each update: warm-up from 0, then the shape. As get_linear_schedule_with_warmup,
/// get_cosine_schedule_with_warmup and get_constant_schedule_with_warmup of Hugging Face transformers.
package struct Schedule: Sendable, Equatable {
  package let kind: ScheduleKind
  package let peak: Double
  package let warmupSteps: Int
  package let totalSteps: Int

  package init(kind: ScheduleKind, peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.kind = kind
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// A share of warm-up is rounded up, as in transformers.
  init(_ configuration: TrainingConfiguration, totalSteps: Int) {
    let share = (Double(totalSteps) * configuration.warmupRatio).rounded(.up)
    self.init(
      kind: configuration.schedule, peak: configuration.learningRate,
      warmupSteps: configuration.warmupSteps > 0 ? configuration.warmupSteps : Int(exactly: share) ?? totalSteps,
      totalSteps: totalSteps)
  }

  /// Learning rate of update `step`, counted from 0: with warm-up the first update has learning rate 0.
  package func rate(_ step: Int) -> Double { peak * factor(step) }

  private func factor(_ step: Int) -> Double {
    if step < warmupSteps { return Double(step) / Double(warmupSteps) }
    let length = Double(max(1, totalSteps - warmupSteps))
    switch kind {
    case .constant: return 1
    case .linear: return max(0, Double(totalSteps - step) / length)
    case .cosine: return max(0, 0.5 * (1 + cos(.pi * Double(step - warmupSteps) / length)))
    }
  }
}

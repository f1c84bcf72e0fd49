internal import Glibc

/// Weights and margins of classes from the training rows that each has. A class without rows gets 0: it is no row's label.
enum ClassWeights {
  /// nil: no class weights.
  static func make(_ configuration: LossConfiguration, counts: [Int]) -> [Float]? {
    if let given = configuration.classWeights { return given }
    guard configuration.classWeightRule != .none else { return nil }
    let beta = configuration.effectiveBeta ?? LossConfiguration.defaultEffectiveBeta
    let raw = counts.map { count in
      count == 0 ? 0 : weight(Double(count), configuration.classWeightRule, beta: beta)
    }
    let factor = scale(raw, counts, configuration.classWeightScale)
    return raw.map { Float($0 * factor) }
  }

  private static func weight(_ count: Double, _ rule: ClassWeightRule, beta: Double) -> Double {
    switch rule {
    case .none: 1
    case .inverse: 1 / count
    case .squareRoot: 1 / count.squareRoot()
    // (1 - beta) / (1 - beta^n), without the cancellation of a beta close to 1.
    case .effectiveNumber: beta == 0 ? 1 : (1 - beta) / -expm1(count * log(beta))
    }
  }

  private static func scale(_ raw: [Double], _ counts: [Int], _ scale: ClassWeightScale) -> Double {
    var (sum, total) = (0.0, 0.0)
    for (weight, count) in zip(raw, counts) where count > 0 {
      switch scale {
      case .meanOfClasses: (sum, total) = (sum + weight, total + 1)
      case .meanOfRows: (sum, total) = (sum + weight * Double(count), total + Double(count))
      case .asTheyAre: return 1
      }
    }
    return sum > 0 ? total / sum : 1
  }

  /// Cao et al. 2019: C / n^(1/4), the largest being `largest`.
  static func margins(largest: Double, counts: [Int]) -> [Float] {
    let raw = counts.map { $0 == 0 ? 0 : pow(Double($0), -0.25) }
    guard let top = raw.max(), top > 0 else { return raw.map { _ in 0 } }
    return raw.map { Float($0 / top * largest) }
  }
}

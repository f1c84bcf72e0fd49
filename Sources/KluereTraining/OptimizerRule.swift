internal import Glibc
internal import KluereCompute

extension TrainingConfiguration {
  /// Update `number`, counted from 1 without those that were skipped, of parameters with this learning rate.
  func adamW(learningRate: Double, decays: Bool, number: Double) -> AdamWUpdate {
    // The corrections belong to the betas as the backend applies them: rounded to fp32.
    let (first, second) = (Float(beta1), Float(beta2))
    var rule = AdamWUpdate(
      learningRate: Float(learningRate), beta1: first, beta2: second, epsilon: Float(epsilon),
      weightDecay: decays ? Float(weightDecay) : 0, correction1: 1 - pow(Double(first), number),
      correction2: 1 - pow(Double(second), number))
    if extras.optimizer == .adamWHF {
      // w' = (w - lr sqrt(c2) / c1 m / (sqrt(v) + eps)) (1 - lr wd), in the backend's form, which is
      // w' = w (1 - a b) - a / c1 m / (sqrt(v) / sqrt(c2) + e).
      let left = 1 - (decays ? learningRate * weightDecay : 0)
      rule.epsilon = Float(epsilon / rule.correction2.squareRoot())
      rule.learningRate = Float(learningRate * left)
      rule.weightDecay = decays ? Float(weightDecay / left) : 0
    }
    return rule
  }
}

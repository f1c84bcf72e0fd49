internal import Glibc
package import KluereBase

/// Shares of the labels: where the scores were learned, and where they are used. Each adds up to 1.
package struct LabelPriors: Sendable, Equatable {
  package var source: [Double]
  package var target: [Double]

  package init(source: [Double], target: [Double]) {
    self.source = source
    self.target = target
  }
}

/// How logits z become probabilities: p(c) in proportion to exp(z(c) / temperature) * weight(c) * target(c) / source(c).
package struct Decoding: Sendable, Equatable {
  package let temperature: Double
  /// nil: all 1.
  package let weights: [Double]?
  /// nil: no correction.
  package let priors: LabelPriors?
  package let classes: Int
  /// Per class what is added to its logit over the temperature: the logarithms of the rest.
  private let bias: [Double]

  package static let temperatures = 0.01...100
  package static let weightLimits = 1e-6...1e6
  /// A probability of 0 has no logarithm: it counts as this one.
  static let smallestProbability = Double(Float.leastNormalMagnitude)

  package init(
    classes: Int, temperature: Double = 1, weights: [Double]? = nil, priors: LabelPriors? = nil
  ) throws(KluereError) {
    guard (1...1 << 20).contains(classes) else {
      throw KluereError(.invalidArgument, "decoding: \(classes) classes, expected 1 to \(1 << 20)")
    }
    guard Decoding.temperatures.contains(temperature) else {
      throw KluereError(.invalidArgument, "temperature: \(temperature), expected 0.01 to 100")
    }
    if let weights {
      guard weights.count == classes else {
        throw KluereError(.invalidArgument, "class_weights: \(weights.count) numbers for \(classes) classes")
      }
      for (place, weight) in weights.enumerated() where !Decoding.weightLimits.contains(weight) {
        throw KluereError(.invalidArgument, "class_weights[\(place)]: \(weight), expected 1e-6 to 1e6")
      }
    }
    if let priors {
      try Decoding.check(priors.source, classes, "source_prior", isPositive: true)
      try Decoding.check(priors.target, classes, "target_prior", isPositive: false)
    }
    self.classes = classes
    self.temperature = temperature
    self.weights = weights
    self.priors = priors
    var bias = [Double](repeating: 0, count: classes)
    for place in bias.indices {
      let weight = weights.map { log($0[place]) } ?? 0
      let shift = priors.map { log($0.target[place]) - log($0.source[place]) } ?? 0
      bias[place] = weight + shift
    }
    self.bias = bias
  }

  /// Shares: finite, at least 0 (`isPositive`: more), with the sum 1.
  static func check(_ shares: [Double], _ classes: Int, _ name: String, isPositive: Bool) throws(KluereError) {
    guard shares.count == classes else {
      throw KluereError(.invalidArgument, "\(name): \(shares.count) shares for \(classes) classes")
    }
    for (place, share) in shares.enumerated() where !(isPositive ? share > 0 : share >= 0) || share > 1 {
      throw KluereError(
        .invalidArgument, "\(name)[\(place)]: \(share), expected \(isPositive ? "more than" : "at least") 0, at most 1")
    }
    let sum = shares.reduce(0, +)
    guard abs(sum - 1) <= 1e-6 else {
      throw KluereError(.invalidArgument, "\(name): the sum is \(sum), expected 1")
    }
  }

  /// The same without class weights.
  func unweighted() throws(KluereError) -> Decoding {
    try Decoding(classes: classes, temperature: temperature, priors: priors)
  }

  /// `scores` [rows, classes] into probabilities of the same shape, which may be the same memory. Rows one by one: no
  /// row's result depends on the others. Rows that are not finite give NaN.
  package func apply(
    _ scores: UnsafeBufferPointer<Float>, areLogits: Bool, into out: UnsafeMutableBufferPointer<Float>
  ) {
    func value(_ start: Int, _ column: Int) -> Double {
      let score = Double(scores[start + column])
      return (areLogits ? score : log(max(score, Decoding.smallestProbability))) / temperature + bias[column]
    }
    let rows = min(scores.count, out.count) / classes
    for row in 0..<rows {
      let start = row * classes
      var largest = value(start, 0)
      for column in 1..<max(classes, 1) { largest = max(largest, value(start, column)) }
      var sum = 0.0
      for column in 0..<classes { sum += exp(value(start, column) - largest) }
      for column in 0..<classes { out[start + column] = Float(exp(value(start, column) - largest) / sum) }
    }
  }
}

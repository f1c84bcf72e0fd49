package import KluereBase

/// What the label's logit and probability go through. Raw values are those of KLUERE_LOSS_*.
package enum LossKind: Int32, Sendable, CaseIterable {
  case crossEntropy = 0
  case focal = 1
  case ldam = 2

  /// The value in trainer_state.json, and in messages.
  var name: String {
    switch self {
    case .crossEntropy: "cross_entropy"
    case .focal: "focal"
    case .ldam: "ldam"
    }
  }
}

/// Class weights from the training rows of each label. Raw values are those of KLUERE_CLASS_WEIGHTS_*.
package enum ClassWeightRule: Int32, Sendable, CaseIterable {
  case none = 0
  case inverse = 1
  case squareRoot = 2
  case effectiveNumber = 3

  var name: String {
    switch self {
    case .none: "none"
    case .inverse: "inverse"
    case .squareRoot: "sqrt"
    case .effectiveNumber: "effective"
    }
  }
}

/// What weights made by a rule are scaled to. Raw values are those of KLUERE_WEIGHT_SCALE_*.
package enum ClassWeightScale: Int32, Sendable, CaseIterable {
  case meanOfClasses = 0
  case meanOfRows = 1
  case asTheyAre = 2

  var name: String {
    switch self {
    case .meanOfClasses: "mean_classes"
    case .meanOfRows: "mean_rows"
    case .asTheyAre: "as_is"
    }
  }
}

/// Where smoothing puts what it takes from the label. Raw values are those of KLUERE_SMOOTHING_*.
package enum SmoothingMode: Int32, Sendable, CaseIterable {
  case allClasses = 0
  case otherClasses = 1

  var name: String {
    switch self {
    case .allClasses: "all"
    case .otherClasses: "others"
    }
  }
}

/// The loss of a training run; the fields are those of kluere_loss_options, where nil is "not given".
package struct LossConfiguration: Sendable, Equatable {
  package var kind = LossKind.crossEntropy
  package var classWeightRule = ClassWeightRule.none
  package var classWeightScale = ClassWeightScale.meanOfClasses
  package var effectiveBeta: Double?
  package var classWeights: [Float]?
  /// Updates before this share of all have no class weights.
  package var weightsFrom = 0.0
  package var dividesByWeights = false
  package var smoothing = 0.0
  package var smoothingMode = SmoothingMode.allClasses
  package var focalGamma: Double?
  package var focalAlpha: Double?
  package var focalAlphas: [Float]?
  package var isDetached = false
  package var ldamMargin: Double?
  package var ldamScale: Double?
  package var rDrop = 0.0
  /// Whether the run has soft targets; they are kept apart.
  package var distills = false
  package var temperature: Double?
  package var distillShare: Double?

  package init() {}

  // MARK: Defaults of what was not given

  static let defaultEffectiveBeta = 0.9999
  static let defaultGamma = 2.0
  static let defaultMargin = 0.5
  static let defaultScale = 30.0
  static let defaultTemperature = 1.0
  static let defaultShare = 0.5

  var gamma: Double { kind == .focal ? focalGamma ?? LossConfiguration.defaultGamma : 0 }
  /// Of the distillation in the whole.
  var share: Double { distills ? distillShare ?? LossConfiguration.defaultShare : 0 }
  var teacherTemperature: Double { temperature ?? LossConfiguration.defaultTemperature }
  var hasClassWeights: Bool { classWeights != nil || classWeightRule != .none }
  /// Times that a sentence is in its batch.
  var copies: Int { rDrop > 0 ? 2 : 1 }

  /// Cross entropy and nothing else: computed as without this configuration.
  var isPlain: Bool { self == LossConfiguration() }

  // MARK: Checks

  /// `labels`: how many the model has; nil where that is not known yet.
  package func validate(labels: Int?) throws(KluereError) {
    try checkNumbers()
    try checkArrays(labels)
    try checkWeights()
    try checkKind()
    try checkDistillation()
  }

  private func refuse(_ found: String, _ expected: String) -> KluereError {
    KluereError(.invalidArgument, "loss: \(found), expected \(expected)")
  }

  private func check(_ name: String, _ value: Double?, _ range: ClosedRange<Double>) throws(KluereError) {
    // NaN is in no range.
    guard let value, !range.contains(value) else { return }
    throw refuse("\(name): \(value)", "\(range.lowerBound) to \(range.upperBound)")
  }

  private func checkNumbers() throws(KluereError) {
    try check("effective_beta", effectiveBeta, 0...0.999_999_999)
    try check("weights_from", weightsFrom, 0...1)
    try check("label_smoothing", smoothing, 0...1)
    try check("focal_gamma", focalGamma, 0...100)
    try check("focal_alpha", focalAlpha, 0...1e6)
    try check("ldam_margin", ldamMargin, 0...1e3)
    try check("ldam_scale", ldamScale, 1e-3...1e6)
    try check("r_drop", rDrop, 0...1e6)
    try check("temperature", temperature, 1e-2...1e4)
    try check("distill_share", distillShare, 0...1)
  }

  private func checkArrays(_ labels: Int?) throws(KluereError) {
    for (name, values) in [("class_weights", classWeights), ("focal_alphas", focalAlphas)] {
      guard let values else { continue }
      if let labels, values.count != labels {
        throw refuse("\(name): \(values.count) numbers", "\(labels), one a label of the model")
      }
      if let place = values.firstIndex(where: { !($0 >= 0 && $0 <= 1e6) }) {
        throw refuse("\(name)[\(place)]: \(values[place])", "0 to 1000000")
      }
      guard values.contains(where: { $0 > 0 }) else { throw refuse("\(name): all are 0", "one above 0") }
    }
  }

  private func checkWeights() throws(KluereError) {
    if classWeights != nil, classWeightRule != .none {
      throw refuse("class_weights and class_weight_rule \(classWeightRule.name)", "one of the two")
    }
    if classWeightScale != .meanOfClasses, classWeightRule == .none {
      throw refuse("class_weight_scale \(classWeightScale.name) without class_weight_rule", "both or neither")
    }
    if effectiveBeta != nil, classWeightRule != .effectiveNumber {
      throw refuse("effective_beta with class_weight_rule \(classWeightRule.name)", "the rule effective")
    }
    if dividesByWeights, !hasClassWeights {
      throw refuse("weighted_mean without class_weights or class_weight_rule", "one of them")
    }
    if weightsFrom > 0, !hasClassWeights {
      throw refuse("weights_from without class_weights or class_weight_rule", "one of them")
    }
    if smoothingMode != .allClasses, smoothing == 0 {
      throw refuse("smoothing_mode \(smoothingMode.name) without label_smoothing", "both or neither")
    }
  }

  private func checkKind() throws(KluereError) {
    if kind != .focal {
      let given = [
        ("focal_gamma", focalGamma != nil), ("focal_alpha", focalAlpha != nil), ("focal_alphas", focalAlphas != nil),
        ("detach_pt", isDetached),
      ]
      if let (name, _) = given.first(where: { $0.1 }) { throw refuse("\(name) with kind \(kind.name)", "kind focal") }
    }
    if focalAlpha != nil, focalAlphas != nil { throw refuse("focal_alpha and focal_alphas", "one of the two") }
    if kind != .ldam {
      if ldamMargin != nil { throw refuse("ldam_margin with kind \(kind.name)", "kind ldam") }
      if ldamScale != nil { throw refuse("ldam_scale with kind \(kind.name)", "kind ldam") }
    } else if smoothing > 0 {
      throw refuse("label_smoothing with kind ldam", "one of the two")
    }
  }

  private func checkDistillation() throws(KluereError) {
    guard distills else {
      if temperature != nil { throw refuse("temperature without soft_targets", "both or neither") }
      if distillShare != nil { throw refuse("distill_share without soft_targets", "both or neither") }
      return
    }
    guard share == 1 else { return }
    // Nothing is left of the labels' loss, so nothing may shape it.
    if kind != .crossEntropy { throw refuse("distill_share 1 with kind \(kind.name)", "a share below 1") }
    if hasClassWeights { throw refuse("distill_share 1 with class weights", "a share below 1") }
    if smoothing > 0 { throw refuse("distill_share 1 with label_smoothing", "a share below 1") }
  }
}

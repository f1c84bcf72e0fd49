internal import KluereBase
internal import KluereFormats

/// The loss in trainer_state.json; soft targets lie beside it, in soft_targets.safetensors.
extension LossConfiguration {
  init(_ object: StateReader) throws(KluereError) {
    self.init()
    kind = try LossConfiguration.named(object, "kind", LossKind.allCases, \.name)
    classWeightRule = try LossConfiguration.named(object, "class_weight_rule", ClassWeightRule.allCases, \.name)
    classWeightScale = try LossConfiguration.named(object, "class_weight_scale", ClassWeightScale.allCases, \.name)
    effectiveBeta = try object.optionalDouble("effective_beta")
    classWeights = try object.optionalFloats("class_weights")
    weightsFrom = try object.double("weights_from")
    dividesByWeights = try object.bool("weighted_mean")
    smoothing = try object.double("label_smoothing")
    smoothingMode = try LossConfiguration.named(object, "smoothing_mode", SmoothingMode.allCases, \.name)
    focalGamma = try object.optionalDouble("focal_gamma")
    focalAlpha = try object.optionalDouble("focal_alpha")
    focalAlphas = try object.optionalFloats("focal_alphas")
    isDetached = try object.bool("detach_pt")
    ldamMargin = try object.optionalDouble("ldam_margin")
    ldamScale = try object.optionalDouble("ldam_scale")
    rDrop = try object.double("r_drop")
    distills = try object.bool("distills")
    temperature = try object.optionalDouble("temperature")
    distillShare = try object.optionalDouble("distill_share")
  }

  private static func named<Choice>(
    _ object: StateReader, _ field: String, _ all: [Choice], _ name: (Choice) -> String
  ) throws(KluereError) -> Choice {
    let found = try object.string(field)
    guard let choice = all.first(where: { name($0) == found }) else {
      throw object.wrong(field, all.map(name).joined(separator: ", "))
    }
    return choice
  }

  func write(to json: inout JSONWriter) {
    func number(_ name: String, _ value: Double?) {
      json.key(name)
      if let value { json.number(value) } else { json.null() }
    }
    func text(_ name: String, _ value: String) {
      json.key(name)
      json.string(value)
    }
    func truth(_ name: String, _ value: Bool) {
      json.key(name)
      json.bool(value)
    }
    func numbers(_ name: String, _ values: [Float]?) {
      json.key(name)
      guard let values else { return json.null() }
      json.beginArray()
      // With all the digits of a double, which is exact for a float.
      for value in values { json.number(Double(value)) }
      json.endArray()
    }
    json.beginObject()
    text("kind", kind.name)
    text("class_weight_rule", classWeightRule.name)
    text("class_weight_scale", classWeightScale.name)
    number("effective_beta", effectiveBeta)
    numbers("class_weights", classWeights)
    number("weights_from", weightsFrom)
    truth("weighted_mean", dividesByWeights)
    number("label_smoothing", smoothing)
    text("smoothing_mode", smoothingMode.name)
    number("focal_gamma", focalGamma)
    number("focal_alpha", focalAlpha)
    numbers("focal_alphas", focalAlphas)
    truth("detach_pt", isDetached)
    number("ldam_margin", ldamMargin)
    number("ldam_scale", ldamScale)
    number("r_drop", rDrop)
    truth("distills", distills)
    number("temperature", temperature)
    number("distill_share", distillShare)
    json.endObject()
  }
}

extension StateReader {
  fileprivate func optionalFloats(_ name: String) throws(KluereError) -> [Float]? {
    try optionalDoubles(name)?.map { Float($0) }
  }
}

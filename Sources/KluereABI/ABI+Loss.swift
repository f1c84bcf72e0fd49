public import CKluere
internal import KluereBase
internal import KluereTraining

/// A number that was not given.
private var notGiven: Double { -1 }

func defaultLossOptions() -> kluere_loss_options {
  let c = LossConfiguration()
  return kluere_loss_options(
    struct_size: UInt32(MemoryLayout<kluere_loss_options>.size), kind: c.kind.rawValue,
    class_weight_rule: c.classWeightRule.rawValue, class_weight_scale: c.classWeightScale.rawValue,
    effective_beta: c.effectiveBeta ?? notGiven, class_weights: nil, class_weight_count: 0,
    weights_from: c.weightsFrom, weighted_mean: c.dividesByWeights ? 1 : 0, smoothing_mode: c.smoothingMode.rawValue,
    label_smoothing: c.smoothing, focal_gamma: c.focalGamma ?? notGiven, focal_alpha: c.focalAlpha ?? notGiven,
    focal_alphas: nil, focal_alpha_count: 0, detach_pt: c.isDetached ? 1 : 0, reserved: 0,
    ldam_margin: c.ldamMargin ?? notGiven, ldam_scale: c.ldamScale ?? notGiven, r_drop: c.rDrop, soft_targets: nil,
    soft_target_count: 0, temperature: c.temperature ?? notGiven, distill_share: c.distillShare ?? notGiven)
}

@_cdecl("kluere_loss_options_init")
public func lossOptionsInit(
  _ options: UnsafeMutablePointer<kluere_loss_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaultLossOptions()) }
}

private func optional(_ value: Double) -> Double? { value == notGiven ? nil : value }

private func optionalArray(
  _ pointer: UnsafePointer<Float>?, _ count: Int, _ name: String
) throws(KluereError) -> [Float]? {
  let values = try array(pointer, count, name)
  return pointer == nil ? nil : Array(values)
}

/// The header's loss as part of the configuration, and the soft targets, which are borrowed for the call. NULL: cross
/// entropy. Ranges and contradictions are checked by the trainer.
func readLoss(
  _ pointer: UnsafePointer<kluere_loss_options>?, into configuration: inout TrainingConfiguration
) throws(KluereError) -> UnsafeBufferPointer<Float>? {
  guard pointer != nil else { return nil }
  let options = try SizedStruct.read(pointer, "loss", defaults: defaultLossOptions())
  var c = LossConfiguration()
  c.kind = try choice(options.kind, "loss: kind", "0 (cross entropy), 1 (focal) or 2 (LDAM)")
  c.classWeightRule = try choice(
    options.class_weight_rule, "loss: class_weight_rule", "0 (none), 1 (inverse), 2 (square root) or 3 (effective)")
  c.classWeightScale = try choice(
    options.class_weight_scale, "loss: class_weight_scale", "0 (mean of classes), 1 (mean of rows) or 2 (as it is)")
  c.effectiveBeta = optional(options.effective_beta)
  c.classWeights = try optionalArray(options.class_weights, options.class_weight_count, "loss: class_weights")
  c.weightsFrom = options.weights_from
  c.dividesByWeights = try truth(options.weighted_mean, "loss: weighted_mean")
  c.smoothingMode = try choice(options.smoothing_mode, "loss: smoothing_mode", "0 (all classes) or 1 (the others)")
  c.smoothing = options.label_smoothing
  c.focalGamma = optional(options.focal_gamma)
  c.focalAlpha = optional(options.focal_alpha)
  c.focalAlphas = try optionalArray(options.focal_alphas, options.focal_alpha_count, "loss: focal_alphas")
  c.isDetached = try truth(options.detach_pt, "loss: detach_pt")
  guard options.reserved == 0 else {
    throw KluereError(.invalidArgument, "loss: reserved: \(options.reserved), expected 0")
  }
  c.ldamMargin = optional(options.ldam_margin)
  c.ldamScale = optional(options.ldam_scale)
  c.rDrop = options.r_drop
  c.temperature = optional(options.temperature)
  c.distillShare = optional(options.distill_share)
  let softTargets = try array(options.soft_targets, options.soft_target_count, "loss: soft_targets")
  c.distills = options.soft_targets != nil
  configuration.loss = c
  return c.distills ? softTargets : nil
}

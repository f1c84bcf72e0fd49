public import CKluere
internal import KluereBase
internal import KluereDecoding
internal import KluereMetrics
internal import KluereModel

/// kluere_decoding
final class DecodingObject: Handled {
  static let kind: UInt32 = 0x4B44_4543
  static let typeName = "kluere_decoding"
  let decoding: Decoding

  init(_ decoding: Decoding) { self.decoding = decoding }
}

private func defaults() -> kluere_decoding_options {
  let options = DecodingFitOptions()
  return kluere_decoding_options(
    struct_size: UInt32(MemoryLayout<kluere_decoding_options>.size), temperature: options.fitsTemperature ? 1 : 0,
    class_weights: options.tunesWeights ? 1 : 0, no_relation: Int32(clamping: options.metrics.noRelation ?? -1),
    missing_class: options.metrics.missingClass.rawValue, score_space: Int32(KLUERE_OUTPUT_LOGITS),
    folds: UInt32(clamping: options.folds), prior_label: -1, seed: options.seed, prior_share: 0, source_prior: nil,
    target_prior: nil)
}

private func shares(
  _ pointer: UnsafePointer<Double>?, _ classes: Int, _ name: String
) throws(KluereError) -> [Double]? {
  guard let pointer else { return nil }
  // Before anything is read: as many classes as no table has.
  guard (1...1 << 20).contains(classes) else {
    throw KluereError(.invalidArgument, "classes: \(asWritten(classes)), expected 1 to \(1 << 20)")
  }
  return Array(try array(pointer, classes, name))
}

private func fitOptions(
  _ pointer: UnsafePointer<kluere_decoding_options>?, _ classes: Int
) throws(KluereError) -> DecodingFitOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  var options = DecodingFitOptions()
  options.fitsTemperature = try truth(given.temperature, "temperature")
  options.tunesWeights = try truth(given.class_weights, "class_weights")
  options.metrics = MetricsOptions(
    noRelation: given.no_relation == -1 ? nil : Int(given.no_relation),
    missingClass: try choice(given.missing_class, "missing_class", "0 (skip), 1 (0.5) or 2 (NaN)"),
    scoresAreLogits: try areLogits(given.score_space))
  options.folds = Int(given.folds)
  options.seed = given.seed
  options.sourcePrior = try shares(given.source_prior, classes, "source_prior")
  options.targetPrior = try shares(given.target_prior, classes, "target_prior")
  if given.prior_label != -1 {
    options.priorByHand = (Int(given.prior_label), given.prior_share)
  } else if given.prior_share != 0 {
    throw KluereError(
      .invalidArgument, "prior_share is \(given.prior_share) but prior_label is -1, expected a label or no share")
  }
  return options
}

private func figures(_ figures: DecodingFigures) -> kluere_decoding_figures {
  kluere_decoding_figures(
    micro_f1: figures.microF1, auprc: figures.auprc, ece: figures.calibrationError, loss: figures.loss,
    target_micro_f1: figures.targetMicroF1)
}

@_cdecl("kluere_decoding_options_init")
public func decodingOptionsInit(
  _ options: UnsafeMutablePointer<kluere_decoding_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_decoding_fit")
public func decodingFit(
  _ scores: UnsafePointer<Float>?, _ labels: UnsafePointer<Int32>?, _ folds: UnsafePointer<Int32>?, _ rows: Int,
  _ classes: Int, _ options: UnsafePointer<kluere_decoding_options>?,
  _ report: UnsafeMutablePointer<kluere_decoding_report>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DecodingObject>(out)
    let scores = try array(scores, try tableSize(rows, classes, "scores"), "scores")
    let options = try fitOptions(options, classes)
    let folds = folds == nil ? nil : try array(folds, rows, "folds")
    // Only a pointer that is there is a struct to be filled.
    let place =
      report == nil ? nil : try SizedStruct<kluere_decoding_report>.Out(report, "report")
    let (decoding, found) = try fitDecoding(
      scores, labels: try array(labels, rows, "labels"), folds: folds, classes: classes, options: options)
    try out.store(DecodingObject(decoding))
    place?.store(
      kluere_decoding_report(
        struct_size: 0, keeps_weights: found.keepsWeights ? 1 : 0, before: figures(found.before),
        after: figures(found.after), held_out: figures(found.heldOut)))
  }
}

@_cdecl("kluere_decoding_create")
public func decodingCreate(
  _ classes: Int, _ temperature: Double, _ weights: UnsafePointer<Double>?, _ source: UnsafePointer<Double>?,
  _ target: UnsafePointer<Double>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DecodingObject>(out)
    let source = try shares(source, classes, "source_prior")
    let target = try shares(target, classes, "target_prior")
    guard (source == nil) == (target == nil) else {
      throw KluereError(
        .invalidArgument,
        "\(source == nil ? "target_prior is given and source_prior" : "source_prior is given and target_prior") is NULL, "
          + "expected both or none")
    }
    var priors: LabelPriors?
    if let source, let target { priors = LabelPriors(source: source, target: target) }
    try out.store(
      DecodingObject(
        try Decoding(
          classes: classes, temperature: temperature, weights: try shares(weights, classes, "weights"),
          priors: priors)))
  }
}

@_cdecl("kluere_decoding_destroy")
public func decodingDestroy(_ decoding: OpaquePointer?) { Handle<DecodingObject>.destroy(decoding) }

@_cdecl("kluere_decoding_describe")
public func decodingDescribe(
  _ decoding: OpaquePointer?, _ info: UnsafeMutablePointer<kluere_decoding_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let decoding = try Handle<DecodingObject>.borrow(decoding, "decoding").decoding
    try SizedStruct.Out(info, "info").store(
      kluere_decoding_info(
        struct_size: 0, has_weights: decoding.weights == nil ? 0 : 1, has_priors: decoding.priors == nil ? 0 : 1,
        reserved: 0, classes: UInt64(clamping: decoding.classes), temperature: decoding.temperature))
  }
}

@_cdecl("kluere_decoding_read")
public func decodingRead(
  _ decoding: OpaquePointer?, _ weights: UnsafeMutablePointer<Double>?, _ source: UnsafeMutablePointer<Double>?,
  _ target: UnsafeMutablePointer<Double>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let decoding = try Handle<DecodingObject>.borrow(decoding, "decoding").decoding
    let ones = [Double](repeating: 1, count: decoding.classes)
    let parts: [(UnsafeMutablePointer<Double>?, [Double], String)] = [
      (weights, decoding.weights ?? ones, "weights"),
      (source, decoding.priors?.source ?? ones, "source_prior"),
      (target, decoding.priors?.target ?? ones, "target_prior"),
    ]
    for (pointer, _, name) in parts where pointer != nil {
      _ = try output(pointer, capacity: capacity, needed: decoding.classes, name)
    }
    for (pointer, values, _) in parts {
      guard let pointer else { continue }
      for (place, value) in values.enumerated() { pointer[place] = value }
    }
  }
}

@_cdecl("kluere_decoding_prior")
public func decodingPrior(
  _ scores: UnsafePointer<Float>?, _ rows: Int, _ classes: Int, _ scoreSpace: Int32, _ temperature: Double,
  _ source: UnsafePointer<Double>?, _ target: UnsafeMutablePointer<Double>?, _ iterations: UnsafeMutablePointer<UInt32>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let target = try required(target, "target_prior")
    let scores = try array(scores, try tableSize(rows, classes, "scores"), "scores")
    let source = try required(try shares(source, classes, "source_prior"), "source_prior")
    let found = try estimatePrior(
      scores, classes: classes, areLogits: try areLogits(scoreSpace), temperature: temperature, source: source)
    for (place, share) in found.shares.enumerated() { target[place] = share }
    iterations?.pointee = UInt32(clamping: found.iterations)
  }
}

@_cdecl("kluere_decoding_apply")
public func decodingApply(
  _ decoding: OpaquePointer?, _ scores: UnsafePointer<Float>?, _ rows: Int, _ classes: Int, _ scoreSpace: Int32,
  _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let decoding = try Handle<DecodingObject>.borrow(decoding, "decoding").decoding
    guard decoding.classes == classes else {
      throw KluereError(
        .invalidArgument, "decoding of \(decoding.classes) classes for scores of \(asWritten(classes)) classes")
    }
    let needed = try tableSize(rows, classes, "scores")
    let scores = try array(scores, needed, "scores")
    let areLogits = try areLogits(scoreSpace)
    let out = try output(out, capacity: capacity, needed: needed)
    if let place = scores.firstIndex(where: { !$0.isFinite || (!areLogits && $0 < 0) }) {
      throw KluereError(
        .invalidArgument,
        "scores: row \(place / classes), class \(place % classes): \(scores[place]), expected a "
          + (areLogits ? "finite number" : "probability (or score_space 1 for logits)"))
    }
    decoding.apply(scores, areLogits: areLogits, into: out)
  }
}

@_cdecl("kluere_model_with_decoding")
public func modelWithDecoding(
  _ model: OpaquePointer?, _ decoding: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    var extras = model.extras
    extras.decoding = try Handle<DecodingObject>.borrowOptional(decoding, "decoding")?.decoding
    try out.store(ModelObject(try model.with(extras: extras)))
  }
}

@_cdecl("kluere_model_decoding")
public func modelDecoding(_ model: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DecodingObject>(out)
    guard let decoding = try Handle<ModelObject>.borrow(model, "model").model.extras.decoding else {
      throw KluereError(.state, "the model has no decoding: its probabilities are a softmax")
    }
    try out.store(DecodingObject(decoding))
  }
}

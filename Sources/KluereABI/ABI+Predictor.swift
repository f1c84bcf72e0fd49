public import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereModel
internal import KluereTraining

/// kluere_predictor
final class PredictorObject: Handled {
  static let kind: UInt32 = 0x4B50_5245
  static let typeName = "kluere_predictor"
  let predictor: Predictor
  let exclusive = Exclusive()

  init(_ predictor: Predictor) { self.predictor = predictor }
}

private func defaults() -> kluere_predictor_options {
  let options = PredictorOptions()
  return kluere_predictor_options(
    struct_size: UInt32(MemoryLayout<kluere_predictor_options>.size), output: options.output.rawValue,
    batch_tokens: UInt32(clamping: options.batchTokens), precision: options.precision.rawValue,
    decoding: Int32(KLUERE_DECODING_AUTO), type_mask: Int32(KLUERE_TYPE_MASK_AUTO), type_mask_strength: storedStrength,
    weights: Int32(KLUERE_WEIGHTS_AUTO), threads: Int32(clamping: options.threads))
}

/// For models on this context.
func predictorOptions(
  _ pointer: UnsafePointer<kluere_predictor_options>?, _ name: String = "options", on context: Context
) throws(KluereError) -> PredictorOptions {
  let given = try SizedStruct.read(pointer, name, defaults: defaults())
  var options = PredictorOptions()
  options.output = try choice(given.output, "output", "0 (probabilities) or 1 (logits)")
  options.batchTokens = Int(given.batch_tokens)
  options.precision = try precision(given.precision, on: context)
  guard [Int32(KLUERE_DECODING_AUTO), Int32(KLUERE_DECODING_OFF)].contains(given.decoding) else {
    throw KluereError(.invalidArgument, "decoding: \(given.decoding), expected 0 (the model's) or 1 (off)")
  }
  options.usesDecoding = given.decoding == Int32(KLUERE_DECODING_AUTO)
  guard [Int32(KLUERE_TYPE_MASK_AUTO), Int32(KLUERE_TYPE_MASK_OFF)].contains(given.type_mask) else {
    throw KluereError(.invalidArgument, "type_mask: \(given.type_mask), expected 0 (auto) or 1 (off)")
  }
  options.typeMask.isOff = given.type_mask == Int32(KLUERE_TYPE_MASK_OFF)
  options.threads = Int(given.threads)
  if given.type_mask_strength != storedStrength { options.typeMask.strength = given.type_mask_strength }
  if given.weights != Int32(KLUERE_WEIGHTS_AUTO) {
    options.weights = try choice(
      given.weights, "weights", "0 (auto), 1 (fp32), 2 (bf16), 3 (fp16), 4 (int8) or 5 (int8_reduced)")
  }
  return options
}

/// type_mask_strength as the model has it.
private let storedStrength = -1.0

@_cdecl("kluere_predictor_options_init")
public func predictorOptionsInit(
  _ options: UnsafeMutablePointer<kluere_predictor_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_predictor_create")
public func predictorCreate(
  _ model: OpaquePointer?, _ options: UnsafePointer<kluere_predictor_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<PredictorObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let options = try predictorOptions(options, on: model.context)
    try out.store(PredictorObject(try Predictor(model: model, options: options)))
  }
}

@_cdecl("kluere_predictor_destroy")
public func predictorDestroy(_ predictor: OpaquePointer?) { Handle<PredictorObject>.destroy(predictor) }

@_cdecl("kluere_predictor_predict")
public func predictorPredict(
  _ predictor: OpaquePointer?, _ examples: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ count: Int,
  _ offsetUnit: Int32, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
    try object.exclusive.run("predictor") { () throws(KluereError) in
      let examples = try ExampleArray(examples, size: exampleSize, count: count, unit: offsetUnit)
      let needed = try tableSize(examples.count, object.predictor.model.labels.count, "out")
      let out = try output(out, capacity: capacity, needed: needed)
      try object.predictor.predict(try examples.views(), into: out)
    }
  }
}

@_cdecl("kluere_predictor_predict_dataset")
public func predictorPredictDataset(
  _ predictor: OpaquePointer?, _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    try object.exclusive.run("predictor") { () throws(KluereError) in
      let needed = try tableSize(dataset.count, object.predictor.model.labels.count, "out")
      try object.predictor.predict(dataset, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

@_cdecl("kluere_submission_write")
public func submissionWrite(
  _ model: OpaquePointer?, _ dataset: OpaquePointer?, _ probabilities: UnsafePointer<Float>?, _ capacity: Int,
  _ pathPointer: UnsafePointer<CChar>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let needed = try tableSize(dataset.count, model.labels.count, "probabilities")
    let given = try output(
      UnsafeMutablePointer(mutating: probabilities), capacity: capacity, needed: needed, "probabilities")
    try Submission.write(
      path: try path(pathPointer, "path"), dataset: dataset, labels: model.labels,
      probabilities: UnsafeBufferPointer(given))
  }
}

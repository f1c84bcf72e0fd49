public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereModel

private func maskDefaults(_ settings: TypeMask.Settings = TypeMask.Settings()) -> kluere_type_mask_options {
  kluere_type_mask_options(
    struct_size: UInt32(MemoryLayout<kluere_type_mask_options>.size), hard_count: UInt32(clamping: settings.hardCount),
    smoothing: settings.smoothing, strength: settings.strength, in_training: settings.inTraining ? 1 : 0, reserved: 0)
}

private func headDefaults() -> kluere_pair_head_options {
  let settings = PairHeads.Settings()
  return kluere_pair_head_options(
    struct_size: UInt32(MemoryLayout<kluere_pair_head_options>.size), hard_count: UInt32(clamping: settings.hardCount),
    min_rows: UInt32(clamping: settings.minimumRows), random_init: settings.random ? 1 : 0, seed: settings.seed)
}

@_cdecl("kluere_dataset_type_counts")
public func datasetTypeCounts(
  _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TextObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    try out.store(try TextObject(try TypeCounts(dataset, dataset.labels).described(dataset.labels)))
  }
}

@_cdecl("kluere_type_mask_options_init")
public func typeMaskOptionsInit(
  _ options: UnsafeMutablePointer<kluere_type_mask_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: maskDefaults()) }
}

@_cdecl("kluere_model_with_type_mask")
public func modelWithTypeMask(
  _ model: OpaquePointer?, _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_type_mask_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let dataset = try Handle<DatasetObject>.borrowOptional(dataset, "dataset")?.dataset
    let given = try SizedStruct.read(options, "options", defaults: maskDefaults())
    var settings = TypeMask.Settings()
    settings.hardCount = Int(given.hard_count)
    settings.smoothing = given.smoothing
    settings.strength = given.strength
    settings.inTraining = try truth(given.in_training, "in_training")
    let new: Model
    if let dataset {
      new = try model.with(typeMaskFrom: dataset, settings)
    } else {
      new = options == nil ? try model.withoutTypeMask() : try model.with(typeMaskSettings: settings)
    }
    try out.store(ModelObject(new))
  }
}

@_cdecl("kluere_model_type_prior")
public func modelTypePrior(
  _ model: OpaquePointer?, _ subjectType: UnsafePointer<CChar>?, _ subjectTypeLength: Int,
  _ objectType: UnsafePointer<CChar>?, _ objectTypeLength: Int, _ out: UnsafeMutablePointer<Double>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let subject = try text(subjectType, subjectTypeLength, "subject_type")
    let object = try text(objectType, objectTypeLength, "object_type")
    let out = try output(out, capacity: capacity, needed: model.labels.count)
    _ = out.update(fromContentsOf: try model.typePrior(subject, object))
  }
}

@_cdecl("kluere_model_types")
public func modelTypes(_ model: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TextObject>(out)
    try out.store(try TextObject(try Handle<ModelObject>.borrow(model, "model").model.describedTypes()))
  }
}

@_cdecl("kluere_pair_head_options_init")
public func pairHeadOptionsInit(
  _ options: UnsafeMutablePointer<kluere_pair_head_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: headDefaults()) }
}

@_cdecl("kluere_model_with_pair_heads")
public func modelWithPairHeads(
  _ model: OpaquePointer?, _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_pair_head_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let dataset = try Handle<DatasetObject>.borrowOptional(dataset, "dataset")?.dataset
    let given = try SizedStruct.read(options, "options", defaults: headDefaults())
    guard let dataset else {
      guard options == nil else {
        throw KluereError(.invalidArgument, "options: given without a dataset, from which pair heads take their labels")
      }
      return try out.store(ModelObject(try model.withoutPairHeads()))
    }
    var settings = PairHeads.Settings()
    settings.hardCount = Int(given.hard_count)
    settings.minimumRows = Int(given.min_rows)
    settings.random = try truth(given.random_init, "random_init")
    settings.seed = given.seed
    try out.store(ModelObject(try model.with(pairHeadsFrom: dataset, settings)))
  }
}

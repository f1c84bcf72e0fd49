public import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereModel
internal import KluereText

/// kluere_model
final class ModelObject: Handled {
  static let kind: UInt32 = 0x4B4D_4F44
  static let typeName = "kluere_model"
  let model: Model
  /// What C borrows.
  let labels: CStrings
  let tensorNames: CStrings
  let unusedTensors: CStrings
  /// The form's template, or nothing.
  let template: CStrings
  /// The recipe's name, or nothing.
  let recipe: CStrings

  init(_ model: Model) {
    self.model = model
    labels = CStrings(model.labels.names)
    tensorNames = CStrings(model.layout.tensors.map(\.name))
    unusedTensors = CStrings(model.unusedTensors)
    template = CStrings(model.configuration.inputTemplate.map { [$0] } ?? [])
    recipe = CStrings(model.extras.recipe.map { [$0] } ?? [])
  }
}

func defaultOpenOptions() -> kluere_model_open_options {
  kluere_model_open_options(
    struct_size: UInt32(MemoryLayout<kluere_model_open_options>.size), input_form: -1, max_tokens: 0,
    read_into_memory: 0, seed: ModelOpenOptions().seed, labels: nil, label_count: 0, task: 0, reserved: 0,
    added_special_tokens: nil, added_special_token_count: 0, input_template: nil, particles: -1, after_marker: -1,
    head: -1, entity_segments: -1, recipe: nil)
}

@_cdecl("kluere_model_config_init")
public func modelConfigInit(
  _ config: UnsafeMutablePointer<kluere_model_config>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(config, structSize, defaults: defaultModelConfig())
  }
}

@_cdecl("kluere_model_open_options_init")
public func modelOpenOptionsInit(
  _ options: UnsafeMutablePointer<kluere_model_open_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaultOpenOptions())
  }
}

@_cdecl("kluere_model_create")
public func modelCreate(
  _ context: OpaquePointer?, _ tokenizer: OpaquePointer?, _ config: UnsafePointer<kluere_model_config>?,
  _ labels: UnsafePointer<UnsafePointer<CChar>?>?, _ labelCount: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let config = try SizedStruct.read(config, "config", defaults: defaultModelConfig())
    let names = try texts(labels, labelCount, "labels")
    let model = try Model.create(
      context: context, tokenizer: tokenizer, configuration: try modelConfiguration(config),
      labels: try names.map { names throws(KluereError) in try LabelSet(names) } ?? .klue, seed: config.seed)
    try out.store(ModelObject(try named(model, config.recipe)))
  }
}

/// With the name of a recipe that it was made by; NULL: as it is.
private func named(_ model: Model, _ recipe: UnsafePointer<CChar>?) throws(KluereError) -> Model {
  guard let recipe else { return model }
  let name = String(decoding: try text(recipe, nulTerminated, "recipe"), as: Unicode.UTF8.self)
  var extras = model.extras
  extras.recipe = name
  return try model.with(extras: extras)
}

@_cdecl("kluere_model_open")
public func modelOpen(
  _ context: OpaquePointer?, _ directory: UnsafePointer<CChar>?, _ options: UnsafePointer<kluere_model_open_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let directory = try path(directory, "directory")
    let given = try SizedStruct.read(options, "options", defaults: defaultOpenOptions())
    guard given.read_into_memory <= 1 else {
      throw KluereError(.invalidArgument, "read_into_memory: \(given.read_into_memory), expected 0 or 1")
    }
    var options = ModelOpenOptions()
    if given.input_form != -1 { options.inputForm = try inputForm(given.input_form) }
    options.inputTemplate = try inputTemplate(given.input_template)
    if given.particles != -1 { options.particles = try particles(given.particles) }
    if given.after_marker != -1 { options.afterMarker = try afterMarker(given.after_marker) }
    if given.head != -1 { options.head = try relationHead(given.head) }
    if given.entity_segments != -1 {
      guard let segments = UInt32(exactly: given.entity_segments), segments <= 1 else {
        throw KluereError(
          .invalidArgument, "entity_segments: \(given.entity_segments), expected -1 (the folder's), 0 or 1")
      }
      options.entitySegments = segments == 1
    }
    if given.max_tokens != 0 { options.maxTokens = Int(given.max_tokens) }
    options.readIntoMemory = given.read_into_memory == 1
    options.seed = given.seed
    options.task = try task(given.task)
    options.labels = try texts(given.labels, given.label_count, "labels")
    options.addedSpecialTokens =
      try texts(given.added_special_tokens, given.added_special_token_count, "added_special_tokens") ?? []
    let model = try Model.open(context: context, directory: directory, options: options)
    try out.store(ModelObject(try named(model, given.recipe)))
  }
}

@_cdecl("kluere_model_save")
public func modelSave(_ model: OpaquePointer?, _ directory: UnsafePointer<CChar>?) -> kluere_status {
  boundary { () throws(KluereError) in
    let model = try Handle<ModelObject>.borrow(model, "model").model
    try model.save(try path(directory, "directory"), libraryVersion: libraryVersion.description)
  }
}

@_cdecl("kluere_model_destroy")
public func modelDestroy(_ model: OpaquePointer?) { Handle<ModelObject>.destroy(model) }

@_cdecl("kluere_model_describe")
public func modelDescribe(
  _ model: OpaquePointer?, _ config: UnsafeMutablePointer<kluere_model_config>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<ModelObject>.borrow(model, "model")
    var values = modelConfigStruct(object.model.configuration)
    values.input_template = object.template[0]
    values.recipe = object.recipe[0]
    try SizedStruct.Out(config, "config").store(values)
  }
}

@_cdecl("kluere_model_tokenizer")
public func modelTokenizer(
  _ model: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TokenizerObject>(out)
    try out.store(TokenizerObject(try Handle<ModelObject>.borrow(model, "model").model.tokenizer))
  }
}

@_cdecl("kluere_model_label_count")
public func modelLabelCount(_ model: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<ModelObject>.borrow(model, "model").model.labels.count
  }
}

@_cdecl("kluere_model_label")
public func modelLabel(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<ModelObject>.borrow(model, "model").labels[index]
  }
}

@_cdecl("kluere_model_parameter_count")
public func modelParameterCount(_ model: OpaquePointer?) -> UInt64 {
  value(otherwise: 0) { () throws(KluereError) in
    UInt64(clamping: try Handle<ModelObject>.borrow(model, "model").model.layout.parameterCount)
  }
}

@_cdecl("kluere_model_label_indices")
public func modelLabelIndices(
  _ model: OpaquePointer?, _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<Int32>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let out = try output(out, capacity: capacity, needed: dataset.count)
    _ = out.update(fromContentsOf: try labelIndices(dataset, in: model.labels))
  }
}

/// The rows' labels as indices into `labels`; -1 where hidden.
private func labelIndices(_ dataset: Dataset, in labels: LabelSet) throws(KluereError) -> [Int32] {
  let places = dataset.labels.names.map { labels.index(of: $0).map { Int32(clamping: $0) } }
  var indices: [Int32] = []
  for (row, own) in dataset.labelIndices.enumerated() {
    guard own >= 0, places.indices.contains(Int(own)) else {
      indices.append(-1)
      continue
    }
    guard let place = places[Int(own)] else {
      throw KluereError(
        .invalidArgument,
        "row \(row): label \"\(dataset.labels.names[Int(own)])\" is none of the model's \(labels.count) labels")
    }
    indices.append(place)
  }
  return indices
}

@_cdecl("kluere_model_encode")
public func modelEncode(
  _ model: OpaquePointer?, _ example: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ unit: Int32,
  _ out: UnsafeMutablePointer<kluere_token>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let example = try singleExample(example, size: exampleSize, unit: unit)
    do throws(KluereError) { try example.validate() } catch { throw error.inside("example") }
    var scratch = InputEncoder.Scratch()
    var encoded = EncodedExample()
    try model.encode(example, &scratch, into: &encoded)
    // The header promises bytes here, whatever the unit of the entities.
    let tokens = encoded.ids.indices.map { place in
      EncodedToken(
        id: encoded.ids[place], typeID: encoded.types[place], begin: encoded.begins[place], end: encoded.ends[place],
        sequence: encoded.sequences[place], word: -1)
    }
    try TokenOut(out, capacity, count).store(tokens)
  }
}

@_cdecl("kluere_model_input_places")
public func modelInputPlaces(
  _ model: OpaquePointer?, _ example: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ unit: Int32,
  _ out: UnsafeMutablePointer<kluere_input_places>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(out, "out")
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let example = try singleExample(example, size: exampleSize, unit: unit)
    do throws(KluereError) { try example.validate() } catch { throw error.inside("example") }
    var scratch = InputEncoder.Scratch()
    var encoded = EncodedExample()
    try model.encode(example, &scratch, into: &encoded)
    func places(_ entity: EntityPlaces) -> kluere_entity_places {
      kluere_entity_places(
        marker_begin: entity.markerBegin, begin: entity.begin, end: entity.end, marker_end: entity.markerEnd)
    }
    out.store(
      kluere_input_places(
        struct_size: 0, reserved: 0, cls: 0, subject: places(encoded.subject), object: places(encoded.object),
        cropped: encoded.croppedCount, text_count: encoded.textCount))
  }
}

@_cdecl("kluere_model_tensor_count")
public func modelTensorCount(_ model: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<ModelObject>.borrow(model, "model").model.layout.tensors.count
  }
}

@_cdecl("kluere_model_tensor_describe")
public func modelTensorDescribe(
  _ model: OpaquePointer?, _ tensor: Int, _ info: UnsafeMutablePointer<kluere_tensor_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<ModelObject>.borrow(model, "model")
    let out = try SizedStruct.Out(info, "info")
    let place = try index(tensor, below: object.model.layout.tensors.count, "tensor")
    let slot = object.model.layout.tensors[place]
    out.store(
      kluere_tensor_info(
        struct_size: 0, flags: object.model.newlyInitialized[place] ? KLUERE_TENSOR_NEWLY_INITIALIZED.asFlags : 0,
        name: object.tensorNames[place], rank: UInt32(clamping: slot.rank), reserved: 0,
        shape: (UInt64(clamping: slot.rows), UInt64(clamping: slot.columns))))
  }
}

@_cdecl("kluere_model_tensor_read")
public func modelTensorRead(
  _ model: OpaquePointer?, _ tensor: Int, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let number = try index(tensor, below: model.layout.tensors.count, "tensor")
    let out = try output(out, capacity: capacity, needed: model.layout.tensors[number].count)
    try model.weights.read(number, into: out)
  }
}

@_cdecl("kluere_model_unused_tensor_count")
public func modelUnusedTensorCount(_ model: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<ModelObject>.borrow(model, "model").model.unusedTensors.count
  }
}

@_cdecl("kluere_model_unused_tensor")
public func modelUnusedTensor(_ model: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<ModelObject>.borrow(model, "model").unusedTensors[index]
  }
}

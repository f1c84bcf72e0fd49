public import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereEnsemble
internal import KluereModel
internal import KluerePipeline
internal import KluereTraining

/// kluere_pipeline
final class PipelineObject: Handled {
  static let kind: UInt32 = 0x4B50_4950
  static let typeName = "kluere_pipeline"
  let pipeline: Pipeline
  let exclusive = Exclusive()
  /// What C borrows.
  let labels: CStrings
  /// Three for each member; empty ones too, so that their places are known.
  let memberTexts: CStrings

  init(_ pipeline: Pipeline) {
    self.pipeline = pipeline
    labels = CStrings(pipeline.labels.names)
    memberTexts = CStrings(pipeline.members.flatMap { [$0.subjectType ?? "", $0.objectType ?? "", $0.folder] })
  }
}

private func defaults() -> kluere_pipeline_options {
  kluere_pipeline_options(
    struct_size: UInt32(MemoryLayout<kluere_pipeline_options>.size), kind: PipelineOptions().kind.rawValue, rule: -1,
    vote: -1, threshold: -1, labels: nil, label_count: 0)
}

private func pipelineOptions(
  _ pointer: UnsafePointer<kluere_pipeline_options>?
) throws(KluereError) -> PipelineOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaults())
  var options = PipelineOptions()
  options.kind = try choice(given.kind, "kind", "0 (mean), 1 (cascade) or 2 (pairs)")
  if given.rule != -1 { options.rule = try choice(given.rule, "rule", "-1, 0 (threshold) or 1 (product)") }
  if given.vote != -1 { options.vote = try choice(given.vote, "vote", "-1, 0 (soft) or 1 (hard)") }
  if given.threshold != -1 { options.threshold = given.threshold }
  options.labels = try texts(given.labels, given.label_count, "labels")
  return options
}

private func pipelineMember(_ given: kluere_pipeline_member, _ place: Int) throws(KluereError) -> PipelineMember {
  let role: MemberRole = try choice(
    given.role, "members[\(place)].role", "0 (general), 1 (binary) or 2 (specific)")
  return PipelineMember(
    try Handle<ModelObject>.borrow(given.model, "members[\(place)].model").model, role,
    subjectType: try optionalString(given.subject_type, "members[\(place)].subject_type"),
    objectType: try optionalString(given.object_type, "members[\(place)].object_type"))
}

@_cdecl("kluere_pipeline_options_init")
public func pipelineOptionsInit(
  _ options: UnsafeMutablePointer<kluere_pipeline_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_pipeline_create")
public func pipelineCreate(
  _ members: UnsafePointer<kluere_pipeline_member>?, _ memberSize: Int, _ memberCount: Int,
  _ options: UnsafePointer<kluere_pipeline_options>?, _ predictor: UnsafePointer<kluere_predictor_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<PipelineObject>(out)
    let known = MemoryLayout<kluere_pipeline_member>.size
    guard (known...4096).contains(memberSize) else {
      throw KluereError(
        .invalidArgument,
        "member_size: \(asWritten(memberSize)), expected sizeof(kluere_pipeline_member), \(known) in this version")
    }
    let members = try required(members, "members")
    let count = try elements(members, memberCount, stride: memberSize, "members")
    guard (1...1000).contains(count) else {
      throw KluereError(.invalidArgument, "\(count) members, expected 1 to 1000")
    }
    var chosen: [PipelineMember] = []
    for place in 0..<count {
      let start = UnsafeRawPointer(members) + place * memberSize
      if memberSize > known { try requireZeros(start, from: known, to: memberSize, "members[\(place)]") }
      var member = kluere_pipeline_member()
      withUnsafeMutableBytes(of: &member) { ours in
        ours.copyMemory(from: UnsafeRawBufferPointer(start: start, count: known))
      }
      chosen.append(try pipelineMember(member, place))
    }
    let options = try pipelineOptions(options)
    let predictor = try predictorOptions(predictor, "predictor", on: chosen[0].model.context)
    try out.store(PipelineObject(try Pipeline(chosen, options: options, predictor: predictor)))
  }
}

@_cdecl("kluere_pipeline_open")
public func pipelineOpen(
  _ context: OpaquePointer?, _ directory: UnsafePointer<CChar>?, _ predictor: UnsafePointer<kluere_predictor_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<PipelineObject>(out)
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let directory = try path(directory, "directory")
    let predictor = try predictorOptions(predictor, "predictor", on: context)
    try out.store(
      PipelineObject(try Pipeline.open(context: context, directory: directory, predictor: predictor)))
  }
}

@_cdecl("kluere_pipeline_save")
public func pipelineSave(_ pipeline: OpaquePointer?, _ directory: UnsafePointer<CChar>?) -> kluere_status {
  boundary { () throws(KluereError) in
    let pipeline = try Handle<PipelineObject>.borrow(pipeline, "pipeline").pipeline
    try pipeline.save(try path(directory, "directory"), libraryVersion: libraryVersion.description)
  }
}

@_cdecl("kluere_pipeline_destroy")
public func pipelineDestroy(_ pipeline: OpaquePointer?) { Handle<PipelineObject>.destroy(pipeline) }

@_cdecl("kluere_pipeline_describe")
public func pipelineDescribe(
  _ pipeline: OpaquePointer?, _ info: UnsafeMutablePointer<kluere_pipeline_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let pipeline = try Handle<PipelineObject>.borrow(pipeline, "pipeline").pipeline
    let plan = pipeline.plan
    try SizedStruct.Out(info, "info").store(
      kluere_pipeline_info(
        struct_size: 0, kind: plan.kind.rawValue, rule: plan.kind == .cascade ? plan.rule.rawValue : -1,
        vote: plan.kind == .mean ? plan.vote.rawValue : -1,
        threshold: plan.kind == .cascade && plan.rule == .threshold ? plan.threshold : -1,
        members: UInt64(clamping: pipeline.members.count), labels: UInt64(clamping: pipeline.labels.count)))
  }
}

@_cdecl("kluere_pipeline_describe_member")
public func pipelineDescribeMember(
  _ pipeline: OpaquePointer?, _ place: Int, _ info: UnsafeMutablePointer<kluere_pipeline_member_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PipelineObject>.borrow(pipeline, "pipeline")
    let out = try SizedStruct.Out(info, "info")
    let number = try index(place, below: object.pipeline.members.count, "member")
    let member = object.pipeline.members[number]
    let texts = object.memberTexts
    out.store(
      kluere_pipeline_member_info(
        struct_size: 0, role: member.role.rawValue, subject_type: member.subjectType == nil ? nil : texts[3 * number],
        object_type: member.objectType == nil ? nil : texts[3 * number + 1],
        folder: member.folder.isEmpty ? nil : texts[3 * number + 2]))
  }
}

@_cdecl("kluere_pipeline_label_count")
public func pipelineLabelCount(_ pipeline: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<PipelineObject>.borrow(pipeline, "pipeline").pipeline.labels.count
  }
}

@_cdecl("kluere_pipeline_label")
public func pipelineLabel(_ pipeline: OpaquePointer?, _ index: Int) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<PipelineObject>.borrow(pipeline, "pipeline").labels[index]
  }
}

@_cdecl("kluere_pipeline_predict")
public func pipelinePredict(
  _ pipeline: OpaquePointer?, _ examples: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ count: Int,
  _ offsetUnit: Int32, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PipelineObject>.borrow(pipeline, "pipeline")
    try object.exclusive.run("pipeline") { () throws(KluereError) in
      let examples = try ExampleArray(examples, size: exampleSize, count: count, unit: offsetUnit)
      let needed = try tableSize(examples.count, object.pipeline.labels.count, "out")
      let out = try output(out, capacity: capacity, needed: needed)
      try object.pipeline.predict(try examples.views(), into: out)
    }
  }
}

@_cdecl("kluere_pipeline_predict_dataset")
public func pipelinePredictDataset(
  _ pipeline: OpaquePointer?, _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PipelineObject>.borrow(pipeline, "pipeline")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    try object.exclusive.run("pipeline") { () throws(KluereError) in
      let needed = try tableSize(dataset.count, object.pipeline.labels.count, "out")
      try object.pipeline.predict(dataset, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereModel

/// kluere_audit
final class AuditObject: Handled {
  static let kind: UInt32 = 0x4B41_5544
  static let typeName = "kluere_audit"
  let audit: Audit
  /// Keeps the ids alive.
  private let dataset: Dataset
  private let messages: CStrings

  init(_ audit: Audit, _ dataset: Dataset) {
    self.audit = audit
    self.dataset = dataset
    messages = CStrings(audit.findings.map(\.message))
  }

  /// `index` is one of the findings.
  func finding(_ index: Int) -> kluere_finding {
    let finding = audit.findings[index]
    var result = kluere_finding()
    result.kind = finding.kind.rawValue
    result.severity = finding.severity.rawValue
    result.action = finding.action.rawValue
    // SIZE_MAX, as C reads it.
    result.row = finding.row ?? -1
    result.other_row = finding.otherRow ?? -1
    if let row = finding.row, let id = dataset.example(row).id {
      result.id = UnsafeRawPointer(id.baseAddress)?.assumingMemoryBound(to: CChar.self)
    }
    result.message = messages[index]
    return result
  }
}

private func defaults() -> kluere_audit_options {
  kluere_audit_options(
    struct_size: UInt32(MemoryLayout<kluere_audit_options>.size), rare_below: UInt32(AuditOptions().rareBelow),
    input_form: InputForm.typedMarkerPunct.rawValue, max_tokens: 256)
}

@_cdecl("kluere_audit_options_init")
public func auditOptionsInit(
  _ options: UnsafeMutablePointer<kluere_audit_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_audit_create")
public func auditCreate(
  _ dataset: OpaquePointer?, _ other: OpaquePointer?, _ tokenizer: OpaquePointer?,
  _ options: UnsafePointer<kluere_audit_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<AuditObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let other = try Handle<DatasetObject>.borrowOptional(other, "other")?.dataset
    let tokenizer = try optionalTokenizer(tokenizer)
    let given = try SizedStruct.read(options, "options", defaults: defaults())
    let form = try inputForm(given.input_form)
    guard form != .template else {
      throw KluereError(.invalidArgument, "input_form: 2 (template), an audit knows only the named forms")
    }
    guard given.max_tokens > 0 else { throw KluereError(.invalidArgument, "max_tokens: 0, expected at least 1") }
    var options = AuditOptions()
    options.rareBelow = Int(given.rare_below)
    let inputs = try tokenizer.map { tokenizer throws(KluereError) in
      try DatasetTokens.inputs(dataset, tokenizer, form: form, maxTokens: Int(given.max_tokens))
    }
    let audit = try Audit(dataset, other: other, inputs: inputs, options: options)
    try out.store(AuditObject(audit, dataset))
  }
}

@_cdecl("kluere_audit_destroy")
public func auditDestroy(_ audit: OpaquePointer?) { Handle<AuditObject>.destroy(audit) }

@_cdecl("kluere_audit_count")
public func auditCount(_ audit: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<AuditObject>.borrow(audit, "audit").audit.findings.count
  }
}

@_cdecl("kluere_audit_get")
public func auditGet(
  _ audit: OpaquePointer?, _ index: Int, _ outPointer: UnsafeMutablePointer<kluere_finding>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(outPointer, "out")
    let object = try Handle<AuditObject>.borrow(audit, "audit")
    // The function below is shadowed by the parameter.
    guard object.audit.findings.indices.contains(index) else {
      throw KluereError(
        .invalidArgument, "index \(asWritten(index)), but there are \(object.audit.findings.count) findings")
    }
    out.store(object.finding(index))
  }
}

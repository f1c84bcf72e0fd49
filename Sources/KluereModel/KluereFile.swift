internal import KluereBase
internal import KluereCompute
internal import KluereFormats

/// kluere.json: what transformers' config.json has no place for.
struct KluereFile {
  static let name = "kluere.json"
  /// Rises when an older library could no longer read the folder right.
  static let formatVersion = 1

  var labels: [String]
  var input: Input
  var maxTokens: Int
  var head: RelationHead
  var extras: ModelExtras
  var weights = WeightForm.float32

  /// The input form and its options.
  struct Input {
    var form: InputForm
    var template: String?
    var particles: ParticleRule
    var afterMarker: AfterMarker?
    var entitySegments: Bool
  }

  init(_ configuration: ModelConfiguration, labels: [String], extras: ModelExtras) {
    self.labels = labels
    self.extras = extras
    input = Input(
      form: configuration.inputForm, template: configuration.inputTemplate, particles: configuration.particles,
      afterMarker: configuration.afterMarker, entitySegments: configuration.entitySegments)
    maxTokens = configuration.maxTokens
    head = configuration.head
  }

  func apply(to configuration: inout ModelConfiguration) {
    configuration.inputForm = input.form
    configuration.inputTemplate = input.template
    configuration.particles = input.particles
    configuration.afterMarker = input.afterMarker
    configuration.maxTokens = maxTokens
    configuration.head = head
    configuration.entitySegments = input.entitySegments
  }

  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    let file = try JSONFields(bytes, path: path)
    guard let version = try file.int("format_version") else {
      throw KluereError(.badFormat, "\(path): format_version is missing")
    }
    guard version == KluereFile.formatVersion else {
      throw KluereError(
        .version, "\(path): format_version \(version), this library reads \(KluereFile.formatVersion)")
    }
    guard let labels = try file.strings("labels") else {
      throw KluereError(.badFormat, "\(path): labels are missing")
    }
    guard let formName = try file.string("input_form") else {
      throw KluereError(.badFormat, "\(path): input_form is missing")
    }
    guard let form = InputForm(name: formName) else {
      throw KluereError(.unsupported, "\(path): input_form \"\(formName)\" is not one this library knows")
    }
    guard let maxTokens = try file.int("max_tokens") else {
      throw KluereError(.badFormat, "\(path): max_tokens is missing")
    }
    self.labels = labels
    self.maxTokens = maxTokens
    input = Input(
      form: form, template: try file.string("input_template"),
      particles: try KluereFile.named("particles", file, path) ?? .fixed,
      afterMarker: try KluereFile.named("after_marker", file, path),
      entitySegments: try file.bool("entity_segments") ?? false)
    head = try KluereFile.named("head", file, path) ?? .cls
    weights = try KluereFile.named("weights", file, path) ?? .float32
    extras = ModelExtras()
    extras.recipe = try file.string("recipe")
    extras.decoding = try DecodingJSON.read(file, "decoding", classes: labels.count, path: path)
    try extras.readTypes(file, labelCount: labels.count, path: path)
  }

  private static func named<Choice: NamedChoice>(
    _ key: String, _ file: JSONFields, _ path: String
  ) throws(KluereError) -> Choice? {
    guard let name = try file.string(key) else { return nil }
    guard let choice = Choice.allCases.first(where: { $0.name == name }) else {
      throw KluereError(.unsupported, "\(path): \(key) \"\(name)\" is not one this library knows")
    }
    return choice
  }

  func encoded(libraryVersion: String) -> [UInt8] {
    var file = JSONText()
    file.add("format_version", KluereFile.formatVersion)
    file.add("library_version", libraryVersion)
    file.add("input_form", input.form.name)
    if let template = input.template { file.add("input_template", template) }
    if input.particles != .fixed { file.add("particles", input.particles.name) }
    if let afterMarker = input.afterMarker { file.add("after_marker", afterMarker.name) }
    if input.entitySegments { file.add("entity_segments", true) }
    file.add("max_tokens", maxTokens)
    if head != .cls { file.add("head", head.name) }
    if weights != .float32 { file.add("weights", weights.name) }
    file.add("labels", labels)
    if let recipe = extras.recipe { file.add("recipe", recipe) }
    if let decoding = extras.decoding { file.addObject("decoding", DecodingJSON.members(decoding)) }
    file.add { extras.writeTypes(&$0) }
    return file.finish()
  }
}

extension WeightForm: NamedChoice {}

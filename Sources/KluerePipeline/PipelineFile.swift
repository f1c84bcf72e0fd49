internal import KluereBase
internal import KluereEnsemble
internal import KluereFormats

/// pipeline.json: {"format_version", "library_version", "kind", "rule", "threshold", "vote", "labels", "members": [{"folder",
/// "role", "subject_type", "object_type"}, ...]}. Folders are inside the pipeline's.
struct PipelineFile {
  static let name = "pipeline.json"
  /// Rises when an older library could no longer read the folder right.
  static let formatVersion = 1

  struct Member {
    var folder: String
    var role: MemberRole
    var subjectType: String?
    var objectType: String?
  }

  var options: PipelineOptions
  var members: [Member]

  init(options: PipelineOptions, members: [Member]) {
    self.options = options
    self.members = members
  }

  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    let root = Fields(try JSON(bytes, name: path).root, path, "")
    guard root.value.kind == .object else {
      throw KluereError(.badFormat, "\(path): \(root.value.kind.name), expected an object")
    }
    guard let version = try root.read("format_version", "a whole number", \.int) else {
      throw KluereError(.badFormat, "\(path): format_version is missing")
    }
    guard version == PipelineFile.formatVersion else {
      throw KluereError(
        .version, "\(path): format_version \(version), this library reads \(PipelineFile.formatVersion)")
    }
    options = PipelineOptions()
    guard let kind = try root.choice("kind", PipelineKind.allCases, \.name) else {
      throw KluereError(.badFormat, "\(path): kind is missing")
    }
    options.kind = kind
    options.rule = try root.choice("rule", CascadeRule.allCases, \.name)
    options.vote = try root.choice("vote", [Vote.soft, .hard]) { $0 == .soft ? "soft" : "hard" }
    options.threshold = try root.read("threshold", "a number", \.double)
    options.labels = try root.read("labels", "an array of strings") { list in
      let names = list.elements.map(\.string)
      return list.kind != .array || names.contains(nil) ? nil : names.compactMap { $0 }
    }
    guard let list = root.value["members"], list.kind == .array else {
      throw KluereError(.badFormat, "\(path): members is missing, expected an array of objects")
    }
    members = []
    for element in list.elements {
      let fields = Fields(element, path, "members[\(members.count)]: ")
      guard element.kind == .object, let folder = try fields.read("folder", "a string", \.string) else {
        throw KluereError(.badFormat, "\(path): \(fields.within)no object with a folder at \(element.place)")
      }
      guard PipelineFile.isInside(folder) else {
        throw KluereError(
          .badFormat, "\(path): \(fields.within)folder \"\(folder)\", expected a folder inside the pipeline's")
      }
      guard let role = try fields.choice("role", MemberRole.allCases, \.name) else {
        throw KluereError(.badFormat, "\(path): \(fields.within)role is missing")
      }
      members.append(
        Member(
          folder: folder, role: role, subjectType: try fields.read("subject_type", "a string", \.string),
          objectType: try fields.read("object_type", "a string", \.string)))
      guard members.count <= 1000 else {
        throw KluereError(.badFormat, "\(path): more than 1000 members")
      }
    }
  }

  /// A path that stays below where it begins.
  private static func isInside(_ folder: String) -> Bool {
    let parts = folder.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return !folder.utf8.contains(0)
      && parts.allSatisfy { part in
        !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
      }
  }

  func encoded(libraryVersion: String) -> [UInt8] {
    var writer = JSONWriter()
    func string(_ name: String, _ value: String?) {
      guard let value else { return }
      writer.key(name)
      writer.string(value)
    }
    writer.beginObject()
    writer.key("format_version")
    writer.integer(PipelineFile.formatVersion)
    string("library_version", libraryVersion)
    string("kind", options.kind.name)
    string("rule", options.rule?.name)
    if let threshold = options.threshold {
      writer.key("threshold")
      writer.number(threshold)
    }
    string("vote", options.vote.map { $0 == .soft ? "soft" : "hard" })
    if let labels = options.labels {
      writer.key("labels")
      writer.beginArray()
      for label in labels { writer.string(label) }
      writer.endArray()
    }
    writer.key("members")
    writer.beginArray()
    for member in members {
      writer.beginObject()
      string("folder", member.folder)
      string("role", member.role.name)
      string("subject_type", member.subjectType)
      string("object_type", member.objectType)
      writer.endObject()
    }
    writer.endArray()
    return writer.finish()
  }

  /// Members of a JSON object; one that is absent or null is nil, one of another kind is refused.
  private struct Fields {
    let value: JSON.Value
    let path: String
    let within: String

    init(_ value: JSON.Value, _ path: String, _ within: String) {
      self.value = value
      self.path = path
      self.within = within
    }

    func read<T>(_ name: String, _ expected: String, _ convert: (JSON.Value) -> T?) throws(KluereError) -> T? {
      guard let member = value[name], !member.isNull else { return nil }
      guard let found = convert(member) else {
        throw KluereError(
          .badFormat, "\(path): \(within)\(name) is \(member.kind.name) at \(member.place), expected \(expected)")
      }
      return found
    }

    func choice<T>(_ name: String, _ choices: [T], _ called: (T) -> String) throws(KluereError) -> T? {
      guard let text = try read(name, "a string", \.string) else { return nil }
      guard let found = choices.first(where: { called($0) == text }) else {
        throw KluereError(
          .badFormat,
          "\(path): \(within)\(name) \"\(text)\", expected \(choices.map(called).joined(separator: " or "))")
      }
      return found
    }
  }
}

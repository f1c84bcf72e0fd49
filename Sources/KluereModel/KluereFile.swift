internal import KluereBase
internal import KluereFormats

/// kluere.json: what transformers' config.json has no place for.
struct KluereFile {
  static let name = "kluere.json"
  /// Rises when an older library could no longer read the folder right.
  static let formatVersion = 1

  var labels: [String]
  var inputForm: InputForm
  var maxTokens: Int

  init(labels: [String], inputForm: InputForm, maxTokens: Int) {
    self.labels = labels
    self.inputForm = inputForm
    self.maxTokens = maxTokens
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
    self.init(labels: labels, inputForm: form, maxTokens: maxTokens)
  }

  func encoded(libraryVersion: String) -> [UInt8] {
    var file = JSONText()
    file.add("format_version", KluereFile.formatVersion)
    file.add("library_version", libraryVersion)
    file.add("input_form", inputForm.name)
    file.add("max_tokens", maxTokens)
    file.add("labels", labels)
    return file.finish()
  }
}

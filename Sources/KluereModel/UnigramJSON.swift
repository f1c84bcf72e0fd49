internal import KluereBase
internal import KluereFormats
internal import KluereText

/// The parts of a tokenizer.json with a unigram model: normalizer, pre-tokenizer, model, decoder. Each is read or refused
/// by name.
struct UnigramJSON {
  private let path: String
  private(set) var rules = MetaspaceUnigram.Rules()

  init(_ file: JSONFields, _ model: JSONFields, path: String) throws(KluereError) {
    self.path = path
    guard let unknown = try model.int("unk_id").flatMap({ Int32(exactly: $0) }) else {
      throw KluereError(.unsupported, "\(path): model: a unigram without unk_id is not supported")
    }
    rules.unknownID = unknown
    rules.byteFallback = try model.bool("byte_fallback") ?? false
    try model.forEachScored("vocab") { (piece, score) in rules.pieces.append((piece.utf8Key, score)) }
    guard unknown >= 0, Int(unknown) < rules.pieces.count else {
      throw KluereError(.badFormat, "\(path): model: unk_id \(unknown) is outside of \(rules.pieces.count) pieces")
    }
    for part in try parts(file, "normalizer", "normalizers") { try readNormalizer(part) }
    try readSplitters(try parts(file, "pre_tokenizer", "pretokenizers"))
    for part in try parts(file, "decoder", "decoders") { try readDecoder(part) }
  }

  /// A part that stands alone or in a Sequence; null: no part.
  private func parts(_ file: JSONFields, _ name: String, _ list: String) throws(KluereError) -> [JSONFields] {
    guard let part = try file.object(name) else { return [] }
    guard try part.string("type") == "Sequence" else { return [part] }
    guard let parts = try part.objects(list) else {
      throw KluereError(.badFormat, "\(path): \(name): a Sequence without \(list)")
    }
    return parts
  }

  private func refused(_ place: String, _ found: String, _ expected: String) -> KluereError {
    KluereError(.unsupported, "\(path): \(place) \"\(found)\" is not supported, expected \(expected)")
  }

  private mutating func readNormalizer(_ part: JSONFields) throws(KluereError) {
    switch try part.string("type") ?? "none" {
    case "Precompiled":
      // Some files have an empty map: null or "".
      guard let blob = Base64.decode((try part.string("precompiled_charsmap") ?? "").utf8Key) else {
        throw KluereError(.badFormat, "\(path): normalizer: precompiled_charsmap is not base64")
      }
      rules.normalizer.append(.characterMap(blob))
    case "Replace":
      let (pattern, content) = try replacement(part, "normalizer")
      switch pattern {
      case .string(let text): rules.normalizer.append(.replace(text.utf8Key, with: content))
      case .spaces(let count): rules.normalizer.append(.replaceSpaces(atLeast: count, with: content))
      }
    case "Strip":
      rules.normalizer.append(
        .strip(left: try part.bool("strip_left") ?? true, right: try part.bool("strip_right") ?? true))
    case let other: throw refused("normalizer", other, "Precompiled, Replace and Strip")
    }
  }

  private enum Pattern {
    case string(String)
    case spaces(Int)
  }

  private func replacement(_ part: JSONFields, _ place: String) throws(KluereError) -> (Pattern, [UInt8]) {
    guard let pattern = try part.object("pattern"), let content = try part.string("content") else {
      throw KluereError(.badFormat, "\(path): \(place): Replace without pattern and content")
    }
    if let text = try pattern.string("String") { return (.string(text), content.utf8Key) }
    switch try pattern.string("Regex") ?? "" {
    case " {2,}": return (.spaces(2), content.utf8Key)
    case " +": return (.spaces(1), content.utf8Key)
    case let other: throw refused("\(place): Replace: the pattern", other, "a String or the Regex \" {2,}\"")
    }
  }

  private mutating func readSplitters(_ parts: [JSONFields]) throws(KluereError) {
    for part in parts {
      switch try part.string("type") ?? "none" {
      case "WhitespaceSplit" where rules.metaspace == nil: rules.splitsAtWhiteSpace = true
      case "Metaspace" where rules.metaspace == nil:
        var metaspace = MetaspaceUnigram.Metaspace()
        metaspace.prepends = try prepending(part, "pre_tokenizer")
        metaspace.splits = try part.bool("split") ?? true
        rules.metaspace = metaspace
      case let other: throw refused("pre_tokenizer", other, "WhitespaceSplit before Metaspace, each once")
      }
    }
  }

  private func prepending(
    _ part: JSONFields, _ place: String
  ) throws(KluereError) -> MetaspaceUnigram.Metaspace.Prepending {
    let mark = try part.string("replacement") ?? "\u{2581}"
    guard mark.utf8Key == "\u{2581}".utf8Key else { throw refused("\(place): replacement", mark, "\"\u{2581}\"") }
    // Files of the first years say add_prefix_space in place of prepend_scheme.
    let old = try part.bool("add_prefix_space") == false ? "never" : "always"
    switch try part.string("prepend_scheme") ?? old {
    case "always": return .always
    case "first": return .first
    case "never": return .never
    case let other: throw refused("\(place): prepend_scheme", other, "always, first or never")
    }
  }

  private mutating func readDecoder(_ part: JSONFields) throws(KluereError) {
    switch try part.string("type") ?? "none" {
    case "Metaspace": rules.decoder.append(.metaspace(dropsFirst: try prepending(part, "decoder") != .never))
    case "Replace":
      guard case (.string(let text), let content) = try replacement(part, "decoder"), !text.isEmpty else {
        throw KluereError(.unsupported, "\(path): decoder: Replace: expected a String as pattern")
      }
      rules.decoder.append(.replace(text.utf8Key, with: content))
    case "ByteFallback": rules.decoder.append(.byteFallback)
    case "Fuse": rules.decoder.append(.fuse)
    case "Strip":
      let content = try part.string("content") ?? " "
      guard !content.isEmpty else { throw KluereError(.badFormat, "\(path): decoder: Strip of an empty string") }
      rules.decoder.append(
        .strip(content.utf8Key, start: try part.int("start") ?? 0, stop: try part.int("stop") ?? 0))
    case let other: throw refused("decoder", other, "Metaspace, Replace, ByteFallback, Fuse and Strip")
    }
  }
}

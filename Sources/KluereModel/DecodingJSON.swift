internal import KluereBase
internal import KluereDecoding

/// The decoding in kluere.json: {"temperature", "class_weights", "source_prior", "target_prior"}, arrays in the order of the
/// labels; what is left out is 1 for all.
enum DecodingJSON {
  static func members(_ decoding: Decoding) -> [(String, JSONItem)] {
    var members: [(String, JSONItem)] = [("temperature", .number(decoding.temperature))]
    if let weights = decoding.weights { members.append(("class_weights", .numbers(weights))) }
    if let priors = decoding.priors {
      members.append(("source_prior", .numbers(priors.source)))
      members.append(("target_prior", .numbers(priors.target)))
    }
    return members
  }

  static func read(
    _ file: JSONFields, _ name: String, classes: Int, path: String
  ) throws(KluereError) -> Decoding? {
    guard let fields = try file.object(name) else { return nil }
    let source = try fields.doubles("source_prior")
    let target = try fields.doubles("target_prior")
    guard (source == nil) == (target == nil) else {
      throw KluereError(.badFormat, "\(path): \(name): one of source_prior and target_prior, expected both or none")
    }
    var priors: LabelPriors?
    if let source, let target { priors = LabelPriors(source: source, target: target) }
    do throws(KluereError) {
      return try Decoding(
        classes: classes, temperature: try fields.double("temperature") ?? 1,
        weights: try fields.doubles("class_weights"), priors: priors)
    } catch {
      throw error.status == .badFormat ? error : KluereError(.badFormat, "\(path): \(name): \(error.message)")
    }
  }
}

internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereModel

/// Labelled rows, encoded once, with their labels as indices into the model's.
struct TrainingRows {
  let encoded: EncodedRows
  let labels: [Int32]
  let contentHash: UInt64

  /// `purpose` names the rows in messages: "train" or "evaluation". Every row needs a label that the model has.
  init(_ dataset: Dataset, _ model: Model, _ purpose: String) throws(KluereError) {
    guard dataset.count > 0 else {
      throw KluereError(.invalidArgument, "\(purpose): 0 rows, expected at least one")
    }
    labels = try TrainingRows.labels(dataset, model, purpose)
    encoded = EncodedRows(model)
    try encoded.append(dataset)
    contentHash = dataset.contentHash
    if encoded.croppedRows > 0 {
      model.context.log(
        .info,
        "\(purpose): \(encoded.croppedRows) of \(dataset.count) sentences were cropped to "
          + "\(model.configuration.maxTokens) tokens")
    }
  }

  var count: Int { labels.count }

  /// Tokens of each row, `copies` times.
  func lengths(copies: Int) -> [Int32] {
    (0..<count).map { Int32(clamping: encoded.length($0).product(copies) ?? .max) }
  }

  private static func labels(
    _ dataset: Dataset, _ model: Model, _ purpose: String
  ) throws(KluereError) -> [Int32] {
    let names = dataset.labels.names
    let indices = names.map { model.labels.index(of: $0).map { Int32(clamping: $0) } }
    var labels: [Int32] = []
    labels.reserveCapacity(dataset.count)
    for row in 0..<dataset.count {
      let own = Int(dataset.labelIndex(row))
      guard names.indices.contains(own) else {
        throw KluereError(.invalidArgument, "\(purpose): row \(row): its label is hidden, expected one of the model's")
      }
      guard let index = indices[own] else {
        throw KluereError(
          .invalidArgument,
          "\(purpose): row \(row): label \"\(names[own])\" is none of the model's \(model.labels.count) labels")
      }
      labels.append(index)
    }
    return labels
  }
}

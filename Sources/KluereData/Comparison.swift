internal import KluereFormats

/// Rows that two datasets share.
package struct Leakage: Sendable, Equatable {
  /// Different sentences that stand in both, and the rows of each side that have one of them.
  package var sentences = 0
  package var firstRows = 0
  package var secondRows = 0
  /// Rows of the second dataset whose sentence and spans stand in the first, by what the label says: the same as some row
  /// there, another, or hidden on one side.
  package var sameLabel = 0
  package var otherLabel = 0
  package var hiddenLabel = 0

  package init(_ first: Dataset, _ second: Dataset) {
    let (inFirst, inSecond) = (RowIndex(first, by: .sentence), RowIndex(second, by: .sentence))
    for row in 0..<first.count where inSecond.row(equalTo: first.example(row)) != nil {
      firstRows += 1
      if inFirst.first[row] == row { sentences += 1 }
    }
    for row in 0..<second.count where inFirst.row(equalTo: second.example(row)) != nil { secondRows += 1 }
    let inputs = LabelledInputs(first)
    for row in 0..<second.count {
      guard let known = inputs.labels(of: second.example(row)) else { continue }
      switch second.example(row).label {
      case .some(let label) where known.contains(Array(label)): sameLabel += 1
      case .some where !known.isEmpty: otherLabel += 1
      default: hiddenLabel += 1
      }
    }
  }
}

/// The labels that each sentence with its spans has in a dataset.
struct LabelledInputs {
  private let index: RowIndex
  private var labels: [Int: Set<[UInt8]>] = [:]

  init(_ dataset: Dataset) {
    index = RowIndex(dataset, by: .input)
    for row in 0..<dataset.count {
      guard let label = dataset.example(row).label else { continue }
      labels[index.first[row], default: []].insert(Array(label))
    }
  }

  /// nil where the dataset does not have the input; empty where it has it with a hidden label alone.
  func labels(of example: ExampleView) -> Set<[UInt8]>? {
    guard let row = index.row(equalTo: example) else { return nil }
    return labels[row] ?? []
  }
}

/// Two datasets side by side: how far their distributions differ, and what rows they share. As JSON.
package enum Comparison {
  /// Steps in which lengths are counted for the divergence.
  static let characterStep = 20
  static let tokenStep = 10

  package static func describe(
    _ first: Dataset, _ second: Dataset, tokens: (first: [Int32], second: [Int32])?
  ) -> [UInt8] {
    var json = JSONWriter(indent: nil)
    func divergence(_ name: String, _ a: Distribution, _ b: Distribution) {
      json.key(name)
      if let bits = Distribution.divergence(a, b) { json.number(bits) } else { json.null() }
    }
    json.beginObject()
    json.key("rows")
    json.beginArray()
    json.integer(first.count)
    json.integer(second.count)
    json.endArray()
    json.key("divergence")
    json.beginObject()
    for (name, field) in Statistics.fields {
      divergence(name, known(first.distribution(field), field), known(second.distribution(field), field))
    }
    divergence(
      "type_pair_without_no_relation", first.distribution(.typePair, skipping: first.noRelation),
      second.distribution(.typePair, skipping: second.noRelation))
    divergence(
      "characters", LengthSummary(first.characterLengths()).distribution(inSteps: characterStep),
      LengthSummary(second.characterLengths()).distribution(inSteps: characterStep))
    if let tokens {
      divergence(
        "tokens", LengthSummary(tokens.first).distribution(inSteps: tokenStep),
        LengthSummary(tokens.second).distribution(inSteps: tokenStep))
    }
    json.endObject()
    json.key("leakage")
    write(Leakage(first, second), to: &json)
    json.endObject()
    return json.finish()
  }

  /// Hidden labels are no label of their own.
  private static func known(_ distribution: Distribution, _ field: RowField) -> Distribution {
    field == .label ? Distribution(counts: distribution.counts.filter { $0.value != nil }) : distribution
  }

  private static func write(_ leakage: Leakage, to json: inout JSONWriter) {
    json.beginObject()
    for (name, count) in [
      ("sentences", leakage.sentences), ("first_rows", leakage.firstRows), ("second_rows", leakage.secondRows),
      ("same_label", leakage.sameLabel), ("other_label", leakage.otherLabel), ("hidden_label", leakage.hiddenLabel),
    ] {
      json.key(name)
      json.integer(count)
    }
    json.endObject()
  }
}

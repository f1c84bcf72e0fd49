package import KluereBase

/// Labelled sentences, validated and unchanging. Their texts lie in memory of their own, each with a NUL behind it, and
/// keep their place as long as this dataset or one made from it lives.
package final class Dataset: @unchecked Sendable {
  // Never written after init: any number of threads may read.
  package let labels: LabelSet
  /// Per row the index of its label in `labels`; -1 where it is hidden.
  package let labelIndices: [Int32]
  /// "file: row 17: why" of rows left out; the first `keptReasons`.
  package let skipped: [String]
  package let skippedCount: Int
  /// Of all rows in their order: sentences, spans, types and label names.
  package let contentHash: UInt64
  private let rows: GrowingBuffer<ExampleView>
  /// Where the texts lie. A dataset that was made from another keeps that one's too.
  let texts: [TextArena]

  static let keptReasons = 1000

  /// `rows`' texts lie in `texts`.
  init(
    labels: LabelSet, rows: consuming GrowingBuffer<ExampleView>, labelIndices: [Int32], texts: [TextArena],
    skipped: [String] = [], skippedCount: Int = 0
  ) {
    self.labels = labels
    self.labelIndices = labelIndices
    self.texts = texts
    self.skipped = skipped
    self.skippedCount = skippedCount
    contentHash = ContentHash.of(UnsafeBufferPointer(rows.elements))
    self.rows = rows
  }

  package var count: Int { rows.count }

  /// 0 <= index < count. The view's texts live with the dataset.
  package func example(_ index: Int) -> ExampleView {
    precondition(index >= 0 && index < rows.count)  // trap-ok: every caller's index is checked at the boundary.
    return rows.elements[index]
  }

  /// 0 <= index < count; -1 for a hidden label.
  package func labelIndex(_ index: Int) -> Int32 { labelIndices[index] }

  /// The rows at `indices`, in that order, repeats allowed; at least one. Texts are shared, not copied.
  package func subset(_ indices: [Int]) throws(KluereError) -> Dataset {
    guard !indices.isEmpty else { throw KluereError(.invalidArgument, "0 indices, expected at least one row") }
    var chosen = GrowingBuffer<ExampleView>(for: "rows")
    var chosenLabels: [Int32] = []
    chosenLabels.reserveCapacity(indices.count)
    for (place, index) in indices.enumerated() {
      guard labelIndices.indices.contains(index) else {
        throw KluereError(.invalidArgument, "indices[\(place)]: row \(index) of \(count)")
      }
      try chosen.append(rows.elements[index])
      chosenLabels.append(labelIndices[index])
    }
    return Dataset(labels: labels, rows: chosen, labelIndices: chosenLabels, texts: texts)
  }

  /// A dataset of the caller's rows, which are copied. `options.format` is ignored.
  package static func create(
    examples: [ExampleView], options: DatasetOptions = DatasetOptions()
  ) throws(KluereError) -> Dataset {
    var builder = try DatasetBuilder(options, fileName: nil)
    for example in examples {
      try builder.add { (id) throws(KluereError) in
        // Shown in messages only when it can be.
        if (try? ExampleView.checkUTF8(example.id, "id")) != nil { id = example.id }
        return example
      }
    }
    return try builder.finish()
  }
}

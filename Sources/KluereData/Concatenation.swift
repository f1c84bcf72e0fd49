package import KluereBase

extension Dataset {
  /// The rows of both, those of `second` with this dataset's label numbers. Texts are shared, not copied.
  package func concatenated(with second: Dataset) throws(KluereError) -> Dataset {
    guard let total = count.sum(second.count), total <= Int(Int32.max) else {
      throw KluereError(.invalidArgument, "\(count) and \(second.count) rows, expected at most \(Int32.max) together")
    }
    let numbers = second.labels.names.map { labels.index(of: $0) }
    var rows = GrowingBuffer<ExampleView>(for: "rows")
    var indices = labelIndices
    indices.reserveCapacity(total)
    for row in 0..<count { try rows.append(example(row)) }
    for row in 0..<second.count {
      let own = Int(second.labelIndex(row))
      var index: Int32 = -1
      if second.labels.names.indices.contains(own) {
        guard let number = numbers[own] else {
          throw KluereError(
            .invalidArgument,
            "second: row \(row): label \"\(second.labels.names[own])\" is none of the first's \(labels.count) labels")
        }
        index = Int32(clamping: number)
      }
      try rows.append(second.example(row))
      indices.append(index)
    }
    return Dataset(labels: labels, rows: rows, labelIndices: indices, texts: texts + second.texts)
  }
}

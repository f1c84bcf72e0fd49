package import KluereBase
internal import KluereFormats

/// The competition's submission file: id, the label with the largest probability, and all 30 probabilities in the
/// competition's order as Python prints a list of floats.
package enum Submission {
  /// `probabilities`: a row per row of `dataset`, its columns in the order of `labels`, which are the competition's 30 in
  /// any order. Rows without an id get their number from 0. The file is replaced at once.
  package static func write(
    path: String, dataset: Dataset, labels: LabelSet, probabilities: UnsafeBufferPointer<Float>
  ) throws(KluereError) {
    let order = LabelSet.competition
    let columns = try columns(of: order, in: labels)
    guard dataset.count.product(labels.count) == probabilities.count else {
      throw KluereError(
        .invalidArgument,
        "probabilities: \(probabilities.count) values, expected \(dataset.count) rows of \(labels.count)")
    }
    var csv = CSVWriter()
    for name in ["id", "pred_label", "probs"] { try csv.field(name) }
    try csv.endRecord()
    var row: [Float] = []
    for index in 0..<dataset.count {
      let values = UnsafeBufferPointer(
        rebasing: probabilities[index * labels.count..<(index + 1) * labels.count])
      row.removeAll(keepingCapacity: true)
      for column in columns { row.append(values[column]) }
      try check(row, index, order)
      if let id = dataset.example(index).id { try csv.field(id) } else { try csv.field(String(index)) }
      let best = row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
      try csv.field(order.names[best])
      try csv.field("[" + row.map { PythonFloat.repr(Double($0)) }.joined(separator: ", ") + "]")
      try csv.endRecord()
    }
    try Files.replace(path, [UnsafeRawBufferPointer(csv.bytes)])
  }

  /// Per label of `order` its column in `labels`.
  static func columns(of order: LabelSet, in labels: LabelSet) throws(KluereError) -> [Int] {
    if let other = labels.names.first(where: { order.index(of: $0) == nil }) {
      throw KluereError(.invalidArgument, "label \"\(other)\" is none of the competition's \(order.count)")
    }
    var columns: [Int] = []
    for name in order.names {
      guard let column = labels.index(of: name) else {
        throw KluereError(
          .invalidArgument, "the competition's label \"\(name)\" is not among the \(labels.count) labels")
      }
      columns.append(column)
    }
    return columns
  }

  /// Logits in place of probabilities would rank the rows differently, and give another AUPRC.
  private static func check(_ row: [Float], _ index: Int, _ order: LabelSet) throws(KluereError) {
    // Rounding may carry a probability a little beyond 1.
    guard let wrong = row.indices.first(where: { !(row[$0] >= 0 && row[$0] <= 1.0001) }) else { return }
    throw KluereError(
      .invalidArgument,
      "probabilities: row \(index), \(order.names[wrong]): \(row[wrong]), expected 0 to 1 (not logits)")
  }
}

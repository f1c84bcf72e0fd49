internal import KluereFormats

/// Rows that repeat or contradict another.
struct RepetitionChecks {
  private let dataset: Dataset
  private let rows: RowIndex
  private let inputs: RowIndex
  /// Per input, by its first row: the first row of each label that it has.
  private var labelsOfInput: [Int: [(label: Int32, row: Int)]] = [:]
  private var ids: [[UInt8]: Int] = [:]

  init(_ dataset: Dataset) {
    self.dataset = dataset
    rows = RowIndex(dataset, by: .row)
    inputs = RowIndex(dataset, by: .input)
    for row in 0..<dataset.count where dataset.labelIndex(row) >= 0 {
      let label = dataset.labelIndex(row)
      let known = labelsOfInput[inputs.first[row]] ?? []
      if !known.contains(where: { $0.label == label }) { labelsOfInput[inputs.first[row]] = known + [(label, row)] }
    }
  }

  mutating func check(_ row: Int, _ example: ExampleView, into findings: inout [Finding]) {
    let first = rows.first[row]
    if first != row {
      findings.append(
        Finding(
          kind: .duplicate, severity: .warning, action: .removeRow, row: row, otherRow: first,
          message: "equals row \(first)\(shown(first)) in sentence, entities and label"))
    }
    conflict(row, into: &findings)
    guard let id = example.id else { return }
    let key = Array(id)
    if let other = ids[key] {
      findings.append(
        Finding(
          kind: .duplicateID, severity: .warning, action: .renumber, row: row, otherRow: other,
          message: "id \(excerpt(id)) is that of row \(other) too"))
    } else {
      ids[key] = row
    }
  }

  private func conflict(_ row: Int, into findings: inout [Finding]) {
    let label = dataset.labelIndex(row)
    guard label >= 0, let labels = labelsOfInput[inputs.first[row]], labels.count > 1,
      let other = labels.first(where: { $0.label != label })
    else { return }
    let names = dataset.labels.names
    findings.append(
      Finding(
        kind: .conflict, severity: .error, action: .resolveConflict, row: row, otherRow: other.row,
        message: "label \"\(names[Int(label)])\", but row \(other.row)\(shown(other.row)) says "
          + "\"\(names[Int(other.label)])\" of the same sentence and entities"))
  }

  private func shown(_ row: Int) -> String {
    dataset.example(row).id.map { " (\(excerpt($0, quoted: false)))" } ?? ""
  }
}

/// Rows that another dataset has too.
struct LeakageChecks {
  private let other: Dataset
  private let sentences: RowIndex
  private let inputs: RowIndex

  init(_ other: Dataset) {
    self.other = other
    sentences = RowIndex(other, by: .sentence)
    inputs = RowIndex(other, by: .input)
  }

  /// A row whose input leaks is not listed once more for its sentence.
  func check(_ row: Int, _ example: ExampleView, into findings: inout [Finding]) {
    if let there = inputs.row(equalTo: example) {
      findings.append(
        Finding(
          kind: .leakedInput, severity: .error, action: .removeFromTraining, row: row, otherRow: there,
          message: "sentence and entities are those of the other dataset's row \(there)\(label(there, example))"))
    } else if let there = sentences.row(equalTo: example) {
      findings.append(
        Finding(
          kind: .leakedSentence, severity: .warning, action: .removeFromTraining, row: row, otherRow: there,
          message: "the sentence stands in the other dataset too, in row \(there)"))
    }
  }

  private func label(_ there: Int, _ example: ExampleView) -> String {
    guard let theirs = other.example(there).label else { return ", whose label is hidden" }
    return RowIndex.equal(theirs, example.label) ? " with the same label" : ", which says \(excerpt(theirs))"
  }
}

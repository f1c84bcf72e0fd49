/// Rows with subject and object exchanged, as far as the relation allows.
struct EntitySwap {
  private let dataset: Dataset
  private let map: SwapMap
  private let inputs: RowIndex
  /// Per label of the dataset's names its index.
  private let labels: LabelSet

  init(_ dataset: Dataset, _ map: SwapMap) {
    self.dataset = dataset
    self.map = map
    labels = dataset.labels
    inputs = RowIndex(dataset, by: .input)
  }

  /// nil where the relation says nothing about the exchanged pair, or where the dataset already says something.
  /// `texts`: the words change places in the sentence and keep their roles; else the sentence stays and the roles change.
  func swap(_ row: Int, texts: Bool) -> MadeRow? {
    let example = dataset.example(row)
    guard let name = map.label(of: example), let label = labels.index(of: name).flatMap({ Int32(exactly: $0) }) else {
      return nil
    }
    let made = texts ? exchangedTexts(example, label) : exchangedRoles(example, label)
    guard let made, !isKnown(made) else { return nil }
    return made
  }

  private func exchangedRoles(_ example: ExampleView, _ label: Int32) -> MadeRow {
    MadeRow(
      text: Array(example.text), subject: example.object.begin..<example.object.end,
      object: example.subject.begin..<example.subject.end, subjectType: example.object.type,
      objectType: example.subject.type, label: label)
  }

  /// The subject's word, with its type, goes to where the object's was, and the other way. Only for entities of one type:
  /// the inverse relation would else begin with the wrong one.
  private func exchangedTexts(_ example: ExampleView, _ label: Int32) -> MadeRow? {
    let subject = example.subject.begin..<example.subject.end
    let object = example.object.begin..<example.object.end
    guard !subject.overlaps(object), RowIndex.equal(example.subject.type, example.object.type) else { return nil }
    let edits = [
      SentenceEdit(subject, Array(example.text[object])), SentenceEdit(object, Array(example.text[subject])),
    ].sorted { $0.range.lowerBound < $1.range.lowerBound }
    let result = SentenceEdit.apply(edits, to: example)
    guard !result.text.elementsEqual(example.text) else { return nil }
    return MadeRow(
      text: result.text, subject: result.object, object: result.subject, subjectType: example.subject.type,
      objectType: example.object.type, label: label)
  }

  /// Whether the dataset has the made input, with whatever label.
  private func isKnown(_ made: MadeRow) -> Bool {
    made.text.withUnsafeBufferPointer { text in
      let example = ExampleView(
        text: text, subject: Entity(begin: made.subject.lowerBound, end: made.subject.upperBound),
        object: Entity(begin: made.object.lowerBound, end: made.object.upperBound))
      return inputs.row(equalTo: example) != nil
    }
  }
}

package import KluereBase

/// Rows made from those of a dataset: texts that stay are shared, new ones are kept beside them.
package struct DatasetEditor: ~Copyable {
  private let base: Dataset
  private var rows = GrowingBuffer<ExampleView>(for: "rows")
  private var labelIndices = GrowingBuffer<Int32>(for: "labels")
  private let texts = TextArena()
  /// Per label its name as a text of the new dataset's, made when it is first needed.
  private var labelTexts: [UnsafeBufferPointer<UInt8>?]
  private var types: [[UInt8]: UnsafeBufferPointer<UInt8>] = [:]

  package init(_ base: Dataset) {
    self.base = base
    labelTexts = Array(repeating: nil, count: base.labels.count)
  }

  package var count: Int { rows.count }

  /// A text of the new dataset's.
  package func keep(_ text: some Collection<UInt8>) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
    let bytes = Array(text)
    guard let size = bytes.count.sum(1) else { throw KluereError(.outOfMemory, "a text is too long") }
    let copy = UnsafeMutableBufferPointer(start: try texts.allocate(size), count: size)
    let end = copy.update(fromContentsOf: bytes)
    copy[end] = 0
    return UnsafeBufferPointer(rebasing: copy[..<end])
  }

  /// A type: few different ones, each kept once.
  package mutating func keepType(_ type: [UInt8]) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
    if let known = types[type] { return known }
    let kept = try keep(type)
    types[type] = kept
    return kept
  }

  /// A copy of a row of elsewhere, whose texts are the new dataset's; empty counts as none.
  func kept(_ example: ExampleView) throws(KluereError) -> ExampleView {
    func copy(_ text: UnsafeBufferPointer<UInt8>?) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
      guard let text, !text.isEmpty else { return nil }
      return try keep(text)
    }
    var row = example
    row.text = try keep(example.text)
    row.subject.type = try copy(example.subject.type)
    row.object.type = try copy(example.object.type)
    row.id = try copy(example.id)
    row.source = try copy(example.source)
    row.origin = try copy(example.origin)
    return row
  }

  /// A row whose texts lie in the base dataset or were kept; its label is what `label` says. Checked as every row is.
  package mutating func append(_ row: ExampleView, label: Int32) throws(KluereError) {
    var row = row
    row.label = try labelText(label)
    try row.validate()
    try rows.append(row)
    try labelIndices.append(label)
  }

  /// Row `index` of the base, as it is.
  package mutating func append(_ index: Int) throws(KluereError) {
    try rows.append(base.example(index))
    try labelIndices.append(base.labelIndex(index))
  }

  private mutating func labelText(_ label: Int32) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
    guard let index = Int(exactly: label), labelTexts.indices.contains(index) else { return nil }
    if let text = labelTexts[index] { return text }
    let text = try keep(base.labels.names[index].utf8)
    labelTexts[index] = text
    return text
  }

  /// nil for no rows.
  package consuming func finish() -> Dataset? {
    guard rows.count > 0 else { return nil }
    let indices = Array(labelIndices.elements)
    return Dataset(labels: base.labels, rows: rows, labelIndices: indices, texts: base.texts + [texts])
  }
}

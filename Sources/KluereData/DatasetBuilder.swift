internal import KluereBase
internal import KluereFormats

/// Collects validated rows: copies their texts, finds their labels, and keeps the reasons of those left out.
struct DatasetBuilder: ~Copyable {
  private let fileName: String?
  private var labels: LabelTable
  private let skipsBadRows: Bool
  private var rows = GrowingBuffer<ExampleView>(for: "rows")
  private var labelIndices = GrowingBuffer<Int32>(for: "labels")
  private let texts = TextArena()
  private var skipped: [String] = []
  private var skippedCount = 0
  private var rowNumber = 0

  /// `fileName` of the file that the rows come from; nil for rows of the caller's.
  init(_ options: DatasetOptions, fileName: String?) throws(KluereError) {
    self.fileName = fileName
    labels = try LabelTable(options)
    skipsBadRows = options.badRows == .skip
  }

  /// The next row. `row` gives an example or throws why it is none, and notes the row's id as soon as it knows it. What
  /// is wrong with the row ends the reading or, if bad rows are to be skipped, is kept.
  mutating func add(
    _ row: (_ id: inout UnsafeBufferPointer<UInt8>?) throws(KluereError) -> ExampleView
  ) throws(KluereError) {
    rowNumber += 1
    var id: UnsafeBufferPointer<UInt8>?
    do throws(KluereError) {
      let example = try row(&id)
      try example.validate()
      let label = try labels.index(of: example.label)
      try append(example, label)
    } catch {
      try refuse(error, id)
    }
  }

  private mutating func append(_ example: ExampleView, _ label: Int32) throws(KluereError) {
    var row = example
    row.text = try texts.copy(example.text)
    row.subject.type = try copy(example.subject.type)
    row.object.type = try copy(example.object.type)
    row.label = label < 0 ? nil : try copy(example.label)
    row.id = try copy(example.id)
    row.source = try copy(example.source)
    row.origin = try copy(example.origin)
    try rows.append(row)
    try labelIndices.append(label)
  }

  /// Empty counts as none.
  private func copy(_ text: UnsafeBufferPointer<UInt8>?) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
    guard let text, !text.isEmpty else { return nil }
    return try texts.copy(text)
  }

  private mutating func refuse(
    _ error: KluereError, _ id: UnsafeBufferPointer<UInt8>?
  ) throws(KluereError) {
    // No fault of the row's.
    if error.status == .outOfMemory { throw error }
    let shownID = id.map { $0.isEmpty ? "" : " (\(excerpt($0, quoted: false)))" } ?? ""
    let place = fileName.map { "\($0): row \(rowNumber)\(shownID)" } ?? "examples[\(rowNumber - 1)]\(shownID)"
    let status = fileName != nil && error.status == .invalidArgument ? .badFormat : error.status
    let named = KluereError(status, "\(place): \(error.message)")
    guard skipsBadRows else { throw named }
    skippedCount += 1
    if skipped.count < Dataset.keptReasons { skipped.append(named.message) }
  }

  consuming func finish() throws(KluereError) -> Dataset {
    guard rows.count > 0 else {
      let why =
        skipped.first.map { "all \(skippedCount) rows are bad, the first: \($0)" } ?? "no rows, expected at least one"
      throw KluereError(fileName == nil ? .invalidArgument : .badFormat, "\(fileName ?? "examples"): \(why)")
    }
    return Dataset(
      labels: try labels.finish(), rows: rows, labelIndices: Array(labelIndices.elements), texts: [texts],
      skipped: skipped, skippedCount: skippedCount)
  }
}

/// The labels rows may have, or those that they had so far.
private struct LabelTable {
  private var names: [String]
  private var indices: [[UInt8]: Int32] = [:]
  /// Whether a new name is added; else it is refused.
  private let grows: Bool

  init(_ options: DatasetOptions) throws(KluereError) {
    switch options.labelOrder {
    case .klue: names = LabelSet.klue.names
    case .competition: names = LabelSet.competition.names
    case .custom:
      let given = try options.labels.map { names throws(KluereError) in try LabelSet(names).names }
      names = given ?? ["no_relation"]
    }
    guard options.labels == nil || options.labelOrder == .custom else {
      throw KluereError(.invalidArgument, "labels are given, but the label order is not custom")
    }
    grows = options.labelOrder == .custom && options.labels == nil
    for (index, name) in names.enumerated() { indices[Array(name.utf8)] = Int32(clamping: index) }
  }

  private static func isHidden(_ label: UnsafeBufferPointer<UInt8>) -> Bool {
    label.isEmpty || label.elementsEqual("100".utf8)
  }

  /// -1 for a hidden label.
  mutating func index(of label: UnsafeBufferPointer<UInt8>?) throws(KluereError) -> Int32 {
    guard let label, !LabelTable.isHidden(label) else { return -1 }
    let key = Array(label)
    if let index = indices[key] { return index }
    guard grows else {
      throw KluereError(.invalidArgument, "label \(excerpt(label)) is none of the \(names.count) labels")
    }
    guard !label.contains(0), let index = Int32(exactly: names.count) else {
      throw KluereError(.invalidArgument, "label \(excerpt(label)) is not free of NUL")
    }
    names.append(String(decoding: label, as: Unicode.UTF8.self))
    indices[key] = index
    return index
  }

  func finish() throws(KluereError) -> LabelSet { try LabelSet(names) }
}

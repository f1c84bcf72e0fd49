package import KluereBase
package import KluereData
package import KluereModel

/// Rows as the model reads them, made once: token ids and types one row behind the other, in as few bytes as they need
/// (3 bytes a token for a vocabulary of up to 65,536 pieces).
package final class EncodedRows {
  private let model: Model
  private var narrowIDs = GrowingBuffer<UInt16>(for: "token ids")
  private var wideIDs = GrowingBuffer<Int32>(for: "token ids")
  private var types = GrowingBuffer<UInt8>(for: "token types")
  private var starts = GrowingBuffer<Int>(for: "rows")
  /// Of the head's features, as many numbers for each row; none if it takes [CLS] alone.
  private var spans = GrowingBuffer<Int32>(for: "places of entities")
  /// Of each row, if the model looks at entity types (`TypeRoutes`); else empty.
  private var routes = GrowingBuffer<Int32>(for: "entity types")
  /// Positions of the markers beside the text, row after row, and where each row's end; no ends where the form has none.
  private var besidePositions = GrowingBuffer<Int32>(for: "positions of markers")
  private var besideEnds = GrowingBuffer<Int>(for: "positions of markers")
  /// Of each row's text: rows with the same text have the same.
  private var textHashes = GrowingBuffer<UInt64>(for: "rows")
  private let hasMarkersBeside: Bool
  private let narrow: Bool
  private var scratch = InputEncoder.Scratch()
  private var example = EncodedExample()
  private let places: HeadPlaces
  private var rowSpans: [Int32] = []
  /// Rows that were longer than the model's maximum.
  private(set) var croppedRows = 0

  package init(_ model: Model) {
    self.model = model
    hasMarkersBeside = model.configuration.hasMarkersBeside
    places = HeadPlaces(model.configuration)
    narrow = model.configuration.vocabularySize <= 65_536
  }

  package var count: Int { max(0, starts.count - 1) }
  package var tokenCount: Int { types.count }

  package func removeAll() {
    narrowIDs.removeAll()
    wideIDs.removeAll()
    types.removeAll()
    starts.removeAll()
    spans.removeAll()
    routes.removeAll()
    besidePositions.removeAll()
    besideEnds.removeAll()
    textHashes.removeAll()
    croppedRows = 0
  }

  /// `view` has been validated.
  func append(_ view: ExampleView) throws(KluereError) {
    try model.encode(view, &scratch, into: &example)
    if starts.count == 0 { try starts.append(0) }
    for id in example.ids {
      if narrow { try narrowIDs.append(UInt16(truncatingIfNeeded: id)) } else { try wideIDs.append(id) }
    }
    for type in example.types { try types.append(UInt8(truncatingIfNeeded: type)) }
    var hash: UInt64 = 0
    for place in 0..<example.textCount {
      let type = UInt8(truncatingIfNeeded: example.types[place])
      hash = (hash ^ (UInt64(UInt32(bitPattern: example.ids[place])) << 8 | UInt64(type))) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 32
    }
    try textHashes.append(hash)
    try starts.append(types.count)
    places.read(example, into: &rowSpans)
    for number in rowSpans { try spans.append(number) }
    if hasMarkersBeside {
      for position in example.besidePositions { try besidePositions.append(position) }
      try besideEnds.append(besidePositions.count)
    }
    if let types = model.types { try routes.append(types.route(view.subject.type, view.object.type)) }
    if example.croppedCount > 0 { croppedRows += 1 }
  }

  /// Examples as a caller gave them; the first that is none ends it and is named.
  package func append(_ examples: [ExampleView]) throws(KluereError) {
    for (index, example) in examples.enumerated() {
      do throws(KluereError) { try example.validate() } catch {
        throw KluereError(error.status, "examples[\(index)]: \(error.message)")
      }
      try append(example)
    }
  }

  /// Rows of the same model.
  func append(contentsOf other: EncodedRows) throws(KluereError) {
    let (first, firstBeside) = (types.count, besidePositions.count)
    if starts.count == 0 { try starts.append(0) }
    try narrowIDs.append(contentsOf: UnsafeBufferPointer(other.narrowIDs.elements))
    try wideIDs.append(contentsOf: UnsafeBufferPointer(other.wideIDs.elements))
    try types.append(contentsOf: UnsafeBufferPointer(other.types.elements))
    try spans.append(contentsOf: UnsafeBufferPointer(other.spans.elements))
    try routes.append(contentsOf: UnsafeBufferPointer(other.routes.elements))
    try besidePositions.append(contentsOf: UnsafeBufferPointer(other.besidePositions.elements))
    for end in other.starts.elements.dropFirst() { try starts.append(first + end) }
    for end in other.besideEnds.elements { try besideEnds.append(firstBeside + end) }
    try textHashes.append(contentsOf: UnsafeBufferPointer(other.textHashes.elements))
    croppedRows += other.croppedRows
  }

  func append(_ dataset: Dataset) throws(KluereError) {
    for row in 0..<dataset.count { try append(dataset.example(row)) }
  }

  /// Replaces every row's route by that of a training row with its label.
  func keepLabels(_ labels: [Int32], _ types: inout TypeRoutes) throws(KluereError) {
    for row in 0..<routes.count where labels.indices.contains(row) {
      let route = routes.elements[row]
      routes.elements[row] = try types.training(route, label: Int(labels[row]))
    }
  }

  /// Tokens of row `row`; 0 <= row < count.
  func length(_ row: Int) -> Int { starts.elements[row + 1] - starts.elements[row] }

  /// Those of them that markers beside its text are not.
  func textLength(_ row: Int) -> Int { length(row) - beside(row).count }

  func textHash(_ row: Int) -> UInt64 { textHashes.elements[row] }

  private func beside(_ row: Int) -> Range<Int> {
    guard hasMarkersBeside else { return 0..<0 }
    return (row == 0 ? 0 : besideEnds.elements[row - 1])..<besideEnds.elements[row]
  }

  /// Appends row `row` to `batch`; `sample` is its number for the dropout. sharing: a text that is the row before's is not
  /// appended again, as in `TokenBatch.append`.
  func load(
    _ row: Int, sample: Int, into batch: inout TokenBatch, _ unpacked: inout Unpacked, sharing: Bool = false
  ) {
    let range = starts.elements[row]..<starts.elements[row + 1]
    unpacked.ids.removeAll(keepingCapacity: true)
    unpacked.types.removeAll(keepingCapacity: true)
    for place in range {
      unpacked.ids.append(narrow ? Int32(narrowIDs.elements[place]) : wideIDs.elements[place])
      unpacked.types.append(Int32(types.elements[place]))
    }
    let route = row < routes.count ? routes.elements[row] : 0
    unpacked.spans.removeAll(keepingCapacity: true)
    for place in row * places.count..<(row + 1) * places.count { unpacked.spans.append(spans.elements[place]) }
    unpacked.beside.removeAll(keepingCapacity: true)
    for place in beside(row) { unpacked.beside.append(besidePositions.elements[place]) }
    batch.append(
      ids: unpacked.ids, types: unpacked.types, spans: unpacked.spans, sample: UInt32(clamping: sample), route: route,
      besidePositions: unpacked.beside, sharing: sharing)
  }

  /// Room for one row on its way into a batch, kept between rows.
  struct Unpacked {
    fileprivate var ids: [Int32] = []
    fileprivate var types: [Int32] = []
    fileprivate var spans: [Int32] = []
    fileprivate var beside: [Int32] = []
  }
}

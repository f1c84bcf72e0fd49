internal import KluereBase

/// Which rows of a batch are read of its last hidden states: the top layer computes those alone. Host memory, kept between
/// batches.
struct ReadRows {
  /// Rows of the batch, ascending; none: all are read.
  private(set) var rows: [Int32] = []
  /// Sequence s has offsets[s] ..< offsets[s + 1] of them.
  private(set) var offsets: [Int32] = []
  /// The most of a sequence.
  private(set) var longest = 0
  /// How many of a sequence's are its text's.
  private(set) var ofTexts: [Int32] = []
  /// For each row of the batch its number among `rows`, -1 if it is not read.
  private var places: [Int32] = []

  var isAll: Bool { rows.isEmpty }

  /// All of them.
  mutating func take(_ batch: TokenBatch) { begin(batch) }

  /// Those of a classifier's features.
  mutating func take(_ batch: TokenBatch, of plan: HeadPlan) throws(KluereError) {
    guard plan.features.count > 1 else { return try takeFirst(batch) }
    begin(batch)
    let count = 2 * plan.features.count * batch.sequenceCount
    guard batch.spans.count == count else {
      throw KluereError(
        .internal, "head: the batch has \(batch.spans.count) numbers for \(plan.features.count) features")
    }
    for span in stride(from: 0, to: count, by: 2) {
      try mark(Int(batch.spans[span]), Int(batch.spans[span + 1]))
    }
    close(batch)
  }

  /// The first of each sequence.
  mutating func takeFirst(_ batch: TokenBatch) throws(KluereError) {
    begin(batch)
    for text in batch.texts { try mark(Int(text.begin), Int(text.begin) + 1) }
    close(batch)
  }

  /// These, in any order.
  mutating func take(_ batch: TokenBatch, rows wanted: [Int32]) throws(KluereError) {
    begin(batch)
    for row in wanted { try mark(Int(row), Int(row) + 1) }
    close(batch)
  }

  /// Where the row is in the last hidden states; nil if it is not.
  func place(of row: Int32) -> Int32? {
    guard row >= 0, Int(row) < places.count else { return nil }
    if isAll { return row }
    let place = places[Int(row)]
    return place < 0 ? nil : place
  }

  private mutating func begin(_ batch: TokenBatch) {
    rows.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    ofTexts.removeAll(keepingCapacity: true)
    longest = 0
    places.removeAll(keepingCapacity: true)
    places.append(contentsOf: repeatElement(-1, count: batch.tokenCount))
  }

  private mutating func mark(_ begin: Int, _ end: Int) throws(KluereError) {
    guard begin >= 0, begin <= end, end <= places.count else {
      throw KluereError(.internal, "head: rows \(begin) to \(end) of \(places.count) tokens")
    }
    for row in begin..<end { places[row] = 0 }
  }

  /// Numbers what is marked. More than half of the rows: all, since those that are left out cost memory and copies of others.
  private mutating func close(_ batch: TokenBatch) {
    let count = places.reduce(0) { $1 < 0 ? $0 : $0 + 1 }
    guard count > 0, 2 * count <= places.count else { return }
    offsets.append(0)
    for sequence in 0..<batch.sequenceCount {
      let (before, textEnd) = (rows.count, batch.ownText(sequence).upperBound)
      var ofText: Int32 = 0
      for row in Int(batch.offsets[sequence])..<Int(batch.offsets[sequence + 1]) where places[row] >= 0 {
        places[row] = Int32(clamping: rows.count)
        rows.append(Int32(clamping: row))
        if row < textEnd { ofText += 1 }
      }
      ofTexts.append(ofText)
      longest = max(longest, rows.count - before)
      offsets.append(Int32(clamping: rows.count))
    }
  }
}

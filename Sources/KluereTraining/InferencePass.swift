internal import CKluereSupport
internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereModel

/// What the numbers of a row are. Raw values are those of KLUERE_OUTPUT_*.
package enum PredictionOutput: Int32, Sendable {
  case probabilities = 0
  case logits = 1
}

/// Encoded rows in, logits or probabilities out. Rows are sorted by length and packed into batches of at most
/// `batchTokens` (at least one row); no row's bits depend on the rows beside it. Rows with the same text, as the pairs of
/// one sentence have where a model's markers stand beside the text, are computed with one text. Memory is kept between calls.
final class InferencePass {
  private let context: Context
  private let classes: Int
  private let batchTokens: Int
  private let network: Network
  private var batch: TokenBatch
  private var unpacked = EncodedRows.Unpacked()
  /// Rows by falling length of their texts, those with the same text side by side: from the highest bit on, 21 of
  /// (largest length - length), 11 of the text's hash, 32 of the row.
  private var order = Workspace<UInt64>(for: "predictions")
  /// Tokens that the last run computed; a text that rows share counts once.
  private(set) var computedTokens = 0
  private var results = Workspace<Float>(for: "predictions")

  /// `context`: where it computes; nil: on the model's.
  init(_ model: Model, _ precision: Precision, batchTokens: Int, types: TypeRoutes?, on context: Context? = nil) {
    self.context = context ?? model.context
    classes = model.labels.count
    self.batchTokens = batchTokens
    network = Network(
      model.configuration, model.layout, on: self.context, precision: precision, training: false,
      types: types)
    batch = TokenBatch(model.configuration)
  }

  /// Overwrites `logits` and `probabilities` [rows, classes], whichever is wanted, in the order of the rows; neither is
  /// touched when this throws. `weights` is called once there are rows; `stop` is asked between batches.
  func run(
    _ rows: EncodedRows, _ weights: () throws(KluereError) -> NetworkWeights,
    logits: UnsafeMutableBufferPointer<Float>?, probabilities: UnsafeMutableBufferPointer<Float>?,
    stop: () -> Bool = { false }
  ) throws(KluereError) {
    guard rows.count > 0 else { return }
    try sort(rows)
    let wanted = (logits == nil ? 0 : 1) + (probabilities == nil ? 0 : 1)
    guard let size = rows.count.product(classes)?.product(wanted) else {
      throw KluereError(.outOfMemory, "predictions: \(rows.count) rows of \(classes) labels do not fit in memory")
    }
    // Whole before the caller's memory is touched.
    try results.resize(size)
    let weights = try weights()
    computedTokens = 0
    var done = 0
    while done < rows.count {
      if stop() { throw KluereError(.cancelled, "stopped on request after \(done) of \(rows.count) rows") }
      let end = fill(rows, from: done)
      try context.exclusive { () throws(KluereError) in
        try compute(
          rows: done..<end, of: rows.count, weights, logits: logits != nil, probabilities: probabilities != nil)
      }
      done = end
    }
    if let logits { scatter(0, into: logits) }
    if let probabilities { scatter(logits == nil ? 0 : rows.count * classes, into: probabilities) }
  }

  private func sort(_ rows: EncodedRows) throws(KluereError) {
    guard rows.count <= Int(UInt32.max) else {
      throw KluereError(.invalidArgument, "predictions: \(rows.count) rows, expected at most \(UInt32.max)")
    }
    try order.resize(rows.count)
    let keys = order.elements
    for row in 0..<rows.count {
      let length = UInt64(min(rows.textLength(row), InferencePass.longestSorted))
      let fall = UInt64(InferencePass.longestSorted) - length
      keys[row] = fall << 43 | (rows.textHash(row) & 0x7FF) << 32 | UInt64(row)
    }
    heapSort(keys)
  }

  private static let longestSorted = (1 << 21) - 1
  /// [CLS], a piece, [SEP]
  private static let fewestTokens = 3

  private func row(_ place: Int) -> Int { Int(order.elements[place] & 0xFFFF_FFFF) }

  /// Puts rows from place `start` on into the batch; returns the place after the last one.
  private func fill(_ rows: EncodedRows, from start: Int) -> Int {
    batch.removeAll()
    var place = start
    var cost = 0
    while place < rows.count {
      let row = row(place)
      let shares = place > start && rows.textHash(row) == rows.textHash(self.row(place - 1))
      // A row has memory of its own for the head, though it may have no token: it counts as the shortest input.
      cost += max(InferencePass.fewestTokens, rows.length(row) - (shares ? rows.textLength(row) : 0))
      if place > start, cost > batchTokens { break }
      rows.load(row, sample: 0, into: &batch, &unpacked, sharing: shares)
      place += 1
    }
    computedTokens += batch.tokenCount
    return place
  }

  private func compute(
    rows: Range<Int>, of count: Int, _ weights: NetworkWeights, logits: Bool, probabilities: Bool
  ) throws(KluereError) {
    guard let base = results.elements.baseAddress else { return }
    let device = try network.forward(weights, batch)
    let bytes = rows.count * classes * MemoryLayout<Float>.size
    if logits { try context.backend.copyOut(base + rows.lowerBound * classes, device, bytes: bytes) }
    if probabilities {
      try context.backend.softmax(device, device, rows: rows.count, classes: classes)
      let start = (logits ? count * classes : 0) + rows.lowerBound * classes
      try context.backend.copyOut(base + start, device, bytes: bytes)
    }
  }

  /// Results from `start` on, which lie in the order of computation, into the caller's.
  private func scatter(_ start: Int, into out: UnsafeMutableBufferPointer<Float>) {
    for place in 0..<order.elements.count {
      let target = row(place) * classes
      let source = start + place * classes
      for column in 0..<classes { out[target + column] = results.elements[source + column] }
    }
  }
}

/// Ascending, in place: needs no memory, so that it cannot fail.
private func heapSort(_ keys: UnsafeMutableBufferPointer<UInt64>) {
  func siftDown(_ start: Int, _ end: Int) {
    var root = start
    while 2 * root + 1 < end {
      var child = 2 * root + 1
      if child + 1 < end, keys[child] < keys[child + 1] { child += 1 }
      if keys[root] >= keys[child] { return }
      keys.swapAt(root, child)
      root = child
    }
  }
  for start in stride(from: keys.count / 2 - 1, through: 0, by: -1) { siftDown(start, keys.count) }
  for end in stride(from: keys.count - 1, to: 0, by: -1) {
    keys.swapAt(0, end)
    siftDown(0, end)
  }
}

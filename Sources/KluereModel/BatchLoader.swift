internal import KluereBase
internal import KluereCompute

/// The sizes that one pass works with.
struct BatchShape: Hashable {
  private(set) var tokens = 0
  private(set) var sequences = 0
  /// At least the length of the longest sequence.
  private(set) var longest = 0
  /// Rows that the top layer computes; 0: all.
  private(set) var read = 0
  /// At least the most of them in a sequence.
  private(set) var longestRead = 0
  /// Rounded up, so that few shapes stand for all: the rows and sequences beyond the batch are empty.
  private(set) var isPadded = false
  /// Whether markers stand beside texts.
  private(set) var hasMarkersBeside = false

  init() {}

  init(_ batch: TokenBatch, _ reads: ReadRows, padded: Bool) {
    tokens = batch.tokenCount
    sequences = batch.sequenceCount
    for sequence in 0..<sequences { longest = max(longest, batch.longestKeys(sequence)) }
    hasMarkersBeside = batch.hasMarkersBeside
    read = reads.rows.count
    longestRead = reads.longest
    guard padded, tokens <= BatchShape.largestPadded else { return }
    isPadded = true
    tokens = BatchShape.roundedUp(tokens, to: 64)
    longest = (longest + 63) / 64 * 64
    sequences = BatchShape.power(sequences, from: 1)
    guard read > 0 else { return }
    read = BatchShape.roundedUp(read, to: 16)
    longestRead = BatchShape.power(longestRead, from: 4)
  }

  /// Room for so much.
  init(tokens: Int, sequences: Int, read: Int) {
    self.tokens = tokens
    self.sequences = sequences
    self.read = read
    hasMarkersBeside = true  // whatever comes
  }

  /// Rows that the top layer computes.
  var topRows: Int { read > 0 ? read : tokens }

  /// Larger batches gain nothing from a recording: the device is busy longer than the host needs to ask for more.
  private static let largestPadded = 4096

  /// To 1, 2, 3, 4, 6, 8, 12, 16, ... times `step`: at most a third more beyond the first.
  private static func roundedUp(_ count: Int, to step: Int) -> Int {
    var step = step
    while count > 4 * step { step *= 2 }
    return (count + step - 1) / step * step
  }

  /// Doubles `first` until it is enough.
  private static func power(_ count: Int, from first: Int) -> Int {
    var power = first
    while power < count { power *= 2 }
    return power
  }
}

/// Puts a batch's numbers into device memory. Its own memory is kept between batches, so that one costs no allocation.
struct BatchLoader {
  private var numbers: [Int32] = []
  private var firstRows: [Int32] = []
  private var samples: [UInt32] = []
  private var zeros: [Int32] = []

  mutating func load(
    _ batch: TokenBatch, _ shape: BatchShape, _ reads: ReadRows, firstPosition: Int32, into memory: NetworkMemory,
    on backend: any Backend
  ) throws(KluereError) {
    guard let ids = memory.ids, let positions = memory.positions, let types = memory.types,
      let tokenSamples = memory.samples, let inSentence = memory.positionsInSentence, let offsets = memory.offsets,
      let first = memory.head.firstRows, let sequenceSamples = memory.head.samples, let zero = memory.head.zeros
    else { throw KluereError(.internal, "network: no memory for a batch") }
    firstRows.removeAll(keepingCapacity: true)
    samples.removeAll(keepingCapacity: true)
    zeros.removeAll(keepingCapacity: true)
    for sequence in 0..<shape.sequences {
      let row = sequence < batch.sequenceCount ? batch.texts[sequence].begin : 0
      firstRows.append(reads.place(of: row) ?? 0)  // a head that takes more reads its spans
      samples.append(batch.samples[Int(row)])
      zeros.append(0)
    }
    if shape.isPadded {
      try copyIn(ids, batch.ids, padding: 0, to: shape.tokens, on: backend)
      try copyIn(positions, batch.positions, padding: firstPosition, to: shape.tokens, on: backend)
      try copyIn(types, batch.types, padding: 0, to: shape.tokens, on: backend)
      // An empty sequence begins and ends behind the last token.
      try copyIn(
        offsets, batch.offsets, padding: Int32(clamping: batch.tokenCount), to: shape.sequences + 1, on: backend)
    } else {
      try backend.copyIn(ids, batch.ids)
      try backend.copyIn(positions, batch.positions)
      try backend.copyIn(types, batch.types)
      try backend.copyIn(tokenSamples, batch.samples)
      try backend.copyIn(inSentence, batch.positionsInSentence)
      try backend.copyIn(offsets, batch.offsets)
    }
    if let texts = memory.texts {
      try copyIn(texts, batch, to: shape.sequences, on: backend) { Int32(clamping: batch.ownText($0).count) }
    }
    if let read = memory.read { try load(batch, shape, reads, into: read, on: backend) }
    try backend.copyIn(first, firstRows)
    try backend.copyIn(sequenceSamples, samples)
    try backend.copyIn(zero, zeros)
  }

  private mutating func load(
    _ batch: TokenBatch, _ shape: BatchShape, _ reads: ReadRows, into read: ReadRowNumbers, on backend: any Backend
  ) throws(KluereError) {
    // Rows beyond those of the batch are any row, and belong to no sequence.
    try copyIn(read.rows, reads.rows, padding: 0, to: shape.read, on: backend)
    try copyIn(
      read.offsets, reads.offsets, padding: Int32(clamping: reads.rows.count), to: shape.sequences + 1, on: backend)
    if let texts = read.texts {
      try copyIn(texts, batch, to: shape.sequences, on: backend) { reads.ofTexts[$0] }
    }
    if shape.isPadded { return }
    try copyIn(read.samples, count: shape.read, on: backend) {
      Int(Int32(bitPattern: batch.samples[Int(reads.rows[$0])]))
    }
    try copyIn(read.positions, count: shape.read, on: backend) {
      Int(batch.positionsInSentence[Int(reads.rows[$0])])
    }
  }

  /// What a head needs beyond [CLS]: its features' rows, and the orders of rows that put blocks side by side and apart.
  mutating func loadSpans(
    _ batch: TokenBatch, _ shape: BatchShape, _ reads: ReadRows, of plan: HeadPlan, into memory: HeadMemory,
    on backend: any Backend
  ) throws(KluereError) {
    if let identity = memory.identity { try copyIn(identity, count: shape.sequences, on: backend) { $0 } }
    let (joined, rows) = (plan.joined, shape.sequences)
    if let order = memory.order {
      try copyIn(order, count: rows * joined, on: backend) { $0 % joined * rows + $0 / joined }
    }
    if let inverse = memory.inverse {
      try copyIn(inverse, count: rows * joined, on: backend) { $0 % rows * joined + $0 / rows }
    }
    guard let spans = memory.spans else { return }
    let features = plan.features.count
    try copyIn(spans, count: 2 * features * rows, on: backend) { place in
      let (feature, row, end) = (place / 2 / rows, place / 2 % rows, place % 2)
      // An empty sequence of a padded batch gets any row there is.
      guard row < batch.sequenceCount else { return end }
      // `reads` has found as many spans as there are features. Rows of a span are side by side there too.
      let span = 2 * (row * features + feature)
      let first = batch.spans[span]
      return Int(reads.place(of: first) ?? 0) + (end == 0 ? 0 : Int(batch.spans[span + 1] - first))
    }
  }

  /// `PackedSequences.texts`. asking: rows of a sequence's text that ask.
  private mutating func copyIn(
    _ texts: UnsafeMutablePointer<Int32>, _ batch: TokenBatch, to count: Int, on backend: any Backend,
    asking: (Int) -> Int32
  ) throws(KluereError) {
    numbers.removeAll(keepingCapacity: true)
    for (sequence, text) in batch.texts.enumerated() {
      numbers.append(text.begin)
      numbers.append(text.count)
      numbers.append(asking(sequence))
    }
    // An empty sequence has no text.
    numbers.append(contentsOf: repeatElement(0, count: max(0, 3 * count - numbers.count)))
    try backend.copyIn(texts, numbers)
  }

  private mutating func copyIn(
    _ device: UnsafeMutablePointer<Int32>, count: Int, on backend: any Backend, _ number: (Int) -> Int
  ) throws(KluereError) {
    numbers.removeAll(keepingCapacity: true)
    for place in 0..<count { numbers.append(Int32(clamping: number(place))) }
    try backend.copyIn(device, numbers)
  }

  private mutating func copyIn(
    _ device: UnsafeMutablePointer<Int32>, _ host: [Int32], padding: Int32, to count: Int, on backend: any Backend
  ) throws(KluereError) {
    numbers.removeAll(keepingCapacity: true)
    numbers.append(contentsOf: host)
    numbers.append(contentsOf: repeatElement(padding, count: max(0, count - host.count)))
    try backend.copyIn(device, numbers)
  }
}

extension Backend {
  /// 32-bit numbers to device memory that has room for them.
  func copyIn<Element: BitwiseCopyable>(
    _ device: UnsafeMutablePointer<Int32>, _ host: [Element]
  ) throws(KluereError) {
    let bytes = host.count * MemoryLayout<Int32>.size
    // withUnsafeBytes rethrows untyped errors; a Result carries ours out.
    let result: Result<Void, KluereError> = host.withUnsafeBytes { source in
      guard let base = source.baseAddress, source.count == bytes else { return .success(()) }
      do throws(KluereError) {
        return .success(try copyIn(UnsafeMutableRawPointer(device), base, bytes: bytes))
      } catch { return .failure(error) }
    }
    try result.get()
  }
}

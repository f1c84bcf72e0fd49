/// Sentences packed one behind the other, without padding: sentence s owns tokens offsets[s] ..< offsets[s + 1]. Where
/// markers stand beside the text (`InputTemplate.beside`), a sentence's text comes first. Sentences with the same text may
/// share it: the first owns text and markers, the others markers alone.
package struct TokenBatch {
  package private(set) var ids: [Int32] = []
  /// Rows of the position table.
  package private(set) var positions: [Int32] = []
  package private(set) var types: [Int32] = []
  /// The sentence's number within the update and the token's position in it: the dropout's coordinates.
  package private(set) var samples: [UInt32] = []
  package private(set) var positionsInSentence: [UInt32] = []
  package private(set) var offsets: [Int32] = [0]
  /// Rows [begin, end) of each feature of the head, sentence after sentence; empty where it takes [CLS] alone.
  package private(set) var spans: [Int32] = []
  /// Of each sentence: its place in `TypeRoutes`, 0 where types do not matter.
  package private(set) var routes: [Int32] = []
  /// Of each sentence: its text's first row, and the text's rows.
  package private(set) var texts: [(begin: Int32, count: Int32)] = []
  /// Whether some sentence has markers beside its text.
  package private(set) var hasMarkersBeside = false
  private let firstPosition: Int32

  package init(_ configuration: ModelConfiguration) { firstPosition = configuration.firstPosition }

  package var tokenCount: Int { ids.count }
  package var sequenceCount: Int { offsets.count - 1 }

  package mutating func removeAll() {
    ids.removeAll(keepingCapacity: true)
    positions.removeAll(keepingCapacity: true)
    types.removeAll(keepingCapacity: true)
    samples.removeAll(keepingCapacity: true)
    positionsInSentence.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    offsets.append(0)
    routes.removeAll(keepingCapacity: true)
    spans.removeAll(keepingCapacity: true)
    texts.removeAll(keepingCapacity: true)
    hasMarkersBeside = false
  }

  /// The caller has encoded the sentence with `Model.encode`, so every id and type is inside its table and the length
  /// within the positions. spans: begin and end of the head's features among the sentence's tokens. besidePositions: of the
  /// markers beside the text, which are the last tokens, the positions in the text that they have. sharing: the text of the
  /// sentence before may be this one's; not in training, where every sentence has a dropout of its own.
  package mutating func append(
    ids: [Int32], types: [Int32], spans: [Int32] = [], sample: UInt32, route: Int32 = 0,
    besidePositions: [Int32] = [], sharing: Bool = false
  ) {
    let count = max(0, ids.count - besidePositions.count)
    let own = sharing && hasText(ids[..<count], types[..<count]) ? count..<ids.count : 0..<ids.count
    let start = Int32(clamping: self.ids.count)
    let text = own.lowerBound == 0 ? start : texts[texts.count - 1].begin
    for span in stride(from: 0, to: spans.count - 1, by: 2) {
      let first = spans[span] < count ? text : start - Int32(clamping: own.lowerBound)
      self.spans.append(first + spans[span])
      self.spans.append(first + spans[span + 1])
    }
    self.ids.append(contentsOf: ids[own])
    self.types.append(contentsOf: types[own])
    for place in own {
      let position = place < count ? Int32(clamping: place) : besidePositions[place - count]
      positions.append(firstPosition + position)
      samples.append(sample)
      positionsInSentence.append(UInt32(clamping: place))
    }
    offsets.append(Int32(clamping: self.ids.count))
    routes.append(route)
    texts.append((text, Int32(clamping: count)))
    if !besidePositions.isEmpty { hasMarkersBeside = true }
  }

  /// Whether the last sentence's text is this one.
  private func hasText(_ ids: ArraySlice<Int32>, _ types: ArraySlice<Int32>) -> Bool {
    guard let text = texts.last, Int(text.count) == ids.count, text.count > 0 else { return false }
    let rows = Int(text.begin)..<Int(text.begin + text.count)
    return self.ids[rows] == ids && self.types[rows] == types
  }

  /// Own rows of sentence `sequence` that are its text's.
  func ownText(_ sequence: Int) -> Range<Int> {
    let text = texts[sequence]
    return Int(text.begin)..<Int(text.begin == offsets[sequence] ? text.begin + text.count : text.begin)
  }

  /// Rows that a sentence's markers read, or its text if it has none.
  package func longestKeys(_ sequence: Int) -> Int {
    let own = Int(offsets[sequence + 1] - offsets[sequence])
    return texts[sequence].begin == offsets[sequence] ? own : own + Int(texts[sequence].count)
  }
}

/// What of a forward pass is dropped. Probabilities become thresholds of 1/65536.
package struct DropoutPlan: Sendable {
  /// Seed of the run mixed with the number of the update.
  package let seed: UInt64
  let hidden: UInt32
  let attention: UInt32
  let classifier: UInt32

  package init(seed: UInt64, hidden: Float, attention: Float, classifier: Float) {
    func threshold(_ p: Float) -> UInt32 { UInt32(clamping: Int((max(0, min(p, 1)) * 65536).rounded())) }
    self.seed = seed
    self.hidden = threshold(hidden)
    self.attention = threshold(attention)
    self.classifier = threshold(classifier)
  }

  package static let off = DropoutPlan(seed: 0, hidden: 0, attention: 0, classifier: 0)
}

/// Numbers of the places that drop; each has its own random bits.
enum DropoutSite {
  static let embedding: UInt32 = 0
  static let beforeHead: UInt32 = 1
  /// Before the output layer.
  static let insideHead: UInt32 = 2
  /// Others of a head: a step's, of its first block.
  static func head(_ number: UInt32) -> UInt32 { 16 + number }
  /// Before the output layer, one for each sample of its dropout (at most 64).
  static func output(copy: Int) -> UInt32 { copy == 0 ? insideHead : 1024 + UInt32(clamping: copy) }
  /// A layer owns 4096 numbers: two for its outputs, the rest for attention heads (at most 1024).
  static func attentionOutput(layer: Int) -> UInt32 { base(layer) }
  static func output(layer: Int) -> UInt32 { base(layer) + 1 }
  static func attention(layer: Int) -> UInt32 { base(layer) + 16 }
  private static func base(_ layer: Int) -> UInt32 { UInt32(truncatingIfNeeded: layer + 1) << 12 }
}

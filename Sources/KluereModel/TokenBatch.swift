/// Sentences packed one behind the other, without padding: sentence s owns tokens offsets[s] ..< offsets[s + 1].
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
    spans.removeAll(keepingCapacity: true)
  }

  /// The caller has encoded the sentence with `Model.encode`, so every id and type is inside its table and the length
  /// within the positions. spans: begin and end of the head's features among the sentence's tokens.
  package mutating func append(ids: [Int32], types: [Int32], spans: [Int32] = [], sample: UInt32) {
    let start = Int32(clamping: self.ids.count)
    for place in spans { self.spans.append(start + place) }
    self.ids.append(contentsOf: ids)
    self.types.append(contentsOf: types)
    for position in 0..<UInt32(clamping: ids.count) {
      positions.append(firstPosition + Int32(truncatingIfNeeded: position))
      samples.append(sample)
      positionsInSentence.append(position)
    }
    offsets.append(Int32(clamping: self.ids.count))
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

package import KluereBase

/// How rows become micro-batches.
package struct BatchRule: Sendable, Equatable {
  package var sentences: Int
  /// More than 0: at most this many tokens in place of `sentences`.
  package var tokens: Int
  package var groupByLength: Bool
  package var seed: UInt64

  package init(sentences: Int, tokens: Int, groupByLength: Bool, seed: UInt64) {
    self.sentences = sentences
    self.tokens = tokens
    self.groupByLength = groupByLength
    self.seed = seed
  }

  init(_ configuration: TrainingConfiguration) {
    self.init(
      sentences: configuration.batchSentences, tokens: configuration.batchTokens,
      groupByLength: configuration.groupByLength, seed: configuration.seed)
  }

  /// Refuses rules under which some row fits in no micro-batch, or a micro-batch of these rows in no 32-bit offset.
  /// `copies` of each row are in a micro-batch, and in its length (R-Drop).
  package func validate(lengths: [Int32], copies: Int = 1) throws(KluereError) {
    guard let longest = lengths.max() else { throw KluereError(.invalidArgument, "training: 0 rows, expected some") }
    guard lengths.count <= Int(UInt32.max) else {
      throw KluereError(.invalidArgument, "training: \(lengths.count) rows, expected at most \(UInt32.max)")
    }
    if tokens > 0, let row = lengths.firstIndex(where: { Int($0) > tokens }) {
      throw KluereError(
        .invalidArgument,
        "batch_tokens: \(tokens), but row \(row) has \(lengths[row]) tokens\(copies > 1 ? ", counted \(copies) times" : ""); "
          + "expected at least that")
    }
    if tokens == 0, min(sentences, lengths.count) * Int(longest) > Int(Int32.max) {
      throw KluereError(
        .invalidArgument,
        "batch_sentences: \(sentences) sentences of up to \(longest) tokens, expected at most \(Int32.max) tokens")
    }
  }
}

/// One epoch: every row once, cut into micro-batches. A pure function of rule, epoch and the rows' lengths.
package struct BatchPlan {
  /// Which epoch this is, from 0; nil before `make`.
  package private(set) var epoch: Int?
  /// Rows in the order in which they are trained on.
  package private(set) var order: [UInt32] = []
  /// Where each micro-batch begins in `order`, and the end of the last one.
  package private(set) var bounds: [Int] = [0]
  /// The largest micro-batch.
  package private(set) var maxTokens = 0
  package private(set) var maxSentences = 0

  package init() {}

  package var batchCount: Int { bounds.count - 1 }

  /// Plans epoch `number`. The rule has been validated with these lengths.
  package mutating func make(_ rule: BatchRule, epoch number: Int, lengths: [Int32]) {
    var random = RandomStream(seed: rule.seed, index: UInt64(truncatingIfNeeded: number))
    order.removeAll(keepingCapacity: true)
    for row in 0..<lengths.count { order.append(UInt32(clamping: row)) }
    random.shuffle(&order)
    bounds.removeAll(keepingCapacity: true)
    bounds.append(0)
    if rule.groupByLength {
      groupByLength(rule, lengths, &random)
    } else {
      cut(rule, lengths, 0..<order.count)
    }
    measure(lengths)
    epoch = number
  }

  /// Appends the bounds of the micro-batches of `range`.
  private mutating func cut(_ rule: BatchRule, _ lengths: [Int32], _ range: Range<Int>) {
    if rule.tokens == 0 {
      var start = range.lowerBound
      while start < range.upperBound {
        start = min(start + rule.sentences, range.upperBound)
        bounds.append(start)
      }
      return
    }
    var tokens = 0
    for place in range {
      let length = Int(lengths[Int(order[place])])
      if tokens > 0, tokens + length > rule.tokens {
        bounds.append(place)
        tokens = 0
      }
      tokens += length
    }
    if tokens > 0 { bounds.append(range.upperBound) }
  }

  /// The idea of Hugging Face's LengthGroupedSampler: random blocks of many micro-batches, each sorted by length and
  /// cut; here the micro-batches are then shuffled, so that lengths do not fall in a saw-tooth through the epoch.
  private mutating func groupByLength(_ rule: BatchRule, _ lengths: [Int32], _ random: inout RandomStream) {
    var perBatch = rule.sentences
    if rule.tokens > 0 {
      let total = lengths.reduce(0) { $0 + Int($1) }
      perBatch = max(1, rule.tokens * lengths.count / max(1, total))
    }
    // 50 micro-batches, or fewer so that there are about four blocks.
    let block = max(1, min(50, lengths.count / perBatch / 4)) * perBatch
    var keys: [UInt64] = []
    var start = 0
    while start < order.count {
      let end = min(start + block, order.count)
      // Longest first; among equals the shuffled order. A key carries the row in its low half.
      keys.removeAll(keepingCapacity: true)
      for place in start..<end {
        let fall = UInt32.max - UInt32(clamping: lengths[Int(order[place])])
        keys.append(UInt64(fall) << 32 | UInt64(place))
      }
      keys.sort()
      let sorted = keys.map { order[Int($0 & 0xFFFF_FFFF)] }
      order.replaceSubrange(start..<end, with: sorted)
      cut(rule, lengths, start..<end)
      start = end
    }
    shuffleBatches(&random)
  }

  private mutating func shuffleBatches(_ random: inout RandomStream) {
    var batches: [UInt32] = []
    for batch in 0..<batchCount { batches.append(UInt32(clamping: batch)) }
    random.shuffle(&batches)
    var newOrder: [UInt32] = []
    newOrder.reserveCapacity(order.count)
    var newBounds = [0]
    for batch in batches {
      newOrder.append(contentsOf: order[bounds[Int(batch)]..<bounds[Int(batch) + 1]])
      newBounds.append(newOrder.count)
    }
    order = newOrder
    bounds = newBounds
  }

  private mutating func measure(_ lengths: [Int32]) {
    maxTokens = 0
    maxSentences = 0
    for batch in 0..<batchCount {
      var tokens = 0
      for place in bounds[batch]..<bounds[batch + 1] { tokens += Int(lengths[Int(order[place])]) }
      maxTokens = max(maxTokens, tokens)
      maxSentences = max(maxSentences, bounds[batch + 1] - bounds[batch])
    }
  }
}

extension BatchRule {
  /// Updates of a run of `epochs` passes with `accumulation` micro-batches each; the last one of an epoch may have
  /// fewer. `epochs` has been validated.
  package func totalSteps(epochs: Double, accumulation: Int, lengths: [Int32]) throws(KluereError) -> Int {
    func updates(_ batches: Int) -> Int { (batches + accumulation - 1) / accumulation }
    if tokens == 0 {
      // At most 2^32 updates an epoch and 10^6 epochs: exact in a double.
      let perEpoch = updates((lengths.count + sentences - 1) / sentences)
      return max(1, Int(exactly: (Double(perEpoch) * epochs).rounded(.up)) ?? 1)
    }
    // Cut by tokens, the number of micro-batches depends on the order of the rows: each epoch is planned once here.
    guard Double(lengths.count) * epochs <= BatchRule.plannedRowsLimit else {
      throw KluereError(
        .invalidArgument,
        "epochs: \(epochs) passes over \(lengths.count) rows with batch_tokens; expected max_steps for a run so long")
    }
    var plan = BatchPlan()
    var total = 0
    let whole = Int(exactly: epochs.rounded(.down)) ?? 0
    for epoch in 0..<whole {
      plan.make(self, epoch: epoch, lengths: lengths)
      total += updates(plan.batchCount)
    }
    let rest = epochs - Double(whole)
    if rest > 0 {
      plan.make(self, epoch: whole, lengths: lengths)
      total += Int(exactly: (Double(updates(plan.batchCount)) * rest).rounded(.up)) ?? 0
    }
    return max(1, total)
  }

  /// About half a minute of planning.
  private static let plannedRowsLimit = 1e9
}

import KluereBase
import KluereTraining
import Testing

/// Lengths between 5 and 104, by a fixed rule.
private func lengths(_ count: Int) -> [Int32] { (0..<count).map { Int32(5 + ($0 * 7919) % 100) } }

private func planned(_ rule: BatchRule, _ lengths: [Int32], epoch: Int = 0) -> BatchPlan {
  var plan = BatchPlan()
  plan.make(rule, epoch: epoch, lengths: lengths)
  return plan
}

private func tokens(_ plan: BatchPlan, _ batch: Int, _ lengths: [Int32]) -> Int {
  plan.order[plan.bounds[batch]..<plan.bounds[batch + 1]].reduce(0) { $0 + Int(lengths[Int($1)]) }
}

@Test(arguments: [1, 2, 31, 32, 33, 1000], [false, true])
func `every row is trained on once an epoch, in micro-batches of the asked size`(_ count: Int, _ grouped: Bool) {
  let rule = BatchRule(sentences: 32, tokens: 0, groupByLength: grouped, seed: 42)
  let plan = planned(rule, lengths(count))
  #expect(plan.order.sorted() == (0..<UInt32(count)).map { $0 })
  #expect(plan.batchCount == (count + 31) / 32)
  #expect(plan.bounds.first == 0 && plan.bounds.last == count)
  let sizes = (0..<plan.batchCount).map { plan.bounds[$0 + 1] - plan.bounds[$0] }
  #expect(sizes.filter { $0 != 32 }.count <= 1)
  #expect(plan.maxSentences == sizes.max())
}

@Test(arguments: [104, 500, 4096], [false, true])
func `micro-batches by tokens stay within the limit and are not wastefully small`(_ limit: Int, _ grouped: Bool) {
  let lengths = lengths(777)
  let rule = BatchRule(sentences: 32, tokens: limit, groupByLength: grouped, seed: 42)
  let plan = planned(rule, lengths)
  #expect(plan.order.sorted() == (0..<777).map { UInt32($0) })
  let sizes = (0..<plan.batchCount).map { tokens(plan, $0, lengths) }
  #expect(sizes.allSatisfy { $0 > 0 && $0 <= limit })
  #expect(plan.maxTokens == sizes.max())
  if !grouped {
    // The first row of a batch did not fit into the one before.
    for batch in 1..<plan.batchCount {
      let next = Int(lengths[Int(plan.order[plan.bounds[batch]])])
      #expect(sizes[batch - 1] + next > limit)
    }
  }
}

@Test func `the order depends on seed and epoch alone`() {
  let lengths = lengths(300)
  let rule = BatchRule(sentences: 8, tokens: 0, groupByLength: false, seed: 42)
  let first = planned(rule, lengths)
  #expect(planned(rule, lengths).order == first.order)
  #expect(planned(rule, lengths, epoch: 1).order != first.order)
  var other = rule
  other.seed = 43
  #expect(planned(other, lengths).order != first.order)
  // The size of micro-batches cuts the same order: an update of 8 x 4 holds the rows of one of 32.
  other = rule
  other.sentences = 32
  #expect(planned(other, lengths).order == first.order)
  // A plan that is used again forgets the epoch before.
  var again = BatchPlan()
  again.make(rule, epoch: 3, lengths: lengths)
  again.make(rule, epoch: 0, lengths: lengths)
  #expect(again.order == first.order && again.bounds == first.bounds)
}

@Test func `the order is the same on every machine`() {
  // SplitMix64 and Fisher-Yates, computed apart from this library (a Python script of twenty lines).
  let rule = BatchRule(sentences: 4, tokens: 0, groupByLength: false, seed: 42)
  #expect(planned(rule, lengths(10)).order == [8, 1, 9, 2, 6, 0, 4, 5, 3, 7])
}

@Test func `all first rows of an epoch are about equally frequent`() {
  let rule = BatchRule(sentences: 4, tokens: 0, groupByLength: false, seed: 7)
  var counts = [Int](repeating: 0, count: 5)
  for epoch in 0..<5000 { counts[Int(planned(rule, lengths(5), epoch: epoch).order[0])] += 1 }
  // 1000 each, standard deviation 28.
  #expect(counts.allSatisfy { abs($0 - 1000) < 150 })
}

@Test func `grouping by length puts like lengths together and still mixes the batches`() {
  let lengths = lengths(3200)
  func spread(_ grouped: Bool) -> Int {
    let plan = planned(BatchRule(sentences: 32, tokens: 0, groupByLength: grouped, seed: 42), lengths)
    return (0..<plan.batchCount).reduce(0) { sum, batch in
      let own = plan.order[plan.bounds[batch]..<plan.bounds[batch + 1]].map { lengths[Int($0)] }
      return sum + Int((own.max() ?? 0) - (own.min() ?? 0))
    }
  }
  #expect(spread(true) * 10 < spread(false))
  let plan = planned(BatchRule(sentences: 32, tokens: 0, groupByLength: true, seed: 42), lengths)
  let means = (0..<plan.batchCount).map { tokens(plan, $0, lengths) }
  let falls = zip(means, means.dropFirst()).filter { $0 > $1 }.count
  #expect(falls > plan.batchCount / 4 && falls < plan.batchCount * 3 / 4)
}

@Test func `updates of a run are those of its epochs, fractions rounded up`() throws {
  let lengths = lengths(100)
  var rule = BatchRule(sentences: 32, tokens: 0, groupByLength: false, seed: 42)
  #expect(try rule.totalSteps(epochs: 3, accumulation: 1, lengths: lengths) == 12)
  #expect(try rule.totalSteps(epochs: 3, accumulation: 3, lengths: lengths) == 6)
  #expect(try rule.totalSteps(epochs: 0.3, accumulation: 1, lengths: lengths) == 2)
  #expect(try rule.totalSteps(epochs: 1e-9, accumulation: 1, lengths: lengths) == 1)
  #expect(try rule.totalSteps(epochs: 1e6, accumulation: 1, lengths: lengths) == 4_000_000)
  rule.tokens = 300
  let batches = (0..<3).map { planned(rule, lengths, epoch: $0).batchCount }
  #expect(try rule.totalSteps(epochs: 2, accumulation: 1, lengths: lengths) == batches[0] + batches[1])
  let withHalf = try rule.totalSteps(epochs: 2.5, accumulation: 1, lengths: lengths)
  #expect(withHalf == batches[0] + batches[1] + (batches[2] + 1) / 2)
  // Planning each of very many epochs would take minutes.
  #expect(throws: KluereError.self) {
    try rule.totalSteps(epochs: 1e6, accumulation: 1, lengths: [Int32](repeating: 9, count: 2000))
  }
}

@Test func `rows that fit in no micro-batch are refused by number`() {
  let rule = BatchRule(sentences: 32, tokens: 20, groupByLength: false, seed: 42)
  let error = #expect(throws: KluereError.self) { try rule.validate(lengths: [10, 20, 21]) }
  #expect(error?.message == "batch_tokens: 20, but row 2 has 21 tokens; expected at least that")
  #expect(throws: KluereError.self) { try rule.validate(lengths: []) }
  let large = BatchRule(sentences: 1 << 20, tokens: 0, groupByLength: false, seed: 42)
  #expect(throws: KluereError.self) {
    try large.validate(lengths: [Int32](repeating: 1_000_000, count: 3000))
  }
}

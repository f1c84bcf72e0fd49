import KluereBase
import KluereCompute
import KluereModel
import Testing

/// The top layer computes only the rows that the head reads: the same bits forward, the same gradients up to the order of
/// sums.
@Suite struct ReadRowsTests {
  /// Spans of one token, and of a few where the head takes an entity's pieces; some overlap.
  private func batch(_ model: Model, lengths: [Int]) -> TokenBatch {
    let plain = makeBatch(model, lengths: lengths, seed: 3)
    let count = HeadPlaces(model.configuration).count / 2
    var batch = TokenBatch(model.configuration)
    for (sample, length) in lengths.enumerated() {
      let range = Int(plain.offsets[sample])..<Int(plain.offsets[sample + 1])
      let spans = (0..<count).flatMap { feature in
        let begin = (3 * feature + sample) % length
        return [Int32(begin), Int32(min(length, begin + 1 + feature))]
      }
      batch.append(
        ids: Array(plain.ids[range]), types: Array(plain.types[range]), spans: spans, sample: UInt32(sample))
    }
    return batch
  }

  private struct Answer {
    var logits: [UInt32]
    var loss: Double
    var gradients: [Float]
  }

  private func answer(
    _ model: Model, _ batch: TokenBatch, _ dropout: DropoutPlan, _ plan: BackwardPlan = BackwardPlan(), all: Bool,
    masked: [Int32] = []
  ) throws -> Answer {
    let network = Network(
      model.configuration, model.layout, on: model.context, training: true, plan: plan, computesAllRows: all)
    let backend = model.context.backend
    let gradients = try FloatStorage(count: model.layout.count, on: backend, for: "test")
    let weights = NetworkWeights(model.weights.arena)
    let numbers = try UpdateStorage(count: 1, on: backend, for: "test")
    try backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
    var logits: [UInt32] = []
    // Twice: memory of the pass before must not matter.
    for _ in 0..<2 {
      try backend.fill(gradients.pointer, 0, count: model.layout.count)
      try backend.beginUpdate(numbers)
      if masked.isEmpty {
        let labels = (0..<batch.sequenceCount).map { Int32($0 % 4) }
        let found = try network.forward(weights, batch, dropout)
        logits = UnsafeBufferPointer(start: found, count: labels.count * 4).map(\.bitPattern)
        try network.loss(labels, scale: 1 / Float(labels.count), numbers)
      } else {
        try network.encode(weights, batch, dropout, only: masked)
        let vocabulary = model.configuration.vocabularySize
        let found = try network.maskedLogits(weights, rows: masked)
        logits = UnsafeBufferPointer(start: found, count: masked.count * vocabulary).map(\.bitPattern)
        try network.maskedLoss(
          weights, rows: masked, labels: masked.map { $0 % 7 + 3 }, scale: 1 / Float(masked.count), numbers,
          gradients: gradients)
      }
      try network.backward(weights, gradients: gradients)
    }
    return Answer(
      logits: logits, loss: numbers.pointer.pointee.lossSum,
      gradients: Array(UnsafeBufferPointer(start: gradients.pointer, count: model.layout.count)))
  }

  private func expectSame(_ some: Answer, _ all: Answer, _ model: Model, _ what: String) {
    #expect(some.logits == all.logits && some.loss == all.loss, "\(what): logits or loss")
    // Some gradients are 0 but for rounding, as that of the keys' biases.
    let largest = all.gradients.reduce(0) { max($0, abs($1)) }
    for slot in model.layout.tensors {
      let range = slot.offset..<slot.offset + slot.count
      let scale = all.gradients[range].reduce(0) { max($0, abs($1)) }
      let worst = range.reduce(Float(0)) { max($0, abs(some.gradients[$1] - all.gradients[$1])) }
      #expect(worst <= 2e-6 * scale + 1e-7 * largest, "\(what), \(slot.name): off by \(worst) at values up to \(scale)")
    }
    #expect(some.gradients != [Float](repeating: 0, count: some.gradients.count))
  }

  private let dropout = DropoutPlan(seed: 99, hidden: 0.2, attention: 0.3, classifier: 0.1)
  private let lengths = [40, 17, 50, 1, 64]

  @Test(arguments: RelationHead.allCases, [1, 2])
  func `a head's rows alone give what they give among all`(head: RelationHead, layers: Int) throws {
    let model = try makeModel(try makeContext()) {
      $0.head = head
      $0.layerCount = layers
      $0.family = layers == 1 ? .roberta : .bert
      $0.hiddenSize = 21
    }
    let batch = batch(model, lengths: lengths)
    expectSame(
      try answer(model, batch, dropout, all: false), try answer(model, batch, dropout, all: true), model, head.name)
  }

  @Test func `embeddings of another width, and rows that nobody reads by themselves`() throws {
    let model = try makeModel(try makeContext()) {
      $0.family = .electra
      $0.embeddingSize = 10
      $0.layerCount = 1
      $0.head = .mentionPool
    }
    for lengths in [lengths, [2, 1, 3]] {
      let batch = batch(model, lengths: lengths)
      expectSame(
        try answer(model, batch, dropout, all: false), try answer(model, batch, dropout, all: true), model, "electra")
    }
  }

  @Test func `frozen layers and layers that are computed again`() throws {
    let model = try makeModel(try makeContext()) {
      $0.layerCount = 3
      $0.head = .entityStart
    }
    let batch = batch(model, lengths: lengths)
    let whole = try answer(model, batch, dropout, all: false)
    var again = BackwardPlan()
    again.recomputesLayers = true
    #expect(try answer(model, batch, dropout, again, all: false).gradients == whole.gradients)
    for frozen in 0...3 {
      for recomputes in [false, true] {
        var plan = BackwardPlan()
        plan.freezesEmbeddings = true
        plan.frozenLayers = frozen
        plan.recomputesLayers = recomputes
        expectSame(
          try answer(model, batch, dropout, plan, all: false), try answer(model, batch, dropout, plan, all: true),
          model, "\(frozen) frozen layers")
      }
    }
  }

  @Test(arguments: [1, 3]) func `masked tokens alone give what they give among all`(layers: Int) throws {
    let model = try makeModel(try makeContext()) {
      $0.task = .maskedLM
      $0.layerCount = layers
    }
    let batch = makeBatch(model, lengths: lengths, seed: 8)
    // The second sentence has none.
    let masked: [Int32] = [3, 4, 21, 60, 61, 77, 106, 107, 130, 171]
    expectSame(
      try answer(model, batch, dropout, all: false, masked: masked),
      try answer(model, batch, dropout, all: true, masked: masked), model, "\(layers) layers")
  }

  @Test(arguments: [1, 3]) func `first tokens alone give what they give among all`(layers: Int) throws {
    let model = try makeModel(try makeContext()) {
      $0.task = .encoder
      $0.family = .bert
      $0.hasPooler = true
      $0.layerCount = layers
    }
    let weights = NetworkWeights(model.weights.arena)
    // In the second batch first tokens are more than half: there all rows are read.
    for lengths in [lengths, [2, 1, 3]] {
      let batch = makeBatch(model, lengths: lengths, seed: 8)
      let count = lengths.count * model.configuration.hiddenSize
      func vectors(all: Bool) throws -> [[UInt32]] {
        let network = Network(
          model.configuration, model.layout, on: model.context, training: false, computesAllRows: all)
        try network.encodeFirst(weights, batch)
        return try [ConstantFloats(network.firstStates()), network.pool(weights)].map {
          UnsafeBufferPointer(start: $0, count: count).map(\.bitPattern)
        }
      }
      #expect(try vectors(all: false) == vectors(all: true))
    }
  }

  @Test func `all states are there after a pass that read some`() throws {
    let model = try makeModel(try makeContext()) { $0.task = .maskedLM }
    let batch = makeBatch(model, lengths: [9, 12], seed: 1)
    let weights = NetworkWeights(model.weights.arena)
    let count = 21 * model.configuration.hiddenSize
    func states(_ network: Network) throws -> [UInt32] {
      UnsafeBufferPointer(start: try network.encode(weights, batch).floats, count: count).map(\.bitPattern)
    }
    let network = Network(model.configuration, model.layout, on: model.context, training: false)
    let expected = try states(network)
    try network.encode(weights, batch, only: [20, 4, 4])
    let vocabulary = model.configuration.vocabularySize
    let some = UnsafeBufferPointer(
      start: try network.maskedLogits(weights, rows: [4, 20]), count: 2 * vocabulary
    ).map(\.bitPattern)
    // A row that was not asked for is not there.
    #expect(throws: KluereError.self) { _ = try network.maskedLogits(weights, rows: [5]) }
    #expect(throws: KluereError.self) { try network.encode(weights, batch, only: [21]) }
    #expect(try states(network) == expected)
    let all = UnsafeBufferPointer(
      start: try network.maskedLogits(weights, rows: [4, 20]), count: 2 * vocabulary
    ).map(\.bitPattern)
    #expect(some == all)
  }
}

import KluereBase
import KluereCompute
import KluereModel
import Testing

@Suite struct HeadTests {
  /// Begin and end of each feature: the last ones overlap the first.
  private func batch(_ model: Model, lengths: [Int]) -> TokenBatch {
    let plain = makeBatch(model, lengths: lengths, seed: 3)
    let count = HeadPlaces(model.configuration).count / 2
    var batch = TokenBatch(model.configuration)
    for (sample, length) in lengths.enumerated() {
      let range = Int(plain.offsets[sample])..<Int(plain.offsets[sample + 1])
      let spans = (0..<count).flatMap { [Int32($0 % length), Int32(min(length, $0 % length + 1 + sample))] }
      batch.append(
        ids: Array(plain.ids[range]), types: Array(plain.types[range]), spans: spans, sample: UInt32(sample))
    }
    return batch
  }

  private func loss(
    _ network: Network, _ model: Model, _ weights: NetworkWeights, _ batch: TokenBatch, _ labels: [Int32],
    _ dropout: DropoutPlan
  ) throws -> Double {
    _ = try network.forward(weights, batch, dropout)
    let numbers = try UpdateStorage(count: 1, on: model.context.backend, for: "test")
    try model.context.backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
    try network.loss(labels, scale: 1 / Float(labels.count), numbers)
    return numbers.pointer.pointee.lossSum / Double(labels.count * network.dropoutSamples)
  }

  @Test(arguments: RelationHead.allCases, [1, 3])
  func `gradients of a head match central differences`(head: RelationHead, samples: Int) throws {
    let model = try makeModel(try makeContext()) {
      $0.family = samples == 1 ? .bert : .roberta
      $0.head = head
    }
    let network = Network(
      model.configuration, model.layout, on: model.context, training: true, dropoutSamples: samples)
    let batch = batch(model, lengths: [5, 2, 9])
    let labels: [Int32] = [1, 0, 3]
    let plan = DropoutPlan(seed: 99, hidden: 0, attention: 0, classifier: 0.3)
    let weights = NetworkWeights(model.weights.arena)
    _ = try loss(network, model, weights, batch, labels, plan)
    let gradients = try FloatStorage(count: model.layout.count, on: model.context.backend, for: "test")
    try network.backward(weights, gradients: gradients)
    let arena = model.weights.arena.pointer
    var random = TestRandom(state: 5)
    for slot in model.layout.tensors where !slot.name.contains(".layer.0.") {
      // A random direction per tensor: one comparison covers all its elements.
      var direction = [Float](repeating: 0, count: slot.count)
      for place in direction.indices { direction[place] = random.below(2) == 0 ? 1 : -1 }
      if case .embedding(let padding) = slot.kind, padding >= 0 {
        for column in 0..<slot.columns { direction[Int(padding) * slot.columns + column] = 0 }
      }
      let before = (0..<slot.count).map { arena[slot.offset + $0] }
      let expected = direction.indices.reduce(0.0) {
        $0 + Double(gradients.pointer[slot.offset + $1]) * Double(direction[$1])
      }
      let step: Float = 1e-3
      let root = Float(slot.count).squareRoot()
      func shifted(_ sign: Float) throws -> Double {
        for place in direction.indices {
          arena[slot.offset + place] = before[place] + sign * step * direction[place] / root
        }
        defer { for place in before.indices { arena[slot.offset + place] = before[place] } }
        return try loss(network, model, weights, batch, labels, plan)
      }
      let measured = (try shifted(1) - (try shifted(-1))) / (2 * Double(step)) * Double(root)
      let scale = max(abs(expected), abs(measured), 0.05 * Double(root))
      #expect(
        abs(measured - expected) <= 2e-2 * scale,
        "\(head.name), \(slot.name): \(expected) by backward, \(measured) by differences")
    }
  }

  @Test(arguments: RelationHead.allCases) func `one dropout sample is the first of several`(head: RelationHead) throws {
    let model = try makeModel(try makeContext()) { $0.head = head }
    let batch = batch(model, lengths: [6, 3])
    let plan = DropoutPlan(seed: 7, hidden: 0, attention: 0, classifier: 0.4)
    func logits(_ samples: Int) throws -> [Float] {
      let network = Network(
        model.configuration, model.layout, on: model.context, training: true, dropoutSamples: samples)
      let found = try network.forward(NetworkWeights(model.weights.arena), batch, plan)
      return Array(UnsafeBufferPointer(start: found, count: samples * 8))
    }
    let (one, five) = (try logits(1), try logits(5))
    #expect(one == Array(five[0..<8]))
    for sample in 1..<5 { #expect(Array(five[sample * 8..<sample * 8 + 8]) != one) }
  }

  @Test func `a batch without places is refused`() throws {
    let model = try makeModel(try makeContext()) { $0.head = .entityStart }
    let network = Network(model.configuration, model.layout, on: model.context, training: false)
    let batch = makeBatch(model, lengths: [4], seed: 1)
    #expect(throws: KluereError.self) { _ = try network.forward(NetworkWeights(model.weights.arena), batch) }
  }
}

import KluereBase
import KluereCompute
import KluereModel
import Testing

@Suite struct NetworkTests {
  /// Mean loss of the batch, and its gradient in a fresh arena.
  private func gradient(_ model: Model, _ batch: TokenBatch, _ labels: [Int32], _ dropout: DropoutPlan) throws
    -> (Double, FloatStorage)
  {
    let network = Network(model.configuration, model.layout, on: model.context, training: true)
    let gradients = try FloatStorage(count: model.layout.count, on: model.context.backend, for: "test")
    let weights = NetworkWeights(model.weights.arena)
    _ = try network.forward(weights, batch, dropout)
    let numbers = try UpdateStorage(count: 1, on: model.context.backend, for: "test")
    try model.context.backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
    try network.loss(labels, scale: 1 / Float(labels.count), numbers)
    try network.backward(weights, gradients: gradients)
    return (numbers.pointer.pointee.lossSum / Double(labels.count), gradients)
  }

  private func loss(
    _ model: Model, _ weights: FloatStorage, _ batch: TokenBatch, _ labels: [Int32], _ dropout: DropoutPlan
  )
    throws -> Double
  {
    let network = Network(model.configuration, model.layout, on: model.context, training: true)
    _ = try network.forward(NetworkWeights(weights), batch, dropout)
    let numbers = try UpdateStorage(count: 1, on: model.context.backend, for: "test")
    try model.context.backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
    try network.loss(labels, scale: 1, numbers)
    return numbers.pointer.pointee.lossSum / Double(labels.count)
  }

  @Test(arguments: [ModelFamily.bert, .roberta], [Float(0), 0.3])
  func `gradients of every tensor match central differences`(family: ModelFamily, dropout: Float) throws {
    let model = try makeModel(try makeContext()) { $0.family = family }
    let batch = makeBatch(model, lengths: [5, 1, 9], seed: 3)
    try compare(
      model, batch, [1, 0, 3], DropoutPlan(seed: 99, hidden: dropout, attention: dropout, classifier: dropout))
  }

  private func compare(_ model: Model, _ batch: TokenBatch, _ labels: [Int32], _ plan: DropoutPlan) throws {
    let (_, gradients) = try gradient(model, batch, labels, plan)
    let weights = try model.copyWeights()
    var random = TestRandom(state: 5)
    for slot in model.layout.tensors {
      // A random direction per tensor: one comparison covers all its elements.
      var direction = [Float](repeating: 0, count: slot.count)
      for place in direction.indices { direction[place] = random.below(2) == 0 ? 1 : -1 }
      if case .embedding(let padding) = slot.kind, padding >= 0 {
        for column in 0..<slot.columns { direction[Int(padding) * slot.columns + column] = 0 }
      }
      var expected = 0.0
      for place in direction.indices {
        expected += Double(gradients.pointer[slot.offset + place]) * Double(direction[place])
      }
      let step: Float = 2e-3
      func shifted(_ sign: Float) throws -> Double {
        for place in direction.indices {
          weights.pointer[slot.offset + place] =
            model.weights.arena.pointer[slot.offset + place] + sign * step * direction[place]
            / Float(slot.count).squareRoot()
        }
        defer {
          for place in direction.indices {
            weights.pointer[slot.offset + place] = model.weights.arena.pointer[slot.offset + place]
          }
        }
        return try loss(model, weights, batch, labels, plan)
      }
      let measured = (try shifted(1) - (try shifted(-1))) / (2 * Double(step)) * Double(slot.count).squareRoot()
      let scale = max(abs(expected), abs(measured), 0.05 * Double(slot.count).squareRoot())
      #expect(
        abs(measured - expected) <= 2e-2 * scale, "\(slot.name): \(expected) by backward, \(measured) by differences")
    }
  }

  @Test(arguments: [Float(0), 0.3])
  func `gradients with markers beside the text match central differences`(dropout: Float) throws {
    let model = try makeModel(try makeContext()) {
      $0.inputForm = .levitatedMarker
      $0.head = .clsEntityStart
    }
    let plain = makeBatch(model, lengths: [9, 12], seed: 3)
    var batch = TokenBatch(model.configuration)
    for (sample, length) in [9, 12].enumerated() {
      let range = Int(plain.offsets[sample])..<Int(plain.offsets[sample + 1])
      let text = Int32(length - 4)
      batch.append(
        ids: Array(plain.ids[range]), types: Array(plain.types[range]),
        spans: [0, 1, text, text + 1, text + 2, text + 3], sample: UInt32(sample), besidePositions: [1, 2, 3, 3])
    }
    try compare(model, batch, [1, 3], DropoutPlan(seed: 99, hidden: dropout, attention: dropout, classifier: dropout))
  }

  @Test(arguments: [ModelFamily.bert, .roberta])
  func `packed sentences give the bits of each alone`(family: ModelFamily) throws {
    let model = try makeModel(try makeContext()) {
      $0.family = family
      $0.hiddenSize = 21
      $0.headCount = 3
      $0.intermediateSize = 37
    }
    let lengths = [7, 1, 30, 2, 17]
    let network = Network(model.configuration, model.layout, on: model.context, training: false)
    let together = makeBatch(model, lengths: lengths, seed: 11)
    let logits = try network.forward(NetworkWeights(model.weights.arena), together)
    let all = Array(UnsafeBufferPointer(start: logits, count: lengths.count * 4))
    for sequence in lengths.indices {
      var alone = TokenBatch(model.configuration)
      let range = Int(together.offsets[sequence])..<Int(together.offsets[sequence + 1])
      alone.append(ids: Array(together.ids[range]), types: Array(together.types[range]), sample: 0)
      let one = try network.forward(NetworkWeights(model.weights.arena), alone)
      #expect(Array(UnsafeBufferPointer(start: one, count: 4)) == Array(all[sequence * 4..<sequence * 4 + 4]))
    }
  }

  @Test func `packed weights give the bits of plain ones, inference those of training`() throws {
    let model = try makeModel(try makeContext()) { $0.hiddenSize = 24 }
    let batch = makeBatch(model, lengths: [9, 4], seed: 2)
    let inference = Network(model.configuration, model.layout, on: model.context, training: false)
    let training = Network(model.configuration, model.layout, on: model.context, training: true)
    let plain = Array(
      UnsafeBufferPointer(start: try inference.forward(NetworkWeights(model.weights.arena), batch), count: 8))
    let packed = Array(
      UnsafeBufferPointer(
        start: try inference.forward(try model.weightsForInference(.float32), batch), count: 8))
    let trained = Array(
      UnsafeBufferPointer(start: try training.forward(NetworkWeights(model.weights.arena), batch), count: 8))
    #expect(plain == packed)
    #expect(plain == trained)
  }

  @Test func `gradients are the same bits for any number of threads`() throws {
    func bits(_ threads: Int32) throws -> [UInt32] {
      let model = try makeModel(try makeContext(threads: threads)) {
        $0.hiddenSize = 48
        $0.intermediateSize = 96
      }
      let batch = makeBatch(model, lengths: [31, 5, 60, 12, 44, 3], seed: 4)
      let plan = DropoutPlan(seed: 7, hidden: 0.1, attention: 0.1, classifier: 0.1)
      let (_, gradients) = try gradient(model, batch, [0, 1, 2, 3, 0, 1], plan)
      return UnsafeBufferPointer(start: gradients.pointer, count: model.layout.count).map(\.bitPattern)
    }
    let one = try bits(1)
    #expect(try bits(2) == one)
    #expect(try bits(3) == one)
  }

  @Test func `dropout does not depend on how an update is cut into batches`() throws {
    let model = try makeModel(try makeContext())
    let plan = DropoutPlan(seed: 31, hidden: 0.2, attention: 0.2, classifier: 0.2)
    let network = Network(model.configuration, model.layout, on: model.context, training: true)
    let together = makeBatch(model, lengths: [6, 8], seed: 21)
    let all = Array(
      UnsafeBufferPointer(start: try network.forward(NetworkWeights(model.weights.arena), together, plan), count: 8))
    var second = TokenBatch(model.configuration)
    second.append(ids: Array(together.ids[6..<14]), types: Array(together.types[6..<14]), sample: 1)
    let alone = Array(
      UnsafeBufferPointer(start: try network.forward(NetworkWeights(model.weights.arena), second, plan), count: 4))
    #expect(alone == Array(all[4..<8]))
  }
}

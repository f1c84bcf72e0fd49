import KluereBase
import KluereCompute
import KluereData
import KluereModel
import Testing

@Suite struct TypeTests {
  /// Rows of "가 나 다" with these types and labels.
  private func dataset(_ rows: [(String, String, String)]) throws -> Dataset {
    let bytes = Array("가 나 다".utf8)
    let texts = rows.map { ($0.0.utf8.map { $0 }, $0.1.utf8.map { $0 }, $0.2.utf8.map { $0 }) }
    var options = DatasetOptions()
    options.labelOrder = .custom
    options.labels = ["no_relation", "a", "b", "c"]
    // Pointers into arrays are good while their closures run: one row at a time, then all in one dataset.
    var parts: [Dataset] = []
    for (subject, object, label) in texts {
      try bytes.withUnsafeBufferPointer { text in
        try subject.withUnsafeBufferPointer { subject in
          try object.withUnsafeBufferPointer { object in
            try label.withUnsafeBufferPointer { label in
              parts.append(
                try Dataset.create(
                  examples: [
                    ExampleView(
                      text: text, subject: Entity(begin: 0, end: 3, type: subject),
                      object: Entity(begin: 4, end: 7, type: object), label: label)
                  ], options: options))
            }
          }
        }
      }
    }
    let views = parts.map { $0.example(0) }
    return try withExtendedLifetime(parts) { try Dataset.create(examples: views, options: options) }
  }

  private func rows() throws -> Dataset {
    try dataset(
      [("PER", "ORG", "a"), ("PER", "ORG", "a"), ("PER", "ORG", "b"), ("ORG", "DAT", "no_relation")])
  }

  private func batch(_ model: Model, routes: [Int32]) -> TokenBatch {
    var batch = TokenBatch(model.configuration)
    for (sample, route) in routes.enumerated() {
      batch.append(ids: [0, 17, 18, 2], types: [0, 0, 0, 0], sample: UInt32(sample), route: route)
    }
    return batch
  }

  @Test func `a training row's own label stays possible`() throws {
    var settings = TypeMask.Settings()
    settings.hardCount = 1
    settings.inTraining = true
    let model = try makeModel(try makeContext()).with(typeMaskFrom: try rows(), settings)
    var routes = try #require(model.trainingRoutes)
    // ORG-DAT is pair 0, route 1; label 3 was never counted with it.
    let kept = try routes.training(1, label: 3)
    let others = [
      try routes.training(1, label: 3), try routes.training(1, label: 0), try routes.training(2, label: 3),
      try routes.training(0, label: 3),
    ]
    #expect(kept == 3 && others == [3, 1, 4, 0])
    let network = Network(
      model.configuration, model.layout, on: model.context, training: true, types: routes)
    let logits = try network.forward(NetworkWeights(model.weights.arena), batch(model, routes: [0, 1, kept, 2]))
    func isOut(_ row: Int, _ label: Int) -> Bool { logits[row * 4 + label] < -9000 }
    var out: [[Bool]] = []
    for row in 0..<4 { out.append((0..<4).map { isOut(row, $0) }) }
    #expect(out[0] == [false, false, false, false])
    #expect(out[1] == [false, true, true, true])
    #expect(out[2] == [false, true, true, false])
    #expect(out[3] == [false, false, false, true])
  }

  @Test func `gradients of pair heads match central differences`() throws {
    var settings = PairHeads.Settings()
    settings.random = true
    let model = try makeModel(try makeContext()).with(pairHeadsFrom: try rows(), settings)
    #expect(model.layout.pairHeadRows == 4)
    let names = model.layout.tensors.map(\.name)
    let weights = try model.copyWeights()
    // No relation and its own; PER-ORG has a block of no_relation, a and b.
    let batch = batch(model, routes: [0, 1, 2, 2])
    let labels: [Int32] = [3, 0, 1, 2]
    func loss(gradients: FloatStorage?) throws -> Double {
      let types: TypeRoutes = try #require(model.trainingRoutes)
      let network = Network(
        model.configuration, model.layout, on: model.context, training: true, types: types)
      _ = try network.forward(NetworkWeights(weights), batch)
      let numbers = try UpdateStorage(count: 1, on: model.context.backend, for: "test")
      try model.context.backend.startUpdates(numbers, lossScale: 1, goodUpdates: 0)
      try network.loss(labels, scale: 1, numbers)
      if let gradients { try network.backward(NetworkWeights(weights), gradients: gradients) }
      return numbers.pointer.pointee.lossSum
    }
    let gradients = try FloatStorage(count: model.layout.count, on: model.context.backend, for: "test")
    _ = try loss(gradients: gradients)
    for name in ["classifier.out_proj.weight", "classifier.out_proj.bias", "pair_heads.weight", "pair_heads.bias"] {
      let slot = model.layout.tensors[try #require(names.firstIndex(of: name))]
      for place in stride(from: 0, to: slot.count, by: max(1, slot.count / 5)) {
        let here = weights.pointer + slot.offset + place
        let value = here.pointee
        here.pointee = value + 1e-2
        let above = try loss(gradients: nil)
        here.pointee = value - 1e-2
        let below = try loss(gradients: nil)
        here.pointee = value
        let found = Double(gradients.pointer[slot.offset + place])
        #expect(abs(found - (above - below) / 2e-2) < 2e-4, "\(name)[\(place)]")
      }
    }
  }

  @Test func `a hard mask and pair heads exclude each other`() throws {
    var settings = TypeMask.Settings()
    settings.hardCount = 1
    let model = try makeModel(try makeContext())
    let masked = try model.with(typeMaskFrom: try rows(), settings)
    #expect(throws: KluereError.self) { try masked.with(pairHeadsFrom: try rows(), PairHeads.Settings()) }
    settings.hardCount = 0
    let both = try model.with(typeMaskFrom: try rows(), settings).with(pairHeadsFrom: try rows(), PairHeads.Settings())
    let plain = try both.withoutTypeMask().withoutPairHeads()
    #expect(plain.layout.tensors == model.layout.tensors)
  }
}

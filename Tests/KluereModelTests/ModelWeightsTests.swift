import Foundation
import KluereCompute
import KluereModel
import Testing

/// An opened model's tensors stay in the file until they are needed; whatever comes first, the bits are the same.
@Suite struct ModelWeightsTests {
  private func values(_ storage: FloatStorage) -> [Float] {
    Array(UnsafeBufferPointer(start: storage.pointer, count: storage.count))
  }

  private func read(_ model: Model, _ number: Int) throws -> [Float] {
    var out = [Float](repeating: .nan, count: model.layout.tensors[number].count)
    try out.withUnsafeMutableBufferPointer { try model.weights.read(number, into: $0) }
    return out
  }

  private func logits(_ model: Model, fewRows: Bool = false) throws -> [Float] {
    try logits(model, try model.weightsForInference(.float32, fewRows: fewRows))
  }

  private func logits(_ model: Model, _ weights: NetworkWeights) throws -> [Float] {
    let network = Network(model.configuration, model.layout, on: model.context, training: false)
    let batch = makeBatch(model, lengths: [9, 4], seed: 2)
    return Array(UnsafeBufferPointer(start: try network.forward(weights, batch), count: 8))
  }

  @Test(arguments: [false, true]) func `every way to an opened model's weights gives the same bits`(
    inMemory: Bool
  ) throws {
    let folder = NSTemporaryDirectory() + "kluere-weights-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let context = try makeContext()
    let made = try makeModel(context)
    try made.save(folder, libraryVersion: "test")
    let arena = values(try made.weights.whole())
    let expected = try logits(made)
    var options = ModelOpenOptions()
    options.readIntoMemory = inMemory
    func open() throws -> Model { try Model.open(context: context, directory: folder, options: options) }

    let predicted = try open()
    #expect(try logits(predicted) == expected)
    for (number, slot) in predicted.layout.tensors.enumerated() {
      #expect(try read(predicted, number) == Array(arena[slot.offset..<slot.offset + slot.count]), "\(slot.name)")
    }
    #expect(values(try predicted.copyWeights()) == arena)
    #expect(values(try predicted.weights.whole()) == arena)
    #expect(try logits(predicted) == expected)

    let copied = try open()
    #expect(values(try copied.copyWeights()) == arena)
    #expect(values(copied.weights.arena).allSatisfy { $0 == 0 })
    #expect(try logits(copied) == expected)

    let whole = try open()
    #expect(values(try whole.weights.whole()) == arena)
    #expect(try logits(whole) == expected)
    try whole.save(folder, libraryVersion: "test")
    #expect(values(try predicted.copyWeights()) == arena)
  }

  /// Keys and values of 12 rows each are no whole panels and packed at once; those of 32 stay in the file first.
  @Test(arguments: [(12, 2), (32, 3)]) func `calls for few rows read the file and pack layer by layer`(
    hidden: Int, calls: Int
  ) throws {
    let folder = NSTemporaryDirectory() + "kluere-weights-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let context = try makeContext(threads: 2)
    let made = try makeModel(context) {
      $0.hiddenSize = hidden
      $0.headCount = 4
    }
    try made.save(folder, libraryVersion: "test")
    let expected = try logits(made)
    func open() throws -> Model { try Model.open(context: context, directory: folder, options: ModelOpenOptions()) }

    let model = try open()
    var provisional: [NetworkWeights] = []
    for _ in 0..<10 {
      let weights = try model.weightsForInference(.float32, fewRows: true)
      #expect(try logits(model, weights) == expected)
      if weights.isProvisional { provisional.append(weights) }
    }
    #expect(provisional.count == calls)
    // What was handed out first stays good.
    for weights in provisional { #expect(try logits(model, weights) == expected) }

    // Whatever comes in between.
    let mixed = try open()
    #expect(try logits(mixed, fewRows: true) == expected)
    #expect(values(try mixed.weights.whole()) == values(try made.weights.whole()))
    #expect(try logits(mixed, fewRows: true) == expected)
    #expect(try logits(mixed) == expected)
    #expect(!(try mixed.weightsForInference(.float32, fewRows: true)).isProvisional)
    #expect(!(try open().weightsForInference(.float32)).isProvisional)
  }
}

import KluereBase
import KluereCompute
import KluereModel
import Testing

/// Sentences that share a text, and markers beside it, as batches have them.
@Suite struct TokenBatchTests {
  private struct Row {
    var ids: [Int32]
    var beside: [Int32]
    /// Of one token each, as many as the head has features.
    var places: [Int]

    func add(to batch: inout TokenBatch, sharing: Bool) {
      batch.append(
        ids: ids, types: [Int32](repeating: 0, count: ids.count), spans: places.flatMap { [Int32($0), Int32($0 + 1)] },
        sample: 0, besidePositions: beside, sharing: sharing)
    }
  }

  /// Texts of 9, 9, 9, 30 and 9 tokens; the first three and the last are the same one.
  private let rows: [Row] = {
    let text: [Int32] = [0, 7, 8, 9, 10, 11, 12, 13, 2]
    return [
      Row(ids: text + [5, 6, 7, 8], beside: [2, 3, 5, 5], places: [0, 9, 11]),
      Row(ids: text + [5, 6, 7, 8], beside: [5, 5, 2, 3], places: [0, 9, 11]),
      Row(ids: text + [5, 6, 8], beside: [1, 1, 7], places: [3, 11, 9]),
      Row(ids: (0..<30).map { 5 + $0 % 9 } + [5, 6, 7, 8], beside: [2, 3, 5, 5], places: [0, 30, 32]),
      Row(ids: text + [5, 6, 7, 8], beside: [2, 3, 5, 5], places: [0, 9, 11]),
    ]
  }()

  @Test func `a text that is the one before is not there again`() throws {
    let model = try makeModel(try makeContext())
    var batch = TokenBatch(model.configuration)
    for row in rows { row.add(to: &batch, sharing: true) }
    #expect(batch.offsets == [0, 13, 17, 20, 54, 67])
    #expect(batch.texts.map(\.begin) == [0, 0, 0, 20, 54])
    #expect(batch.texts.map(\.count) == [9, 9, 9, 30, 9])
    #expect(batch.spans[6..<18] == [0, 1, 13, 14, 15, 16, 3, 4, 19, 20, 17, 18])
    let first = model.configuration.firstPosition
    #expect(batch.positions[9..<20].map { $0 - first } == [2, 3, 5, 5, 5, 5, 2, 3, 1, 1, 7])
    #expect(batch.positionsInSentence[13..<20] == [9, 10, 11, 12, 9, 10, 11])
    #expect((0..<5).map { batch.longestKeys($0) } == [13, 13, 12, 34, 13])
    #expect(batch.hasMarkersBeside)
    // In training each has its own.
    batch.removeAll()
    for row in rows { row.add(to: &batch, sharing: false) }
    #expect(batch.offsets == [0, 13, 26, 38, 72, 85] && batch.texts.map(\.begin) == [0, 13, 26, 38, 72])
  }

  @Test(arguments: [RelationHead.clsEntityStart, .report6, .entityStart], [1, 3])
  func `sentences have the bits with a shared text that they have alone`(head: RelationHead, layers: Int) throws {
    let model = try makeModel(try makeContext(threads: 2)) {
      $0.head = head
      $0.layerCount = layers
      $0.hiddenSize = 24
      $0.inputForm = .levitatedMarker
    }
    let features = HeadPlaces(model.configuration).count / 2
    let rows = rows.map { Row(ids: $0.ids, beside: $0.beside, places: Array($0.places.suffix(features))) }
    let weights = NetworkWeights(model.weights.arena)
    func logits(_ rows: [Row], sharing: Bool, all: Bool = false) throws -> [[UInt32]] {
      var batch = TokenBatch(model.configuration)
      for row in rows { row.add(to: &batch, sharing: sharing) }
      let network = Network(
        model.configuration, model.layout, on: model.context, training: false, computesAllRows: all)
      try network.reserve(tokens: batch.tokenCount, sequences: rows.count)
      let found = try network.forward(weights, batch)
      return rows.indices.map { row in (0..<4).map { found[4 * row + $0].bitPattern } }
    }
    let alone = try rows.map { try logits([$0], sharing: false)[0] }
    #expect(Set(alone).count == 4)
    for all in [false, true] {
      #expect(try logits(rows, sharing: true, all: all) == alone)
      #expect(try logits(rows, sharing: false, all: all) == alone)
      #expect(try logits(rows.reversed(), sharing: true, all: all) == alone.reversed())
    }
  }

  @Test func `the same sentence once more costs no token`() throws {
    let model = try makeModel(try makeContext())
    var batch = TokenBatch(model.configuration)
    for _ in 0..<3 { Row(ids: [0, 7, 8, 2], beside: [], places: []).add(to: &batch, sharing: true) }
    #expect(batch.tokenCount == 4 && batch.sequenceCount == 3 && !batch.hasMarkersBeside)
    let network = Network(model.configuration, model.layout, on: model.context, training: false)
    let found = try network.forward(NetworkWeights(model.weights.arena), batch)
    let bits = (0..<12).map { found[$0].bitPattern }
    #expect(bits[0..<4] == bits[4..<8] && bits[0..<4] == bits[8..<12] && Set(bits).count == 4)
  }
}

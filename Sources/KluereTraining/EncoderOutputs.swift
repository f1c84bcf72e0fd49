package import KluereBase
internal import KluereCompute
internal import KluereData
package import KluereModel

/// How a sentence's hidden states become one vector. Raw values are KLUERE_POOLING_*.
package enum Pooling: Int32, Sendable {
  case cls = 0
  case mean = 1
  case pooler = 2
}

/// Token ids of several inputs end to end: input s owns ids offsets[s] ..< offsets[s + 1]. Borrowed and checked.
package struct TokenRows {
  let ids: UnsafeBufferPointer<Int32>
  let types: UnsafeBufferPointer<Int32>?
  let offsets: UnsafeBufferPointer<Int>

  /// Throws `.invalidArgument` for an id or type outside its table, an input that is empty or longer than the positions,
  /// and offsets that do not ascend from 0 to the number of ids.
  package init(
    ids: UnsafeBufferPointer<Int32>, types: UnsafeBufferPointer<Int32>?, offsets: UnsafeBufferPointer<Int>,
    for c: ModelConfiguration
  ) throws(KluereError) {
    guard offsets.count >= 1, offsets[0] == 0, offsets[offsets.count - 1] == ids.count else {
      throw KluereError(.invalidArgument, "offsets: expected to begin with 0 and to end with the \(ids.count) ids")
    }
    for sequence in 0..<offsets.count - 1 {
      let (begin, end) = (offsets[sequence], offsets[sequence + 1])
      guard begin >= 0, begin < end, end <= ids.count else {
        throw KluereError(
          .invalidArgument, "offsets[\(sequence + 1)]: \(end) after \(begin), expected more, and at most \(ids.count)")
      }
      guard end - begin <= c.maxPositions else {
        throw KluereError(
          .invalidArgument,
          "input \(sequence): \(end - begin) tokens, the model has \(c.maxPositions) positions")
      }
    }
    for (place, id) in ids.enumerated() where id < 0 || Int(id) >= c.vocabularySize {
      throw KluereError(.invalidArgument, "ids[\(place)]: \(id) is outside a vocabulary of \(c.vocabularySize)")
    }
    if let types {
      for (place, type) in types.enumerated() where type < 0 || Int(type) >= c.typeVocabularySize {
        throw KluereError(
          .invalidArgument, "type_ids[\(place)]: \(type), the model has \(c.typeVocabularySize) token types")
      }
    }
    self.ids = ids
    self.types = types
    self.offsets = offsets
  }

  package var count: Int { offsets.count - 1 }
  package var tokenCount: Int { ids.count }
}

/// What the encoder and its heads say about token ids, without examples and input forms. Memory is kept between calls.
final class EncoderOutputs {
  private let model: Model
  private let context: Context
  private let network: Network
  private let batchTokens: Int
  private var batch: TokenBatch
  private var hidden = Workspace<Float>(for: "hidden states")
  /// Rows of logits that are in memory at once: a row has as many as the vocabulary.
  private static let maskedRows = 256

  init(_ model: Model, _ precision: Precision, batchTokens: Int, on context: Context) {
    self.model = model
    self.context = context
    self.batchTokens = batchTokens
    network = Network(
      model.configuration, model.layout, on: context, precision: precision, training: false,
      types: model.types)
    batch = TokenBatch(model.configuration)
  }

  private var width: Int { model.configuration.hiddenSize }

  /// Last hidden states [tokens, hidden].
  func hiddenStates(
    _ rows: TokenRows, _ weights: NetworkWeights, into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    try batches(rows) { (sequences) throws(KluereError) in
      let states = try network.encode(weights, batch)
      try copy(states.floats, batch.tokenCount * width, into: out, at: rows.offsets[sequences.lowerBound] * width)
    }
  }

  /// One vector [hidden] for each input.
  func embed(
    _ rows: TokenRows, _ pooling: Pooling, normalize: Bool, _ weights: NetworkWeights,
    into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    try batches(rows) { (sequences) throws(KluereError) in
      let place = sequences.lowerBound * width
      switch pooling {
      case .cls, .pooler:
        try network.encodeFirst(weights, batch)
        let vectors = pooling == .cls ? ConstantFloats(try network.firstStates()) : try network.pool(weights)
        try copy(vectors, sequences.count * width, into: out, at: place)
      case .mean:
        let states = try network.encode(weights, batch)
        try hidden.resize(batch.tokenCount * width)
        try copy(states.floats, batch.tokenCount * width, into: hidden.elements, at: 0)
        for sequence in 0..<batch.sequenceCount {
          let rows = Int(batch.offsets[sequence])..<Int(batch.offsets[sequence + 1])
          mean(rows, into: out, at: place + sequence * width)
        }
      }
      if normalize { for sequence in sequences { self.normalize(out, at: sequence * width) } }
    }
  }

  /// Logits [inputs, labels] or probabilities of the classification head.
  func classify(
    _ rows: TokenRows, _ weights: NetworkWeights, probabilities: Bool, into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    let classes = model.labels.count
    let head = model.configuration.head
    guard !head.needsPlaces else {
      throw KluereError(
        .unsupported, "head \(head.name): token ids alone do not tell where the entities are; predict from examples")
    }
    try batches(rows) { (sequences) throws(KluereError) in
      let logits = try network.forward(weights, batch)
      if probabilities {
        try context.backend.softmax(logits, logits, rows: sequences.count, classes: classes)
      }
      try copy(logits, sequences.count * classes, into: out, at: sequences.lowerBound * classes)
    }
  }

  /// Logits [positions, vocabulary] of the masked-LM head; `positions` are places among all ids.
  func maskLogits(
    _ rows: TokenRows, at positions: UnsafeBufferPointer<Int>, _ weights: NetworkWeights,
    into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    guard model.layout.maskedLM != nil else {
      throw KluereError(.state, "model: it has no masked-LM head; open the folder with the task masked LM")
    }
    for (index, position) in positions.enumerated() where position < 0 || position >= rows.ids.count {
      throw KluereError(
        .invalidArgument, "positions[\(index)]: \(UInt(bitPattern: position)) is outside \(rows.ids.count) tokens")
    }
    let vocabulary = model.configuration.vocabularySize
    try batches(rows) { (sequences) throws(KluereError) in
      let (begin, end) = (rows.offsets[sequences.lowerBound], rows.offsets[sequences.upperBound])
      let wanted = positions.indices.filter { positions[$0] >= begin && positions[$0] < end }
      guard !wanted.isEmpty else { return }
      try network.encode(weights, batch, only: wanted.map { Int32(clamping: positions[$0] - begin) })
      for start in stride(from: 0, to: wanted.count, by: EncoderOutputs.maskedRows) {
        let part = wanted[start..<min(start + EncoderOutputs.maskedRows, wanted.count)]
        let logits = try network.maskedLogits(
          weights, rows: part.map { Int32(clamping: positions[$0] - begin) })
        for (row, index) in part.enumerated() {
          try copy(logits + row * vocabulary, vocabulary, into: out, at: index * vocabulary)
        }
      }
    }
  }

  // MARK: Parts

  /// Calls `body` for one batch after another, loaded in `batch`, with its inputs' numbers.
  private func batches(
    _ rows: TokenRows, _ body: (Range<Int>) throws(KluereError) -> Void
  ) throws(KluereError) {
    var start = 0
    while start < rows.count {
      batch.removeAll()
      var end = start
      while end < rows.count {
        let range = rows.offsets[end]..<rows.offsets[end + 1]
        if end > start, batch.tokenCount + range.count > batchTokens { break }
        let types = rows.types.map { Array($0[range]) } ?? [Int32](repeating: 0, count: range.count)
        batch.append(ids: Array(rows.ids[range]), types: types, sample: 0)
        end += 1
      }
      let sequences = start..<end
      try context.exclusive { () throws(KluereError) in try body(sequences) }
      start = end
    }
  }

  private func copy(
    _ device: UnsafePointer<Float>, _ count: Int, into out: UnsafeMutableBufferPointer<Float>, at place: Int
  ) throws(KluereError) {
    guard let base = out.baseAddress, place + count <= out.count else {
      throw KluereError(.internal, "encoder outputs: \(place + count) values, room for \(out.count)")
    }
    try context.backend.copyOut(base + place, device, bytes: count * MemoryLayout<Float>.size)
  }

  /// Mean of rows of `hidden`, summed in double precision.
  private func mean(_ rows: Range<Int>, into out: UnsafeMutableBufferPointer<Float>, at place: Int) {
    let states = hidden.elements
    for column in 0..<width {
      var sum = 0.0
      for row in rows { sum += Double(states[row * width + column]) }
      out[place + column] = Float(sum / Double(rows.count))
    }
  }

  /// To length 1, as torch.nn.functional.normalize: a vector of length 0 stays.
  private func normalize(_ out: UnsafeMutableBufferPointer<Float>, at place: Int) {
    var squares = 0.0
    for column in 0..<width { squares += Double(out[place + column]) * Double(out[place + column]) }
    let length = max(squares.squareRoot(), 1e-12)
    for column in 0..<width { out[place + column] = Float(Double(out[place + column]) / length) }
  }
}

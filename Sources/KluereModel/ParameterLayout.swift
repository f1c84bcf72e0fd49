package import KluereBase

/// One named tensor inside the flat arena of parameters.
package struct TensorSlot: Sendable, Equatable {
  /// As in model.safetensors of Hugging Face transformers.
  package let name: String
  /// 1 or 2; a vector has `columns` 1.
  package let rank: Int
  package let rows: Int
  package let columns: Int
  /// First float in the arena.
  package let offset: Int
  package let kind: Kind

  package enum Kind: Sendable {
    /// Random normal at creation.
    case weight
    /// As weight, and the row of the padding token is zero.
    case embedding(padding: Int32)
    /// 1 at creation.
    case gain
    /// 0 at creation.
    case bias
  }

  package var count: Int { rows * columns }

  package static func == (a: TensorSlot, b: TensorSlot) -> Bool {
    a.name == b.name && a.rank == b.rank && a.rows == b.rows && a.columns == b.columns && a.offset == b.offset
  }
}

/// Offsets of a linear layer's weights [out, in] and bias [out].
package struct LinearSlot: Sendable {
  package var weight: Int
  package var bias: Int
  package var out: Int
  package var width: Int
}

/// Offsets of a layer norm's gain and bias.
package struct NormSlot: Sendable {
  package var gain: Int
  package var bias: Int
}

package struct LayerSlots: Sendable {
  /// Query, key and value stand one behind the other: one product makes all three.
  package var qkv: LinearSlot
  package var attentionOutput: LinearSlot
  package var attentionNorm: NormSlot
  package var intermediate: LinearSlot
  package var output: LinearSlot
  package var outputNorm: NormSlot
}

/// Where each parameter lies in one flat arena of floats. The tensors that AdamW decays come first, biases and layer
/// norms after them, so that an update of all parameters is two calls.
package struct ParameterLayout: Sendable {
  package private(set) var tensors: [TensorSlot] = []
  /// Floats in the arena; gaps for alignment are zero and stay zero.
  package private(set) var count = 0
  /// Floats of the decaying part.
  package private(set) var decayingCount = 0
  package let word: Int
  package let position: Int
  package let type: Int
  package let embeddingNorm: NormSlot
  package let layers: [LayerSlots]
  package let headDense: LinearSlot
  package let headOutput: LinearSlot

  /// `configuration` has been validated.
  package init(_ configuration: ModelConfiguration, labelCount: Int) throws(KluereError) {
    let c = configuration
    let prefix = c.family.name + "."
    let hidden = c.hiddenSize
    var plan = Plan()

    func linearNames(_ base: String) -> (String, String) { (base + ".weight", base + ".bias") }

    // First pass: decaying tensors, in order.
    word = plan.place(
      prefix + "embeddings.word_embeddings.weight", c.vocabularySize, hidden, .embedding(padding: c.padTokenID))
    position = plan.place(
      prefix + "embeddings.position_embeddings.weight", c.positionRows, hidden,
      .embedding(padding: c.family == .roberta ? c.padTokenID : -1))
    type = plan.place(
      prefix + "embeddings.token_type_embeddings.weight", c.typeVocabularySize, hidden, .embedding(padding: -1))
    var layers: [LayerSlots] = []
    for number in 0..<c.layerCount {
      let base = prefix + "encoder.layer.\(number)."
      let query = plan.place(base + "attention.self.query.weight", hidden, hidden, .weight)
      _ = plan.place(base + "attention.self.key.weight", hidden, hidden, .weight, aligned: false)
      _ = plan.place(base + "attention.self.value.weight", hidden, hidden, .weight, aligned: false)
      let attention = plan.place(base + "attention.output.dense.weight", hidden, hidden, .weight)
      let intermediate = plan.place(base + "intermediate.dense.weight", c.intermediateSize, hidden, .weight)
      let output = plan.place(base + "output.dense.weight", hidden, c.intermediateSize, .weight)
      let none = NormSlot(gain: 0, bias: 0)
      layers.append(
        LayerSlots(
          qkv: LinearSlot(weight: query, bias: 0, out: 3 * hidden, width: hidden),
          attentionOutput: LinearSlot(weight: attention, bias: 0, out: hidden, width: hidden), attentionNorm: none,
          intermediate: LinearSlot(weight: intermediate, bias: 0, out: c.intermediateSize, width: hidden),
          output: LinearSlot(weight: output, bias: 0, out: hidden, width: c.intermediateSize), outputNorm: none))
    }
    let (dense, out) =
      switch c.family {
      case .bert: (prefix + "pooler.dense", "classifier")
      case .roberta: ("classifier.dense", "classifier.out_proj")
      }
    var headDense = LinearSlot(weight: 0, bias: 0, out: hidden, width: hidden)
    var headOutput = LinearSlot(weight: 0, bias: 0, out: labelCount, width: hidden)
    headDense.weight = plan.place(linearNames(dense).0, hidden, hidden, .weight)
    headOutput.weight = plan.place(linearNames(out).0, labelCount, hidden, .weight)
    plan.align()
    decayingCount = plan.offset

    // Second pass: biases and layer norms.
    func norm(_ base: String, _ plan: inout Plan) -> NormSlot {
      NormSlot(
        gain: plan.place(base + ".weight", hidden, nil, .gain), bias: plan.place(base + ".bias", hidden, nil, .bias))
    }
    embeddingNorm = norm(prefix + "embeddings.LayerNorm", &plan)
    for number in 0..<c.layerCount {
      let base = prefix + "encoder.layer.\(number)."
      layers[number].qkv.bias = plan.place(base + "attention.self.query.bias", hidden, nil, .bias)
      _ = plan.place(base + "attention.self.key.bias", hidden, nil, .bias, aligned: false)
      _ = plan.place(base + "attention.self.value.bias", hidden, nil, .bias, aligned: false)
      layers[number].attentionOutput.bias = plan.place(base + "attention.output.dense.bias", hidden, nil, .bias)
      layers[number].attentionNorm = norm(base + "attention.output.LayerNorm", &plan)
      layers[number].intermediate.bias = plan.place(base + "intermediate.dense.bias", c.intermediateSize, nil, .bias)
      layers[number].output.bias = plan.place(base + "output.dense.bias", hidden, nil, .bias)
      layers[number].outputNorm = norm(base + "output.LayerNorm", &plan)
    }
    headDense.bias = plan.place(linearNames(dense).1, hidden, nil, .bias)
    headOutput.bias = plan.place(linearNames(out).1, labelCount, nil, .bias)
    plan.align()

    guard !plan.overflow else {
      throw KluereError(.invalidArgument, "model configuration: the number of parameters does not fit in 64 bits")
    }
    self.layers = layers
    self.headDense = headDense
    self.headOutput = headOutput
    tensors = plan.tensors
    count = plan.offset
  }

  /// Every linear layer.
  var linears: [LinearSlot] {
    layers.flatMap { [$0.qkv, $0.attentionOutput, $0.intermediate, $0.output] } + [headDense, headOutput]
  }

  /// Whether a tensor is the weights of a linear layer, or part of them.
  func isLinear(_ slot: TensorSlot) -> Bool {
    linears.contains { slot.offset >= $0.weight && slot.offset < $0.weight + $0.out * $0.width }
  }

  /// Parameters, without the gaps.
  package var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }

  /// Hands out places in the arena.
  private struct Plan {
    var tensors: [TensorSlot] = []
    var offset = 0
    var overflow = false

    /// Rounds up to 16 floats = 64 bytes.
    mutating func align() {
      guard let padded = offset.sum(15) else {
        overflow = true
        return
      }
      offset = padded / 16 * 16
    }

    mutating func place(
      _ name: String, _ rows: Int, _ columns: Int?, _ kind: TensorSlot.Kind, aligned: Bool = true
    ) -> Int {
      if aligned { align() }
      let start = offset
      tensors.append(
        TensorSlot(
          name: name, rank: columns == nil ? 1 : 2, rows: rows, columns: columns ?? 1, offset: start, kind: kind))
      guard let size = rows.product(columns ?? 1), let end = offset.sum(size), end < Int.max / 64 else {
        overflow = true
        return start
      }
      offset = end
      return start
    }
  }
}

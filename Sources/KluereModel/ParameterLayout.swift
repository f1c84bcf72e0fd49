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

  /// Of `qkv` the part that makes queries, and the part that makes keys and values.
  var queries: LinearSlot { LinearSlot(weight: qkv.weight, bias: qkv.bias, out: qkv.width, width: qkv.width) }
  var keys: LinearSlot {
    LinearSlot(
      weight: qkv.weight + qkv.width * qkv.width, bias: qkv.bias + qkv.width, out: 2 * qkv.width, width: qkv.width)
  }
}

/// A classifier's head.
package struct ClassifierSlots: Sendable {
  /// In the order of the head's plan.
  package var layers: [LinearSlot]
  package var output: LinearSlot
}

/// dense, activation, layer norm, decoder. The decoder's weights are those of the word embeddings if they are tied.
package struct MaskedLMSlots: Sendable {
  package var dense: LinearSlot
  package var norm: NormSlot
  package var decoder: LinearSlot
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
  /// From the embedding's width to the layers', where they differ (ELECTRA).
  package let projection: LinearSlot?
  /// The encoder's dense layer over [CLS], if it has one.
  package let pooler: LinearSlot?
  package let classifier: ClassifierSlots?
  package let maskedLM: MaskedLMSlots?
  package let labelCount: Int
  /// Rows of the last layer beyond the labels', for `PairHeads`.
  package let pairHeadRows: Int

  /// `configuration` has been validated.
  package init(_ configuration: ModelConfiguration, labelCount: Int, pairHeadRows: Int = 0) throws(KluereError) {
    self.labelCount = labelCount
    self.pairHeadRows = pairHeadRows
    let c = configuration
    let names = TensorNames(c)
    let hidden = c.hiddenSize
    let width = c.embeddingWidth
    var plan = Plan()

    // First pass: decaying tensors, in order.
    word = plan.place(names.word, c.vocabularySize, width, .embedding(padding: c.padTokenID))
    position = plan.place(
      names.position, c.positionRows, width,
      .embedding(padding: c.family.countsPositionsFromPadding ? c.padTokenID : -1))
    type = plan.place(names.type, c.typeVocabularySize, width, .embedding(padding: -1))
    var projection = width == hidden ? nil : plan.linear(names.projection, hidden, width)
    var layers = (0..<c.layerCount).map { number in plan.layer(names.layer(number), c) }
    var pooler = c.task == .encoder && c.hasPooler ? plan.linear(names.pooler, hidden, hidden) : nil
    var classifier: ClassifierSlots?
    var maskedLM: MaskedLMSlots?
    let head = HeadPlan(c.head, c.family)
    switch c.task {
    case .classification:
      let own = head.layers.map { plan.linear(names.headLayer($0.name), hidden, $0.blocks * hidden) }
      var output = plan.linear(names.headOutput(c.head), labelCount, head.output.count * hidden)
      // Right behind: one product makes the scores of all blocks.
      plan.extend(&output, TensorNames.pairHeads, pairHeadRows)
      classifier = ClassifierSlots(layers: own, output: output)
    case .maskedLM:
      let dense = plan.linear(names.maskedLMDense, width, hidden)
      var decoder = LinearSlot(weight: word, bias: 0, out: c.vocabularySize, width: width)
      if !c.tiesDecoder { decoder.weight = plan.place(names.decoderWeight, c.vocabularySize, width, .weight) }
      maskedLM = MaskedLMSlots(dense: dense, norm: NormSlot(gain: 0, bias: 0), decoder: decoder)
    case .encoder: break
    }
    plan.align()
    decayingCount = plan.offset

    // Second pass: biases and layer norms.
    embeddingNorm = plan.norm(names.embeddingNorm, width)
    projection?.bias = plan.bias(names.projection, hidden)
    for number in layers.indices { plan.biases(names.layer(number), c, &layers[number]) }
    pooler?.bias = plan.bias(names.pooler, hidden)
    if classifier != nil {
      for (number, layer) in head.layers.enumerated() {
        classifier?.layers[number].bias = plan.bias(names.headLayer(layer.name), hidden)
        // That of BERT's own classifier is its pooler.
        let isPooler = names.headLayer(layer.name) == names.pooler
        if isPooler { pooler = classifier?.layers[number] }
      }
      classifier?.output.bias = plan.bias(names.headOutput(c.head), labelCount)
      if pairHeadRows > 0 {
        _ = plan.place(TensorNames.pairHeads + ".bias", pairHeadRows, nil, .bias, aligned: false)
      }
    }
    if maskedLM != nil {
      maskedLM?.dense.bias = plan.bias(names.maskedLMDense, width)
      maskedLM?.norm = plan.norm(names.maskedLMNorm, width)
      maskedLM?.decoder.bias = plan.place(names.decoderBias, c.vocabularySize, nil, .bias)
    }
    plan.align()

    guard !plan.overflow else {
      throw KluereError(.invalidArgument, "model configuration: the number of parameters does not fit in 64 bits")
    }
    self.projection = projection
    self.layers = layers
    self.pooler = pooler
    self.classifier = classifier
    self.maskedLM = maskedLM
    tensors = plan.tensors
    count = plan.offset
  }

  /// Linear layers of the encoder's layers, as a pass multiplies: the top layer makes its queries by themselves. They are also
  /// those that `WeightForm` is about: the head's rows are few, and its logits decide.
  var narrowLinears: [LinearSlot] {
    var all: [LinearSlot] = []
    for (number, layer) in layers.enumerated() {
      all += number == layers.count - 1 ? [layer.queries, layer.keys] : [layer.qkv]
      all += [layer.attentionOutput, layer.intermediate, layer.output]
    }
    return all
  }

  /// Whether a tensor has fewer bits in a `WeightForm`: it is of those layers' weights, or the word embeddings.
  func isNarrow(_ slot: TensorSlot) -> Bool {
    slot.offset == word
      || narrowLinears.contains { slot.offset >= $0.weight && slot.offset < $0.weight + $0.out * $0.width }
  }

  /// Every linear layer.
  var linears: [LinearSlot] {
    var all = narrowLinears
    if let classifier { all += classifier.layers + [classifier.output] } else { all += [pooler].compactMap { $0 } }
    all += [projection, maskedLM?.dense, maskedLM?.decoder].compactMap { $0 }
    return all
  }

  /// Whether a tensor is the weights of a linear layer, or part of them.
  func isLinear(_ slot: TensorSlot) -> Bool {
    linears.contains { slot.offset >= $0.weight && slot.offset < $0.weight + $0.out * $0.width }
  }

  static func isPairHead(_ slot: TensorSlot) -> Bool { slot.name.hasPrefix(TensorNames.pairHeads + ".") }

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

    /// Weights of a linear layer; its bias has its place later.
    mutating func linear(_ base: String, _ out: Int, _ width: Int) -> LinearSlot {
      LinearSlot(weight: place(base + ".weight", out, width, .weight), bias: 0, out: out, width: width)
    }

    /// More rows of weights directly behind those of a layer that was placed last, as a tensor of their own.
    mutating func extend(_ slot: inout LinearSlot, _ base: String, _ rows: Int) {
      guard rows > 0, let out = slot.out.sum(rows) else { return }
      _ = place(base + ".weight", rows, slot.width, .weight, aligned: false)
      slot.out = out
    }

    mutating func bias(_ base: String, _ out: Int) -> Int { place(base + ".bias", out, nil, .bias) }

    mutating func norm(_ base: String, _ width: Int) -> NormSlot {
      NormSlot(
        gain: place(base + ".weight", width, nil, .gain), bias: place(base + ".bias", width, nil, .bias))
    }

    /// The decaying tensors of a layer.
    mutating func layer(_ base: String, _ c: ModelConfiguration) -> LayerSlots {
      let hidden = c.hiddenSize
      let query = place(base + "attention.self.query.weight", hidden, hidden, .weight)
      _ = place(base + "attention.self.key.weight", hidden, hidden, .weight, aligned: false)
      _ = place(base + "attention.self.value.weight", hidden, hidden, .weight, aligned: false)
      let none = NormSlot(gain: 0, bias: 0)
      return LayerSlots(
        qkv: LinearSlot(weight: query, bias: 0, out: 3 * hidden, width: hidden),
        attentionOutput: linear(base + "attention.output.dense", hidden, hidden), attentionNorm: none,
        intermediate: linear(base + "intermediate.dense", c.intermediateSize, hidden),
        output: linear(base + "output.dense", hidden, c.intermediateSize), outputNorm: none)
    }

    /// Its other tensors.
    mutating func biases(_ base: String, _ c: ModelConfiguration, _ slots: inout LayerSlots) {
      let hidden = c.hiddenSize
      slots.qkv.bias = place(base + "attention.self.query.bias", hidden, nil, .bias)
      _ = place(base + "attention.self.key.bias", hidden, nil, .bias, aligned: false)
      _ = place(base + "attention.self.value.bias", hidden, nil, .bias, aligned: false)
      slots.attentionOutput.bias = bias(base + "attention.output.dense", hidden)
      slots.attentionNorm = norm(base + "attention.output.LayerNorm", hidden)
      slots.intermediate.bias = bias(base + "intermediate.dense", c.intermediateSize)
      slots.output.bias = bias(base + "output.dense", hidden)
      slots.outputNorm = norm(base + "output.LayerNorm", hidden)
    }
  }
}

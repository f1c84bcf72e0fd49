internal import KluereBase
internal import KluereCompute

/// What the forward pass of one layer leaves for its backward pass; tokens x the named width.
struct LayerMemory {
  /// The layer's input; the previous layer's (or the embedding's) output. [hidden]
  var input: Values
  /// The same unrounded, where values are 16-bit: the residual path stays fp32, as in PyTorch's autocast. [hidden]
  var inputStream: Floats?
  /// [3 hidden]; of the top layer keys and values alone [2 hidden].
  var qkv: Values
  /// The top layer's queries, of the rows that are read. What follows has those rows alone there. [hidden]
  var queries: Values?
  /// Of the top layer, where not all rows are read.
  var read: ReadRowValues?
  /// Attention's result before its output projection. [hidden]
  var context: Values
  /// Log of the softmax denominators. [heads, tokens]
  var lse: Floats?
  var attentionXhat: Values?
  var attentionRstd: Floats?
  /// After the first layer norm: input of the feed-forward part. [hidden]
  var middle: Values
  var middleStream: Floats?
  /// Before GELU. [intermediate]
  var pre: Values?
  var outputXhat: Values?
  var outputRstd: Floats?
  /// [hidden]
  var output: Values
  var outputStream: Floats?

  func attention(width: Int) -> AttentionValues {
    queries.map { AttentionValues(queries: $0, keys: qkv, width: width) } ?? AttentionValues(joined: qkv, width: width)
  }

  /// What the first residual sum adds to, and the second.
  func residual(_ values: Values, _ stream: Floats?) -> Values { stream.map { Values($0) } ?? values }
}

/// Of the top layer, [read rows, hidden]: its input there, as a summand and as a factor of products, and in training the
/// gradient of its output.
struct ReadRowValues {
  var summand: Floats
  var factor: Values
  var gradient: Values?
}

/// Rows that are read, their dropout's coordinates, and how many of them each sequence has.
struct ReadRowNumbers {
  var rows: UnsafeMutablePointer<Int32>
  var samples: UnsafeMutablePointer<Int32>
  var positions: UnsafeMutablePointer<Int32>
  var offsets: UnsafeMutablePointer<Int32>
  var texts: UnsafeMutablePointer<Int32>?
}

/// Memory of one forward (and backward) pass, carved from two blocks that only grow. In inference all layers share one
/// set of buffers, and so do the frozen layers that no gradient passes. Layers that are computed again share all but
/// their outputs.
struct NetworkMemory {
  private(set) var layers: [LayerMemory] = []
  private(set) var embedded: Values?
  private(set) var embeddedStream: Floats?
  /// The first layer's input, where it is not `embedded` itself (ELECTRA).
  private(set) var projected: Values?
  private(set) var embeddingXhat: Values?
  private(set) var embeddingRstd: Floats?
  /// Scratch: result of a projection [hidden]; feed-forward activation [intermediate].
  private(set) var projection: Values?
  private(set) var activation: Values?
  /// Gradients: of a layer's input (fp32 where the residual path is), of a projection, of the widest value.
  private(set) var gradient: Values?
  private(set) var wide: Values?
  /// What becomes of the gradients of frozen layer norms. [2 hidden]
  private(set) var unwantedNorm: Floats?
  private(set) var head = HeadMemory()

  private(set) var ids: UnsafeMutablePointer<Int32>?
  private(set) var positions: UnsafeMutablePointer<Int32>?
  private(set) var types: UnsafeMutablePointer<Int32>?
  private(set) var samples: UnsafeMutablePointer<Int32>?
  private(set) var positionsInSentence: UnsafeMutablePointer<Int32>?
  private(set) var offsets: UnsafeMutablePointer<Int32>?
  /// `PackedSequences.texts`; nil: no markers stand beside texts.
  private(set) var texts: UnsafeMutablePointer<Int32>?
  /// nil: all rows are read.
  private(set) var read: ReadRowNumbers?

  private var floats = GrowingStorage<Float>(for: "activations")
  private var ints = GrowingStorage<Int32>(for: "token numbers")

  /// Hands out 64-byte aligned pieces; with no base it only counts.
  struct Carver<Element> {
    var base: UnsafeMutablePointer<Element>?
    var used = 0

    mutating func take(_ count: Int) -> UnsafeMutablePointer<Element>? {
      defer { used += (count + 15) / 16 * 16 }
      return base.map { $0 + used }
    }
  }

  /// Where the blocks are now: recorded passes are good for these addresses alone.
  var addresses: [UInt] { [UInt(bitPattern: embedded?.address), UInt(bitPattern: ids)] }

  /// Lays out memory for a batch; `backward`: nil in inference. Pointers are those of the present blocks; content is
  /// undefined.
  mutating func prepare(
    _ c: ModelConfiguration, _ precision: Precision, _ shape: BatchShape, head: HeadMemory.Shape,
    backward: BackwardPlan?, on backend: any Backend
  ) throws(KluereError) {
    var counting = Carver<Float>(base: nil)
    carve(&counting, c, precision, shape, head, backward)
    var carver = Carver<Float>(base: try floats.reserve(counting.used, on: backend))
    carve(&carver, c, precision, shape, head, backward)

    var countingInts = Carver<Int32>(base: nil)
    carveInts(&countingInts, shape, head)
    var carverInts = Carver<Int32>(base: try ints.reserve(countingInts.used, on: backend))
    carveInts(&carverInts, shape, head)
  }

  private mutating func carve(
    _ carver: inout Carver<Float>, _ c: ModelConfiguration, _ precision: Precision, _ shape: BatchShape,
    _ headShape: HeadMemory.Shape, _ backward: BackwardPlan?
  ) {
    let tokens = shape.tokens
    let training = backward != nil
    // Layers whose values nobody reads again.
    let transient = backward?.firstLayer ?? c.layerCount
    let reachesEmbeddings = backward.map { !$0.freezesEmbeddings } ?? false
    func values(_ count: Int) -> Values? {
      let floats = carver.take(precision.isHalf ? (count + 1) / 2 : count)
      return floats.map { Values(UnsafeMutableRawPointer($0), precision) }
    }
    func stream(_ count: Int) -> Floats? { precision.isHalf ? carver.take(count) : nil }
    let wide = tokens * c.hiddenSize
    let keys = NetworkMemory.queriesStart(shape, c)
    let embedding = tokens * c.embeddingWidth
    embedded = values(embedding)
    // A projection (ELECTRA) comes between the embedding and the first residual sum: that one adds to its result.
    let isProjected = c.embeddingWidth != c.hiddenSize
    embeddedStream = isProjected ? nil : stream(embedding)
    embeddingXhat = reachesEmbeddings ? values(embedding) : nil
    embeddingRstd = reachesEmbeddings ? carver.take(tokens) : nil
    projection = values(wide)
    activation = values(tokens * c.intermediateSize)
    if training {
      gradient = precision.isHalf ? carver.take(wide).map { Values($0) } : values(wide)
      self.wide = values(max(keys + wide, tokens * max(c.intermediateSize, c.embeddingWidth)))
      unwantedNorm = carver.take(2 * c.hiddenSize)
    }
    layers.removeAll(keepingCapacity: true)
    projected = isProjected ? values(wide) : nil
    let first = projected ?? embedded
    var (input, inputStream) = (first, embeddedStream)
    for number in 0..<c.layerCount {
      let isTop = number == c.layerCount - 1
      let read = isTop && shape.read > 0 ? readRows(&carver, shape.read * c.hiddenSize, precision, training) : nil
      func top(_ layer: LayerMemory) -> LayerMemory {
        var layer = layer
        if isTop { (layer.queries, layer.read) = (layer.qkv + keys, read) }
        return layer
      }
      if number < transient, number > 0 {
        // The same buffers again; the first layer already writes over its own input.
        if var layer = layers.first {
          layer.inputStream = layer.outputStream
          layers.append(top(layer))
        }
        continue
      }
      if backward?.recomputesLayers == true, number > transient {
        // The lowest of these layers has the buffers that all share.
        let count = (isTop ? shape.topRows : tokens) * c.hiddenSize
        let (output, outputStream) = (values(count), stream(count))
        if var layer = layers.last, let input, let output {
          (layer.input, layer.inputStream) = (input, inputStream)
          (layer.output, layer.outputStream) = (output, outputStream)
          layers.append(top(layer))
        }
        (input, inputStream) = (output, outputStream)
        continue
      }
      let isKept = number >= transient
      let rows = isTop ? shape.topRows : tokens
      let count = rows * c.hiddenSize
      let qkv = values(keys + count)
      let context = values(count)
      let lse = isKept ? carver.take(c.headCount * rows) : nil
      let attentionXhat = isKept ? values(count) : nil
      let attentionRstd = isKept ? carver.take(rows) : nil
      let middle = values(count)
      let middleStream = stream(count)
      let pre = isKept ? values(rows * c.intermediateSize) : nil
      let outputXhat = isKept ? values(count) : nil
      let outputRstd = isKept ? carver.take(rows) : nil
      let output = isKept ? values(count) : first
      let outputStream = stream(count)
      // The counting pass has no addresses.
      guard let layerInput = input, let qkv, let context, let middle, let output else { continue }
      layers.append(
        top(
          LayerMemory(
            input: layerInput, inputStream: inputStream, qkv: qkv, context: context, lse: lse,
            attentionXhat: attentionXhat, attentionRstd: attentionRstd, middle: middle, middleStream: middleStream,
            pre: pre, outputXhat: outputXhat, outputRstd: outputRstd, output: output, outputStream: outputStream)))
      (input, inputStream) = (output, outputStream)
    }
    head.carve(&carver, headShape)
  }

  /// Where the top layer's queries begin behind the keys and values of all tokens, and their gradients likewise: on a line
  /// of its own.
  static func queriesStart(_ shape: BatchShape, _ c: ModelConfiguration) -> Int {
    (2 * shape.tokens * c.hiddenSize + 15) / 16 * 16
  }

  private func readRows(
    _ carver: inout Carver<Float>, _ count: Int, _ precision: Precision, _ training: Bool
  ) -> ReadRowValues? {
    let summand = carver.take(count)
    let half = precision.isHalf ? carver.take((count + 1) / 2) : nil
    let gradient = training ? carver.take(count) : nil
    return summand.map { summand in
      ReadRowValues(
        summand: summand,
        factor: half.map { Values(UnsafeMutableRawPointer($0), precision) } ?? Values(summand, precision),
        gradient: gradient.map { Values($0, precision.ofHead) })
    }
  }

  private mutating func carveInts(_ carver: inout Carver<Int32>, _ shape: BatchShape, _ headShape: HeadMemory.Shape) {
    let tokens = shape.tokens
    ids = carver.take(tokens)
    positions = carver.take(tokens)
    types = carver.take(tokens)
    samples = carver.take(tokens)
    positionsInSentence = carver.take(tokens)
    offsets = carver.take(headShape.sentences + 1)
    texts = shape.hasMarkersBeside ? carver.take(3 * headShape.sentences) : nil
    read = nil
    if shape.read > 0 {
      let (rows, samples) = (carver.take(shape.read), carver.take(shape.read))
      let (positions, offsets) = (carver.take(shape.read), carver.take(headShape.sentences + 1))
      let texts = shape.hasMarkersBeside ? carver.take(3 * headShape.sentences) : nil
      if let rows, let samples, let positions, let offsets {
        read = ReadRowNumbers(rows: rows, samples: samples, positions: positions, offsets: offsets, texts: texts)
      }
    }
    head.carveInts(&carver, headShape)
  }
}

internal import KluereCompute

/// The head of a classifier: what of the encoder's states decides the relation, and through which layers. Raw values are
/// KLUERE_HEAD_*; formulas and sources: docs/heads.md.
package enum RelationHead: Int32, Sendable, NamedChoice {
  /// transformers' sequence classifiers.
  case cls = 0
  /// The rest of Matching the Blanks' heads (Soares et al. 2019): a linear dense layer over [CLS], over both mentions'
  /// maxima, over both starts.
  case clsLinear = 1
  /// Zhou and Chen 2022; the fifth model of the report.
  case entityStart = 2
  case entityStartGELU = 3
  case entityStartLinear = 4
  case clsEntityStart = 5
  case mentionPool = 6
  /// Wu and He 2019.
  case rBERT = 7
  /// The fourth model of the report.
  case report4 = 8
  /// The sixth.
  case report6 = 9

  /// The value in kluere.json.
  package var name: String {
    switch self {
    case .cls: "cls"
    case .clsLinear: "cls_linear"
    case .entityStart: "entity_start"
    case .entityStartGELU: "entity_start_gelu"
    case .entityStartLinear: "entity_start_linear"
    case .clsEntityStart: "cls_entity_start"
    case .mentionPool: "mention_pool"
    case .rBERT: "r_bert"
    case .report4: "report_4"
    case .report6: "report_6"
    }
  }

  /// Whether it reads entities, whose places token ids alone do not tell.
  package var needsPlaces: Bool { self != .cls && self != .clsLinear }

  /// Whether it reads the markers of a form that has some, not the text alone.
  var readsMarkers: Bool { needsPlaces && self != .mentionPool }
}

/// What of a sentence's states a head takes: each is one row of the hidden size.
enum HeadFeature: Sendable {
  case cls
  /// The first marker that opens the entity; its first piece where the form has none.
  case subjectStart, objectStart
  /// The entity's pieces.
  case subjectPieces, objectPieces
  /// The entity's pieces and its markers.
  case subjectMarked, objectMarked

  /// Whether it is one token of any sentence.
  var isOneRow: Bool {
    switch self {
    case .cls, .subjectStart, .objectStart: true
    case .subjectPieces, .objectPieces, .subjectMarked, .objectMarked: false
    }
  }

  /// Tokens [begin, end) of the sentence, never none: an entity that shows nowhere is [CLS].
  func span(in example: EncodedExample) -> (begin: Int, end: Int) {
    func start(_ places: EntityPlaces) -> (Int, Int) {
      let place = max(0, min(places.markerBegin, example.count - 1))
      return (place, place + 1)
    }
    func marked(_ places: EntityPlaces) -> (Int, Int) {
      places.markerBegin < places.markerEnd ? (places.markerBegin, places.markerEnd) : (0, 1)
    }
    func pieces(_ places: EntityPlaces) -> (Int, Int) {
      places.begin < places.end ? (places.begin, places.end) : marked(places)
    }
    switch self {
    case .cls: return (0, 1)
    case .subjectStart: return start(example.subject)
    case .objectStart: return start(example.object)
    case .subjectPieces: return pieces(example.subject)
    case .objectPieces: return pieces(example.object)
    case .subjectMarked: return marked(example.subject)
    case .objectMarked: return marked(example.object)
    }
  }
}

/// Where a model's head looks in a sentence.
package struct HeadPlaces: Sendable {
  private let features: [HeadFeature]

  package init(_ configuration: ModelConfiguration) {
    let isRead = configuration.task == .classification && configuration.head.needsPlaces
    features = isRead ? HeadPlan(configuration.head, configuration.family).features : []
  }

  /// Numbers that `read` gives for a sentence; 0 if the head takes [CLS] alone.
  package var count: Int { 2 * features.count }

  /// Begin and end of each feature.
  package func read(_ example: EncodedExample, into out: inout [Int32]) {
    out.removeAll(keepingCapacity: true)
    for feature in features {
      let span = feature.span(in: example)
      out.append(Int32(clamping: span.begin))
      out.append(Int32(clamping: span.end))
    }
  }
}

/// A head as data. Its values are blocks of [sentences, hidden]: first what is taken from the encoder, then what the steps
/// make. Each block is read by one step or by the output layer.
struct HeadPlan {
  var features: [HeadFeature]
  /// The features' first block.
  var featureBlock = 0
  /// Each column's maximum over a feature's tokens; else their mean.
  var takesMaximum = false
  /// Rows of a sentence that it reads, nil: as many as its entities have.
  var mostRows: Int? { features.allSatisfy(\.isOneRow) ? features.count : nil }
  /// Names of the linear layers, in the order of the parameters, with how many blocks each reads at once.
  var layers: [(name: HeadLayer, blocks: Int)]
  var steps: [HeadStep]
  /// What the output layer reads, side by side, after dropout.
  var output: Range<Int>
  /// Blocks in all.
  var blockCount: Int

  enum HeadLayer {
    /// That of transformers' classifier.
    case classifierDense
    /// The encoder's tanh pooler.
    case pooler
    /// relation_head.NAME
    case own(String)
  }

  /// Blocks that a step or the output layer reads side by side; 1 where none does.
  var joined: Int { steps.reduce(output.count) { max($0, $1.isJoined ? $1.input.count : 1) } }
}

/// y = dropout(act(layer(tanh(dropout(x))))). What is side by side has no dropout before the layer, and what has tanh as its
/// activation none behind it.
struct HeadStep {
  /// Blocks read: side by side, or each by itself.
  var input: Range<Int>
  var isJoined = false
  /// The dropout's site of the first block; nil: none.
  var inputDropout: UInt32?
  var takesTanh = false
  /// Index into the plan's layers.
  var layer: Int
  var activation: Activation = .none
  var outputDropout: UInt32?
  /// First block written.
  var result: Int

  var resultCount: Int { isJoined ? 1 : input.count }
}

extension HeadPlan {
  init(_ head: RelationHead, _ family: ModelFamily) {
    func dense(_ blocks: Int) -> [(name: HeadLayer, blocks: Int)] { [(.own("dense"), blocks)] }
    /// The starts (or what else) side by side through one dense layer.
    func joined(_ features: [HeadFeature], _ activation: Activation, maximum: Bool = false) -> HeadPlan {
      let count = features.count
      return HeadPlan(
        features: features, takesMaximum: maximum, layers: dense(count),
        steps: [HeadStep(input: 0..<count, isJoined: count > 1, layer: 0, activation: activation, result: count)],
        output: count..<count + 1, blockCount: count + 1)
    }
    switch head {
    case .cls:
      // BERT: pooler, dropout, classifier. RoBERTa: dropout, dense, tanh, dropout, out_proj. ELECTRA: as RoBERTa, with GELU
      // whatever the layers have.
      self = joined([.cls], family == .electra ? .gelu : .tanh)
      layers[0].name = .classifierDense
      if family != .bert { steps[0].inputDropout = DropoutSite.beforeHead }
    case .clsLinear: self = joined([.cls], .none)
    case .entityStart: self = joined([.subjectStart, .objectStart], .relu)
    case .entityStartGELU: self = joined([.subjectStart, .objectStart], .gelu)
    case .entityStartLinear: self = joined([.subjectStart, .objectStart], .none)
    case .clsEntityStart: self = joined([.cls, .subjectStart, .objectStart], .relu)
    case .mentionPool: self = joined([.subjectPieces, .objectPieces], .none, maximum: true)
    case .rBERT:
      self = HeadPlan(
        features: [.subjectMarked, .objectMarked, .cls], featureBlock: 3,
        layers: [(.pooler, 1), (.own("cls"), 1), (.own("entity"), 1)],
        steps: [
          HeadStep(input: 5..<6, layer: 0, activation: .tanh, result: 6),
          HeadStep(input: 6..<7, inputDropout: DropoutSite.head(0), takesTanh: true, layer: 1, result: 0),
          HeadStep(input: 3..<5, inputDropout: DropoutSite.head(1), takesTanh: true, layer: 2, result: 1),
        ], output: 0..<3, blockCount: 7)
    case .report4:
      self = HeadPlan(
        features: [.subjectStart, .objectStart, .cls], featureBlock: 1,
        layers: [(.pooler, 1), (.own("dense"), 3)],
        steps: [
          HeadStep(input: 3..<4, layer: 0, activation: .tanh, result: 0),
          HeadStep(input: 0..<3, isJoined: true, layer: 1, activation: .gelu, result: 4),
        ], output: 4..<5, blockCount: 5)
    case .report6:
      self = HeadPlan(
        features: [.cls, .subjectStart, .objectStart], featureBlock: 1, layers: dense(2),
        steps: [
          HeadStep(
            input: 2..<4, isJoined: true, layer: 0, activation: .relu, outputDropout: DropoutSite.head(0), result: 0),
          HeadStep(input: 0..<2, isJoined: true, layer: 0, activation: .relu, result: 4),
        ], output: 4..<5, blockCount: 5)
    }
  }
}

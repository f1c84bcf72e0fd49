package import KluereBase
internal import KluereCompute
package import KluereData

/// How a caller wants the stored mask to be used.
package struct TypeMaskUse: Sendable, Equatable {
  package var isOff = false
  /// nil: as stored.
  package var strength: Double?

  package init() {}
}

extension ModelExtras {
  /// All pairs of types that the model knows, ascending.
  var typePairs: [TypePair] { Set((typeMask?.counts.pairs ?? []) + (pairHeads?.pairs ?? [])).sorted() }

  /// What was learned for the stored labels is of no use for others.
  mutating func fit(_ labels: LabelSet, stored: [String]?, _ context: Context, _ place: String) {
    guard typeMask != nil || pairHeads != nil else { return }
    if let stored, stored.elementsEqual(labels.names, by: { $0.utf8.elementsEqual($1.utf8) }) { return }
    typeMask = nil
    pairHeads = nil
    context.log(.warning, "\(place): its type mask and pair heads are for other labels and are left out")
  }

  /// Two ways to forbid labels by types would have to agree.
  func checkTypes() throws(KluereError) {
    guard let typeMask, pairHeads != nil, typeMask.settings.hardCount > 0 else { return }
    throw KluereError(
      .invalidArgument,
      "hard_count: a type mask with hard_count \(typeMask.settings.hardCount) and pair heads, expected one of the two: "
        + "heads of their own already leave out labels by the pair")
  }
}

extension Model {
  /// Index of the label that is always allowed.
  private var noRelation: Int? { labels.index(of: "no_relation") }

  /// Tables for prediction; nil where types change nothing.
  package func routes(_ use: TypeMaskUse) throws(KluereError) -> TypeRoutes? {
    guard var mask = extras.typeMask else {
      if let strength = use.strength {
        throw KluereError(.state, "type_mask_strength: \(strength), but the model has no type mask")
      }
      return types
    }
    if use.isOff {
      if let strength = use.strength {
        throw KluereError(.invalidArgument, "type_mask_strength: \(strength), but type_mask is off")
      }
      return TypeRoutes(nil, extras.pairHeads, extras.typePairs, labels)
    }
    guard let strength = use.strength else { return types }
    try TypeMask.Settings.check(strength, "type_mask_strength")
    mask.settings.strength = strength
    return TypeRoutes(mask, extras.pairHeads, extras.typePairs, labels)
  }

  /// Tables for training; nil where types change nothing there.
  package var trainingRoutes: TypeRoutes? {
    let mask = extras.typeMask.flatMap { $0.settings.inTraining ? $0 : nil }
    return TypeRoutes(mask, extras.pairHeads, extras.typePairs, labels)
  }

  // MARK: Type mask

  /// The same model, its weights shared, with a mask that is learned from these rows.
  package func with(
    typeMaskFrom dataset: Dataset, _ settings: TypeMask.Settings
  ) throws(KluereError) -> Model {
    try requireClassifier("type mask")
    var extras = extras.withoutFitted
    extras.typeMask = try TypeMask(try TypeCounts(dataset, labels), settings)
    try extras.checkTypes()
    return try with(extras: extras)
  }

  /// With the stored counts and other settings.
  package func with(typeMaskSettings settings: TypeMask.Settings) throws(KluereError) -> Model {
    guard let present = extras.typeMask else {
      throw KluereError(.state, "type mask: the model has none; expected a dataset to learn it from")
    }
    var extras = extras.withoutFitted
    extras.typeMask = try TypeMask(present.counts, settings)
    try extras.checkTypes()
    return try with(extras: extras)
  }

  package func withoutTypeMask() throws(KluereError) -> Model {
    guard extras.typeMask != nil else { return try with(extras: extras) }
    var extras = extras.withoutFitted
    extras.typeMask = nil
    return try with(extras: extras)
  }

  /// Log-priors of the labels for a pair of types; zeros for a pair that was never counted.
  package func typePrior(
    _ subject: UnsafeBufferPointer<UInt8>?, _ object: UnsafeBufferPointer<UInt8>?
  ) throws(KluereError) -> [Double] {
    guard let mask = extras.typeMask else { throw KluereError(.state, "type mask: the model has none") }
    guard let place = mask.counts.pairs.place(of: subject, object) else {
      return [Double](repeating: 0, count: labels.count)
    }
    return mask.prior(place)
  }

  // MARK: Pair heads

  /// A model with new blocks behind the last layer's rows; everything else is copied.
  package func with(
    pairHeadsFrom dataset: Dataset, _ settings: PairHeads.Settings
  ) throws(KluereError) -> Model {
    try requireClassifier("pair heads")
    var extras = extras.withoutFitted
    let heads = try PairHeads(try TypeCounts(dataset, labels), noRelation: noRelation, settings)
    extras.pairHeads = heads
    try extras.checkTypes()
    return try rebuilt(extras, settings)
  }

  /// The general block alone.
  package func withoutPairHeads() throws(KluereError) -> Model {
    guard extras.pairHeads != nil else { return try with(extras: extras) }
    var extras = extras.withoutFitted
    extras.pairHeads = nil
    return try rebuilt(extras, PairHeads.Settings())
  }

  private func requireClassifier(_ what: String) throws(KluereError) {
    guard layout.classifier != nil else {
      throw KluereError(.state, "\(what): the model has no classification head; open it with that task")
    }
  }

  private func rebuilt(_ extras: ModelExtras, _ settings: PairHeads.Settings) throws(KluereError) -> Model {
    let backend = context.backend
    let old = try weights.whole()
    let new = try ParameterLayout(
      configuration, labelCount: labels.count, pairHeadRows: extras.pairHeads?.rowCount ?? 0)
    let arena = try FloatStorage(count: new.count, on: backend, for: "weights")
    func copy(_ from: Int, _ to: Int, _ count: Int) throws(KluereError) {
      try backend.copy(
        arena.pointer + to, old.pointer + from, bytes: count * MemoryLayout<Float>.size)
    }
    var flags: [Bool] = []
    var initializer = WeightInitializer(seed: settings.seed, deviation: configuration.initializerRange)
    for slot in new.tensors {
      if ParameterLayout.isPairHead(slot) {
        flags.append(settings.random)
        if settings.random { try initializer.fill(slot, in: arena, on: backend) }
        continue
      }
      guard let number = layout.tensors.firstIndex(where: { $0.name == slot.name }) else {
        throw KluereError(.internal, "pair heads: tensor \(slot.name) is not in the model")
      }
      flags.append(newlyInitialized[number])
      try copy(layout.tensors[number].offset, slot.offset, slot.count)
    }
    if let heads = extras.pairHeads, !settings.random, let from = layout.classifier?.output,
      let to = new.classifier?.output
    {
      for (number, label) in heads.labels.joined().enumerated() {
        let row = labels.count + number
        try copy(from.weight + label * from.width, to.weight + row * to.width, to.width)
        try copy(from.bias + label, to.bias + row, 1)
      }
    }
    return try Model(
      context: context, configuration: configuration, tokenizer: tokenizer, labels: labels, layout: new,
      weights: ModelWeights(arena: arena, new, on: backend), newlyInitialized: flags, unusedTensors: unusedTensors,
      copies: copies, extras: extras)
  }
}

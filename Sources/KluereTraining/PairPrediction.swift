package import KluereBase
package import KluereData
internal import KluereModel

/// Which pairs are not computed because their types say enough. Raw values are KLUERE_PRUNE_*.
package enum PairPruning: Int32, Sendable {
  case none = 0
  /// Pairs of types that allow no_relation alone.
  case impossible = 1
  /// Those, and pairs of types that the model never saw.
  case unseen = 2
}

package struct PairOptions: Sendable, Equatable {
  package var pruning = PairPruning.none
  package var maximumPairs = 65_536
  /// Far above any sentence; lists of so many fit in memory.
  static let limit = 1 << 20

  package init() {}
}

/// A pair of a sentence's entities and its likeliest label.
package struct PairRelation: Sendable, Equatable {
  package let subject: Int
  package let object: Int
  package internal(set) var label: Int32 = 0
  package internal(set) var probability: Float = 1
  /// Its label is no_relation by its types; it was not computed.
  package let isPruned: Bool
}

extension Predictor {
  /// The pairs that `predictPairs` answers, by subject, then object: all of two entities that are not the same span. The
  /// entities' spans are checked when they are predicted.
  package func pairs(
    _ entities: [Entity], _ options: PairOptions
  ) throws(KluereError) -> [PairRelation] {
    guard options.maximumPairs <= PairOptions.limit else {
      throw KluereError(.invalidArgument, "max_pairs: \(options.maximumPairs), expected at most \(PairOptions.limit)")
    }
    let noRelation = try noRelation(options)
    guard let most = entities.count.product(max(0, entities.count - 1)), most <= options.maximumPairs else {
      throw KluereError(
        .invalidArgument,
        "entities: \(entities.count) have \(entities.count) x \(entities.count - 1) pairs, but max_pairs is "
          + "\(options.maximumPairs)")
    }
    var pairs: [PairRelation] = []
    for (i, subject) in entities.enumerated() {
      for (j, object) in entities.enumerated()
      where i != j && (subject.begin != object.begin || subject.end != object.end) {
        let isPruned = noRelation.map { allowsNothing(subject, object, but: $0, options.pruning) } ?? false
        pairs.append(
          PairRelation(subject: i, object: j, label: Int32(clamping: noRelation ?? 0), isPruned: isPruned))
      }
    }
    return pairs
  }

  /// The label of pruned pairs; nil: nothing is to be pruned.
  private func noRelation(_ options: PairOptions) throws(KluereError) -> Int? {
    guard options.pruning != .none else { return nil }
    guard let label = model.labels.index(of: "no_relation") else {
      throw KluereError(.state, "prune: the model's labels have no no_relation for pairs that are left out")
    }
    guard types != nil else {
      throw KluereError(.state, "prune: the predictor has neither a type mask nor pair heads to tell by")
    }
    return label
  }

  private func allowsNothing(
    _ subject: Entity, _ object: Entity, but noRelation: Int, _ pruning: PairPruning
  ) -> Bool {
    guard let types else { return false }
    guard let allowed = types.allowed(types.route(subject.type, object.type)) else {
      // Entities without a type are not of types that were never seen.
      return pruning == .unseen && !(subject.type?.isEmpty ?? true) && !(object.type?.isEmpty ?? true)
    }
    return allowed.allSatisfy { $0 == noRelation }
  }

  /// Fills label and probability of `pairs`; all that are not pruned are one call's rows, with the bits that they have
  /// alone. `probabilities`, if there is room: [pairs, labels].
  package func predict(
    _ text: UnsafeBufferPointer<UInt8>, _ entities: [Entity], _ pairs: inout [PairRelation],
    probabilities: UnsafeMutableBufferPointer<Float>?
  ) throws(KluereError) {
    let classes = model.labels.count
    let computed = pairs.indices.filter { !pairs[$0].isPruned }
    guard let size = computed.count.product(classes), let whole = pairs.count.product(classes) else {
      throw KluereError(.outOfMemory, "pairs: \(pairs.count) of \(classes) labels do not fit in memory")
    }
    if let probabilities, probabilities.count < whole {
      throw KluereError(.bufferTooSmall, "probabilities: room for \(probabilities.count) floats, expected \(whole)")
    }
    // Also those that no pair shows: a lone entity, or one whose pairs are all pruned.
    for (number, entity) in entities.enumerated() {
      do throws(KluereError) { try entity.validate(in: text) } catch {
        throw KluereError(error.status, "entities[\(number)]: \(error.message)")
      }
    }
    let examples = computed.map { place in
      ExampleView(text: text, subject: entities[pairs[place].subject], object: entities[pairs[place].object])
    }
    var scores = Workspace<Float>(for: "pairs")
    try scores.resize(size)
    try predictProbabilities(examples, into: scores.elements)
    for place in pairs.indices where pairs[place].isPruned {
      guard let probabilities else { break }
      for label in 0..<classes {
        probabilities[place * classes + label] = label == Int(pairs[place].label) ? 1 : 0
      }
    }
    for (row, place) in computed.enumerated() {
      var best = 0
      for label in 0..<classes {
        let value = scores.elements[row * classes + label]
        if value > scores.elements[row * classes + best] { best = label }
        if let probabilities { probabilities[place * classes + label] = value }
      }
      pairs[place].label = Int32(clamping: best)
      pairs[place].probability = scores.elements[row * classes + best]
    }
  }
}

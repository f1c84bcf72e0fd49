internal import Glibc
package import KluereBase

/// What the types of two entities say about their relation, learned from counts.
///
/// prior(l | pair) = log((n(l, pair) + a p(l)) / (n(pair) + a)) with p(l) = (n(l) + 1) / (n + labels) over the counted rows.
/// Added to a row's logits: strength * prior, or `hardBias` for labels that the pair has fewer than `hardCount` times;
/// no_relation is always allowed. Nothing is added for pairs that were never counted and for entities without a type.
package struct TypeMask: Sendable, Equatable {
  package var counts: TypeCounts
  package var settings: Settings

  package struct Settings: Sendable, Equatable {
    /// a: the weight of p(l), in rows.
    package var smoothing = 1.0
    package var strength = 1.0
    /// 0: no label is impossible.
    package var hardCount = 0
    /// Whether training adds it too.
    package var inTraining = false

    package init() {}
  }

  /// Large enough that softmax gives exactly 0 in fp32, and small enough that logits, losses and their sums stay finite.
  package static let hardBias: Float = -1e4

  package init(_ counts: TypeCounts, _ settings: Settings) throws(KluereError) {
    self.counts = counts
    self.settings = settings
    try settings.validate()
  }

  /// log-prior of each label given the pair, in double precision.
  package func prior(_ place: Int) -> [Double] {
    let totals = counts.totals
    let all = Double(totals.reduce(0, +) + totals.count)
    let rows = Double(counts.rows(place))
    return totals.indices.map { label in
      let share = Double(totals[label] + 1) / all
      return log(
        (Double(counts.counts[place][label]) + settings.smoothing * share) / (rows + settings.smoothing))
    }
  }

  /// Whether a label is impossible for the pair.
  func forbids(_ place: Int, _ label: Int, noRelation: Int?) -> Bool {
    label != noRelation && counts.counts[place][label] < settings.hardCount
  }

  /// What is added to the logits. `keeping`: a label that stays possible whatever its count.
  func bias(_ place: Int, noRelation: Int?, keeping kept: Int? = nil) -> [Float] {
    prior(place).enumerated().map { label, prior in
      if label != kept, forbids(place, label, noRelation: noRelation) { return TypeMask.hardBias }
      // -0.0 would be a bias like any other, but shows in the inspection.
      return settings.strength == 0 ? 0 : Float(settings.strength * prior)
    }
  }
}

extension TypeMask.Settings {
  package static let largestCount = 1_000_000_000

  package func validate() throws(KluereError) {
    guard smoothing >= 1e-6, smoothing <= 1e9 else {
      throw KluereError(.invalidArgument, "smoothing: \(smoothing), expected 1e-06 to 1e+09")
    }
    try TypeMask.Settings.check(strength, "strength")
    guard (0...TypeMask.Settings.largestCount).contains(hardCount) else {
      throw KluereError(
        .invalidArgument, "hard_count: \(hardCount), expected 0 to \(TypeMask.Settings.largestCount)")
    }
  }

  /// The soft part stays far from the hard one: log-priors go down to about -60.
  package static func check(_ strength: Double, _ name: String) throws(KluereError) {
    guard strength >= 0, strength <= 100 else {
      throw KluereError(.invalidArgument, "\(name): \(strength), expected 0 to 100")
    }
  }
}

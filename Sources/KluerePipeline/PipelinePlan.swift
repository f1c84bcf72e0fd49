internal import KluereBase
package import KluereEnsemble

/// How the members share the work. Raw values are those of KLUERE_PIPELINE_*.
package enum PipelineKind: Int32, Sendable, CaseIterable {
  /// Every member sees every row; they vote.
  case mean = 0
  /// A binary member says whether there is a relation; the others say which.
  case cascade = 1
  /// Members for some pairs of entity types, a general one for the rest.
  case pairs = 2

  package var name: String {
    switch self {
    case .mean: "mean"
    case .cascade: "cascade"
    case .pairs: "pairs"
    }
  }
}

/// What a member answers. Raw values are those of KLUERE_MEMBER_*.
package enum MemberRole: Int32, Sendable, CaseIterable {
  case general = 0
  case binary = 1
  case specific = 2

  package var name: String {
    switch self {
    case .general: "general"
    case .binary: "binary"
    case .specific: "specific"
    }
  }
}

/// What a cascade makes of its members' answers. Raw values are those of KLUERE_CASCADE_*.
package enum CascadeRule: Int32, Sendable, CaseIterable {
  /// The binary member's no_relation above a threshold decides; else the other's probabilities as they are.
  case threshold = 0
  /// P(relation) times the other's probability of the label, given that there is one.
  case product = 1

  package var name: String { self == .threshold ? "threshold" : "product" }
}

/// What a caller asks for; nil: not said.
package struct PipelineOptions: Sendable, Equatable {
  package var kind = PipelineKind.mean
  package var rule: CascadeRule?
  package var vote: Vote?
  package var threshold: Double?
  package var labels: [String]?

  package init() {}
}

/// The options with what was not said filled in; contradictions are refused by both names.
package struct PipelinePlan: Sendable, Equatable {
  package let kind: PipelineKind
  package let rule: CascadeRule
  package let vote: Vote
  /// Of the threshold rule.
  package let threshold: Double

  /// As the competition's team chose it on its validation rows.
  package static let defaultThreshold = 0.765

  init(_ options: PipelineOptions, roles: [MemberRole]) throws(KluereError) {
    kind = options.kind
    rule = options.rule ?? .threshold
    vote = options.vote ?? .soft
    threshold = options.threshold ?? PipelinePlan.defaultThreshold
    if kind != .cascade, options.rule != nil || options.threshold != nil {
      throw KluereError(
        .invalidArgument,
        "\(options.rule != nil ? "rule" : "threshold") is given and kind is \(kind.name), expected kind cascade for it")
    }
    if options.threshold != nil, rule == .product {
      throw KluereError(
        .invalidArgument, "threshold is given and rule is product, which has none: expected one of the two")
    }
    if kind != .mean, options.vote != nil {
      throw KluereError(
        .invalidArgument, "vote is given and kind is \(kind.name), expected kind mean: members of one role are averaged"
      )
    }
    guard threshold >= 0, threshold <= 1 else {
      throw KluereError(.invalidArgument, "threshold: \(threshold), expected 0 to 1")
    }
    func has(_ role: MemberRole) -> Bool { roles.contains(role) }
    guard has(.general) else {
      throw KluereError(.invalidArgument, "members: none is general, expected at least one, whatever the kind")
    }
    guard has(.binary) == (kind == .cascade) else {
      throw KluereError(
        .invalidArgument,
        kind == .cascade
          ? "members: none is binary and kind is cascade, expected at least one"
          : "members: one is binary and kind is \(kind.name), expected kind cascade for it")
    }
    guard kind != .mean || !has(.specific) else {
      throw KluereError(
        .invalidArgument, "members: one is specific and kind is mean, expected kind cascade or pairs for it")
    }
    guard kind != .pairs || has(.specific) else {
      throw KluereError(.invalidArgument, "members: none is specific and kind is pairs, expected at least one")
    }
  }
}

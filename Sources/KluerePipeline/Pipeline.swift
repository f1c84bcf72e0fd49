package import KluereBase
package import KluereData
internal import KluereEnsemble
internal import KluereModel
package import KluereTraining

/// Several models that answer as one, with their scratch memory; one thread at a time.
package final class Pipeline {
  package let plan: PipelinePlan
  package let labels: LabelSet
  package let members: [PipelineMember]
  private let general: MemberGroup
  private let binary: MemberGroup?
  private var specific: [TypePair: MemberGroup] = [:]
  /// Of the labels; nil where there is none.
  private let noRelation: Int?
  private var first = GrowingBuffer<Float>(for: "pipeline: probabilities")
  private var second = GrowingBuffer<Float>(for: "pipeline: probabilities")

  static let noRelationName = "no_relation"

  private struct TypePair: Hashable {
    let subject: [UInt8]
    let object: [UInt8]
  }

  package init(
    _ members: [PipelineMember], options: PipelineOptions, predictor: PredictorOptions = PredictorOptions()
  ) throws(KluereError) {
    guard members.count <= 1000 else {
      throw KluereError(.invalidArgument, "\(members.count) members, expected at most 1000")
    }
    for (place, member) in members.enumerated() { try member.validate(place) }
    guard predictor.output == .probabilities else {
      throw KluereError(.invalidArgument, "output is logits, expected probabilities: members' answers are combined")
    }
    let plan = try PipelinePlan(options, roles: members.map(\.role))
    self.plan = plan
    self.members = members
    let all = members.enumerated().map { (place: $0.offset, member: $0.element) }
    func with(_ role: MemberRole) -> [(place: Int, member: PipelineMember)] { all.filter { $0.member.role == role } }

    let generals = with(.general)
    labels = try Pipeline.chooseLabels(options, plan, generals[0].member.model.labels)
    noRelation = labels.index(of: Pipeline.noRelationName)
    let needed = labels.names.filter { plan.kind != .cascade || $0 != Pipeline.noRelationName }
    general = try MemberGroup(generals, labels: labels, needed: needed, vote: plan.vote, options: predictor)
    let binaries = with(.binary)
    if binaries.isEmpty {
      binary = nil
    } else {
      let pair = try Pipeline.binaryLabels(binaries)
      binary = try MemberGroup(binaries, labels: pair, needed: pair.names, vote: .soft, options: predictor)
    }
    var groups: [TypePair: [(place: Int, member: PipelineMember)]] = [:]
    for one in with(.specific) {
      let pair = TypePair(
        subject: Array((one.member.subjectType ?? "").utf8), object: Array((one.member.objectType ?? "").utf8))
      groups[pair, default: []].append(one)
    }
    for (pair, group) in groups {
      specific[pair] = try MemberGroup(group, labels: labels, needed: [], vote: .soft, options: predictor)
    }
  }

  private static func chooseLabels(
    _ options: PipelineOptions, _ plan: PipelinePlan, _ general: LabelSet
  ) throws(KluereError) -> LabelSet {
    var names = options.labels ?? general.names
    if options.labels == nil, plan.kind == .cascade, general.index(of: noRelationName) == nil {
      names.insert(noRelationName, at: 0)
    }
    let labels = try LabelSet(names)
    if plan.kind == .cascade {
      guard labels.index(of: noRelationName) != nil, labels.count >= 2 else {
        throw KluereError(
          .invalidArgument, "labels: \(labels.count) and kind is cascade, expected no_relation and some relation")
      }
    }
    return labels
  }

  /// no_relation, and what the members call everything else.
  private static func binaryLabels(
    _ members: [(place: Int, member: PipelineMember)]
  ) throws(KluereError) -> LabelSet {
    for (place, member) in members {
      let labels = member.model.labels
      guard labels.count == 2, labels.index(of: noRelationName) != nil else {
        throw KluereError(
          .invalidArgument,
          "members[\(place)]: role is binary and it has \(labels.count) labels, expected no_relation and one more")
      }
    }
    let other = members[0].member.model.labels.names.first { $0 != noRelationName }
    return try LabelSet([noRelationName, other ?? "relation"])
  }

  /// `out`: at least one float per example and label; the first ones are overwritten, or none when this throws.
  package func predict(
    _ examples: [ExampleView], into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    guard let needed = examples.count.product(labels.count), needed <= out.count else {
      throw KluereError(.bufferTooSmall, "out: \(out.count) floats, expected \(examples.count) rows of \(labels.count)")
    }
    // Checked here, since members see only some rows and would number them anew.
    for (index, example) in examples.enumerated() {
      do throws(KluereError) { try example.validate() } catch {
        throw KluereError(error.status, "examples[\(index)]: \(error.message)")
      }
    }
    var results = GrowingBuffer<Float>(for: "pipeline: probabilities")
    for _ in 0..<needed { try results.append(0) }
    guard let binary, let noRelation else {
      try answer(Array(examples.indices), of: examples, into: results.elements)
      store(results.elements, into: out)
      return
    }
    try binary.predict(examples, into: &first)
    let asked = examples.indices.filter { plan.rule == .product || !(Double(first.elements[2 * $0]) > plan.threshold) }
    try answer(asked, of: examples, into: results.elements)
    let isAsked = Set(asked)
    for row in examples.indices {
      let (none, some) = (first.elements[2 * row], Double(first.elements[2 * row + 1]))
      let cells = UnsafeMutableBufferPointer(
        rebasing: results.elements[row * labels.count..<(row + 1) * labels.count])
      if !isAsked.contains(row) {
        cells.update(repeating: Float(some / Double(labels.count - 1)))
        cells[noRelation] = none
      } else if plan.rule == .product {
        multiply(cells, noRelation, none, some)
      }
    }
    store(results.elements, into: out)
  }

  /// The same for all rows of a data set.
  package func predict(_ dataset: Dataset, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    try predict((0..<dataset.count).map { dataset.example($0) }, into: out)
    withExtendedLifetime(dataset) {}
  }

  /// p(label) = P(relation) p(label) / sum of p over the relations; evenly where that sum is 0.
  private func multiply(
    _ cells: UnsafeMutableBufferPointer<Float>, _ noRelation: Int, _ none: Float, _ some: Double
  ) {
    var sum = 0.0
    for column in cells.indices where column != noRelation { sum += Double(cells[column]) }
    for column in cells.indices where column != noRelation {
      cells[column] = Float(sum > 0 ? some * Double(cells[column]) / sum : some / Double(labels.count - 1))
    }
    cells[noRelation] = none
  }

  /// Each of `rows` by the member for its types, or the general one, into its place.
  private func answer(
    _ rows: [Int], of examples: [ExampleView], into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    var byGroup: [TypePair?: [Int]] = [:]
    for row in rows {
      let pair = TypePair(
        subject: Array(examples[row].subject.type ?? .init(start: nil, count: 0)),
        object: Array(examples[row].object.type ?? .init(start: nil, count: 0)))
      byGroup[specific[pair] == nil ? nil : pair, default: []].append(row)
    }
    for (pair, own) in byGroup {
      let group = pair.flatMap { specific[$0] } ?? general
      try group.predict(own.map { examples[$0] }, into: &second)
      for (place, row) in own.enumerated() {
        for column in 0..<labels.count {
          out[row * labels.count + column] = second.elements[place * labels.count + column]
        }
      }
    }
  }

  private func store(_ results: UnsafeMutableBufferPointer<Float>, into out: UnsafeMutableBufferPointer<Float>) {
    for place in results.indices { out[place] = results[place] }
  }
}

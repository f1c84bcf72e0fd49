internal import KluereBase
internal import KluereData
internal import KluereEnsemble
package import KluereModel
internal import KluereTraining

/// A model and what it is for. Types: of a specific one; empty for examples without a type.
package struct PipelineMember: Sendable {
  package let model: Model
  package let role: MemberRole
  package let subjectType: String?
  package let objectType: String?
  /// Its folder inside the pipeline's.
  package var folder: String

  package init(
    _ model: Model, _ role: MemberRole, subjectType: String? = nil, objectType: String? = nil, folder: String = ""
  ) {
    self.model = model
    self.role = role
    self.subjectType = subjectType
    self.objectType = objectType
    self.folder = folder
  }

  /// Throws where role and types do not fit.
  func validate(_ place: Int) throws(KluereError) {
    if role == .specific, subjectType == nil || objectType == nil {
      throw KluereError(
        .invalidArgument,
        "members[\(place)]: role is specific and \(subjectType == nil ? "subject_type" : "object_type") is not given")
    }
    if role != .specific, subjectType != nil || objectType != nil {
      throw KluereError(
        .invalidArgument,
        "members[\(place)]: \(subjectType != nil ? "subject_type" : "object_type") is given and role is \(role.name), "
          + "expected role specific for it")
    }
    guard model.configuration.task == .classification else {
      throw KluereError(.state, "members[\(place)]: the model has no classification head")
    }
  }
}

/// Members that answer the same question; their mean is the answer.
final class MemberGroup {
  private let labels: LabelSet
  private let predictors: [Predictor]
  /// Per member and label of its own the column among `labels`.
  private let columns: [[Int]]
  private let vote: Vote

  /// `places`: the members' numbers, for messages. `needed`: labels that each of them must have.
  init(
    _ members: [(place: Int, member: PipelineMember)], labels: LabelSet, needed: [String], vote: Vote,
    options: PredictorOptions
  ) throws(KluereError) {
    guard members.count <= Members.limit else {
      throw KluereError(
        .invalidArgument, "\(members.count) members for one question, expected at most \(Members.limit)")
    }
    self.labels = labels
    self.vote = vote
    var predictors: [Predictor] = []
    var columns: [[Int]] = []
    for (place, member) in members {
      let own = member.model.labels
      if let lacking = needed.first(where: { own.index(of: $0) == nil }) {
        throw KluereError(
          .invalidArgument, "members[\(place)]: its \(own.count) labels lack \"\(lacking)\" of the pipeline's")
      }
      var places: [Int] = []
      for name in own.names {
        guard let column = labels.index(of: name) else {
          throw KluereError(
            .invalidArgument, "members[\(place)]: label \"\(name)\" is none of the pipeline's \(labels.count)")
        }
        places.append(column)
      }
      columns.append(places)
      var chosen = options
      // A strength is for the members that have a mask.
      if member.model.extras.typeMask == nil { chosen.typeMask.strength = nil }
      do throws(KluereError) { predictors.append(try Predictor(model: member.model, options: chosen)) } catch {
        throw KluereError(error.status, "members[\(place)]: \(error.message)")
      }
    }
    self.predictors = predictors
    self.columns = columns
  }

  /// Probabilities [rows, labels]; a label that a member lacks has none from it.
  func predict(_ rows: [ExampleView], into out: inout GrowingBuffer<Float>) throws(KluereError) {
    guard let size = rows.count.product(labels.count) else {
      throw KluereError(.outOfMemory, "pipeline: \(rows.count) rows of \(labels.count) labels do not fit in memory")
    }
    let tables = Tables()
    for (predictor, columns) in zip(predictors, columns) {
      let chosen = FloatTable()
      try chosen.resize(rows.count * columns.count)
      try predictor.predict(rows, into: chosen.values)
      let table = FloatTable()
      try table.resize(size)
      for row in rows.indices {
        for (place, column) in columns.enumerated() {
          table.values[row * labels.count + column] = chosen.values[row * columns.count + place]
        }
      }
      tables.all.append(table)
    }
    out.removeAll()
    for _ in 0..<size { try out.append(0) }
    if tables.all.count == 1 {
      for place in 0..<size { out.elements[place] = tables.all[0].values[place] }
      return
    }
    guard size > 0 else { return }
    let members = try Members(
      tables.all.map { UnsafeBufferPointer($0.values) }, rows: rows.count, classes: labels.count, areLogits: false)
    try combine(members, weights: nil, vote: vote, into: out.elements)
    withExtendedLifetime(tables) {}
  }

  private final class Tables {
    var all: [FloatTable] = []
  }
}

/// Zeros of the library's chosen, whose shortage is an error.
private final class FloatTable {
  private var memory = GrowingBuffer<Float>(for: "pipeline: probabilities")

  var values: UnsafeMutableBufferPointer<Float> { memory.elements }

  func resize(_ count: Int) throws(KluereError) {
    memory.removeAll()
    for _ in 0..<count { try memory.append(0) }
  }
}

package import KluereBase
internal import KluereFormats

/// One thing that cleaning did to a row.
struct CleaningChange {
  enum What {
    case removed
    /// Types before and after.
    case type(EntityRole, from: [UInt8]?, to: [UInt8])
  }

  /// Number of the row in the dataset before.
  var row: Int
  var step: String
  var what: What
  var why: String
}

/// Removes and corrects rows, and notes everything that it does.
package struct Cleaning {
  private let dataset: Dataset
  private let options: CleaningOptions
  private var isRemoved: [Bool]
  private var subjectTypes: [Int: [UInt8]] = [:]
  private var objectTypes: [Int: [UInt8]] = [:]
  private var changes: [CleaningChange] = []

  /// The rows that are left, and the log with which `CleaningLog.restore` brings the others back.
  package static func run(
    _ dataset: Dataset, _ options: CleaningOptions
  ) throws(KluereError) -> (cleaned: Dataset, log: [UInt8]) {
    var cleaning = Cleaning(dataset, options)
    try cleaning.removeListed()
    // Votes on conflicts count the duplicates, so they are counted before those go.
    let inputs = RowIndex(dataset, by: .input)
    let winners = cleaning.winners(inputs)
    if options.removesDuplicates { cleaning.removeDuplicates() }
    cleaning.resolveConflicts(inputs, winners)
    try cleaning.correctTypes()
    let cleaned = try cleaning.rows()
    return (cleaned, try CleaningLog.write(cleaning.changes, dataset, cleaned))
  }

  private init(_ dataset: Dataset, _ options: CleaningOptions) {
    self.dataset = dataset
    self.options = options
    isRemoved = Array(repeating: false, count: dataset.count)
  }

  private mutating func remove(_ row: Int, _ step: String, _ why: String) {
    isRemoved[row] = true
    changes.append(CleaningChange(row: row, step: step, what: .removed, why: why))
  }

  // MARK: Rows

  private mutating func removeListed() throws(KluereError) {
    guard !options.removedIDs.isEmpty else { return }
    var wanted: [[UInt8]: Bool] = [:]
    for id in options.removedIDs { wanted[id] = false }
    for row in 0..<dataset.count {
      guard let id = dataset.example(row).id, wanted[Array(id)] != nil else { continue }
      wanted[Array(id)] = true
      remove(row, "list", "the id is on the list")
    }
    if let missing = options.removedIDs.first(where: { wanted[$0] == false }) {
      throw KluereError(.invalidArgument, "remove_ids: no row has the id \(excerpt(missing))")
    }
  }

  private mutating func removeDuplicates() {
    let rows = RowIndex(dataset, by: .row)
    // The first that is left stays: an earlier one may be on the list.
    var kept: [Int: Int] = [:]
    for row in 0..<dataset.count where !isRemoved[row] {
      if let first = kept[rows.first[row]] {
        remove(row, "duplicates", "equals row \(first) in sentence, entities and label")
      } else {
        kept[rows.first[row]] = row
      }
    }
  }

  /// Per input with several labels, by its first row: the labels that stay.
  private func winners(_ inputs: RowIndex) -> [Int: [Int32]] {
    guard options.conflicts != .leave else { return [:] }
    var votes: [Int: [(label: Int32, rows: Int)]] = [:]
    for row in 0..<dataset.count where !isRemoved[row] && dataset.labelIndex(row) >= 0 {
      let label = dataset.labelIndex(row)
      if let place = votes[inputs.first[row]]?.firstIndex(where: { $0.label == label }) {
        votes[inputs.first[row]]?[place].rows += 1
      } else {
        votes[inputs.first[row], default: []].append((label, 1))
      }
    }
    return votes.filter { $0.value.count > 1 }.mapValues { labels in
      switch options.conflicts {
      case .leave: labels.map(\.label)
      case .keepFirst: labels.prefix(1).map(\.label)
      case .majority: [labels.reduce(labels[0]) { $1.rows > $0.rows ? $1 : $0 }.label]
      case .preferRelation: labels.map(\.label).filter { $0 != dataset.noRelation }
      case .dropAll: []
      }
    }
  }

  private mutating func resolveConflicts(_ inputs: RowIndex, _ winners: [Int: [Int32]]) {
    for row in 0..<dataset.count where !isRemoved[row] && dataset.labelIndex(row) >= 0 {
      let label = dataset.labelIndex(row)
      guard let kept = winners[inputs.first[row]], !kept.contains(label) else { continue }
      let names = kept.map { "\"\(dataset.labels.names[Int($0)])\"" }.joined(separator: " and ")
      remove(
        row, "conflicts",
        "label \"\(dataset.labels.names[Int(label)])\" of an input with several labels, of which "
          + (kept.isEmpty ? "none stays" : "\(names) stays"))
    }
  }

  // MARK: Types

  private mutating func correctTypes() throws(KluereError) {
    switch options.types {
    case .leave: break
    case .majority: try correctByMajority()
    case .list: correct(by: options.corrections ?? TypeCorrection.competitionTeam)
    }
  }

  private mutating func correct(by list: [TypeCorrection]) {
    var byLabel: [[UInt8]: [TypeCorrection]] = [:]
    for correction in list { byLabel[correction.label, default: []].append(correction) }
    for row in 0..<dataset.count where !isRemoved[row] {
      let example = dataset.example(row)
      guard let label = example.label, let corrections = byLabel[Array(label)] else { continue }
      for (role, type) in [(EntityRole.subject, example.subject.type), (.object, example.object.type)] {
        let now = type.map { Array($0) }
        // The first that applies, once: a chain of corrections would undo what its author sees.
        guard let correction = corrections.first(where: { $0.role == role && ($0.from == nil || $0.from == now) }),
          correction.to != now
        else { continue }
        setType(row, role, from: now, to: correction.to, "the list says so for \(excerpt(label))")
      }
    }
  }

  private mutating func correctByMajority() throws(KluereError) {
    guard options.majorityShare > 0.5, options.majorityShare <= 1 else {
      throw KluereError(
        .invalidArgument, "majority_share: \(options.majorityShare), expected more than 0.5 and at most 1")
    }
    for role in [EntityRole.subject, .object] {
      for (label, rows) in rowsByLabel() {
        var types = TextNumbers()
        var counts: [Int] = []
        for row in rows {
          let number = types.number(of: type(row, role))
          guard number >= 0 else { continue }
          if number == counts.count { counts.append(0) }
          counts[number] += 1
        }
        let total = counts.reduce(0, +)
        guard let most = counts.indices.max(by: { counts[$0] < counts[$1] }), counts[most] < total,
          Double(counts[most]) >= options.majorityShare * Double(total)
        else { continue }
        let why = "\(counts[most]) of \(total) rows with label \"\(label)\" have this type"
        for row in rows {
          let number = types.number(of: type(row, role))
          guard number >= 0, number != most else { continue }
          setType(row, role, from: types.texts[number], to: types.texts[most], why)
        }
      }
    }
  }

  /// Rows that are left, by labels that say something about the types: in the order of the labels, without no_relation.
  private func rowsByLabel() -> [(label: String, rows: [Int])] {
    var rows: [[Int]] = Array(repeating: [], count: dataset.labels.count)
    for row in 0..<dataset.count where !isRemoved[row] && dataset.labelIndex(row) != dataset.noRelation {
      guard let label = Int(exactly: dataset.labelIndex(row)), rows.indices.contains(label) else { continue }
      rows[label].append(row)
    }
    return zip(dataset.labels.names, rows).map { ($0, $1) }
  }

  private func type(_ row: Int, _ role: EntityRole) -> UnsafeBufferPointer<UInt8>? {
    let example = dataset.example(row)
    return role == .subject ? example.subject.type : example.object.type
  }

  private mutating func setType(_ row: Int, _ role: EntityRole, from: [UInt8]?, to: [UInt8], _ why: String) {
    if role == .subject { subjectTypes[row] = to } else { objectTypes[row] = to }
    changes.append(CleaningChange(row: row, step: "types", what: .type(role, from: from, to: to), why: why))
  }

  private func rows() throws(KluereError) -> Dataset {
    var editor = DatasetEditor(dataset)
    for row in 0..<dataset.count where !isRemoved[row] {
      guard subjectTypes[row] != nil || objectTypes[row] != nil else {
        try editor.append(row)
        continue
      }
      var example = dataset.example(row)
      if let type = subjectTypes[row] { example.subject.type = try editor.keepType(type) }
      if let type = objectTypes[row] { example.object.type = try editor.keepType(type) }
      try editor.append(example, label: dataset.labelIndex(row))
    }
    guard let result = editor.finish() else {
      throw KluereError(.invalidArgument, "cleaning would leave none of the \(dataset.count) rows")
    }
    return result
  }
}

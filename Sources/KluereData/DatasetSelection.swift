package import KluereBase

/// Which rows of a dataset are wanted.
package struct RowSelection: Sendable, Equatable {
  /// nil: any. Empty: rows without a type.
  package var subjectType: String?
  package var objectType: String?
  /// Rows with one of these, or with `excludesLabels` those without; rows with hidden labels are neither.
  package var labels: [String]?
  package var excludesLabels = false
  /// The labels become those that the chosen rows have, after no_relation where the dataset has it.
  package var narrowsLabels = false

  package init() {}
}

extension Dataset {
  static let noRelation = "no_relation"

  /// The rows that the selection names, in their order.
  package func select(_ selection: RowSelection) throws(KluereError) -> Dataset {
    var wanted: Set<Int32>?
    if let names = selection.labels {
      var found: Set<Int32> = []
      for name in names {
        guard let index = labels.index(of: name) else {
          throw KluereError(.invalidArgument, "labels: \"\(name)\" is none of the dataset's \(labels.count) labels")
        }
        found.insert(Int32(clamping: index))
      }
      wanted = found
    } else if selection.excludesLabels {
      throw KluereError(.invalidArgument, "exclude_labels is 1 and labels is NULL, expected which to exclude")
    }
    func fits(_ type: UnsafeBufferPointer<UInt8>?, _ name: String?) -> Bool {
      guard let name else { return true }
      return (type ?? UnsafeBufferPointer(start: nil, count: 0)).elementsEqual(name.utf8)
    }
    var rows: [Int] = []
    for row in 0..<count {
      let example = example(row)
      guard fits(example.subject.type, selection.subjectType), fits(example.object.type, selection.objectType) else {
        continue
      }
      let label = labelIndex(row)
      if let wanted, label < 0 || wanted.contains(label) == selection.excludesLabels { continue }
      rows.append(row)
    }
    guard !rows.isEmpty else {
      throw KluereError(.invalidArgument, "0 rows of \(count) are as selected, expected at least one")
    }
    let chosen = try subset(rows)
    return selection.narrowsLabels ? try chosen.narrowed() : chosen
  }

  /// The same rows with the labels that they have, in their order, after no_relation where there is one.
  private func narrowed() throws(KluereError) -> Dataset {
    var isUsed = [Bool](repeating: false, count: labels.count)
    for label in labelIndices where label >= 0 { isUsed[Int(label)] = true }
    var kept = labels.names.indices.filter { isUsed[$0] && labels.names[$0] != Dataset.noRelation }
    if let none = labels.index(of: Dataset.noRelation) { kept.insert(none, at: 0) }
    var places = [Int32](repeating: -1, count: labels.count)
    for (place, label) in kept.enumerated() { places[label] = Int32(clamping: place) }
    var rows = GrowingBuffer<ExampleView>(for: "rows")
    for row in 0..<count { try rows.append(example(row)) }
    return Dataset(
      labels: try LabelSet(kept.map { labels.names[$0] }), rows: rows,
      labelIndices: labelIndices.map { $0 < 0 ? -1 : places[Int($0)] }, texts: texts)
  }

  /// The same rows with two labels: no_relation, and "relation" for all others. Hidden ones stay hidden.
  package func binary() throws(KluereError) -> Dataset {
    guard let none = labels.index(of: Dataset.noRelation) else {
      throw KluereError(.invalidArgument, "none of the dataset's \(labels.count) labels is no_relation")
    }
    let own = TextArena()
    let name = Array("relation".utf8)
    let memory = try own.allocate(name.count + 1)
    for (place, byte) in (name + [0]).enumerated() { memory[place] = byte }
    let relation = UnsafeBufferPointer<UInt8>(start: memory, count: name.count)
    var rows = GrowingBuffer<ExampleView>(for: "rows")
    var indices: [Int32] = []
    for row in 0..<count {
      var example = example(row)
      let label = labelIndex(row)
      if label >= 0, Int(label) != none { example.label = relation }
      try rows.append(example)
      indices.append(label < 0 ? -1 : Int(label) == none ? 0 : 1)
    }
    return Dataset(
      labels: try LabelSet([Dataset.noRelation, "relation"]), rows: rows, labelIndices: indices, texts: texts + [own])
  }
}

/// Rows that no split may separate: those with equal sentences, and those that were made from one row.
package struct RowGroups {
  /// Row numbers, each group in order, the groups in the order of their first rows.
  package let groups: [[Int]]

  package init(_ dataset: Dataset) {
    var parents = RowIndex(dataset, by: .sentence).first
    RowGroups.joinOrigins(dataset, &parents)
    var groups: [[Int]] = []
    var places: [Int] = Array(repeating: -1, count: dataset.count)
    for row in 0..<dataset.count {
      let root = RowGroups.root(row, &parents)
      if places[root] < 0 {
        places[root] = groups.count
        groups.append([])
      }
      groups[places[root]].append(row)
    }
    self.groups = groups
  }

  /// A row's origin is the id of another row, or of one that is not here but has other descendants.
  private static func joinOrigins(_ dataset: Dataset, _ parents: inout [Int]) {
    var firstOf: [[UInt8]: Int] = [:]
    for row in 0..<dataset.count {
      guard let origin = dataset.example(row).origin else { continue }
      join(row, firstOf[Array(origin), default: row], &parents)
      firstOf[Array(origin)] = row
    }
    guard !firstOf.isEmpty else { return }
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      if let id = example.id, let other = firstOf[Array(id)] { join(row, other, &parents) }
    }
  }

  /// The smaller root becomes that of both, so that a group is known by its first row.
  private static func join(_ a: Int, _ b: Int, _ parents: inout [Int]) {
    let (first, second) = (root(a, &parents), root(b, &parents))
    parents[max(first, second)] = min(first, second)
  }

  private static func root(_ row: Int, _ parents: inout [Int]) -> Int {
    var root = row
    while parents[root] != root { root = parents[root] }
    var place = row
    while parents[place] != root { (place, parents[place]) = (parents[place], root) }
    return root
  }
}

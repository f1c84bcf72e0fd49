package import KluereBase

/// More groups than any table that a person reads; bounds the memory of the counts.
private let groupLimit = 1 << 20

/// The metrics of each group of rows: `groups[row]` is its number, or -1 for none. nil for a group without rows.
package func computeMetricsByGroup(
  _ judged: Judged, groups: UnsafeBufferPointer<Int32>, groupCount: Int, options: MetricsOptions
) throws(KluereError) -> [Metrics?] {
  try validate(judged, options: options)
  guard groups.count == judged.rows else {
    throw KluereError(.invalidArgument, "groups: \(groups.count) entries, expected \(judged.rows), one for each row")
  }
  guard (1...groupLimit).contains(groupCount) else {
    throw KluereError(.invalidArgument, "group_count: \(groupCount), expected 1 to \(groupLimit)")
  }
  var sizes = [Int](repeating: 0, count: groupCount)
  for (row, group) in groups.enumerated() where group != -1 {
    guard sizes.indices.contains(Int(group)) else {
      throw KluereError(
        .invalidArgument, "groups[\(row)]: \(group), expected -1 (none) or 0 to \(groupCount - 1)")
    }
    sizes[Int(group)] += 1
  }
  // Rows by group, in their order, behind one another.
  var places = sizes.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
  let labels = try allocate(Int32.self, judged.rows)
  defer { labels.release() }
  let scores = try allocate(Float.self, judged.scores.count)
  defer { scores.release() }
  let begins = places
  for (row, group) in groups.enumerated() where group != -1 {
    let place = places[Int(group)]
    places[Int(group)] += 1
    labels[place] = judged.labels[row]
    let target = UnsafeMutableBufferPointer(rebasing: scores[place * judged.classes..<(place + 1) * judged.classes])
    _ = target.update(fromContentsOf: judged.scores[row * judged.classes..<(row + 1) * judged.classes])
  }
  var results: [Metrics?] = []
  for (group, size) in sizes.enumerated() {
    guard size > 0 else {
      results.append(nil)
      continue
    }
    let begin = begins[group]
    let own = UnsafeBufferPointer(rebasing: scores[begin * judged.classes..<(begin + size) * judged.classes])
    results.append(
      try computeMetrics(
        scores: own, labels: UnsafeBufferPointer(rebasing: labels[begin..<begin + size]), classes: judged.classes,
        options: options
      ).0)
  }
  return results
}

package import KluereBase

/// The fold of each row, 0 up to `count`, for figures of rows that took no part in a choice. `given`: nil for random folds
/// by `seed`. Every fold has a row, and so have all others together.
package func rowFolds(
  _ given: UnsafeBufferPointer<Int32>?, rows: Int, count: Int, seed: UInt64
) throws(KluereError) -> [Int] {
  guard (2...1000).contains(count), count <= rows else {
    throw KluereError(.invalidArgument, "folds: \(count), expected 2 to 1000 and at most the \(rows) rows")
  }
  guard let given else {
    guard let limit = UInt32(exactly: rows) else {
      throw KluereError(.invalidArgument, "\(rows) rows are too many to divide")
    }
    var order = Array(0..<limit)
    var random = RandomStream(seed: seed, index: 0)
    random.shuffle(&order)
    var folds = [Int](repeating: 0, count: rows)
    for (place, row) in order.enumerated() { folds[Int(row)] = place % count }
    return folds
  }
  guard given.count == rows else {
    throw KluereError(.invalidArgument, "folds: \(given.count) entries, expected \(rows), one for each row")
  }
  var sizes = [Int](repeating: 0, count: count)
  for (row, fold) in given.enumerated() {
    guard sizes.indices.contains(Int(fold)) else {
      throw KluereError(.invalidArgument, "fold of row \(row): \(fold), expected 0 to \(count - 1)")
    }
    sizes[Int(fold)] += 1
  }
  if let empty = sizes.firstIndex(of: 0) {
    throw KluereError(.invalidArgument, "fold \(empty) has no row, expected at least one in each of \(count)")
  }
  return given.map(Int.init)
}

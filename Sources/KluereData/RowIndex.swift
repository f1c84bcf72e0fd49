internal import Glibc

/// Finds rows that are equal in some of their parts, byte for byte, within a dataset and from one dataset to another.
package struct RowIndex {
  package enum Parts: Sendable {
    case sentence
    /// Sentence and both spans: what a model is asked.
    case input
    /// The input, both types and the label: all but id, source and origin.
    case row
  }

  /// Per row the first row that equals it: itself where there is none before.
  package private(set) var first: [Int] = []
  private let dataset: Dataset
  private let parts: Parts
  /// Open addressing: rows that are the first of their kind, -1 for a free place. A power of two, at most half full.
  private var table: [Int]

  package init(_ dataset: Dataset, by parts: Parts) {
    self.dataset = dataset
    self.parts = parts
    var size = 16
    while size < dataset.count * 2 { size *= 2 }
    table = Array(repeating: -1, count: size)
    first.reserveCapacity(dataset.count)
    for row in 0..<dataset.count {
      let place = self.place(of: dataset.example(row))
      if table[place] < 0 { table[place] = row }
      first.append(table[place])
    }
  }

  package var distinctCount: Int { first.indices.count { first[$0] == $0 } }

  /// The first row that equals `example`, which may be another dataset's.
  package func row(equalTo example: ExampleView) -> Int? {
    let found = table[place(of: example)]
    return found < 0 ? nil : found
  }

  /// Where the first row that equals `example` stands in the table, or where it would.
  private func place(of example: ExampleView) -> Int {
    let mask = table.count - 1
    var place = Int(truncatingIfNeeded: ContentHash.of(example, parts)) & mask
    while table[place] >= 0, !RowIndex.equal(dataset.example(table[place]), example, parts) {
      place = (place + 1) & mask
    }
    return place
  }

  private static func equal(_ a: ExampleView, _ b: ExampleView, _ parts: Parts) -> Bool {
    guard equal(a.text, b.text) else { return false }
    if parts == .sentence { return true }
    guard a.subject.begin == b.subject.begin, a.subject.end == b.subject.end, a.object.begin == b.object.begin,
      a.object.end == b.object.end
    else { return false }
    if parts == .input { return true }
    return equal(a.subject.type, b.subject.type) && equal(a.object.type, b.object.type) && equal(a.label, b.label)
  }

  static func equal(_ a: UnsafeBufferPointer<UInt8>?, _ b: UnsafeBufferPointer<UInt8>?) -> Bool {
    let (left, right) = (a?.count ?? 0, b?.count ?? 0)
    guard left == right, left > 0, let first = a?.baseAddress, let second = b?.baseAddress else { return left == right }
    return memcmp(first, second, left) == 0
  }
}

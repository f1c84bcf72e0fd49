/// How long a dataset's sentences are, in a unit.
package struct LengthSummary: Sendable {
  package var minimum = 0
  package var maximum = 0
  package var mean = 0.0
  /// Of a sample: the squares are divided by the rows but one; 0 for a single row.
  package var standardDeviation = 0.0
  /// Interpolated between the neighbours, as NumPy and pandas do unless told otherwise.
  package var quantiles: [(share: Double, length: Double)] = []
  /// Ascending; lengths that no row has are left out.
  package var rowsByLength: [(length: Int, rows: Int)] = []

  static let shares = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]

  /// `lengths` is not empty.
  package init(_ lengths: [Int32]) {
    let ordered = lengths.sorted()
    guard let first = ordered.first, let last = ordered.last else { return }
    minimum = Int(first)
    maximum = Int(last)
    let rows = Double(ordered.count)
    mean = ordered.reduce(0.0) { $0 + Double($1) } / rows
    if ordered.count > 1 {
      let squares = ordered.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
      standardDeviation = (squares / (rows - 1)).squareRoot()
    }
    quantiles = LengthSummary.shares.map { ($0, LengthSummary.quantile(ordered, $0)) }
    for length in ordered {
      if let place = rowsByLength.indices.last, rowsByLength[place].length == Int(length) {
        rowsByLength[place].rows += 1
      } else {
        rowsByLength.append((Int(length), 1))
      }
    }
  }

  private static func quantile(_ ordered: [Int32], _ share: Double) -> Double {
    let position = share * Double(ordered.count - 1)
    let below = min(max(Int(exactly: position.rounded(.down)) ?? 0, 0), ordered.count - 1)
    let above = min(below + 1, ordered.count - 1)
    return Double(ordered[below]) + (position - Double(below)) * Double(ordered[above] - ordered[below])
  }

  /// Rows counted by lengths in steps of `width`, to compare two datasets.
  func distribution(inSteps width: Int) -> Distribution {
    var counts: [Int: Int] = [:]
    for (length, rows) in rowsByLength { counts[length / width, default: 0] += rows }
    return Distribution(counts: counts.sorted { $0.key < $1.key }.map { (value: String($0.key), count: $0.value) })
  }
}

extension Dataset {
  /// Code points of every sentence.
  package func characterLengths() -> [Int32] {
    (0..<count).map { row in
      // Continuation bytes of UTF-8 are no characters of their own.
      Int32(clamping: example(row).text.reduce(0) { $0 &+ ($1 & 0xC0 == 0x80 ? 0 : 1) })
    }
  }
}

package import KluereBase
internal import KluereData

/// What happens to a row's logits by the types of its entities, as tables. A row has a route: 0 for pairs that are not known,
/// pair number + 1 for those that are, and further ones for training rows whose own label must stay possible.
package struct TypeRoutes: Sendable {
  /// Ascending: all pairs of the mask and of the heads.
  let pairs: [TypePair]
  let labelCount: Int
  /// Columns of the last linear layer.
  let columnCount: Int
  /// For each route and label, what is added; nil: nothing ever.
  private(set) var biases: [Float]?
  /// For each route and label, the column it is read from, -1: none; nil: its own column.
  private(set) var columns: [Int32]?
  private(set) var count: Int
  private let mask: TypeMask?
  private let heads: PairHeads?
  private let noRelation: Int?
  /// Route of a pair and a label that is kept, by route * labels + label.
  private var kept: [Int: Int32] = [:]

  /// nil where types change nothing. `pairs`: those of the model (`ModelExtras.typePairs`), whatever of it is in use here:
  /// rows are numbered once.
  init?(_ mask: TypeMask?, _ heads: PairHeads?, _ pairs: [TypePair], _ labels: LabelSet) {
    guard mask != nil || heads != nil else { return nil }
    self.mask = mask
    self.heads = heads
    labelCount = labels.count
    columnCount = labels.count + (heads?.rowCount ?? 0)
    noRelation = labels.index(of: "no_relation")
    self.pairs = pairs
    count = pairs.count + 1
    if let mask {
      var biases = [Float](repeating: 0, count: labelCount)
      for pair in pairs { biases += TypeRoutes.bias(mask, pair, noRelation, keeping: nil, labelCount) }
      self.biases = biases
    }
    if let heads {
      let general = TypeRoutes.general(labelCount)
      var columns = general
      for pair in pairs { columns += TypeRoutes.columns(heads, pair, labelCount) ?? general }
      self.columns = columns
    }
  }

  private static func general(_ labels: Int) -> [Int32] { (0..<labels).map { Int32(clamping: $0) } }

  private static func bias(
    _ mask: TypeMask, _ pair: TypePair, _ noRelation: Int?, keeping kept: Int?, _ labels: Int
  ) -> [Float] {
    guard let place = mask.counts.pairs.firstIndex(of: pair) else { return [Float](repeating: 0, count: labels) }
    return mask.bias(place, noRelation: noRelation, keeping: kept)
  }

  /// nil: the pair has no block.
  private static func columns(_ heads: PairHeads, _ pair: TypePair, _ labels: Int) -> [Int32]? {
    guard let place = heads.pairs.firstIndex(of: pair) else { return nil }
    let start = labels + heads.labels[..<place].reduce(0) { $0 + $1.count }
    var columns = [Int32](repeating: -1, count: labels)
    for (number, label) in heads.labels[place].enumerated() { columns[label] = Int32(clamping: start + number) }
    return columns
  }

  /// Whether some labels are impossible for some rows: their logits are those of `TypeMask.hardBias`.
  package var forbidsLabels: Bool {
    biases?.contains(TypeMask.hardBias) ?? false || columns?.contains(-1) ?? false
  }

  /// The route of a pair of types.
  package func route(_ subject: UnsafeBufferPointer<UInt8>?, _ object: UnsafeBufferPointer<UInt8>?) -> Int32 {
    pairs.place(of: subject, object).map { Int32(clamping: $0 + 1) } ?? 0
  }

  /// The route of a training row with this label: its own label stays possible. A hard mask does without the label's
  /// exclusion; a pair whose block lacks the label uses the general block.
  package mutating func training(_ route: Int32, label: Int) throws(KluereError) -> Int32 {
    guard route > 0, Int(route) <= pairs.count, (0..<labelCount).contains(label) else { return route }
    let place = Int(route) * labelCount + label
    let isExcluded = biases.map { $0[place] == TypeMask.hardBias } ?? false
    let isLacking = columns.map { $0[place] < 0 } ?? false
    guard isExcluded || isLacking else { return route }
    if let known = kept[place] { return known }
    guard (count + 1).product(labelCount).map({ $0 <= 1 << 26 }) ?? false else {
      throw KluereError(.outOfMemory, "entity types: tables of \(count) x \(labelCount) for labels outside their pairs")
    }
    let pair = pairs[Int(route) - 1]
    if let mask { biases?.append(contentsOf: TypeRoutes.bias(mask, pair, noRelation, keeping: label, labelCount)) }
    if columns != nil { columns?.append(contentsOf: TypeRoutes.general(labelCount)) }
    let new = Int32(clamping: count)
    count += 1
    kept[place] = new
    return new
  }

  /// Labels that the pair of a known route allows: those of its block, else those that the mask counted at least once and at
  /// least as often as its hard count asks. nil: the pair is known to neither.
  package func allowed(_ route: Int32) -> [Int]? {
    guard route > 0, Int(route) <= pairs.count else { return nil }
    let pair = pairs[Int(route) - 1]
    if let heads, let place = heads.pairs.firstIndex(of: pair) { return heads.labels[place] }
    if let mask, let place = mask.counts.pairs.firstIndex(of: pair) {
      return mask.counts.allowed(place, atLeast: max(1, mask.settings.hardCount), noRelation: noRelation)
    }
    return nil
  }
}

package import KluereBase
package import KluereData

/// The types of a subject and an object. Compared byte for byte.
package struct TypePair: Sendable, Hashable, Comparable {
  package let subject: [UInt8]
  package let object: [UInt8]

  package init(subject: [UInt8], object: [UInt8]) {
    self.subject = subject
    self.object = object
  }

  package static func < (a: TypePair, b: TypePair) -> Bool {
    let order = compare(a.subject, b.subject)
    return order == 0 ? compare(a.object, b.object) < 0 : order < 0
  }

  /// -1, 0 or 1.
  fileprivate static func compare(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Int {
    if a.lexicographicallyPrecedes(b) { return -1 }
    return b.lexicographicallyPrecedes(a) ? 1 : 0
  }

  /// As messages name it.
  package var description: String {
    String(decoding: subject, as: Unicode.UTF8.self) + "-" + String(decoding: object, as: Unicode.UTF8.self)
  }
}

extension [TypePair] {
  /// Place of a pair in an ascending list; nil for others, and where a type is missing or empty. Allocates nothing.
  func place(of subject: UnsafeBufferPointer<UInt8>?, _ object: UnsafeBufferPointer<UInt8>?) -> Int? {
    guard let subject, let object, !subject.isEmpty, !object.isEmpty else { return nil }
    var (low, high) = (0, count)
    while low < high {
      let middle = low + (high - low) / 2
      var order = TypePair.compare(self[middle].subject, subject)
      if order == 0 { order = TypePair.compare(self[middle].object, object) }
      if order == 0 { return middle }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return nil
  }
}

/// How often each label stands with each pair of types in labelled rows.
package struct TypeCounts: Sendable, Equatable {
  /// Ascending.
  package private(set) var pairs: [TypePair] = []
  /// Of each pair: one for each label.
  package private(set) var counts: [[Int]] = []
  package let labelCount: Int
  /// Rows that were not counted: their label is hidden or a type is missing.
  package private(set) var leftOut = 0
  /// Rows of each label.
  package let totals: [Int]

  /// Counts rows that have a label and both types. The labels are matched by name; one that `labels` lacks is refused.
  package init(_ dataset: Dataset, _ labels: LabelSet) throws(KluereError) {
    labelCount = labels.count
    let names = dataset.labels.names
    let places = names.map { labels.index(of: $0) }
    var found: [TypePair: [Int]] = [:]
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      let own = Int(dataset.labelIndex(row))
      guard names.indices.contains(own), let subject = example.subject.type, let object = example.object.type,
        !subject.isEmpty, !object.isEmpty
      else {
        leftOut += 1
        continue
      }
      guard let place = places[own] else {
        throw KluereError(
          .invalidArgument, "row \(row): label \"\(names[own])\" is none of the model's \(labels.count) labels")
      }
      let pair = TypePair(subject: Array(subject), object: Array(object))
      found[pair, default: [Int](repeating: 0, count: labels.count)][place] += 1
      guard TypePair.fits(found.count, labels.count) else {
        throw KluereError(
          .invalidArgument,
          "row \(row): \(found.count) pairs of entity types and \(labels.count) labels, \(TypePair.limits)")
      }
    }
    guard !found.isEmpty else {
      throw KluereError(
        .invalidArgument, "dataset: none of its \(dataset.count) rows has a label and both entity types")
    }
    for pair in found.keys.sorted() {
      pairs.append(pair)
      counts.append(found[pair] ?? [])
    }
    totals = TypeCounts.sums(counts, labels.count)
  }

  /// From a file: `counts` as many as `pairs`, in ascending order, each with a number for each label.
  init(pairs: [TypePair], counts: [[Int]], labelCount: Int, _ place: String) throws(KluereError) {
    try TypePair.check(pairs, place)
    guard counts.count == pairs.count, TypePair.fits(pairs.count, labelCount) else {
      throw KluereError(
        .badFormat, "\(place): \(pairs.count) pairs and \(labelCount) labels, \(TypePair.limits)")
    }
    for (pair, numbers) in zip(pairs, counts) {
      // Sums of the largest numbers allowed, 2^24 of them, stay below Int.max.
      guard numbers.count == labelCount, numbers.allSatisfy({ (0...1 << 32).contains($0) }) else {
        throw KluereError(
          .badFormat,
          "\(place): \(pair.description): \(numbers.count) counts, expected one from 0 to \(1 << 32) for each of "
            + "\(labelCount) labels")
      }
    }
    self.pairs = pairs
    self.counts = counts
    self.labelCount = labelCount
    totals = TypeCounts.sums(counts, labelCount)
  }

  /// Rows of a pair.
  package func rows(_ place: Int) -> Int { counts[place].reduce(0, +) }

  private static func sums(_ counts: [[Int]], _ labelCount: Int) -> [Int] {
    var totals = [Int](repeating: 0, count: labelCount)
    for numbers in counts {
      for label in totals.indices { totals[label] = totals[label] + numbers[label] }
    }
    return totals
  }

  /// The labels that a pair has at least `minimum` times, and no_relation.
  package func allowed(_ place: Int, atLeast minimum: Int, noRelation: Int?) -> [Int] {
    counts[place].indices.filter { counts[place][$0] >= minimum || $0 == noRelation }
  }
}

extension TypePair {
  /// What a file or a dataset may have: tables have a row for each pair.
  static func fits(_ pairs: Int, _ labels: Int) -> Bool {
    pairs <= 1024 && pairs.product(labels).map { $0 <= 1 << 24 } ?? false
  }
  static let limits = "expected at most 1024 pairs and 2^24 of both multiplied"

  /// A list from a file: types that are texts, in ascending order.
  static func check(_ pairs: [TypePair], _ place: String) throws(KluereError) {
    for (number, pair) in pairs.enumerated() {
      guard !pair.subject.isEmpty, !pair.object.isEmpty else {
        throw KluereError(.badFormat, "\(place): pair \(number): a type is empty, expected two names")
      }
      guard number == 0 || pairs[number - 1] < pair else {
        throw KluereError(.badFormat, "\(place): pair \(number): \(pair.description) is not in ascending order")
      }
    }
  }
}

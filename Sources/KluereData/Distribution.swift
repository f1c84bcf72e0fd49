internal import Glibc

/// What rows can be counted by.
package enum RowField: Sendable {
  case label
  case source
  case subjectType
  case objectType
  /// Subject type, a hyphen, object type; a type that is missing is empty.
  case typePair
}

/// How often the rows have each value of a field.
package struct Distribution: Sendable {
  /// nil: rows without a value.
  package var counts: [(value: String?, count: Int)]

  package init(counts: [(value: String?, count: Int)] = []) { self.counts = counts }

  package var total: Int { counts.reduce(0) { $0 + $1.count } }

  /// Jensen-Shannon divergence in bits, 0 to 1; nil if one of the two is empty.
  package static func divergence(_ a: Distribution, _ b: Distribution) -> Double? {
    let (first, second) = (a.total, b.total)
    guard first > 0, second > 0 else { return nil }
    var shares: [[UInt8]?: (Double, Double)] = [:]
    for (value, count) in a.counts {
      shares[value.map { Array($0.utf8) }, default: (0, 0)].0 += Double(count) / Double(first)
    }
    for (value, count) in b.counts {
      shares[value.map { Array($0.utf8) }, default: (0, 0)].1 += Double(count) / Double(second)
    }
    // In a fixed order: the sum is then the same on every run.
    let terms = shares.values.map { (p, q) in term(p, (p + q) / 2) + term(q, (p + q) / 2) }
    return max(0, terms.sorted().reduce(0, +) / 2)
  }

  private static func term(_ share: Double, _ mean: Double) -> Double { share > 0 ? share * log2(share / mean) : 0 }
}

extension Dataset {
  /// Labels in their order, all of them, then hidden ones if there are some; other values by falling count, equal counts in
  /// the order of the values. `skipping`: rows with this label are left out.
  package func distribution(_ field: RowField, skipping label: Int32? = nil) -> Distribution {
    if field == .label { return labelDistribution(skipping: label) }
    var counter = TextCounter()
    for row in 0..<count where label != labelIndex(row) {
      let example = example(row)
      switch field {
      case .source: counter.add(example.source)
      case .subjectType: counter.add(example.subject.type)
      case .objectType: counter.add(example.object.type)
      case .typePair, .label: counter.add(pair: example.subject.type, example.object.type)
      }
    }
    return counter.distribution()
  }

  private func labelDistribution(skipping label: Int32?) -> Distribution {
    var counts = [Int](repeating: 0, count: labels.count)
    var hidden = 0
    for index in labelIndices where index != label {
      if let place = Int(exactly: index), counts.indices.contains(place) { counts[place] += 1 } else { hidden += 1 }
    }
    var result = Distribution(counts: zip(labels.names, counts).map { (value: $0, count: $1) })
    if hidden > 0 { result.counts.append((nil, hidden)) }
    return result
  }

  /// The label that says that there is no relation; nil where the labels have none.
  package var noRelation: Int32? { labels.index(of: "no_relation").flatMap { Int32(exactly: $0) } }
}

/// Counts texts.
struct TextCounter {
  private var numbers = TextNumbers()
  private var counts: [Int] = []
  private var missing = 0
  private var scratch: [UInt8] = []

  mutating func add(_ text: UnsafeBufferPointer<UInt8>?) {
    guard let text else { return missing += 1 }
    add(numbers.number(of: text))
  }

  mutating func add(pair first: UnsafeBufferPointer<UInt8>?, _ second: UnsafeBufferPointer<UInt8>?) {
    guard first != nil || second != nil else { return missing += 1 }
    scratch.removeAll(keepingCapacity: true)
    if let first { scratch.append(contentsOf: first) }
    scratch.append(UInt8(ascii: "-"))
    if let second { scratch.append(contentsOf: second) }
    add(scratch.withUnsafeBufferPointer { numbers.number(of: $0) })
  }

  private mutating func add(_ number: Int) {
    if number == counts.count { counts.append(0) }
    counts[number] += 1
  }

  func distribution() -> Distribution {
    let order = zip(numbers.texts, counts).sorted { a, b in
      a.1 != b.1 ? a.1 > b.1 : a.0.lexicographicallyPrecedes(b.0)
    }
    var result = Distribution(
      counts: order.map { (value: String(decoding: $0.0, as: Unicode.UTF8.self), count: $0.1) })
    if missing > 0 { result.counts.append((nil, missing)) }
    return result
  }
}

/// Numbers texts in the order of their first appearance; no text is -1. For values of which there are few.
struct TextNumbers {
  private(set) var texts: [[UInt8]] = []
  private var numbers: [[UInt8]: Int] = [:]
  /// Most rows have one of the first few values, which are found faster by looking than by hashing.
  private static let looked = 8

  mutating func number(of text: UnsafeBufferPointer<UInt8>?) -> Int {
    guard let text else { return -1 }
    for number in 0..<min(texts.count, TextNumbers.looked) where texts[number].elementsEqual(text) { return number }
    let key = Array(text)
    if let number = numbers[key] { return number }
    numbers[key] = texts.count
    texts.append(key)
    return texts.count - 1
  }
}

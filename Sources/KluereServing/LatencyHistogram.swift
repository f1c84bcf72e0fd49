/// How often which latency occurred: buckets as wide as 1/32 of their values, so that memory is fixed and a quantile is off
/// by at most 1.6 %.
package struct LatencyHistogram {
  /// 0 ..< 64 one by one, then 32 buckets for each power of two up to 2^62.
  private var counts = [UInt64](repeating: 0, count: 64 + 57 * 32)
  package private(set) var count: UInt64 = 0
  private var largest: Int64 = 0

  package init() {}

  package mutating func add(_ nanoseconds: Int64) {
    let value = max(0, nanoseconds)
    counts[LatencyHistogram.bucket(value)] += 1
    count += 1
    largest = max(largest, value)
  }

  package mutating func removeAll() {
    for place in counts.indices { counts[place] = 0 }
    count = 0
    largest = 0
  }

  package var maximum: Int64 { largest }

  /// The latency that `share` of all do not exceed: the middle of its bucket. 0 without any.
  package func quantile(_ share: Double) -> Int64 {
    guard count > 0 else { return 0 }
    let rank = max(1, UInt64(exactly: (share * Double(count)).rounded(.up)) ?? count)
    var seen: UInt64 = 0
    for (place, number) in counts.enumerated() {
      seen += number
      if seen >= rank { return min(LatencyHistogram.middle(place), largest) }
    }
    return largest
  }

  private static func bucket(_ value: Int64) -> Int {
    guard value >= 64 else { return Int(value) }
    let power = 63 - value.leadingZeroBitCount
    return 64 + (power - 6) * 32 + Int(value >> Int64(power - 5)) - 32
  }

  private static func middle(_ place: Int) -> Int64 {
    guard place >= 64 else { return Int64(place) }
    let shift = Int64((place - 64) / 32 + 1)
    let low = Int64((place - 64) % 32 + 32) << shift
    return low + (Int64(1) << shift) / 2
  }
}

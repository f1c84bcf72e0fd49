/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
package struct SplitMix64 {
  private var state: UInt64

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Uniform in 0..<bound, for bound > 0 (Lemire 2019, "Fast random integer generation in an interval").
  package mutating func below(_ bound: Int) -> Int {
    let range = UInt64(truncatingIfNeeded: bound)
    guard range > 0 else { return 0 }
    var product = next().multipliedFullWidth(by: range)
    // The lowest 2^64 mod range values of the low word would make some results more likely.
    let excess = (0 &- range) % range
    while product.low < excess { product = next().multipliedFullWidth(by: range) }
    return Int(truncatingIfNeeded: product.high)
  }

  /// Uniform in [0, 1), of 53 bits.
  package mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }
}

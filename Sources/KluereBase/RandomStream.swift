/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine. One stream per purpose and index, so that
/// any epoch's order can be made again without those before it.
package struct RandomStream {
  private var state: UInt64

  package init(seed: UInt64, index: UInt64) { state = mix(seed, index) }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return finalize(state)
  }

  /// Uniform in 0 ..< bound (Lemire 2019, with rejection: no bias). bound > 0.
  package mutating func next(below bound: UInt32) -> UInt32 {
    // 2^32 mod bound: that many of the low products would favour some results.
    let threshold = (0 &- bound) % bound
    while true {
      let product = (next() >> 32) * UInt64(bound)
      if UInt32(truncatingIfNeeded: product) >= threshold { return UInt32(truncatingIfNeeded: product >> 32) }
    }
  }

  /// Fisher-Yates.
  package mutating func shuffle(_ values: inout [UInt32]) {
    var last = values.count - 1
    while last > 0 {
      values.swapAt(last, Int(next(below: UInt32(clamping: last + 1))))
      last -= 1
    }
  }
}

/// A seed for number `index` of the run that `seed` names; neighbouring indices give unrelated seeds.
package func mix(_ seed: UInt64, _ index: UInt64) -> UInt64 {
  finalize(finalize(seed &+ 0x9E37_79B9_7F4A_7C15) &+ index &* 0xD1B5_4A32_D192_ED03)
}

/// Output function of SplitMix64.
private func finalize(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}

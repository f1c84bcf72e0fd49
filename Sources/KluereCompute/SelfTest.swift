internal import Glibc
package import KluereBase

extension CPUBackend {
  /// The kernels that were chosen for this machine against the plain ones, on sizes with whole vectors and with rests.
  package func selfTest() throws(KluereError) {
    let plain = try CPUBackend(threads: 1, instructionSet: "plain")
    let (rows, heads, headWidth, out) = (7, 2, 11, 37)
    let width = heads * headWidth
    for count in [rows * 3 * width, rows * width, out * width, rows * out] where count > SelfTestNumbers.count {
      throw KluereError(.internal, "self-test: \(count) values, room for \(SelfTestNumbers.count)")
    }
    var offsets: [Int32] = [0, 3, 7]
    func run(_ name: String, _ count: Int, _ body: (CPUBackend, SelfTestNumbers) throws(KluereError) -> Void)
      throws(KluereError)
    {
      let (found, expected) = (SelfTestNumbers(), SelfTestNumbers())
      try body(self, found)
      try body(plain, expected)
      for place in 0..<count {
        let (a, b) = (found.result[place], expected.result[place])
        // Rounding differs between instruction sets; a wrong kernel is off by far more.
        guard abs(a - b) <= 1e-4 * max(1, abs(b)) else {
          throw KluereError(
            .device, "self-test: \(name): \(instructionSet) gives \(a) at \(place), plain code gives \(b)")
        }
      }
    }
    try run("linear", rows * out) { (backend, n) throws(KluereError) in
      try backend.linear(
        Values(n.result), pre: nil, Values(n.first), Weights(n.second), bias: Weights(n.third), rows: rows, out: out,
        in: width, .gelu)
    }
    try run("layer norm", rows * width) { (backend, n) throws(KluereError) in
      try backend.residualNorm(
        Values(n.result), stream: nil, xhat: nil, rstd: nil, Values(n.first), residual: Values(n.second),
        gain: n.third, bias: n.second, rows: rows, width: width, epsilon: 1e-5, .off)
    }
    try run("attention", rows * width) { (backend, n) throws(KluereError) in
      let sequences = PackedSequences(offsets: &offsets, count: 2, rows: rows, longest: 4)
      try backend.attention(
        Values(n.result), lse: nil, AttentionValues(joined: Values(n.first), width: width), sequences, heads: heads,
        headWidth: headWidth, .off)
    }
    try run("softmax", rows * out) { (backend, n) throws(KluereError) in
      try backend.softmax(n.result, n.first, rows: rows, classes: out)
    }
  }
}

/// Three arrays of numbers between -1 and 1, and one for a result.
private final class SelfTestNumbers {
  static let count = 1024
  let first: Floats
  let second: Floats
  let third: Floats
  let result: Floats

  init() {
    let memory = Floats.allocate(capacity: 4 * SelfTestNumbers.count)
    for place in 0..<4 * SelfTestNumbers.count { (memory + place).initialize(to: sinf(Float(place) * 0.73)) }
    (first, second) = (memory, memory + SelfTestNumbers.count)
    (third, result) = (memory + 2 * SelfTestNumbers.count, memory + 3 * SelfTestNumbers.count)
  }

  deinit { first.deallocate() }
}

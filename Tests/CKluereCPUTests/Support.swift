import CKluereCPU
import Glibc
import Testing

/// SplitMix64: the same numbers in every run.
struct Numbers {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in [-scale, scale).
  mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in (Float(bits() >> 40) / 8_388_608 - 1) * scale }
  }

  /// Uniform in [0, below).
  mutating func indices(_ count: Int, below: Int) -> [Int32] {
    (0..<count).map { _ in Int32(bits() % UInt64(below)) }
  }
}

/// The instruction sets this machine runs.
let instructionSets: [CInt] = (1...4).filter { kk_isa_supported($0) != 0 }

func isaName(_ isa: CInt) -> String { String(cString: kk_isa_name(isa)) }

/// An engine for the time of `body`.
func withEngine<R>(_ isa: CInt, threads: CInt, _ body: (OpaquePointer) throws -> R) throws -> R {
  let engine = try #require(kk_engine_create(isa, threads), "no engine for \(isaName(isa))")
  defer { kk_engine_destroy(engine) }
  return try body(engine)
}

/// Runs `body` on every instruction set with 1, 2, 3 and 6 threads (from 5 on workers share what they pack), expects the same
/// bits from each number of threads, and hands the arrays to `check` once per instruction set.
/// Regions of less than some 25 microseconds stay on one thread: a test that is to see more needs larger arrays.
func onEveryEngine(_ body: (OpaquePointer) throws -> [[Float]], check: (String, [[Float]]) throws -> Void) throws {
  for isa in instructionSets {
    let one = try withEngine(isa, threads: 1, body)
    for threads in [CInt(2), 3, 6] {
      let more = try withEngine(isa, threads: threads, body)
      #expect(sameBits(one, more), "\(isaName(isa)): \(threads) threads give other bits than one")
    }
    try check(isaName(isa), one)
  }
}

func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}

func sameBits(_ a: [[Float]], _ b: [[Float]]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { sameBits($0, $1) }
}

/// The largest |actual - expected| / max(1, |expected|) is at most `tolerance`.
func expectClose(
  _ actual: [Float], _ expected: [Double], _ tolerance: Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, "\(what): number of elements", sourceLocation: sourceLocation)
  var worst = 0.0
  var at = 0
  for i in 0..<min(actual.count, expected.count) {
    let error = abs(Double(actual[i]) - expected[i]) / max(1, abs(expected[i]))
    if !(error <= worst) { (worst, at) = (error.isNaN ? .infinity : error, i) }
  }
  #expect(
    worst <= tolerance, "\(what): element \(at) is off by \(worst), tolerance \(tolerance)",
    sourceLocation: sourceLocation)
}

/// Central differences of `f` at `x`.
func numericalGradient(at x: [Double], _ f: ([Double]) -> Double) -> [Double] {
  var moved = x
  return x.indices.map { i in
    let step = 1e-5
    moved[i] = x[i] + step
    let above = f(moved)
    moved[i] = x[i] - step
    let below = f(moved)
    moved[i] = x[i]
    return (above - below) / (2 * step)
  }
}

func doubles(_ x: [Float]) -> [Double] { x.map(Double.init) }

// MARK: Dropout

/// Philox4x32 with 7 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3; 2011).
func philox(_ counter: [UInt32], key: [UInt32]) -> [UInt32] {
  var c = counter
  var k = key
  for _ in 0..<7 {
    let a = UInt64(0xD251_1F53) * UInt64(c[0])
    let b = UInt64(0xCD9E_8D57) * UInt64(c[2])
    c = [
      UInt32(b >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: b),
      UInt32(a >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: a),
    ]
    k[0] &+= 0x9E37_79B9
    k[1] &+= 0xBB67_AE85
  }
  return c
}

/// A dropout mask, and the factors it stands for.
struct Mask {
  var seed: UInt64 = 0x0123_4567_89AB_CDEF
  var threshold: UInt32
  var site: UInt32 = 17
  var samples: [UInt32]
  var positions: [UInt32]

  /// Rows of packed sequences of these lengths; samples count up from 40.
  init(lengths: [Int], threshold: UInt32) {
    self.threshold = threshold
    samples = lengths.enumerated().flatMap { [UInt32](repeating: UInt32(40 + $0.offset), count: $0.element) }
    positions = lengths.flatMap { (0..<UInt32($0)).map { $0 } }
  }

  /// One row per sentence and position, 12 rows to a sentence.
  init(rows: Int, threshold: UInt32) {
    self.threshold = threshold
    samples = (0..<rows).map { UInt32($0 / 12) }
    positions = (0..<rows).map { UInt32($0 % 12) }
  }

  /// 0, or what a kept element is multiplied by: columns [0, width) of a row.
  func factors(row: Int, width: Int, site offset: Int = 0) -> [Double] {
    guard threshold > 0 else { return [Double](repeating: 1, count: width) }
    let scale = 65536 / (65536 - Double(threshold))
    let key = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
    var result: [Double] = []
    for group in 0..<(width + 7) / 8 {
      for word in philox([UInt32(group), positions[row], samples[row], site + UInt32(offset)], key: key) {
        result.append(word & 0xFFFF >= threshold ? scale : 0)
        result.append(word >> 16 >= threshold ? scale : 0)
      }
    }
    return Array(result[..<width])
  }

  /// The mask without the rows before `first`.
  func dropFirst(_ first: Int) -> Mask {
    var copy = self
    copy.samples.removeFirst(first)
    copy.positions.removeFirst(first)
    return copy
  }

  func withUnsafe<R>(_ body: (UnsafePointer<kk_dropout>) throws -> R) rethrows -> R {
    try samples.withUnsafeBufferPointer { samples in
      try positions.withUnsafeBufferPointer { positions in
        var dropout = kk_dropout(
          seed: seed, threshold: threshold, site: site, sample: threshold == 0 ? nil : samples.baseAddress,
          position: threshold == 0 ? nil : positions.baseAddress)
        return try body(&dropout)
      }
    }
  }
}

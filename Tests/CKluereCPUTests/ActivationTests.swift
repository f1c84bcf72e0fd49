import CKluereCPU
import Glibc
import Testing

/// From -12 to 12 in 100,003 steps: many pieces, and a tail in the last.
private let grid: [Float] = (0..<100_003).map { Float($0) / 100_002 * 24 - 12 }

private func gelu(_ x: Double) -> Double { x / 2 * (1 + erf(x / 2.0.squareRoot())) }

@Test func `gelu is x times the normal distribution function`() throws {
  let expected = grid.map { gelu(Double($0)) }
  for count in [1, 7, 17, grid.count] {
    let x = Array(grid[..<count])
    try onEveryEngine { engine in
      var y = [Float](repeating: .nan, count: count)
      kk_activate(engine, CInt(KK_ACT_GELU), &y, x, count)
      return [y]
    } check: { isa, result in
      expectClose(result[0], Array(expected[..<count]), 1e-6, "gelu, \(isa)")
    }
  }
}

@Test func `gelu works in place, is exact far out and lets NaN through`() throws {
  for isa in instructionSets {
    var x: [Float] = [-1e30, -100, -6, -0.0, 0, 1e-30, 100, 1e30, .nan]
    try withEngine(isa, threads: 1) { engine in
      x.withUnsafeMutableBufferPointer {
        kk_activate(engine, CInt(KK_ACT_GELU), $0.baseAddress, $0.baseAddress, $0.count)
      }
    }
    #expect(Array(x[..<2]) == [0, 0], "\(isaName(isa))")
    #expect(Array(x[3..<8]) == [0, 0, 5e-31, 100, 1e30], "\(isaName(isa))")
    #expect(x[8].isNaN, "\(isaName(isa))")
  }
}

@Test func `the gradient of gelu is its derivative`() throws {
  var numbers = Numbers(1)
  let dy = numbers.floats(grid.count)
  let expected = grid.indices.map { i in
    let x = Double(grid[i])
    return Double(dy[i]) * ((1 + erf(x / 2.0.squareRoot())) / 2 + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
  }
  try onEveryEngine { engine in
    var dx = dy
    dx.withUnsafeMutableBufferPointer {
      kk_activate_backward(engine, CInt(KK_ACT_GELU), $0.baseAddress, $0.baseAddress, grid, grid.count)
    }
    return [dx]
  } check: { isa, result in
    expectClose(result[0], expected, 2e-6, "gelu backward, \(isa)")
  }
}

@Test func `the gradient of tanh is 1 minus its square`() throws {
  var numbers = Numbers(2)
  for count in [1, 5, 200_001] {
    let y = numbers.floats(count)
    let dy = numbers.floats(count)
    try onEveryEngine { engine in
      var dx = [Float](repeating: .nan, count: count)
      kk_activate_backward(engine, CInt(KK_ACT_TANH), &dx, dy, y, count)
      return [dx]
    } check: { isa, result in
      expectClose(
        result[0], (0..<count).map { Double(dy[$0]) * (1 - Double(y[$0]) * Double(y[$0])) }, 1e-6,
        "tanh backward, \(isa)")
    }
  }
}

@Test func `an element's gelu does not depend on where it lies`() throws {
  for isa in instructionSets {
    try withEngine(isa, threads: 1) { engine in
      var together = [Float](repeating: 0, count: 71)
      kk_activate(engine, CInt(KK_ACT_GELU), &together, Array(grid[50_000..<50_071]), 71)
      for i in 0..<71 {
        var alone: Float = 0
        kk_activate(engine, CInt(KK_ACT_GELU), &alone, [grid[50_000 + i]], 1)
        #expect(alone.bitPattern == together[i].bitPattern, "\(isaName(isa)), element \(i)")
      }
    }
  }
}

@Test func `gelu_new and relu are their formulas, and their gradients the derivatives`() throws {
  func inner(_ x: Double) -> Double { (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }
  func geluNew(_ x: Double) -> Double { x / 2 * (1 + tanh(inner(x))) }
  func geluNewSlope(_ x: Double) -> Double {
    let t = tanh(inner(x))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
  }
  let cases: [(Int, (Double) -> Double, (Double) -> Double)] = [
    (Int(KK_ACT_GELU_NEW), geluNew, geluNewSlope), (Int(KK_ACT_RELU), { max(0, $0) }, { $0 > 0 ? 1 : 0 }),
  ]
  var numbers = Numbers(3)
  let dy = numbers.floats(grid.count)
  for (kind, value, slope) in cases {
    for count in [1, 7, grid.count] {
      let x = Array(grid[..<count])
      try onEveryEngine { engine in
        var y = [Float](repeating: .nan, count: count)
        var dx = [Float](repeating: .nan, count: count)
        kk_activate(engine, CInt(kind), &y, x, count)
        kk_activate_backward(engine, CInt(kind), &dx, dy, x, count)
        return [y, dx]
      } check: { isa, result in
        expectClose(result[0], x.map { value(Double($0)) }, 1e-6, "activation \(kind), \(isa)")
        expectClose(
          result[1], x.indices.map { Double(dy[$0]) * slope(Double(x[$0])) }, 2e-6, "gradient \(kind), \(isa)")
      }
    }
  }
}

import CKluereCPU
import Glibc
import Testing

private struct Shape: CustomStringConvertible {
  var rows: Int
  var out: Int
  var input: Int
  var description: String { "\(rows) rows, \(input) -> \(out)" }
}

/// Odd ones; tile edges of every instruction set; one and several blocks and chunks of the sum; one row, one column.
private let shapes = [
  Shape(rows: 1, out: 1, input: 1), Shape(rows: 1, out: 97, input: 3), Shape(rows: 2, out: 33, input: 7),
  Shape(rows: 3, out: 16, input: 385), Shape(rows: 5, out: 1, input: 16), Shape(rows: 6, out: 16, input: 384),
  Shape(rows: 7, out: 31, input: 13), Shape(rows: 14, out: 32, input: 64), Shape(rows: 15, out: 70, input: 129),
  Shape(rows: 29, out: 31, input: 33), Shape(rows: 100, out: 30, input: 17), Shape(rows: 4, out: 5, input: 1601),
  Shape(rows: 531, out: 9, input: 5), Shape(rows: 3, out: 4, input: 0),
]

/// a [m, k] times b [k, n] in double, and the sum of the products' magnitudes: what rounding is measured against.
private func product(_ a: [Double], _ b: [Double], m: Int, n: Int, k: Int) -> (value: [Double], magnitude: [Double]) {
  var value = [Double](repeating: 0, count: m * n)
  var magnitude = value
  for i in 0..<m {
    for p in 0..<k {
      let factor = a[i * k + p]
      for j in 0..<n {
        let term = factor * b[p * n + j]
        value[i * n + j] += term
        magnitude[i * n + j] += abs(term)
      }
    }
  }
  return (value, magnitude)
}

private func transposed(_ a: [Double], rows: Int, columns: Int) -> [Double] {
  (0..<columns).flatMap { j in (0..<rows).map { i in a[i * columns + j] } }
}

/// |actual - expected| <= 2e-6 of the terms' magnitude: tens of roundings, far below a wrong or lost term.
private func expectProduct(_ actual: [Float], _ expected: [Double], _ magnitude: [Double], _ what: String) {
  #expect(actual.count == expected.count, "\(what): number of elements")
  let wrong = zip(actual, zip(expected, magnitude)).enumerated().first { _, element in
    let (value, (reference, terms)) = element
    return !(abs(Double(value) - reference) <= 2e-6 * (terms + 1))
  }
  if let (at, (value, (reference, _))) = wrong {
    Issue.record("\(what): element \(at) is \(value), expected \(reference)")
  }
}

private func activated(_ x: Double, _ activation: Int) -> Double {
  switch activation {
  case KK_ACT_GELU: x / 2 * (1 + erf(x / 2.0.squareRoot()))
  case KK_ACT_TANH: tanh(x)
  default: x
  }
}

/// Weights packed for `engine`, for the time of `body`.
private func withPacked<R>(
  _ engine: OpaquePointer, _ w: [Float], _ shape: Shape, _ body: (UnsafePointer<Float>) throws -> R
) rethrows -> R {
  try withPacked(engine, { kk_pack(engine, $0, w, shape.out, shape.input) }, shape, body)
}

private func withPacked<R>(
  _ engine: OpaquePointer, _ pack: (UnsafeMutablePointer<Float>) -> Void, _ shape: Shape,
  _ body: (UnsafePointer<Float>) throws -> R
) rethrows -> R {
  let count = kk_packed_size(engine, shape.out, shape.input)
  let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
  defer { memory.deallocate() }
  let packed = memory.bindMemory(to: Float.self, capacity: count)
  pack(packed)
  return try body(packed)
}

private struct Operands {
  var x, w, bias, dy: [Float]

  init(_ shape: Shape, seed: UInt64) {
    var numbers = Numbers(seed)
    x = numbers.floats(shape.rows * shape.input)
    w = numbers.floats(shape.out * shape.input)
    bias = numbers.floats(shape.out)
    dy = numbers.floats(shape.rows * shape.out)
  }
}

@Test(arguments: [KK_ACT_NONE, KK_ACT_GELU, KK_ACT_TANH])
func `linear is the product, the bias and the activation`(activation: Int) throws {
  for shape in shapes {
    let operands = Operands(shape, seed: 11)
    let wide = transposed(doubles(operands.w), rows: shape.out, columns: shape.input)
    let (sums, magnitude) = product(doubles(operands.x), wide, m: shape.rows, n: shape.out, k: shape.input)
    let expected = sums.indices.map { sums[$0] + Double(operands.bias[$0 % shape.out]) }
    try onEveryEngine { engine in
      var y = [Float](repeating: .nan, count: shape.rows * shape.out)
      var pre = y
      let failed = kk_linear(
        engine, &y, &pre, operands.x, operands.w, operands.bias, shape.rows, shape.out, shape.input, CInt(activation))
      #expect(failed == 0)
      return [y, pre]
    } check: { isa, result in
      expectProduct(result[1], expected, magnitude, "before the activation, \(shape), \(isa)")
      expectProduct(result[0], expected.map { activated($0, activation) }, magnitude, "\(shape), \(isa)")
    }
  }
}

@Test func `linear without bias and without activation is the product`() throws {
  for shape in shapes {
    let operands = Operands(shape, seed: 12)
    let wide = transposed(doubles(operands.w), rows: shape.out, columns: shape.input)
    let (expected, magnitude) = product(doubles(operands.x), wide, m: shape.rows, n: shape.out, k: shape.input)
    try onEveryEngine { engine in
      var y = [Float](repeating: .nan, count: shape.rows * shape.out)
      let failed = kk_linear(
        engine, &y, nil, operands.x, operands.w, nil, shape.rows, shape.out, shape.input, CInt(KK_ACT_NONE))
      #expect(failed == 0)
      return [y]
    } check: { isa, result in
      expectProduct(result[0], expected, magnitude, "\(shape), \(isa)")
    }
  }
}

@Test func `packed weights give the bits of unpacked ones`() throws {
  for shape in shapes {
    let operands = Operands(shape, seed: 13)
    for activation in [KK_ACT_NONE, KK_ACT_GELU, KK_ACT_TANH] {
      try onEveryEngine { engine in
        var plain = [Float](repeating: .nan, count: shape.rows * shape.out)
        var packed = plain
        kk_linear(
          engine, &plain, nil, operands.x, operands.w, operands.bias, shape.rows, shape.out, shape.input,
          CInt(activation))
        withPacked(engine, operands.w, shape) { weights in
          _ = kk_linear_packed(
            engine, &packed, operands.x, weights, operands.bias, shape.rows, shape.out, shape.input, CInt(activation))
        }
        #expect(sameBits(plain, packed), "\(shape), \(isaName(kk_engine_isa(engine)))")
        return [packed]
      } check: { _, _ in
      }
    }
  }
}

@Test func `weights in parts give the bits of weights in one piece`() throws {
  // Parts of one group of columns and of several, several blocks of the sum.
  for (parts, rows, input) in [(3, 32, 7), (3, 96, 385), (2, 288, 33), (1, 31, 13)] {
    for count in [1, 5, 40] {
      let shape = Shape(rows: count, out: parts * rows, input: input)
      let operands = Operands(shape, seed: 15)
      // In an order and with gaps that no single matrix has.
      let stride = rows * input + 3
      var scattered = [Float](repeating: .nan, count: parts * stride)
      for part in 0..<parts {
        let start = (parts - 1 - part) * stride
        for i in 0..<rows * input { scattered[start + i] = operands.w[part * rows * input + i] }
      }
      try onEveryEngine { engine in
        let padded = kk_packed_size(engine, rows, input)
        #expect(parts == 1 || padded == rows * input, "a part of \(rows) rows is whole panels")
        var plain = [Float](repeating: .nan, count: count * shape.out)
        var (result, packed) = (plain, plain)
        kk_linear(
          engine, &plain, nil, operands.x, operands.w, operands.bias, count, shape.out, input, CInt(KK_ACT_GELU))
        scattered.withUnsafeBufferPointer { memory in
          let places = (0..<parts).map { part in memory.baseAddress.map { $0 + (parts - 1 - part) * stride } }
          let failed = kk_linear_parts(
            engine, &result, operands.x, places, parts, operands.bias, count, shape.out, input, CInt(KK_ACT_GELU))
          #expect(failed == 0)
          withPacked(engine, { kk_pack_parts(engine, $0, places, parts, shape.out, input) }, shape) { weights in
            _ = kk_linear_packed(
              engine, &packed, operands.x, weights, operands.bias, count, shape.out, input, CInt(KK_ACT_GELU))
          }
        }
        #expect(sameBits(plain, result), "\(parts) parts, \(shape), \(isaName(kk_engine_isa(engine)))")
        #expect(sameBits(plain, packed), "\(parts) parts packed, \(shape), \(isaName(kk_engine_isa(engine)))")
        return [result]
      } check: { _, _ in
      }
    }
  }
}

@Test func `a row has the same bits alone, among others and elsewhere`() throws {
  for shape in shapes where shape.input > 0 {
    let operands = Operands(shape, seed: 14)
    for isa in instructionSets {
      try withEngine(isa, threads: 2) { engine in
        func linear(_ x: ArraySlice<Float>) -> [Float] {
          var y = [Float](repeating: .nan, count: x.count / shape.input * shape.out)
          kk_linear(
            engine, &y, nil, Array(x), operands.w, operands.bias, x.count / shape.input, shape.out, shape.input,
            CInt(KK_ACT_GELU))
          return y
        }
        let all = linear(operands.x[...])
        for row in stride(from: 0, to: shape.rows, by: shape.rows > 40 ? 37 : 1) {
          let alone = linear(operands.x[row * shape.input..<(row + 1) * shape.input])
          #expect(sameBits(alone, Array(all[row * shape.out..<(row + 1) * shape.out])), "row \(row) of \(shape)")
        }
        let half = shape.rows / 2
        let rest = linear(operands.x[(half * shape.input)...])
        #expect(sameBits(rest, Array(all[(half * shape.out)...])), "rows from \(half) of \(shape)")
      }
    }
  }
}

@Test func `the gradient of the input is the gradient times the weights`() throws {
  for shape in shapes {
    let operands = Operands(shape, seed: 15)
    var numbers = Numbers(16)
    let before = numbers.floats(shape.rows * shape.input)
    let (sums, magnitude) = product(
      doubles(operands.dy), doubles(operands.w), m: shape.rows, n: shape.input, k: shape.out)
    for accumulate in [false, true] {
      let expected = sums.indices.map { sums[$0] + (accumulate ? Double(before[$0]) : 0) }
      try onEveryEngine { engine in
        var dx = accumulate ? before : [Float](repeating: .nan, count: before.count)
        let failed = kk_linear_backward_input(
          engine, &dx, operands.dy, operands.w, shape.rows, shape.out, shape.input, accumulate ? 1 : 0)
        #expect(failed == 0)
        return [dx]
      } check: { isa, result in
        expectProduct(result[0], expected, magnitude, "\(shape), \(isa), accumulate \(accumulate)")
      }
    }
  }
}

@Test func `the gradients of weights and bias are added to what is there`() throws {
  for shape in shapes {
    let operands = Operands(shape, seed: 17)
    var numbers = Numbers(18)
    let weightsBefore = numbers.floats(shape.out * shape.input)
    let biasBefore = numbers.floats(shape.out)
    let columns = transposed(doubles(operands.dy), rows: shape.rows, columns: shape.out)
    let (sums, magnitude) = product(columns, doubles(operands.x), m: shape.out, n: shape.input, k: shape.rows)
    let ones = [Double](repeating: 1, count: shape.rows)
    let (biasSums, biasMagnitude) = product(columns, ones, m: shape.out, n: 1, k: shape.rows)
    try onEveryEngine { engine in
      var dw = weightsBefore
      var dbias = biasBefore
      var alone = weightsBefore
      kk_linear_backward_weight(engine, &dw, &dbias, operands.dy, operands.x, shape.rows, shape.out, shape.input)
      kk_linear_backward_weight(engine, &alone, nil, operands.dy, operands.x, shape.rows, shape.out, shape.input)
      #expect(sameBits(dw, alone), "dw with and without dbias")
      return [dw, dbias]
    } check: { isa, result in
      let weights = zip(weightsBefore, sums).map { Double($0) + $1 }
      let bias = zip(biasBefore, biasSums).map { Double($0) + $1 }
      expectProduct(result[0], weights, magnitude, "dw, \(shape), \(isa)")
      expectProduct(result[1], bias, biasMagnitude, "dbias, \(shape), \(isa)")
    }
  }
}

/// Items by rows and by columns; operands packed whole and in chunks of columns and of the sum; by each worker and for all.
@Test(arguments: [(260, 200, 420), (200, 260, 420), (40, 260, 420), (700, 40, 300)])
func `how a product is cut changes no bit`(rows: Int, out: Int, input: Int) throws {
  let operands = Operands(Shape(rows: rows, out: out, input: input), seed: 19)
  for isa in instructionSets {
    func results(threads: CInt, packing: Int?) throws -> [[Float]] {
      try withEngine(isa, threads: threads) { engine in
        if let packing { kk_engine_limit_packing(engine, packing) }
        var packed = [Float](repeating: 0, count: kk_packed_size(engine, out, input) + 16)
        kk_pack(engine, &packed, operands.w, out, input)
        var y = [Float](repeating: .nan, count: rows * out)
        var pre = y
        var again = y
        var dx = [Float](repeating: .nan, count: rows * input)
        var dw = [Float](repeating: 1, count: out * input)
        var dbias = [Float](repeating: 1, count: out)
        let gelu = CInt(KK_ACT_GELU)
        #expect(kk_linear(engine, &y, &pre, operands.x, operands.w, operands.bias, rows, out, input, gelu) == 0)
        #expect(kk_linear_packed(engine, &again, operands.x, packed, operands.bias, rows, out, input, gelu) == 0)
        #expect(sameBits(y, again), "packed before")
        #expect(kk_linear_backward_input(engine, &dx, operands.dy, operands.w, rows, out, input, 0) == 0)
        #expect(kk_linear_backward_weight(engine, &dw, &dbias, operands.dy, operands.x, rows, out, input) == 0)
        return [y, pre, dx, dw, dbias]
      }
    }
    let whole = try results(threads: 1, packing: nil)
    for threads in [CInt(1), 2, 6] {
      for packing in [nil, 1, 100_000] {
        let cut = try results(threads: threads, packing: packing)
        #expect(sameBits(whole, cut), "\(isaName(isa)), \(threads) threads, packing \(packing ?? 0)")
      }
    }
  }
}

@Test func `no rows touch nothing`() throws {
  for isa in instructionSets {
    try withEngine(isa, threads: 2) { engine in
      let w: [Float] = [1, 2, 3, 4, 5, 6]
      var dw = w
      var dbias: [Float] = [1, 2, 3]
      var nothing: [Float] = [42]
      #expect(kk_linear(engine, &nothing, nil, w, w, nil, 0, 3, 2, CInt(KK_ACT_NONE)) == 0)
      #expect(kk_linear_backward_input(engine, &nothing, w, w, 0, 3, 2, 0) == 0)
      #expect(kk_linear_backward_weight(engine, &dw, &dbias, w, w, 0, 3, 2) == 0)
      #expect(nothing == [42])
      #expect(dw == w)
      #expect(dbias == [1, 2, 3])
    }
  }
}

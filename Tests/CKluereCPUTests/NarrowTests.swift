import CKluereCPU
import Foundation
import Testing

private struct Shape {
  var rows: Int
  var out: Int
  var input: Int
}

/// Odd ones, edges of tiles and of groups of steps, few rows and many, several pieces.
private let shapes = [
  Shape(rows: 1, out: 1, input: 1), Shape(rows: 1, out: 97, input: 3), Shape(rows: 2, out: 33, input: 7),
  Shape(rows: 3, out: 16, input: 385), Shape(rows: 4, out: 70, input: 66), Shape(rows: 6, out: 32, input: 384),
  Shape(rows: 7, out: 31, input: 13), Shape(rows: 15, out: 130, input: 129), Shape(rows: 100, out: 30, input: 17),
  Shape(rows: 57, out: 24, input: 1601), Shape(rows: 531, out: 9, input: 5), Shape(rows: 3, out: 4, input: 0),
]

/// Packed for `engine`, for the time of `body`.
private func withPacked<Value: BitwiseCopyable>(
  _ engine: OpaquePointer, _ w: [Value], _ scales: [Float], _ shape: Shape, _ form: Int,
  _ body: (UnsafeRawPointer) -> Void
) {
  let size = kk_packed_narrow_size(engine, shape.out, shape.input, CInt(form))
  let memory = UnsafeMutableRawPointer.allocate(byteCount: max(size, 1), alignment: 64)
  defer { memory.deallocate() }
  kk_pack_narrow(engine, memory, w, scales, shape.out, shape.input, CInt(form))
  body(memory)
}

/// The header's words for S8, in whole numbers: y before the activation, each operation rounded to Float.
private func reference(_ x: [Float], _ q: [Int8], _ scales: [Float], _ bias: [Float], _ shape: Shape) -> [Float] {
  var y: [Float] = []
  for row in 0..<shape.rows {
    let values = x[row * shape.input..<(row + 1) * shape.input]
    let lowest = min(0, values.min() ?? 0)
    let highest = max(0, values.max() ?? 0)
    let scale = (highest - lowest) / 255
    let inverse = scale > 0 ? 1 / scale : 0
    let zero = Int((-lowest * inverse).rounded(.toNearestOrEven))
    let levels = values.map { min(255, max(0, Int(($0 * inverse).rounded(.toNearestOrEven)) + zero)) }
    for column in 0..<shape.out {
      var sum = 0
      for (step, level) in levels.enumerated() { sum += (level - zero) * Int(q[column * shape.input + step]) }
      let product = Float(sum) * (scale * scales[column])
      y.append(product + bias[column])
    }
  }
  return y
}

/// The largest sum of one sign, without its sign, among steps 0, 1, 4, 5 and 2, 3, 6, 7 of each eight.
private func largestFours<Value: SignedNumeric & Comparable>(_ row: ArraySlice<Value>) -> Value {
  var largest: Value = 0
  for unit in stride(from: row.startIndex, to: row.endIndex, by: 8) {
    for four in [[0, 1, 4, 5], [2, 3, 6, 7]] {
      let values = four.map { unit + $0 }.filter { $0 < row.endIndex }.map { row[$0] }
      let above = values.reduce(0) { $0 + max($1, 0) }
      let below = values.reduce(0) { $0 + max(-$1, 0) }
      largest = max(largest, above, below)
    }
  }
  return largest
}

private func rounded(_ w: [Float], _ form: Int) -> [UInt16] {
  w.map { value in
    if form == KK_WEIGHTS_F16 {
      // To a multiple of the last place, in double precision.
      let magnitude = Double(value.magnitude)
      let exponent = max(magnitude == 0 ? -14 : Int(magnitude.exponent), -14)
      let steps = Double(sign: .plus, exponent: 10 - exponent, significand: magnitude).rounded(.toNearestOrEven)
      let bits = UInt32(steps) + UInt32(exponent + 14) * 1024
      return UInt16(bits) | (value.sign == .minus ? 0x8000 : 0)
    }
    let bits = value.bitPattern
    let rest = bits & 0xFFFF
    let upper = bits >> 16
    let up: UInt32 = rest > 0x8000 || (rest == 0x8000 && upper & 1 == 1) ? 1 : 0
    return UInt16(upper + up)
  }
}

private func widened(_ half: [UInt16], _ form: Int) -> [Float] {
  half.map { bits in
    if form == KK_WEIGHTS_BF16 { return Float(bitPattern: UInt32(bits) << 16) }
    let fraction = Float(bits & 1023)
    let exponent = Int(bits >> 10 & 31)
    var value = exponent == 0 ? fraction / 1024 : 1 + fraction / 1024
    for _ in max(exponent, 1)..<15 { value /= 2 }
    for _ in 15..<max(exponent, 15) { value *= 2 }
    return bits & 0x8000 == 0 ? value : -value
  }
}

@Suite struct NarrowTests {
  @Test(arguments: [255, 65])
  func `int8 products are those of whole numbers, the same bits on every instruction set`(largest: Int) throws {
    for shape in shapes {
      var numbers = Numbers(21)
      let x = numbers.floats(shape.rows * shape.input, scale: 3).map { $0 + 0.5 }
      // Sums of four products leave 16 bits, or none does.
      let q = numbers.indices(shape.out * shape.input, below: largest).map { Int8($0 - Int32(largest / 2)) }
      let scales = numbers.floats(shape.out).map { $0.magnitude }
      let bias = numbers.floats(shape.out)
      let expected = reference(x, q, scales, bias, shape)
      try onEveryEngine { engine in
        var y = [Float](repeating: .nan, count: shape.rows * shape.out)
        var active = y
        withPacked(engine, q, scales, shape, KK_WEIGHTS_S8) { packed in
          for (activation, out) in [(KK_ACT_NONE, 0), (KK_ACT_GELU, 1)] {
            var result = y
            let failed = kk_linear_narrow(
              engine, &result, x, packed, bias, shape.rows, shape.out, shape.input, CInt(activation),
              CInt(KK_WEIGHTS_S8))
            #expect(failed == 0)
            if out == 0 { y = result } else { active = result }
          }
        }
        var gelu = y
        kk_activate(engine, CInt(KK_ACT_GELU), &gelu, y, y.count)
        #expect(sameBits(active, gelu), "\(shape)")
        return [y]
      } check: { isa, result in
        #expect(sameBits(result[0], expected), "\(shape), \(isa)")
      }
    }
  }

  /// Four weights of one column that are summed in 16 bits: at the edge of what fits, and where the only ones that do not
  /// may lie.
  struct Fours: CustomTestStringConvertible {
    var column: Int
    var steps: [Int]
    var values: [Int8]
    var fit: Bool
    var testDescription: String { "\(values) in column \(column)" }
  }
  static let fours = [
    Fours(column: 0, steps: [8, 9, 12, 13], values: [127, 1, 0, 0], fit: true),
    Fours(column: 0, steps: [8, 9, 12, 13], values: [127, 1, 0, 1], fit: false),
    Fours(column: 0, steps: [8, 9, 10, 11], values: [127, 1, 1, 127], fit: true),
    Fours(column: 17, steps: [2, 3, 6, 7], values: [-32, -32, -32, -32], fit: true),
    Fours(column: 17, steps: [2, 3, 6, 7], values: [-32, -32, -32, -33], fit: false),
    Fours(column: 40, steps: [4], values: [-128], fit: true),
    Fours(column: 40, steps: [4, 5], values: [-128, -1], fit: false),
    Fours(column: 40, steps: [4, 5], values: [-128, 1], fit: true),
    Fours(column: 40, steps: [16, 17], values: [100, 29], fit: false),
  ]

  @Test(arguments: fours)
  func `sums of four products at the edge of 16 bits are exact`(fours: Fours) throws {
    let shape = Shape(rows: 5, out: 41, input: 18)
    // All levels are 255, or 0 and 255 in turn.
    let x = (0..<shape.rows * shape.input).map { $0 / shape.input % 2 == 0 || $0 % 2 == 0 ? Float(2) : 0 }
    var q = (0..<shape.out * shape.input).map { Int8($0 % 32 - 16) }
    for step in 0..<shape.input { q[fours.column * shape.input + step] = 0 }
    for (step, value) in zip(fours.steps, fours.values) { q[fours.column * shape.input + step] = value }
    let scales = [Float](repeating: 0.5, count: shape.out)
    let bias = [Float](repeating: 0, count: shape.out)
    try onEveryEngine { engine in
      var y = [Float](repeating: .nan, count: shape.rows * shape.out)
      withPacked(engine, q, scales, shape, KK_WEIGHTS_S8) { packed in
        let failed = kk_linear_narrow(
          engine, &y, x, packed, bias, shape.rows, shape.out, shape.input, CInt(KK_ACT_NONE), CInt(KK_WEIGHTS_S8))
        #expect(failed == 0)
        // Else the byte products would never be tested: where there are some they are taken if, and only if, all sums fit.
        #expect((kk_packed_sums_fours(packed) != 0) == (fours.fit && kk_engine_sums_fours(engine) != 0))
      }
      return [y]
    } check: { isa, result in
      #expect(sameBits(result[0], reference(x, q, scales, bias, shape)), "\(isa)")
    }
  }

  @Test func `bytes are summed by fours where there is no VNNI`() throws {
    let processor = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    let flags = Set(processor?.split(whereSeparator: \.isWhitespace).map(String.init) ?? [])
    try onEveryEngine { engine in
      let sumsFours = kk_engine_sums_fours(engine) != 0
      switch Int(kk_engine_isa(engine)) {
      case KK_ISA_AVX2: #expect(sumsFours == (flags.contains("f16c") && !flags.contains("avx_vnni")))
      case KK_ISA_AVX512: #expect(sumsFours == !flags.contains("avx512_vnni"))
      default: #expect(!sumsFours)
      }
      return []
    } check: { _, _ in
    }
  }

  @Test func `a row of extremes, of one value, of zeros, and one that is not finite`() throws {
    let shape = Shape(rows: 6, out: 5, input: 40)
    var numbers = Numbers(22)
    var x = numbers.floats(shape.rows * shape.input)
    for step in 0..<40 {
      x[step] = step % 2 == 0 ? 1e30 : -1e30
      x[40 + step] = 0
      x[80 + step] = -2
      x[120 + step] = 0x1p-133
    }
    x[160] = .infinity
    x[207] = .nan
    let q = numbers.indices(shape.out * shape.input, below: 255).map { Int8($0 - 127) }
    let scales = numbers.floats(shape.out).map { $0.magnitude }
    try onEveryEngine { engine in
      var y = [Float](repeating: 0, count: shape.rows * shape.out)
      withPacked(engine, q, scales, shape, KK_WEIGHTS_S8) { packed in
        let failed = kk_linear_narrow(
          engine, &y, x, packed, nil, shape.rows, shape.out, shape.input, CInt(KK_ACT_NONE), CInt(KK_WEIGHTS_S8))
        #expect(failed == 0)
      }
      return [Array(y[..<20]), y[20...].map { $0.isNaN ? 1 : 0 }]
    } check: { isa, result in
      let finite = Shape(rows: 3, out: 5, input: 40)
      let bias = [Float](repeating: 0, count: 5)
      #expect(result[0][..<15].elementsEqual(reference(Array(x[..<120]), q, scales, bias, finite)), "\(isa)")
      #expect(result[0][15...].allSatisfy { $0 == 0 }, "\(isa): too small for a scale")
      #expect(result[1].allSatisfy { $0 == 1 }, "\(isa): not finite")
    }
  }

  @Test(arguments: [KK_WEIGHTS_BF16, KK_WEIGHTS_F16])
  func `16-bit weights give the bits of the same weights in fp32`(form: Int) throws {
    for shape in shapes {
      var numbers = Numbers(23)
      let x = numbers.floats(shape.rows * shape.input)
      let w = numbers.floats(shape.out * shape.input)
      let bias = numbers.floats(shape.out)
      let expected = rounded(w, form)
      let wide = widened(expected, form)
      try onEveryEngine { engine in
        var half = [UInt16](repeating: 0, count: w.count)
        #expect(kk_narrow(engine, &half, w, w.count, CInt(form)) == 0)
        #expect(half == expected)
        var results: [[Float]] = []
        for (activation, used) in [(KK_ACT_NONE, nil), (KK_ACT_GELU, bias)] {
          var y = [Float](repeating: .nan, count: shape.rows * shape.out)
          var plain = y
          withPacked(engine, half, [], shape, form) { packed in
            let failed = kk_linear_narrow(
              engine, &y, x, packed, used, shape.rows, shape.out, shape.input, CInt(activation), CInt(form))
            #expect(failed == 0)
          }
          let failed = kk_linear(
            engine, &plain, nil, x, wide, used, shape.rows, shape.out, shape.input, CInt(activation))
          #expect(failed == 0 && sameBits(y, plain), "\(shape)")
          results.append(y)
        }
        return results
      } check: { _, _ in
      }
    }
  }

  @Test func `the edges of 16 bits`() throws {
    let edges: [Float] = [
      0, -0.0, 1, -1, 65504, 6.1e-5, 6.0975552e-5, 5.9604645e-8, 2.9802322e-8, 2.98023242e-8, 1e-9, -3e-8,
      1.00048828125, 1.0014648, 2047.5, 2048.5, 1e-30,
    ]
    try onEveryEngine { engine in
      for form in [KK_WEIGHTS_BF16, KK_WEIGHTS_F16] {
        var half = [UInt16](repeating: 0, count: edges.count)
        #expect(kk_narrow(engine, &half, edges, edges.count, CInt(form)) == 0)
        #expect(half == rounded(edges, form))
        for bad in [Float.nan, .infinity, -.infinity, form == KK_WEIGHTS_F16 ? 65520 : 3.4e38] {
          #expect(kk_narrow(engine, &half, [1, bad], 2, CInt(form)) == 1, "\(bad)")
        }
      }
      return []
    } check: { _, _ in
    }
  }

  @Test(arguments: [false, true])
  func `rows become whole numbers of their largest, or of their largest sum of four`(foursFit: Bool) throws {
    var numbers = Numbers(24)
    let (rows, width) = (9, 130)
    var w = numbers.floats(rows * width, scale: 0.2)
    for step in 0..<width {
      w[width + step] = 0
      w[2 * width + step] = 0x1p-133
    }
    try onEveryEngine { engine in
      var q = [Int8](repeating: 99, count: w.count)
      var scales = [Float](repeating: -1, count: rows)
      let fours: CInt = foursFit ? 1 : 0
      #expect(kk_quantize_rows(engine, &q, &scales, w, rows, width, fours) == 0)
      for row in 0..<rows {
        let values = w[row * width..<(row + 1) * width]
        let most = foursFit ? largestFours(values) / 126 : (values.map(\.magnitude).max() ?? 0) / 127
        let scale: Float = row == 1 || row == 2 ? 0 : most
        #expect(scales[row] == scale)
        let expected = values.map { scale == 0 ? Int8(0) : Int8(($0 / scale).rounded(.toNearestOrEven)) }
        let found = q[row * width..<(row + 1) * width]
        #expect(found.elementsEqual(expected))
        #expect(!foursFit || largestFours(found.map { Int($0) }[...]) <= 128)
      }
      for value in [Float.nan, .infinity] + (foursFit ? [3e38] : []) {
        var bad = w
        (bad[5], bad[4]) = (value, value)
        #expect(kk_quantize_rows(engine, &q, &scales, bad, rows, width, fours) == 1, "\(value)")
      }
      return [scales]
    } check: { _, _ in
    }
  }

  @Test func `embeddings of few bits are those of the same table in fp32`() throws {
    var numbers = Numbers(25)
    let (vocabulary, width, rows) = (50, 37, 300)
    let table = numbers.floats(vocabulary * width)
    let position = numbers.floats(8 * width)
    let type = numbers.floats(2 * width)
    let (gain, bias) = (numbers.floats(width), numbers.floats(width))
    let ids = numbers.indices(rows, below: vocabulary)
    let (positions, types) = (numbers.indices(rows, below: 8), numbers.indices(rows, below: 2))
    try onEveryEngine { engine in
      var results: [[Float]] = []
      func compare(_ wide: [Float], _ narrow: UnsafeRawPointer, _ scales: [Float], _ form: Int) {
        var (y, plain) = ([Float](repeating: 0, count: rows * width), [Float](repeating: 1, count: rows * width))
        kk_embedding_narrow(
          engine, &y, narrow, scales, CInt(form), position, type, ids, positions, types, gain, bias, rows, width, 1e-5)
        kk_embedding(
          engine, &plain, nil, nil, wide, position, type, ids, positions, types, gain, bias, rows, width, 1e-5, nil)
        #expect(sameBits(y, plain))
        results.append(y)
      }
      for form in [KK_WEIGHTS_BF16, KK_WEIGHTS_F16] {
        let half = rounded(table, form)
        compare(widened(half, form), half, [], form)
      }
      var q = [Int8](repeating: 0, count: table.count)
      var scales = [Float](repeating: 0, count: vocabulary)
      #expect(kk_quantize_rows(engine, &q, &scales, table, vocabulary, width, 0) == 0)
      compare(q.indices.map { scales[$0 / width] * Float(q[$0]) }, q, scales, KK_WEIGHTS_S8)
      return results
    } check: { _, _ in
    }
  }
}

import CKluereCPU
import Glibc
import Testing

/// Columns of these rows of x, whose rows are `across` wide.
func columns(_ x: [Float], _ rows: [Int], _ columns: Range<Int>, of across: Int) -> [Float] {
  var part: [Float] = []
  for row in rows {
    let begin = row * across
    part += x[begin + columns.lowerBound..<begin + columns.upperBound]
  }
  return part
}

struct AttentionCase {
  let lengths: [Int]
  let heads, width: Int
  let offsets: [Int32]
  let rows: Int
  let qkv, dout: [Float]
  let mask: Mask
  /// How many of a sequence's last tokens are markers beside its text; empty: none have any.
  let markers: [Int]

  init(_ lengths: [Int], heads: Int, width: Int, threshold: UInt32, scale: Float = 2, markers: [Int] = []) {
    self.lengths = lengths
    self.markers = markers
    self.heads = heads
    self.width = width
    offsets = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) }
    rows = lengths.reduce(0, +)
    var numbers = Numbers(UInt64(rows * 31 + heads * 7 + width))
    qkv = numbers.floats(rows * 3 * heads * width, scale: scale)
    dout = numbers.floats(rows * heads * width)
    mask = Mask(lengths: lengths, threshold: threshold)
  }

  /// out, lse, dqkv of the engine.
  func run(_ engine: OpaquePointer) -> [[Float]] {
    run(engine, qkv: qkv, dout: dout, offsets: offsets, mask: mask, texts: markers.isEmpty ? nil : texts())
  }

  /// kk_attention_input.texts; asking: of each text, all of it unless told otherwise.
  func texts(asking: [Int]? = nil) -> [Int32] {
    lengths.indices.flatMap { s in
      let count = Int32(lengths[s] - markers[s])
      return [offsets[s], count, asking.map { Int32($0[s]) } ?? count]
    }
  }

  /// The same on other rows of this shape.
  func run(
    _ engine: OpaquePointer, qkv: [Float], dout: [Float], offsets: [Int32], mask: Mask, withLSE: Bool = true,
    savedLSE: [Float]? = nil, texts: [Int32]? = nil
  ) -> [[Float]] {
    let all = heads * width
    let rows = dout.count / all
    var out = [Float](repeating: .nan, count: rows * all)
    var lse = [Float](repeating: .nan, count: heads * rows)
    var dqkv = [Float](repeating: .nan, count: qkv.count)
    qkv.withUnsafeBufferPointer { numbers in
      offsets.withUnsafeBufferPointer { offsets in
        mask.withUnsafe { dropout in
          var input = kk_attention_input(
            queries: numbers.baseAddress, keys: numbers.baseAddress.map { $0 + all }, query_stride: 3 * all,
            key_stride: 3 * all, query_offsets: offsets.baseAddress, key_offsets: offsets.baseAddress,
            sequences: offsets.count - 1, heads: heads, head_width: width, texts: nil)
          (texts ?? []).withUnsafeBufferPointer { places in
            if texts != nil { input.texts = places.baseAddress }
            if withLSE {
              #expect(kk_attention(engine, &out, &lse, &input, dropout) == 0)
            } else {
              #expect(kk_attention(engine, &out, nil, &input, dropout) == 0)
            }
            let saved = savedLSE ?? lse
            dqkv.withUnsafeMutableBufferPointer { gradient in
              guard let base = gradient.baseAddress else { return }
              #expect(kk_attention_backward(engine, base, base + all, dout, out, saved, &input, dropout) == 0)
            }
          }
        }
      }
    }
    return [out, lse, dqkv]
  }

  /// out, lse, dqueries, dkeys where these rows alone ask, `asked` of each sequence, with queries in an array of their own.
  func run(_ engine: OpaquePointer, asking chosen: [Int], _ asked: [Int32], ofTexts: [Int]? = nil) -> [[Float]] {
    let all = heads * width
    let queries = columns(qkv, chosen, 0..<all, of: 3 * all)
    let keys = columns(qkv, Array(0..<rows), all..<3 * all, of: 3 * all)
    let gradients = columns(dout, chosen, 0..<all, of: all)
    let queryOffsets = asked.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + $1) }
    var mask = mask
    mask.samples = chosen.map { self.mask.samples[$0] }
    mask.positions = chosen.map { self.mask.positions[$0] }
    var out = [Float](repeating: .nan, count: queries.count)
    var lse = [Float](repeating: .nan, count: heads * chosen.count)
    var dqueries = [Float](repeating: .nan, count: queries.count)
    var dkeys = [Float](repeating: .nan, count: keys.count)
    let texts = ofTexts.map { self.texts(asking: $0) }
    queries.withUnsafeBufferPointer { queries in
      keys.withUnsafeBufferPointer { keys in
        offsets.withUnsafeBufferPointer { offsets in
          queryOffsets.withUnsafeBufferPointer { queryOffsets in
            mask.withUnsafe { dropout in
              var input = kk_attention_input(
                queries: queries.baseAddress, keys: keys.baseAddress, query_stride: all, key_stride: 2 * all,
                query_offsets: queryOffsets.baseAddress, key_offsets: offsets.baseAddress, sequences: lengths.count,
                heads: heads, head_width: width, texts: nil)
              (texts ?? []).withUnsafeBufferPointer { places in
                if texts != nil { input.texts = places.baseAddress }
                #expect(kk_attention(engine, &out, &lse, &input, dropout) == 0)
                #expect(
                  kk_attention_backward(engine, &dqueries, &dkeys, gradients, out, lse, &input, dropout) == 0)
              }
            }
          }
        }
      }
    }
    return [out, lse, dqueries, dkeys]
  }

  /// The same in double.
  func reference() -> [[Double]] {
    var out = [Double](repeating: 0, count: rows * heads * width)
    var lse = [Double](repeating: 0, count: heads * rows)
    var dqkv = [Double](repeating: 0, count: qkv.count)
    for s in lengths.indices {
      for h in 0..<heads {
        head(
          Int(offsets[s]), lengths[s], text: lengths[s] - (markers.isEmpty ? 0 : markers[s]), h, doubles(qkv), &out,
          &lse,
          &dqkv)
      }
    }
    return [out, lse, dqkv]
  }

  private func head(
    _ begin: Int, _ length: Int, text: Int, _ h: Int, _ x: [Double], _ out: inout [Double], _ lse: inout [Double],
    _ dqkv: inout [Double]
  ) {
    let all = heads * width
    let scale = 1 / Double(width).squareRoot()
    func at(_ row: Int, _ part: Int) -> Int { (begin + row) * 3 * all + part * all + h * width }
    for i in 0..<length {
      let n = i < text ? text : length
      let q = at(i, 0)
      var scores = (0..<n).map { j in
        let k = at(j, 1)
        var sum = 0.0
        for d in 0..<width { sum += x[q + d] * x[k + d] }
        return sum * scale
      }
      let largest = scores.max() ?? 0
      let sum = scores.reduce(0) { $0 + exp($1 - largest) }
      lse[h * rows + begin + i] = largest + log(sum)
      for j in 0..<n { scores[j] = exp(scores[j] - largest) / sum }
      let factors = mask.factors(row: begin + i, width: n, site: h)
      let o = (begin + i) * all + h * width
      var slopes = [Double](repeating: 0, count: n)  // of the probabilities
      for j in 0..<n {
        let v = at(j, 2)
        for d in 0..<width {
          out[o + d] += scores[j] * factors[j] * x[v + d]
          slopes[j] += Double(dout[o + d]) * x[v + d] * factors[j]
          dqkv[v + d] += scores[j] * factors[j] * Double(dout[o + d])
        }
      }
      let mean = (0..<n).reduce(0) { $0 + slopes[$1] * scores[$1] }
      for j in 0..<n {
        let k = at(j, 1)
        let slope = scores[j] * (slopes[j] - mean) * scale
        for d in 0..<width {
          dqkv[q + d] += slope * x[k + d]
          dqkv[k + d] += slope * x[q + d]
        }
      }
    }
  }

  func check() throws {
    let expected = reference()
    try onEveryEngine(run) { isa, result in
      for (i, name) in ["out", "lse", "dqkv"].enumerated() {
        expectClose(result[i], expected[i], 3e-5, "\(name), head width \(width), \(isa)")
      }
    }
  }
}

@Test(arguments: [UInt32(0), 13_000]) func `attention of every length from 1 to 70`(threshold: UInt32) throws {
  try AttentionCase(Array(1...70), heads: 2, width: 7, threshold: threshold).check()
}

@Test(arguments: [1, 2, 24, 33, 64, 80], [UInt32(0), 6554])
func `attention with head widths of all kinds`(width: Int, threshold: UInt32) throws {
  try AttentionCase([5, 1, 33, 18, 66], heads: 3, width: width, threshold: threshold).check()
}

@Test(arguments: [UInt32(0), 6554]) func `attention over 300 tokens`(threshold: UInt32) throws {
  try AttentionCase([300, 2], heads: 1, width: 16, threshold: threshold).check()
}

@Test func `attention over the longest sentence`() throws {
  try AttentionCase([512], heads: 1, width: 4, threshold: 6554).check()
}

@Test func `large scores do not overflow`() throws {
  let c = AttentionCase([12, 40], heads: 2, width: 8, threshold: 0, scale: 60)
  let expected = c.reference()
  try onEveryEngine(c.run) { isa, result in
    #expect(result.allSatisfy { $0.allSatisfy(\.isFinite) }, "\(isa)")
    expectClose(result[0], expected[0], 1e-2, "out, \(isa)")
    expectClose(result[1], expected[1], 1e-5, "lse, \(isa)")
  }
}

@Test func `attention's gradient agrees with finite differences`() throws {
  let c = AttentionCase([4, 1, 3], heads: 2, width: 3, threshold: 20_000)
  func loss(_ x: [Double]) -> Double {
    var total = 0.0
    let all = c.heads * c.width
    for s in c.lengths.indices {
      let begin = Int(c.offsets[s])
      for h in 0..<c.heads {
        for i in 0..<c.lengths[s] {
          func at(_ row: Int, _ part: Int) -> Int { (begin + row) * 3 * all + part * all + h * c.width }
          let weights = (0..<c.lengths[s]).map { j in
            exp((0..<c.width).reduce(0) { $0 + x[at(i, 0) + $1] * x[at(j, 1) + $1] } / Double(c.width).squareRoot())
          }
          let sum = weights.reduce(0, +)
          let factors = c.mask.factors(row: begin + i, width: c.lengths[s], site: h)
          for (j, weight) in weights.enumerated() {
            for d in 0..<c.width {
              total +=
                weight / sum * factors[j] * x[at(j, 2) + d] * Double(c.dout[(begin + i) * all + h * c.width + d])
            }
          }
        }
      }
    }
    return total
  }
  let expected = numericalGradient(at: doubles(c.qkv), loss)
  try onEveryEngine(c.run) { isa, result in expectClose(result[2], expected, 1e-5, "dqkv, \(isa)") }
}

@Test func `a sentence has the same bits packed and alone`() throws {
  let c = AttentionCase([9, 70, 1, 33, 0, 64, 130], heads: 2, width: 24, threshold: 6554)
  let across = 3 * c.heads * c.width
  let all = c.heads * c.width
  for isa in instructionSets {
    try withEngine(isa, threads: 2) { engine in
      let packed = c.run(engine)
      for s in c.lengths.indices where c.lengths[s] > 0 {
        let begin = Int(c.offsets[s])
        let n = c.lengths[s]
        let qkv = Array(c.qkv[begin * across..<(begin + n) * across])
        let lse = (0..<c.heads).flatMap { h in packed[1][h * c.rows + begin..<h * c.rows + begin + n] }
        // Without lse, as in inference.
        let alone = c.run(
          engine, qkv: qkv, dout: Array(c.dout[begin * all..<(begin + n) * all]), offsets: [0, Int32(n)],
          mask: c.mask.dropFirst(begin), withLSE: false, savedLSE: lse)
        let (out, dqkv) = (alone[0], alone[2])
        #expect(sameBits(out, Array(packed[0][begin * all..<(begin + n) * all])), "\(isaName(isa)), sentence \(s)")
        #expect(
          sameBits(dqkv, Array(packed[2][begin * across..<(begin + n) * across])), "\(isaName(isa)), sentence \(s)")
      }
    }
  }
}

/// A query's result is that of the whole, to the bit; keys have the gradients of the queries that there are.
@Test(arguments: [7, 24, 64], [UInt32(0), 13_000])
func `rows that ask alone give what they give among all`(width: Int, threshold: UInt32) throws {
  // The third and the fifth ask nothing; the last asks with more rows than a block has.
  let c = AttentionCase([9, 70, 1, 33, 0, 150], heads: 2, width: width, threshold: threshold)
  let all = c.heads * width
  var chosen: [Int] = []
  var asked: [Int32] = []
  for (s, length) in c.lengths.enumerated() {
    let rows = (0..<length).filter { s == 5 ? $0 % 2 == 1 : s != 2 && ($0 == 0 || $0 % 11 == 5) }
    chosen += rows.map { Int(c.offsets[s]) + $0 }
    asked.append(Int32(rows.count))
  }
  var gradients = [Float](repeating: 0, count: c.dout.count)
  for row in chosen {
    let range = row * all..<(row + 1) * all
    gradients.replaceSubrange(range, with: c.dout[range])
  }
  try onEveryEngine { engine in
    let whole = c.run(engine, qkv: c.qkv, dout: gradients, offsets: c.offsets, mask: c.mask)
    let some = c.run(engine, asking: chosen, asked)
    #expect(sameBits(some[0], columns(whole[0], chosen, 0..<all, of: all)), "out")
    let lse = (0..<c.heads).flatMap { h -> [Float] in chosen.map { whole[1][h * c.rows + $0] } }
    #expect(sameBits(some[1], lse), "lse")
    #expect(sameBits(some[2], columns(whole[2], chosen, 0..<all, of: 3 * all)), "dqueries")
    let keys = columns(whole[2], Array(0..<c.rows), all..<3 * all, of: 3 * all)
    expectClose(some[3], doubles(keys), 2e-6, "dkeys")
    let silent = columns(some[3], [Int(c.offsets[2])], 0..<2 * all, of: 2 * all)
    #expect(silent.allSatisfy { $0 == 0 }, "keys that nobody asks")
    return some
  } check: { _, _ in
  }
}

@Test func `attention over nothing does nothing`() throws {
  let offsets: [Int32] = [0, 0, 0]
  for isa in instructionSets {
    try withEngine(isa, threads: 2) { engine in
      var out: Float = 7
      offsets.withUnsafeBufferPointer { offsets in
        for count in [0, 2] {
          var input = kk_attention_input(
            queries: nil, keys: nil, query_stride: 24, key_stride: 24, query_offsets: offsets.baseAddress,
            key_offsets: offsets.baseAddress, sequences: count, heads: 2, head_width: 4, texts: nil)
          #expect(kk_attention(engine, &out, nil, &input, nil) == 0)
        }
      }
      #expect(out == 7)
    }
  }
}

import CKluereCPU
import Testing

private struct Tokens {
  let rows, width: Int
  let vocabulary = 50
  let positionCount = 20
  let typeCount = 2
  let word, position, type, gain, bias, dy: [Float]
  let ids, positions, types: [Int32]
  let mask: Mask

  init(rows: Int, width: Int, threshold: UInt32) {
    self.rows = rows
    self.width = width
    var numbers = Numbers(UInt64(rows + width))
    word = numbers.floats(vocabulary * width)
    position = numbers.floats(positionCount * width)
    type = numbers.floats(typeCount * width)
    gain = numbers.floats(width).map { $0 + 1.5 }
    bias = numbers.floats(width)
    dy = numbers.floats(rows * width)
    ids = numbers.indices(rows, below: vocabulary)
    positions = (0..<rows).map { Int32($0 % 20) }
    types = (0..<rows).map { Int32($0 / 80 % 2) }
    mask = Mask(rows: rows, threshold: threshold)
  }

  func sum(_ row: Int) -> [Double] {
    (0..<width).map { i in
      Double(word[Int(ids[row]) * width + i]) + Double(position[Int(positions[row]) * width + i])
        + Double(type[Int(types[row]) * width + i])
    }
  }
}

private let epsilon: Float = 1e-12

@Test(arguments: [(1, 3), (7, 24), (170, 130), (900, 64)], [UInt32(0), 6554])
func `embeddings, forward and backward`(shape: (Int, Int), threshold: UInt32) throws {
  let t = Tokens(rows: shape.0, width: shape.1, threshold: threshold)
  let width = t.width
  var (y, xhat, rstd) = ([Double](), [Double](), [Double]())
  var dword = [Double](repeating: 1, count: t.word.count)
  var dposition = [Double](repeating: 2, count: t.position.count)
  var dtype = [Double](repeating: 3, count: t.type.count)
  var (dgain, dbias) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
  for row in 0..<t.rows {
    let n = layerNorm(t.sum(row), gain: doubles(t.gain), bias: doubles(t.bias), epsilon: Double(epsilon))
    let factors = t.mask.factors(row: row, width: width)
    y += zip(n.y, factors).map(*)
    xhat += n.xhat
    rstd.append(n.rstd)
    let dy = (0..<width).map { Double(t.dy[row * width + $0]) * factors[$0] }
    let d = layerNormGradient(dy, xhat: n.xhat, rstd: n.rstd, gain: doubles(t.gain))
    for i in 0..<width {
      if t.ids[row] != 5 { dword[Int(t.ids[row]) * width + i] += d[i] }
      if t.positions[row] != 1 { dposition[Int(t.positions[row]) * width + i] += d[i] }
      dtype[Int(t.types[row]) * width + i] += d[i]
      dgain[i] += dy[i] * n.xhat[i]
      dbias[i] += dy[i]
    }
  }
  try onEveryEngine { engine in
    var y = [Float](repeating: .nan, count: t.rows * width)
    var xhat = y
    var rstd = [Float](repeating: .nan, count: t.rows)
    var dy = t.dy
    var dword = [Float](repeating: 1, count: t.word.count)
    var dposition = [Float](repeating: 2, count: t.position.count)
    var dtype = [Float](repeating: 3, count: t.type.count)
    var (dgain, dbias) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: width))
    t.mask.withUnsafe { dropout in
      kk_embedding(
        engine, &y, &xhat, &rstd, t.word, t.position, t.type, t.ids, t.positions, t.types, t.gain, t.bias, t.rows,
        width, epsilon, dropout)
      #expect(
        kk_embedding_backward(
          engine, &dword, &dposition, &dtype, &dgain, &dbias, &dy, xhat, rstd, t.gain, t.ids, t.positions, t.types,
          t.rows, width, t.vocabulary, t.positionCount, t.typeCount, 5, 1, dropout) == 0)
    }
    return [y, xhat, rstd, dword, dposition, dtype, dgain, dbias]
  } check: { isa, result in
    let names = ["y", "xhat", "rstd", "dword", "dposition", "dtype", "dgain", "dbias"]
    for (i, expected) in [y, xhat, rstd, dword, dposition, dtype, dgain, dbias].enumerated() {
      expectClose(result[i], expected, 3e-5, "\(names[i]), \(isa)")
    }
  }
}

@Test func `an embedding without statistics has the same bits, packed or alone`() throws {
  let t = Tokens(rows: 30, width: 37, threshold: 6554)
  for isa in instructionSets {
    try withEngine(isa, threads: 1) { engine in
      var y = [Float](repeating: 0, count: t.rows * t.width)
      t.mask.withUnsafe {
        kk_embedding(
          engine, &y, nil, nil, t.word, t.position, t.type, t.ids, t.positions, t.types, t.gain, t.bias, t.rows,
          t.width, epsilon, $0)
      }
      for row in 0..<t.rows {
        var (alone, xhat) = ([Float](repeating: 0, count: t.width), [Float](repeating: 0, count: t.width))
        var rstd: Float = 0
        t.mask.dropFirst(row).withUnsafe {
          kk_embedding(
            engine, &alone, &xhat, &rstd, t.word, t.position, t.type, [t.ids[row]], [t.positions[row]],
            [t.types[row]], t.gain, t.bias, 1, t.width, epsilon, $0)
        }
        #expect(sameBits(alone, Array(y[row * t.width..<(row + 1) * t.width])), "\(isaName(isa)), row \(row)")
      }
    }
  }
}

@Test(arguments: [1, 24, 77]) func `rows are gathered, and added back where they came from`(width: Int) throws {
  var numbers = Numbers(9)
  let x = numbers.floats(500 * width)
  let index = (0..<250).map { Int32(($0 * 37) % 500) }
  let gathered = index.flatMap { Array(x[Int($0) * width..<(Int($0) + 1) * width]) }
  var expected = doubles(x)
  for (i, target) in index.enumerated() {
    for j in 0..<width { expected[Int(target) * width + j] += Double(gathered[i * width + j]) }
  }
  try onEveryEngine { engine in
    var y = [Float](repeating: .nan, count: 250 * width)
    var dx = x
    kk_gather_rows(engine, &y, x, index, 250, width)
    kk_scatter_add_rows(engine, &dx, y, index, 250, width)
    return [y, dx]
  } check: { isa, result in
    #expect(sameBits(result[0], gathered), "\(isa)")
    expectClose(result[1], expected, 1e-6, "scatter, \(isa)")
  }
}

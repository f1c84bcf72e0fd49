import CKluereCPU
import Testing

/// Layer norm of one row in double.
func layerNorm(_ x: [Double], gain: [Double], bias: [Double], epsilon: Double) -> (
  y: [Double], xhat: [Double], rstd: Double
) {
  let mean = x.reduce(0, +) / Double(x.count)
  let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
  let rstd = 1 / (variance + epsilon).squareRoot()
  let xhat = x.map { ($0 - mean) * rstd }
  return (x.indices.map { xhat[$0] * gain[$0] + bias[$0] }, xhat, rstd)
}

/// Its gradient with regard to x.
func layerNormGradient(_ dy: [Double], xhat: [Double], rstd: Double, gain: [Double]) -> [Double] {
  let d = dy.indices.map { dy[$0] * gain[$0] }
  let mean = d.reduce(0, +) / Double(d.count)
  let slope = d.indices.reduce(0) { $0 + d[$1] * xhat[$1] } / Double(d.count)
  return d.indices.map { rstd * (d[$0] - mean - xhat[$0] * slope) }
}

private struct Batch {
  let rows: Int
  let width: Int
  let x, residual, gain, bias, dy: [Float]
  let mask: Mask

  init(rows: Int, width: Int, threshold: UInt32) {
    self.rows = rows
    self.width = width
    var numbers = Numbers(UInt64(rows * 1000 + width))
    x = numbers.floats(rows * width, scale: 2)
    residual = numbers.floats(rows * width, scale: 2)
    gain = numbers.floats(width).map { $0 + 1.5 }
    bias = numbers.floats(width)
    dy = numbers.floats(rows * width)
    mask = Mask(rows: rows, threshold: threshold)
  }

  func row(_ a: [Float], _ row: Int) -> [Double] { doubles(Array(a[row * width..<(row + 1) * width])) }
}

private let epsilon: Float = 1e-5

@Test(arguments: [(1, 1), (1, 7), (5, 24), (37, 64), (70, 129), (9, 300), (260, 256)], [UInt32(0), 9000])
func `residual sum, dropout and layer norm, forward and backward`(shape: (Int, Int), threshold: UInt32) throws {
  let b = Batch(rows: shape.0, width: shape.1, threshold: threshold)
  let count = b.rows * b.width
  var expected = [[Double]](repeating: [], count: 5)  // y, xhat, rstd, dsum, dx
  var dgain = [Double](repeating: 0.25, count: b.width)
  var dbias = [Double](repeating: -0.5, count: b.width)
  for row in 0..<b.rows {
    let factors = b.mask.factors(row: row, width: b.width)
    let sum = zip(zip(b.row(b.x, row), factors).map(*), b.row(b.residual, row)).map(+)
    let (y, xhat, rstd) = layerNorm(sum, gain: doubles(b.gain), bias: doubles(b.bias), epsilon: Double(epsilon))
    let dy = b.row(b.dy, row)
    let dsum = layerNormGradient(dy, xhat: xhat, rstd: rstd, gain: doubles(b.gain))
    expected[0] += y
    expected[1] += xhat
    expected[2].append(rstd)
    expected[3] += dsum
    expected[4] += zip(dsum, factors).map(*)
    for i in 0..<b.width {
      dgain[i] += dy[i] * xhat[i]
      dbias[i] += dy[i]
    }
  }
  try onEveryEngine { engine in
    var y = [Float](repeating: .nan, count: count)
    var (xhat, dsum, dx) = (y, y, y)
    var rstd = [Float](repeating: .nan, count: b.rows)
    var gains = [Float](repeating: 0.25, count: b.width)
    var biases = [Float](repeating: -0.5, count: b.width)
    b.mask.withUnsafe { dropout in
      kk_residual_norm(
        engine, &y, &xhat, &rstd, b.x, b.residual, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      #expect(
        kk_residual_norm_backward(
          engine, &dx, &dsum, &gains, &biases, b.dy, xhat, rstd, b.gain, b.rows, b.width, dropout) == 0)
    }
    return [y, xhat, rstd, dsum, dx, gains, biases]
  } check: { isa, result in
    let names = ["y", "xhat", "rstd", "dsum", "dx"]
    // A width of 1 has variance 0: rstd is 316, and rounding errors grow by as much.
    let tolerance = b.width == 1 ? 1e-3 : 1e-5
    for i in 0..<5 { expectClose(result[i], expected[i], tolerance, "\(names[i]), \(isa)") }
    expectClose(result[5], dgain, 2e-5, "dgain, \(isa)")
    expectClose(result[6], dbias, 2e-5, "dbias, \(isa)")
  }
}

@Test func `layer norm's gradient agrees with finite differences`() throws {
  let b = Batch(rows: 3, width: 11, threshold: 16_000)
  let gain = doubles(b.gain)
  let bias = doubles(b.bias)
  func loss(_ x: [Double], _ residual: [Double], _ gain: [Double]) -> Double {
    (0..<b.rows).reduce(0) { total, row in
      let range = row * b.width..<(row + 1) * b.width
      let sum = zip(zip(x[range], b.mask.factors(row: row, width: b.width)).map(*), residual[range]).map(+)
      let y = layerNorm(sum, gain: gain, bias: bias, epsilon: Double(epsilon)).y
      return total + zip(y, b.row(b.dy, row)).map(*).reduce(0, +)
    }
  }
  let (x, residual) = (doubles(b.x), doubles(b.residual))
  try onEveryEngine { engine in
    var y = [Float](repeating: 0, count: b.x.count)
    var (xhat, dx, dsum) = (y, y, y)
    var rstd = [Float](repeating: 0, count: b.rows)
    var (dgain, dbias) = ([Float](repeating: 0, count: b.width), [Float](repeating: 0, count: b.width))
    b.mask.withUnsafe { dropout in
      kk_residual_norm(
        engine, &y, &xhat, &rstd, b.x, b.residual, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      _ = kk_residual_norm_backward(
        engine, &dx, &dsum, &dgain, &dbias, b.dy, xhat, rstd, b.gain, b.rows, b.width, dropout)
    }
    return [dx, dsum, dgain]
  } check: { isa, result in
    expectClose(result[0], numericalGradient(at: x) { loss($0, residual, gain) }, 1e-5, "dx, \(isa)")
    expectClose(result[1], numericalGradient(at: residual) { loss(x, $0, gain) }, 1e-5, "dsum, \(isa)")
    expectClose(result[2], numericalGradient(at: gain) { loss(x, residual, $0) }, 1e-5, "dgain, \(isa)")
  }
}

@Test func `layer norm without residual, statistics or dropout, and in place`() throws {
  let b = Batch(rows: 40, width: 70, threshold: 0)
  let expected = (0..<b.rows).flatMap {
    layerNorm(b.row(b.x, $0), gain: doubles(b.gain), bias: doubles(b.bias), epsilon: Double(epsilon)).y
  }
  try onEveryEngine { engine in
    var apart = [Float](repeating: .nan, count: b.x.count)
    var inPlace = b.x
    var intoResidual = b.residual
    var sum = apart
    b.mask.withUnsafe { dropout in
      kk_residual_norm(engine, &apart, nil, nil, b.x, nil, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      inPlace.withUnsafeMutableBufferPointer {
        kk_residual_norm(
          engine, $0.baseAddress, nil, nil, $0.baseAddress, nil, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      }
      kk_residual_norm(
        engine, &sum, nil, nil, b.x, b.residual, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      intoResidual.withUnsafeMutableBufferPointer {
        kk_residual_norm(
          engine, $0.baseAddress, nil, nil, b.x, $0.baseAddress, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
      }
    }
    #expect(sameBits(apart, inPlace))
    #expect(sameBits(sum, intoResidual))
    return [apart]
  } check: { isa, result in
    expectClose(result[0], expected, 1e-5, "layer norm, \(isa)")
  }
}

@Test func `backward in place, and without a separate dx`() throws {
  let b = Batch(rows: 45, width: 33, threshold: 0)
  for isa in instructionSets {
    try withEngine(isa, threads: 2) { engine in
      var y = [Float](repeating: 0, count: b.x.count)
      var (xhat, apart, dx) = (y, y, y)
      var inPlace = b.dy
      var rstd = [Float](repeating: 0, count: b.rows)
      var dgain = [Float](repeating: 0, count: b.width)
      var (dbias, dgain2, dbias2) = (dgain, dgain, dgain)
      b.mask.withUnsafe { dropout in
        kk_residual_norm(
          engine, &y, &xhat, &rstd, b.x, b.residual, b.gain, b.bias, b.rows, b.width, epsilon, dropout)
        _ = kk_residual_norm_backward(
          engine, &dx, &apart, &dgain, &dbias, b.dy, xhat, rstd, b.gain, b.rows, b.width, dropout)
        inPlace.withUnsafeMutableBufferPointer {
          _ = kk_residual_norm_backward(
            engine, nil, $0.baseAddress, &dgain2, &dbias2, $0.baseAddress, xhat, rstd, b.gain, b.rows, b.width,
            dropout)
        }
      }
      #expect(sameBits(apart, inPlace), "\(isaName(isa))")
      #expect(sameBits(apart, dx), "\(isaName(isa))")
      #expect(sameBits(dgain, dgain2) && sameBits(dbias, dbias2), "\(isaName(isa))")
    }
  }
}

@Test func `a row's layer norm does not depend on the other rows`() throws {
  let b = Batch(rows: 30, width: 45, threshold: 9000)
  for isa in instructionSets {
    try withEngine(isa, threads: 1) { engine in
      var together = [Float](repeating: 0, count: b.x.count)
      b.mask.withUnsafe {
        kk_residual_norm(
          engine, &together, nil, nil, b.x, b.residual, b.gain, b.bias, b.rows, b.width, epsilon, $0)
      }
      for row in 0..<b.rows {
        let range = row * b.width..<(row + 1) * b.width
        var alone = [Float](repeating: 0, count: b.width)
        b.mask.dropFirst(row).withUnsafe {
          kk_residual_norm(
            engine, &alone, nil, nil, Array(b.x[range]), Array(b.residual[range]), b.gain, b.bias, 1, b.width,
            epsilon, $0)
        }
        #expect(sameBits(alone, Array(together[range])), "\(isaName(isa)), row \(row)")
      }
    }
  }
}

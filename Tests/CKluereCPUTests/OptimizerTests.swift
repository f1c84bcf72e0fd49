import CKluereCPU
import Glibc
import Testing

@Test(arguments: [1, 13, 40_003]) func `AdamW is torch's, over ten steps`(count: Int) throws {
  let (rate, beta1, beta2, epsilon, decay, gradScale): (Float, Float, Float, Float, Float, Float) =
    (1e-2, 0.9, 0.999, 1e-8, 0.01, 0.5)
  let steps = count > 1000 ? 3 : 10
  var numbers = Numbers(UInt64(count))
  let start = numbers.floats(count)
  let gradients = (0..<steps).map { _ in numbers.floats(count, scale: 3) }
  var (w, m, v) = (doubles(start), [Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
  for (k, gradient) in gradients.enumerated() {
    let (b1, b2) = (Double(beta1), Double(beta2))
    let correction1 = 1 - pow(b1, Double(k + 1))
    let correction2 = 1 - pow(b2, Double(k + 1))
    for i in 0..<count {
      let g = Double(gradScale) * Double(gradient[i])
      w[i] *= 1 - Double(rate) * Double(decay)
      m[i] = b1 * m[i] + (1 - b1) * g
      v[i] = b2 * v[i] + (1 - b2) * g * g
      w[i] -=
        Double(rate) / correction1 * m[i] / (v[i].squareRoot() / correction2.squareRoot() + Double(epsilon))
    }
  }
  try onEveryEngine { engine in
    var (w, m, v) = (start, [Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
    for (k, gradient) in gradients.enumerated() {
      var options = kk_adamw(
        learning_rate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: decay,
        grad_scale: gradScale, correction1: 1 - pow(Double(beta1), Double(k + 1)),
        correction2: 1 - pow(Double(beta2), Double(k + 1)))
      kk_adamw_apply(engine, &w, &m, &v, gradient, count, &options)
    }
    return [w, m, v]
  } check: { isa, result in
    expectClose(result[0], w, 2e-6, "w, \(isa)")
    expectClose(result[1], m, 1e-6, "m, \(isa)")
    expectClose(result[2], v, 1e-6, "v, \(isa)")
  }
}

@Test(arguments: [0, 1, 31, 16_384, 50_001]) func `the sum of squares is summed in double`(count: Int) throws {
  var numbers = Numbers(8)
  let x = numbers.floats(count, scale: 5)
  let expected = x.reduce(0.0) { $0 + Double($1) * Double($1) }
  for isa in instructionSets {
    let sums = try (1...3).map { threads in
      try withEngine(isa, threads: CInt(threads)) { kk_sum_of_squares($0, x, count) }
    }
    #expect(sums[0] == sums[1] && sums[0] == sums[2], "\(isaName(isa))")
    #expect(abs(sums[0] - expected) <= 1e-12 * max(1, expected), "\(isaName(isa))")
  }
}

@Test func `more elements than partial sums times a piece`() throws {
  let count = 256 * 16_384 + 12_345
  let x = [Float](repeating: 0.5, count: count)
  for isa in instructionSets {
    let sums = try (1...2).map { threads in
      try withEngine(isa, threads: CInt(threads)) { kk_sum_of_squares($0, x, count) }
    }
    #expect(sums == [Double(count) / 4, Double(count) / 4], "\(isaName(isa))")
  }
}

@Test(arguments: [0, 1, 33, 200_001]) func `fill fills so many elements and no more`(count: Int) throws {
  try onEveryEngine { engine in
    var x = [Float](repeating: 1, count: count + 1)
    kk_fill(engine, &x, -2.5, count)
    return [x]
  } check: { isa, result in
    #expect(result[0].dropLast().allSatisfy { $0 == -2.5 } && result[0].last == 1, "\(isa)")
  }
}

@Test(arguments: [0, 1, 29, 50_001]) func `lerp is torch's, and weight 1 copies`(count: Int) throws {
  var numbers = Numbers(UInt64(count + 3))
  let start = numbers.floats(count)
  let x = numbers.floats(count, scale: 2)
  for weight: Float in [0, 0.001, 0.25, 0.5, 0.75, 1] {
    let expected = zip(start, x).map { Double($0) + Double(weight) * (Double($1) - Double($0)) }
    try onEveryEngine { engine in
      var y = start + [7]
      kk_lerp(engine, &y, x, weight, count)
      return [y]
    } check: { isa, result in
      expectClose(Array(result[0].dropLast()), expected, 1e-6, "\(weight), \(isa)")
      #expect(result[0].last == 7, "\(isa)")
      if weight == 1 { #expect(Array(result[0].dropLast()) == x, "\(isa)") }
    }
  }
}

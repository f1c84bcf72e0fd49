import CKluereCPU
import Glibc
import Testing

/// Probabilities and log of the denominator in double.
private func softmax(_ x: [Double]) -> (p: [Double], lse: Double) {
  let largest = x.max() ?? 0
  let sum = x.reduce(0) { $0 + exp($1 - largest) }
  return (x.map { exp($0 - largest) / sum }, largest + log(sum))
}

@Test(arguments: [(1, 1), (3, 2), (64, 30), (900, 33), (2, 20_000)])
func `cross entropy, its gradient, and softmax`(shape: (Int, Int)) throws {
  let (rows, classes) = shape
  var numbers = Numbers(UInt64(rows * classes))
  let logits = numbers.floats(rows * classes, scale: 8)
  let labels = numbers.indices(rows, below: classes)
  let scale: Float = 0.37
  var (losses, gradient, probabilities) = ([Double](), [Double](), [Double]())
  for row in 0..<rows {
    let x = doubles(Array(logits[row * classes..<(row + 1) * classes]))
    let (p, lse) = softmax(x)
    losses.append(lse - x[Int(labels[row])])
    probabilities += p
    gradient += p.enumerated().map { Double(scale) * ($1 - ($0 == Int(labels[row]) ? 1 : 0)) }
  }
  try onEveryEngine { engine in
    var (loss, again) = ([Double](repeating: .nan, count: rows), [Double](repeating: .nan, count: rows))
    var dlogits = [Float](repeating: .nan, count: rows * classes)
    kk_cross_entropy(engine, &loss, &dlogits, logits, labels, rows, classes, scale)
    kk_cross_entropy(engine, &again, nil, logits, labels, rows, classes, scale)
    #expect(loss == again)
    var y = logits
    y.withUnsafeMutableBufferPointer { kk_softmax(engine, $0.baseAddress, $0.baseAddress, rows, classes) }
    return [loss.map(Float.init), dlogits, y]
  } check: { isa, result in
    expectClose(result[0], losses, 2e-6, "loss, \(isa)")
    expectClose(result[1], gradient, 1e-6, "dlogits, \(isa)")
    expectClose(result[2], probabilities, 1e-6, "softmax, \(isa)")
  }
}

@Test func `cross entropy's gradient agrees with finite differences`() throws {
  var numbers = Numbers(5)
  let logits = numbers.floats(13, scale: 3)
  let expected = numericalGradient(at: doubles(logits)) { 2 * (softmax($0).lse - $0[4]) }
  try onEveryEngine { engine in
    var loss = 0.0
    var dlogits = [Float](repeating: 0, count: 13)
    kk_cross_entropy(engine, &loss, &dlogits, logits, [4], 1, 13, 2)
    return [dlogits]
  } check: { isa, result in
    expectClose(result[0], expected, 1e-6, "dlogits, \(isa)")
  }
}

@Test func `large logits do not overflow, NaN is not hidden, and a row without label counts nothing`() throws {
  for isa in instructionSets {
    try withEngine(isa, threads: 1) { engine in
      var loss = [Double](repeating: .nan, count: 4)
      var dlogits = [Float](repeating: .nan, count: 8)
      kk_cross_entropy(engine, &loss, &dlogits, [1e4, -1e4, 1e4, -1e4, .nan, 0, 1, 2], [0, 1, 0, -1], 4, 2, 1)
      #expect(loss[0] == 0, "\(isaName(isa))")
      #expect(loss[1] == 2e4, "\(isaName(isa))")
      #expect(loss[2].isNaN, "\(isaName(isa))")
      #expect(loss[3] == 0, "\(isaName(isa))")
      #expect(abs(dlogits[2] - 1) < 1e-6 && abs(dlogits[3] + 1) < 1e-6, "\(isaName(isa))")
      #expect(dlogits[6] == 0 && dlogits[7] == 0, "\(isaName(isa))")
      // What a type mask makes impossible; 17 columns: a part of a vector too.
      for classes in [2, 17] {
        var scores = [Float](repeating: -1e4, count: 2 * classes)
        scores[1] = 3
        scores[classes] = .nan
        scores.withUnsafeMutableBufferPointer { kk_softmax(engine, $0.baseAddress, $0.baseAddress, 2, classes) }
        let zeros = scores[..<classes].filter { $0 == 0 }.count
        let numbers = scores[classes...].filter { !$0.isNaN }.count
        #expect(scores[1] == 1 && zeros == classes - 1 && numbers == 0, "\(isaName(isa))")
      }
    }
  }
}

import CKluereCPU
import Glibc
import Testing

private func logSoftmax(_ x: [Double]) -> [Double] {
  let largest = x.max() ?? 0
  let sum = x.reduce(0) { $0 + exp($1 - largest) }
  return x.map { $0 - largest - log(sum) }
}

private func plainRule() -> kk_loss_rule {
  kk_loss_rule(
    weights: nil, margins: nil, teacher: nil, on_target: 1, off_target: 0, gamma: 0, sharpness: 1, temperature: 1,
    hard: 1, soft: 0, agreement: 0, detached: 0)
}

/// A batch with everything that a rule may ask for.
private struct LossProblem {
  let (rows, classes): (Int, Int)
  var (logits, weights, margins, teacher): ([Float], [Float], [Float], [Float])
  var labels: [Int32]

  init(rows: Int, classes: Int, pairs: Bool) {
    (self.rows, self.classes) = (rows, classes)
    var numbers = Numbers(UInt64(rows * 31 + classes))
    logits = numbers.floats(rows * classes, scale: 4)
    weights = numbers.floats(classes).map { abs($0) }
    margins = numbers.floats(classes, scale: 0.5).map { abs($0) }
    teacher = []
    for row in 0..<rows {
      // A distribution with a class of no chance.
      var p = numbers.floats(classes, scale: 2).map { exp($0) }
      if classes > 1 { p[row % classes] = 0 }
      let sum = p.reduce(0, +)
      teacher += p.map { $0 / sum }
    }
    labels = numbers.indices(rows, below: classes)
    if pairs { for row in stride(from: 1, to: rows, by: 2) { labels[row] = labels[row - 1] } }
  }

  /// By the formulas, in double; `x` is the rows' logits.
  func loss(_ x: [Double], _ row: Int, _ rule: kk_loss_rule, weighted: Bool, margined: Bool) -> Double {
    let plain = Array(x[row * classes..<(row + 1) * classes])
    let label = Int(labels[row])
    var sharp = plain
    if margined { sharp[label] -= Double(margins[label]) }
    let hard = logSoftmax(sharp.map { $0 * rule.sharpness })
    let soft = logSoftmax(plain.map { $0 / rule.temperature })
    var value = 0.0
    for j in 0..<classes {
      let q = (j == label ? rule.on_target : rule.off_target) * (weighted ? Double(weights[j]) : 1)
      value -= rule.hard * q * pow(-expm1(hard[j]), rule.gamma) * hard[j]
      let target = Double(teacher[row * classes + j])
      if target > 0 { value += rule.soft * target * (log(target) - soft[j]) }
    }
    if rule.agreement != 0, (row ^ 1) < rows {
      let own = logSoftmax(plain)
      let other = logSoftmax(Array(x[(row ^ 1) * classes..<((row ^ 1) + 1) * classes]))
      for j in 0..<classes { value += rule.agreement * 0.25 * (exp(own[j]) - exp(other[j])) * (own[j] - other[j]) }
    }
    return value
  }
}

/// on_target, off_target, gamma, sharpness, temperature, hard, soft, agreement, weighted, margined
private let lossCases: [(String, [Double], Bool, Bool)] = [
  ("weights", [1, 0, 0, 1, 1, 1, 0, 0], true, false),
  ("smoothing", [0.9, 0.01, 0, 1, 1, 1, 0, 0], true, false),
  ("focal", [1, 0, 2, 1, 1, 0.7, 0, 0], true, false),
  ("smoothed focal", [0.8, 0.05, 0.5, 1, 1, 1, 0, 0], false, false),
  ("margins", [1, 0, 0, 5, 1, 1, 0, 0], true, true),
  ("distillation", [1, 0, 0, 1, 3, 0, 2, 0], false, false),
  ("agreement", [1, 0, 0, 1, 1, 0.5, 0, 2], false, false),
  ("everything", [0.9, 0.02, 1.5, 1, 2, 0.4, 0.8, 3], true, false),
]

@Test(arguments: 0..<8, [(1, 1), (7, 2), (64, 30), (2, 300)])
func `a loss and its gradient are those of its formula`(number: Int, shape: (Int, Int)) throws {
  let (name, numbers, weighted, margined) = lossCases[number]
  let (rows, classes) = shape
  let problem = LossProblem(rows: rows, classes: classes, pairs: numbers[7] != 0)
  var rule = plainRule()
  (rule.on_target, rule.off_target, rule.gamma, rule.sharpness) = (numbers[0], numbers[1], numbers[2], numbers[3])
  (rule.temperature, rule.hard, rule.soft, rule.agreement) = (numbers[4], numbers[5], numbers[6], numbers[7])
  let x = doubles(problem.logits)
  let losses = (0..<rows).map { problem.loss(x, $0, rule, weighted: weighted, margined: margined) }
  // Every tenth of many elements.
  let probed = Array(stride(from: 0, to: x.count, by: x.count > 200 ? 37 : 1))
  let slopes = probed.map { place -> Double in
    let row = place / classes
    func around(_ value: Double) -> Double {
      var moved = x
      moved[place] = value
      var sum = problem.loss(moved, row, rule, weighted: weighted, margined: margined)
      if (row ^ 1) < rows { sum += problem.loss(moved, row ^ 1, rule, weighted: weighted, margined: margined) }
      return sum
    }
    return 0.37 * (around(x[place] + 1e-5) - around(x[place] - 1e-5)) / 2e-5
  }
  try onEveryEngine { engine in
    var (loss, again) = ([Double](repeating: .nan, count: rows), [Double](repeating: .nan, count: rows))
    var dlogits = [Float](repeating: .nan, count: rows * classes)
    problem.weights.withUnsafeBufferPointer { weights in
      problem.margins.withUnsafeBufferPointer { margins in
        problem.teacher.withUnsafeBufferPointer { teacher in
          var given = rule
          given.weights = weighted ? weights.baseAddress : nil
          given.margins = margined ? margins.baseAddress : nil
          given.teacher = teacher.baseAddress
          kk_classification_loss(engine, &loss, &dlogits, problem.logits, problem.labels, rows, classes, 0.37, &given)
          kk_classification_loss(engine, &again, nil, problem.logits, problem.labels, rows, classes, 0.37, &given)
        }
      }
    }
    #expect(loss == again)
    return [loss.map(Float.init), dlogits]
  } check: { isa, result in
    expectClose(result[0], losses, 2e-6, "\(name), \(isa)")
    expectClose(probed.map { result[1][$0] }, slopes, 1e-5, "\(name), gradient, \(isa)")
  }
}

@Test func `without extras the general loss is cross entropy`() throws {
  let problem = LossProblem(rows: 32, classes: 30, pairs: false)
  try withEngine(instructionSets[0], threads: 1) { engine in
    var rule = plainRule()
    var (expected, found) = ([Double](repeating: 0, count: 32), [Double](repeating: 0, count: 32))
    var (gradient, own) = ([Float](repeating: 0, count: 960), [Float](repeating: 0, count: 960))
    kk_cross_entropy(engine, &expected, &gradient, problem.logits, problem.labels, 32, 30, 2)
    kk_classification_loss(engine, &found, &own, problem.logits, problem.labels, 32, 30, 2, &rule)
    expectClose(found.map(Float.init), expected, 1e-6, "loss")
    expectClose(own, doubles(gradient), 1e-6, "gradient")
  }
}

@Test func `certain rows, impossible classes and rows without a label are no trouble`() throws {
  try withEngine(instructionSets[0], threads: 1) { engine in
    for gamma in [0, 0.5, 1, 2] {
      var rule = plainRule()
      rule.gamma = gamma
      let logits: [Float] = [200, 0, -.infinity, 0, 200, -.infinity, 1, .nan, 2, 1, 2, 3]
      var loss = [Double](repeating: .nan, count: 4)
      var gradient = [Float](repeating: .nan, count: 12)
      kk_classification_loss(engine, &loss, &gradient, logits, [0, 0, 1, -1], 4, 3, 1, &rule)
      #expect(loss[0] < 1e-80 && abs(loss[1] - 200) < 1e-9 && loss[2].isNaN && loss[3] == 0)
      #expect(abs(gradient[0]) < 1e-30 && gradient[3] == -1 && gradient[4] == 1 && gradient[5] == 0)
      #expect(gradient[2] == 0 && gradient[9...].allSatisfy { $0 == 0 })
    }
    // The two rows disagree entirely: KL is their distance in logits.
    var rule = plainRule()
    (rule.hard, rule.agreement) = (0, 1)
    var loss = [Double](repeating: .nan, count: 2)
    var gradient = [Float](repeating: .nan, count: 6)
    kk_classification_loss(
      engine, &loss, &gradient, [200, 0, -.infinity, 0, 200, -.infinity], [0, 0], 2, 3, 1, &rule)
    #expect(abs(loss[0] + loss[1] - 200) < 1e-9 && gradient.allSatisfy(\.isFinite))
  }
}

import Foundation
import KluereBase
import KluereDecoding
import KluereMetrics
import Testing

private func apply(_ decoding: Decoding, _ scores: [Float]) -> [Float] {
  var out = [Float](repeating: -1, count: scores.count)
  scores.withUnsafeBufferPointer { scores in
    out.withUnsafeMutableBufferPointer { decoding.apply(scores, areLogits: true, into: $0) }
  }
  return out
}

@Test func `a decoding of ones is a softmax`() throws {
  let scores: [Float] = [1, 2, 3, -1, 0, 1000]
  let found = apply(try Decoding(classes: 3), scores)
  let sum = exp(-2.0) + exp(-1.0) + 1
  for (place, power) in [-2.0, -1.0, 0.0].enumerated() { #expect(abs(Double(found[place]) - exp(power) / sum) < 1e-7) }
  #expect(Array(found[3...]) == [0, 0, 1])
}

@Test func `bayes' rule corrects a shift of the shares`() throws {
  // Two classes, logits log(0.5 * a) and log(0.5 * b): with shares 0.9 and 0.1 they are 0.9 a and 0.1 b.
  let decoding = try Decoding(
    classes: 2, priors: LabelPriors(source: [0.5, 0.5], target: [0.9, 0.1]))
  let found = apply(decoding, [log(Float(0.5 * 0.2)), log(Float(0.5 * 0.8))])
  #expect(abs(found[0] - 0.18 / (0.18 + 0.08)) < 1e-6)
}

@Test func `the best temperature of logits drawn from their own softmax is 1`() throws {
  var random = RandomStream(seed: 7, index: 0)
  var scores: [Float] = []
  var labels: [Int32] = []
  for _ in 0..<4000 {
    let logits = (0..<4).map { _ in 3 * Float(random.next() >> 40) / Float(1 << 24) }
    let total = logits.reduce(0.0) { $0 + exp(Double($1)) }
    var left = Double(random.next() >> 11) / Double(1 << 53) * total
    var label = 0
    while label < 3, left > exp(Double(logits[label])) {
      left -= exp(Double(logits[label]))
      label += 1
    }
    scores += logits.map { $0 * 2.5 }
    labels.append(Int32(label))
  }
  let result: Result<Decoding, KluereError> = scores.withUnsafeBufferPointer { scores in
    labels.withUnsafeBufferPointer { labels in
      do throws(KluereError) {
        return .success(
          try fitDecoding(scores, labels: labels, folds: nil, classes: 4, options: DecodingFitOptions()).0)
      } catch { return .failure(error) }
    }
  }
  #expect(abs(try result.get().temperature - 2.5) < 0.2)
}

@Test(arguments: [0.0, -1, .nan, .infinity, 1000])
func `temperatures that cannot be are refused`(temperature: Double) {
  #expect(throws: KluereError.self) { try Decoding(classes: 2, temperature: temperature) }
}

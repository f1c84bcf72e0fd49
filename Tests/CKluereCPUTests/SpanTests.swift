import CKluereCPU
import Testing

/// Spans that are one row, several, overlapping, and none, of 500 rows.
private let spans: [Int32] = (0..<120).flatMap { i -> [Int32] in
  let begin = Int32(i * 37 % 480)
  return [begin, begin + Int32(i % 9)]
}

@Test(arguments: [1, 24, 77, 130]) func `spans are pooled, and their gradients go back`(width: Int) throws {
  var numbers = Numbers(11)
  let x = numbers.floats(500 * width)
  let count = spans.count / 2
  let dy = numbers.floats(count * width)
  var (mean, largest) = ([Double](repeating: 0, count: count * width), [Double](repeating: 0, count: count * width))
  var dmean = [Double](repeating: 0.5, count: x.count)
  var dlargest = dmean
  for i in 0..<count where spans[2 * i] < spans[2 * i + 1] {
    let rows = Int(spans[2 * i])..<Int(spans[2 * i + 1])
    for j in 0..<width {
      let values = rows.map { Double(x[$0 * width + j]) }
      mean[i * width + j] = values.reduce(0, +) / Double(rows.count)
      largest[i * width + j] = values.max() ?? 0
      for row in rows { dmean[row * width + j] += Double(dy[i * width + j]) / Double(rows.count) }
      let first = rows.lowerBound + (values.firstIndex(of: largest[i * width + j]) ?? 0)
      dlargest[first * width + j] += Double(dy[i * width + j])
    }
  }
  try onEveryEngine { engine in
    var (y, z) = ([Float](repeating: .nan, count: count * width), [Float](repeating: .nan, count: count * width))
    var places = [Int32](repeating: -9, count: count * width)
    var (dx, dz) = ([Float](repeating: 0.5, count: x.count), [Float](repeating: 0.5, count: x.count))
    kk_pool_spans(engine, &y, nil, x, spans, count, width, 0)
    kk_pool_spans(engine, &z, &places, x, spans, count, width, 1)
    kk_pool_spans_backward(engine, &dx, dy, nil, spans, count, width)
    kk_pool_spans_backward(engine, &dz, dy, places, spans, count, width)
    return [y, z, dx, dz]
  } check: { isa, result in
    expectClose(result[0], mean, 1e-6, "mean, \(isa)")
    expectClose(result[1], largest, 0, "maximum, \(isa)")
    expectClose(result[2], dmean, 1e-5, "mean, gradient, \(isa)")
    expectClose(result[3], dlargest, 1e-5, "maximum, gradient, \(isa)")
  }
}

@Test func `a NaN is the maximum, of equals the first`() throws {
  let x: [Float] = [1, 2, 1, 5, .nan, 2, 7, 9, 1]
  var (y, places) = ([Float](repeating: 0, count: 3), [Int32](repeating: 0, count: 3))
  try onEveryEngine { engine in
    kk_pool_spans(engine, &y, &places, x, [0, 3], 1, 3, 1)
    return [y]
  } check: { _, _ in
    #expect(y[0] == 7 && y[1].isNaN && y[2] == 2)
    #expect(places == [2, 1, 1])
  }
}

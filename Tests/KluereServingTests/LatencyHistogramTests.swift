import KluereServing
import Testing

@Test(arguments: [1, 2, 99, 100, 5000])
func `quantiles are those of the sorted values, but for their bucket`(count: Int) {
  var histogram = LatencyHistogram()
  var values: [Int64] = []
  var state: UInt64 = 88_172_645_463_325_252
  for _ in 0..<count {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    // From nothing to minutes.
    values.append(Int64(state >> 1) >> Int64(20 + state % 43))
  }
  for value in values { histogram.add(value) }
  values.sort()
  #expect(histogram.count == UInt64(count) && histogram.maximum == values[count - 1])
  for (share, hundredths) in [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)] {
    let exact = values[max(1, (count * hundredths + 99) / 100) - 1]
    #expect(abs(Double(histogram.quantile(share) - exact)) <= Double(exact) / 62)
  }
  histogram.removeAll()
  #expect(histogram.count == 0 && histogram.quantile(0.5) == 0 && histogram.maximum == 0)
}

@Test func `extreme latencies have a bucket`() {
  var histogram = LatencyHistogram()
  histogram.add(Int64.min)
  #expect(histogram.quantile(1) == 0)
  histogram.add(Int64.max)
  #expect(Double(histogram.quantile(1)) >= Double(Int64.max) * 0.98 && histogram.maximum == Int64.max)
}

internal import Glibc

/// The temperature under which the labels are likeliest (Guo et al. 2017). The cross-entropy is convex in 1 / temperature,
/// so its derivative, the mean of expected logit minus own logit, changes its sign once: bisection finds the place
/// whatever the scores are. Rows that are all right want 0 and rows that say nothing infinity: they get a limit.
func fitTemperature(_ scores: LogScores, _ labels: [Int32]) -> Double {
  let values = scores.values
  let classes = scores.classes
  func slope(_ inverse: Double) -> Double {
    var total = 0.0
    for row in 0..<scores.rows {
      let start = row * classes
      var largest = values[start]
      for column in 1..<max(classes, 1) { largest = max(largest, values[start + column]) }
      var (sum, expected) = (0.0, 0.0)
      for column in 0..<classes {
        let distance = values[start + column] - largest
        let share = exp(inverse * distance)
        sum += share
        expected += share * distance
      }
      total += expected / sum - (values[start + Int(labels[row])] - largest)
    }
    return total
  }
  // Searched in the logarithm of 1 / temperature.
  var low = -log(Decoding.temperatures.upperBound)
  var high = -log(Decoding.temperatures.lowerBound)
  if slope(exp(high)) <= 0 { return Decoding.temperatures.lowerBound }
  if slope(exp(low)) >= 0 { return Decoding.temperatures.upperBound }
  // To about 1e-12.
  for _ in 0..<44 {
    let middle = (low + high) / 2
    if middle <= low || middle >= high { break }
    if slope(exp(middle)) > 0 { high = middle } else { low = middle }
  }
  let found = exp(-(low + high) / 2)
  return min(max(found, Decoding.temperatures.lowerBound), Decoding.temperatures.upperBound)
}

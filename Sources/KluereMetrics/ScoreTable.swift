internal import Glibc
internal import KluereBase

/// Rows x classes of scores as the metrics use them: the caller's float32 values, or their softmax in double.
struct ScoreTable {
  let scores: UnsafeBufferPointer<Float>
  let rows: Int
  let classes: Int
  /// For logits: per row the largest logit and the sum of exp(logit - largest). Empty for scores used as they are.
  private let maxima: UnsafeMutableBufferPointer<Float>?
  private let sums: UnsafeMutableBufferPointer<Double>?

  /// All scores are finite. The memory is freed by `release`.
  init(_ scores: UnsafeBufferPointer<Float>, rows: Int, classes: Int, areLogits: Bool) throws(KluereError) {
    self.scores = scores
    self.rows = rows
    self.classes = classes
    guard areLogits else {
      maxima = nil
      sums = nil
      return
    }
    let maxima = try allocate(Float.self, rows)
    let sums: UnsafeMutableBufferPointer<Double>
    do throws(KluereError) { sums = try allocate(Double.self, rows) } catch {
      free(maxima.baseAddress)
      throw error
    }
    for row in 0..<rows {
      let line = UnsafeBufferPointer(rebasing: scores[row * classes..<(row + 1) * classes])
      var largest = line[0]
      for score in line where score > largest { largest = score }
      var sum = 0.0
      for score in line { sum += exp(Double(score) - Double(largest)) }
      maxima[row] = largest
      sums[row] = sum
    }
    self.maxima = maxima
    self.sums = sums
  }

  func release() {
    free(maxima?.baseAddress)
    free(sums?.baseAddress)
  }

  /// The value that is ranked.
  @inline(__always)
  func value(_ row: Int, _ column: Int) -> Double {
    let score = Double(scores[row * classes + column])
    guard let maxima, let sums else { return score }
    return exp(score - Double(maxima[row])) / sums[row]
  }

  /// Column of the first largest score.
  func prediction(_ row: Int) -> Int {
    let start = row * classes
    var best = 0
    for column in 1..<max(classes, 1) where scores[start + column] > scores[start + best] { best = column }
    return best
  }

  /// Mean of -log(probability of the row's label), NaN where a row is no distribution.
  func crossEntropy(_ labels: UnsafeBufferPointer<Int32>) -> Double {
    var total = 0.0
    for row in 0..<rows { total += loss(row, Int(labels[row])) }
    return total / Double(rows)
  }

  /// -log(probability of `label`), NaN where the row is no distribution.
  func loss(_ row: Int, _ label: Int) -> Double {
    let own = Double(scores[row * classes + label])
    if let maxima, let sums { return log(sums[row]) - (own - Double(maxima[row])) }
    var sum = 0.0
    for column in 0..<classes {
      let score = scores[row * classes + column]
      if score < 0 { return .nan }
      sum += Double(score)
    }
    // Wide enough for probabilities that were rounded to three digits or to half precision on the way.
    return abs(sum - 1) > 1e-2 ? .nan : -log(own)
  }
}

extension UnsafeMutableBufferPointer {
  /// Frees what `allocate` gave.
  func release() { free(baseAddress) }
}

/// Memory whose size a caller decides: a shortage is an error, never the end of the process.
func allocate<T: BitwiseCopyable>(_: T.Type, _ count: Int) throws(KluereError) -> UnsafeMutableBufferPointer<T> {
  guard let bytes = count.product(MemoryLayout<T>.stride), let memory = malloc(max(bytes, 1)) else {
    throw KluereError(.outOfMemory, "metrics: working memory for \(count) rows is not to be had")
  }
  return UnsafeMutableBufferPointer(start: memory.bindMemory(to: T.self, capacity: count), count: count)
}

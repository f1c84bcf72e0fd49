internal import Glibc

/// Logarithms of class weights that raise micro-F1 of the first largest score, by coordinate ascent: one class after
/// another gets the best value, given the others. That value is found exactly, since F1 changes only where a row changes
/// its decision: halfway between two rows, or 0 where that is as good. Of equal values the one nearest to 0 wins, and a
/// weight moves only for a gain.
struct ClassWeightSearch {
  let scores: LogScores
  let labels: [Int32]
  /// What each row counts; nil: 1.
  let importance: [Double]?
  let noRelation: Int?
  var rounds = 20
  /// Classes with fewer rows keep the weight 1: too few to learn a threshold from.
  var minimumRows = 5
  /// Weights stay between 1 / this and this.
  static let limit = log(100.0)

  func run() -> [Double] {
    var bias = [Double](repeating: 0, count: scores.classes)
    var support = [Int](repeating: 0, count: scores.classes)
    for label in labels { support[Int(label)] += 1 }
    var decisions = decide(bias)
    var present = value(decisions)
    for _ in 0..<rounds {
      var isBetter = false
      for column in 0..<scores.classes where support[column] >= minimumRows {
        guard let best = bestBias(of: column, decisions), best.value > present + 1e-12 else { continue }
        bias[column] = best.bias
        decisions = decide(bias)
        present = best.value
        isBetter = true
      }
      if !isBetter { break }
    }
    return bias
  }

  /// micro-F1 of these decisions.
  private func value(_ decisions: [Decision]) -> Double {
    var counts = Counts()
    for (row, decision) in decisions.enumerated() { counts.add(row, predicted: decision.column, self) }
    return counts.value
  }

  /// Sums over rows by what they count.
  private struct Counts {
    var hits = 0.0
    var predicted = 0.0
    var gold = 0.0

    var value: Double { predicted + gold == 0 ? 0 : 2 * hits / (predicted + gold) }

    /// A row with its decision.
    mutating func add(_ row: Int, predicted column: Int, _ search: ClassWeightSearch) {
      if Int(search.labels[row]) != search.noRelation { gold += search.weight(row) }
      decide(row, column, search, 1)
    }

    /// The decision alone.
    mutating func decide(_ row: Int, _ column: Int, _ search: ClassWeightSearch, _ sign: Double) {
      guard column != search.noRelation else { return }
      predicted += sign * search.weight(row)
      if column == Int(search.labels[row]) { hits += sign * search.weight(row) }
    }
  }

  private func weight(_ row: Int) -> Double { importance?[row] ?? 1 }

  /// The first largest score of a row, and the first largest of the others; -1 where there is none.
  private struct Decision {
    var column = -1
    var score = -Double.infinity
    var otherColumn = -1
    var otherScore = -Double.infinity
  }

  private func decide(_ bias: [Double]) -> [Decision] {
    let values = scores.values
    return (0..<scores.rows).map { row in
      var found = Decision()
      for column in 0..<scores.classes {
        let score = values[row * scores.classes + column] + bias[column]
        if found.column < 0 || score > found.score {
          (found.otherColumn, found.otherScore) = (found.column, found.score)
          (found.column, found.score) = (column, score)
        } else if found.otherColumn < 0 || score > found.otherScore {
          (found.otherColumn, found.otherScore) = (column, score)
        }
      }
      return found
    }
  }

  private func bestBias(of column: Int, _ decisions: [Decision]) -> (bias: Double, value: Double)? {
    let values = scores.values
    // Per row the bias from which on it is decided for `column`, and its decision below.
    var thresholds: [(at: Double, row: Int, other: Int)] = []
    thresholds.reserveCapacity(scores.rows)
    var counts = Counts()
    for (row, decision) in decisions.enumerated() {
      let isOwn = decision.column == column
      let other = isOwn ? decision.otherColumn : decision.column
      guard other >= 0 else { return nil }
      let score = isOwn ? decision.otherScore : decision.score
      thresholds.append((score - values[row * scores.classes + column], row, other))
      counts.add(row, predicted: other, self)
    }
    thresholds.sort { ($0.at, $0.row) < ($1.at, $1.row) }
    var found: (bias: Double, value: Double)?
    var low = -ClassWeightSearch.limit
    var place = 0
    while true {
      // All rows up to `place` are decided for `column`; so it stays between `low` and the next row's threshold.
      let high = place < thresholds.count ? min(thresholds[place].at, ClassWeightSearch.limit) : ClassWeightSearch.limit
      if high > low {
        let candidate = low < 0 && high > 0 ? 0 : (low + high) / 2
        let value = counts.value
        if found.map({ value > $0.value || (value == $0.value && abs(candidate) < abs($0.bias)) }) ?? true {
          found = (candidate, value)
        }
      }
      guard place < thresholds.count else { return found }
      let at = thresholds[place].at
      while place < thresholds.count, thresholds[place].at == at {
        counts.decide(thresholds[place].row, thresholds[place].other, self, -1)
        counts.decide(thresholds[place].row, column, self, 1)
        place += 1
      }
      low = max(low, at)
    }
  }
}

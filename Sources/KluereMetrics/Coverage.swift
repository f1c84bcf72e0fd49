package import KluereBase

/// One point of the coverage-risk curve: the rows with at least `threshold` of confidence.
package struct CoveragePoint: Sendable, Equatable {
  package var coverage: Double
  package var threshold: Double
  /// Share of wrong predictions among them.
  package var risk: Double
  /// Of these rows alone.
  package var microF1: Double
}

package struct Coverage: Sendable, Equatable {
  /// Area under the coverage-risk curve (Geifman and El-Yaniv 2017), and what of it lies above that of a ranking with
  /// all errors at the end (Geifman et al. 2019).
  package var area: Double
  package var excessArea: Double
  /// All rows.
  package var risk: Double
  package var points: [CoveragePoint]
}

/// What is gained by answering only where the model is sure. Rows enter by falling confidence, those of equal confidence
/// together, so the rows' order does not matter. `points`: how many, at coverages of at least 1/points, 2/points ... 1.
package func coverageRisk(
  _ judged: Judged, options: MetricsOptions, points: Int
) throws(KluereError) -> Coverage {
  guard (1...1_000_000).contains(points) else {
    throw KluereError(.invalidArgument, "points: \(points), expected 1 to 1000000")
  }
  let judgements = try Confidences(judged, options, label: nil)
  defer { judgements.release() }
  var order = try allocate(Int.self, judged.rows)
  defer { order.release() }
  for row in 0..<judged.rows { order[row] = row }
  order.sort { (-judgements.values[$0], $0) < (-judgements.values[$1], $1) }

  var result = Coverage(area: 0, excessArea: 0, risk: 0, points: [])
  var counts = (errors: 0, gold: 0, predicted: 0, hits: 0)
  var place = 0
  let total = Double(judged.rows)
  while place < judged.rows {
    let threshold = judgements.values[order[place]]
    let begin = place
    while place < judged.rows, judgements.values[order[place]] == threshold {
      let row = order[place]
      let (truth, prediction) = (Int(judged.labels[row]), Int(judgements.predictions[row]))
      if truth != prediction { counts.errors += 1 }
      if truth != options.noRelation { counts.gold += 1 }
      if prediction != options.noRelation { counts.predicted += 1 }
      if truth == prediction, truth != options.noRelation { counts.hits += 1 }
      place += 1
    }
    let risk = ratio(counts.errors, place)
    result.area += risk * Double(place - begin) / total
    // Whole numbers: a million points times the rows of a table in memory stay far below 2^63.
    while result.points.count < points, (result.points.count + 1) * judged.rows <= place * points {
      result.points.append(
        CoveragePoint(
          coverage: Double(place) / total, threshold: threshold, risk: risk,
          microF1: ratio(2 * counts.hits, counts.gold + counts.predicted)))
    }
  }
  result.risk = ratio(counts.errors, judged.rows)
  var best = 0.0
  let right = judged.rows - counts.errors
  for size in right..<judged.rows { best += Double(size + 1 - right) / Double(size + 1) }
  result.excessArea = result.area - best / total
  return result
}

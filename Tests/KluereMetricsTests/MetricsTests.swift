import KluereBase
import KluereMetrics
import Testing

// Golden values: scikit-learn 1.9.1, precision_recall_fscore_support, accuracy_score, confusion_matrix and
// auc(*precision_recall_curve) per class, on exactly these numbers as float32. A live comparison on random and
// degenerate inputs runs with the Python tests.

private func compute(
  _ rows: [[Float]], _ labels: [Int32], _ options: MetricsOptions = MetricsOptions(), classes: Int? = nil,
  confusion: UnsafeMutableBufferPointer<UInt64>? = nil
) throws -> (Metrics, [ClassMetrics]) {
  let scores = rows.flatMap { $0 }
  return try scores.withUnsafeBufferPointer { scores in
    try labels.withUnsafeBufferPointer { labels in
      try computeMetrics(
        scores: scores, labels: labels, classes: classes ?? rows.first?.count ?? 1, options: options,
        confusion: confusion)
    }
  }
}

private func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-12 }

/// Ten rows of four classes with ties inside rows and between them; no row belongs to class 3.
private let probabilities: [[Float]] = [
  [0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.6, 0.2, 0.1], [0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1],
  [0.5, 0.3, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.4, 0.4, 0.1, 0.1], [0.2, 0.2, 0.5, 0.1], [0.6, 0.2, 0.1, 0.1],
]
private let labels: [Int32] = [0, 1, 1, 0, 2, 1, 2, 0, 2, 0]

@Test func `micro-F1 leaves out no_relation but keeps its rows, as scikit-learn with labels given`() throws {
  let (metrics, _) = try compute(probabilities, labels)
  #expect(metrics.rows == 10)
  #expect(close(metrics.microPrecision, 0.6))
  #expect(close(metrics.microRecall, 0.5))
  #expect(close(metrics.microF1, 0.5454545454545454))
  #expect(close(metrics.accuracy, 0.6))
  #expect(abs(metrics.loss - 1.0000879711925477) <= 1e-12)
}

@Test func `without a label left out micro-F1 is the accuracy`() throws {
  let (metrics, _) = try compute(probabilities, labels, MetricsOptions(noRelation: nil))
  #expect(metrics.microF1 == metrics.accuracy)
}

@Test func `the per-class table and the confusion matrix are scikit-learn's`() throws {
  var counts = [UInt64](repeating: 99, count: 16)
  let (_, table) = try counts.withUnsafeMutableBufferPointer { try compute(probabilities, labels, confusion: $0) }
  let expected: [(Double, Double, Double, Int, Int, Int)] = [
    (0.6, 0.75, 0.6666666666666666, 4, 5, 3), (0.5, 0.3333333333333333, 0.4, 3, 2, 1),
    (1, 0.6666666666666666, 0.8, 3, 2, 2), (0, 0, 0, 0, 1, 0),
  ]
  for (entry, want) in zip(table, expected) {
    #expect(close(entry.precision, want.0) && close(entry.recall, want.1) && close(entry.f1, want.2))
    #expect((entry.support, entry.predicted, entry.correct) == (want.3, want.4, want.5))
  }
  #expect(counts == [3, 1, 0, 0, 2, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0])
}

@Test func `the area under the precision-recall curve collapses ties and is a trapezoid`() throws {
  let areas = [0.8235119047619047, 0.6555555555555556, 0.7833333333333332]
  let (metrics, table) = try compute(probabilities, labels)
  for (entry, area) in zip(table, areas) { #expect(close(entry.auprc, area)) }
  #expect(table[3].auprc.isNaN)
  #expect(metrics.missingClasses == 1)
  #expect(close(metrics.auprc, 0.7541335978835978))
}

@Test func `a class without rows is skipped, counts a half, or makes the mean NaN`() throws {
  let (half, table) = try compute(probabilities, labels, MetricsOptions(missingClass: .half))
  #expect(close(half.auprc, 0.6906001984126984))
  #expect(table[3].auprc == 0.5)
  let (nan, _) = try compute(probabilities, labels, MetricsOptions(missingClass: .nan))
  #expect(nan.auprc.isNaN)
  #expect(nan.missingClasses == 1)
}

@Test func `logits are ranked after a softmax, and a probability of zero keeps a finite loss`() throws {
  let logits: [[Float]] = [[2, 1, 0], [0, 3, 1], [1, 0, 2], [1, 1, 1], [-50, 50, 0], [0, -1, 4]]
  let (metrics, table) = try compute(logits, [0, 1, 1, 2, 0, 2], MetricsOptions(scoresAreLogits: true))
  for (entry, area) in zip(table, [0.6333333333333333, 0.2875, 0.7916666666666666]) {
    #expect(close(entry.auprc, area))
  }
  #expect(abs(metrics.loss - 17.351402521208662) <= 1e-10)
  #expect(close(metrics.microF1, 0.5))
  // The same numbers used as they are: another ranking, and no distribution.
  let (raw, _) = try compute(logits, [0, 1, 1, 2, 0, 2])
  #expect(close(raw.auprc, 0.5569444444444445))
  #expect(raw.loss.isNaN)
}

@Test func `degenerate inputs give numbers`() throws {
  // All predicted no_relation: 0/0 counts as 0.
  let (nothing, _) = try compute([[1, 0], [1, 0]], [0, 1])
  #expect(nothing.microF1 == 0 && nothing.microPrecision == 0 && nothing.microRecall == 0)
  #expect(nothing.loss == .infinity)
  // Every row of one class, all scores tied: precision and recall are 1 at the only threshold.
  let (one, table) = try compute([[0.5, 0.5], [0.5, 0.5]], [1, 1])
  #expect(one.auprc == 1)
  #expect(table[1].auprc == 1 && table[0].auprc.isNaN)
  let (single, _) = try compute([[1]], [0], MetricsOptions(noRelation: nil))
  #expect(single.accuracy == 1 && single.auprc == 1 && single.loss == 0)
  // -0 and 0 are one threshold.
  let (zeros, _) = try compute([[-0.0, 0], [0.0, 0]], [0, 1])
  #expect(close(zeros.auprc, 0.75))
}

@Test func `bad input is refused and leaves the confusion matrix alone`() throws {
  var counts: [UInt64] = [7, 7, 7, 7]
  func refused(_ rows: [[Float]], _ labels: [Int32], _ options: MetricsOptions = MetricsOptions(), classes: Int? = nil)
    -> String?
  {
    let error = #expect(throws: KluereError.self) {
      _ = try counts.withUnsafeMutableBufferPointer {
        try compute(rows, labels, options, classes: classes, confusion: $0)
      }
    }
    #expect(error?.status == .invalidArgument)
    return error?.message
  }
  #expect(refused([], []) == "metrics: 0 rows, expected at least one")
  #expect(refused([[0, 1]], [2]) == "metrics: row 0: label 2, expected 0 to 1")
  #expect(refused([[0, 1], [0, 1]], [0, -1]) == "metrics: row 1: label -1, expected 0 to 1")
  #expect(refused([[0, .nan]], [0]) == "metrics: row 0, class 1: score nan, expected a finite number")
  #expect(
    refused([[0, 1], [.infinity, 1]], [0, 0]) == "metrics: row 1, class 0: score inf, expected a finite number")
  #expect(
    refused([[0, 1]], [0], MetricsOptions(noRelation: 2)) == "no_relation: label 2, expected -1 (none) or 0 to 1")
  #expect(refused([[0, 1]], [0], classes: 0) == "metrics: 0 classes, expected 1 to 1048576")
  #expect(refused([[0, 1]], [0], classes: .max) == "metrics: 9223372036854775807 classes, expected 1 to 1048576")
  #expect(refused([[0, 1, 0]], [0], classes: 2) == "metrics: 3 scores, expected 1 rows of 2")
  #expect(refused([[0, 1, 0]], [0]) == "confusion: 4 entries, expected 3 x 3")
  #expect(counts == [7, 7, 7, 7])
}

package import KluereBase

/// More classes than any task of this kind has; bounds the memory of the per-class table.
private let classLimit = 1 << 20

/// All figures of `scores` [rows, classes] against `labels` [rows]. `confusion`: nil, or classes x classes counts
/// [true][predicted], overwritten; untouched when this throws. The prediction is the first largest score.
package func computeMetrics(
  scores: UnsafeBufferPointer<Float>, labels: UnsafeBufferPointer<Int32>, classes: Int,
  options: MetricsOptions = MetricsOptions(), confusion: UnsafeMutableBufferPointer<UInt64>? = nil
) throws(KluereError) -> (Metrics, [ClassMetrics]) {
  let rows = labels.count
  try validate(scores, labels, classes: classes, options: options, confusion: confusion)
  let table = try ScoreTable(scores, rows: rows, classes: classes, areLogits: options.scoresAreLogits)
  defer { table.release() }
  let curve = try PrecisionRecall(rows: rows)
  defer { curve.release() }

  // Nothing fails below: the caller's memory may be written.
  confusion?.update(repeating: 0)
  var counts = [Counts](repeating: Counts(), count: classes)
  for row in 0..<rows {
    let label = Int(labels[row])
    let prediction = table.prediction(row)
    counts[label].support += 1
    counts[prediction].predicted += 1
    if label == prediction { counts[label].correct += 1 }
    confusion?[label * classes + prediction] += 1
  }

  var perClass: [ClassMetrics] = []
  perClass.reserveCapacity(classes)
  for (column, count) in counts.enumerated() {
    let auprc =
      count.support > 0
      ? curve.area(table, labels, column: column, positives: count.support) : options.missingClass.area
    perClass.append(
      ClassMetrics(
        precision: ratio(count.correct, count.predicted), recall: ratio(count.correct, count.support),
        f1: ratio(2 * count.correct, count.predicted + count.support), auprc: auprc, support: count.support,
        predicted: count.predicted, correct: count.correct))
  }

  var micro = Counts()
  for (column, count) in counts.enumerated() where column != options.noRelation {
    micro.support += count.support
    micro.predicted += count.predicted
    micro.correct += count.correct
  }
  let correct = counts.reduce(0) { $0 + $1.correct }
  let metrics = Metrics(
    rows: rows, missingClasses: counts.reduce(0) { $0 + ($1.support == 0 ? 1 : 0) },
    microF1: ratio(2 * micro.correct, micro.predicted + micro.support),
    microPrecision: ratio(micro.correct, micro.predicted), microRecall: ratio(micro.correct, micro.support),
    auprc: meanArea(perClass, options.missingClass), accuracy: ratio(correct, rows), loss: table.crossEntropy(labels))
  return (metrics, perClass)
}

/// Mean cross-entropy in nats of finite logits [rows, classes]; labels are inside the classes.
package func meanCrossEntropy(
  logits: UnsafeBufferPointer<Float>, labels: UnsafeBufferPointer<Int32>, classes: Int
) throws(KluereError) -> Double {
  try validate(logits, labels, classes: classes, options: MetricsOptions(noRelation: nil), confusion: nil)
  let table = try ScoreTable(logits, rows: labels.count, classes: classes, areLogits: true)
  defer { table.release() }
  return table.crossEntropy(labels)
}

private struct Counts {
  var support = 0
  var predicted = 0
  var correct = 0
}

func ratio(_ numerator: Int, _ denominator: Int) -> Double {
  denominator == 0 ? 0 : Double(numerator) / Double(denominator)
}

extension MissingClass {
  /// What a class without a positive row adds to the mean, where it is not left out.
  var area: Double { self == .half ? 0.5 : .nan }
}

private func meanArea(_ classes: [ClassMetrics], _ missing: MissingClass) -> Double {
  var (sum, count) = (0.0, 0)
  for entry in classes where entry.support > 0 || missing != .skip {
    sum += entry.auprc
    count += 1
  }
  return sum / Double(count)  // Every row has a label, so at least one class is present.
}

func validate(_ judged: Judged, options: MetricsOptions) throws(KluereError) {
  try validate(judged.scores, judged.labels, classes: judged.classes, options: options, confusion: nil)
}

private func validate(
  _ scores: UnsafeBufferPointer<Float>, _ labels: UnsafeBufferPointer<Int32>, classes: Int, options: MetricsOptions,
  confusion: UnsafeMutableBufferPointer<UInt64>?
) throws(KluereError) {
  guard !labels.isEmpty else { throw KluereError(.invalidArgument, "metrics: 0 rows, expected at least one") }
  guard (1...classLimit).contains(classes) else {
    throw KluereError(.invalidArgument, "metrics: \(classes) classes, expected 1 to \(classLimit)")
  }
  guard scores.count == labels.count.product(classes) else {
    throw KluereError(
      .invalidArgument, "metrics: \(scores.count) scores, expected \(labels.count) rows of \(classes)")
  }
  if let noRelation = options.noRelation, !(0..<classes).contains(noRelation) {
    throw KluereError(
      .invalidArgument, "no_relation: label \(noRelation), expected -1 (none) or 0 to \(classes - 1)")
  }
  if let confusion, confusion.count != classes * classes {
    throw KluereError(
      .invalidArgument, "confusion: \(confusion.count) entries, expected \(classes) x \(classes)")
  }
  for (row, label) in labels.enumerated() where !(0..<classes).contains(Int(label)) {
    throw KluereError(.invalidArgument, "metrics: row \(row): label \(label), expected 0 to \(classes - 1)")
  }
  for (index, score) in scores.enumerated() where !score.isFinite {
    throw KluereError(
      .invalidArgument,
      "metrics: row \(index / classes), class \(index % classes): score \(score), expected a finite number")
  }
}

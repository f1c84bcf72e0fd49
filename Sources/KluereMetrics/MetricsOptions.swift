/// What a class without a positive row does to the mean area under the precision-recall curve. Raw values are those of
/// KLUERE_MISSING_CLASS_*.
package enum MissingClass: Int32, Sendable {
  /// Left out of the mean.
  case skip = 0
  /// Counts 0.5, as scikit-learn 1.1 and later compute it: recall is 1 at every threshold, precision 0.
  case half = 1
  /// Makes the mean NaN, as scikit-learn 0.24 did: recall is 0/0.
  case nan = 2
}

package struct MetricsOptions: Sendable, Equatable {
  /// The label left out of micro-F1; its rows stay, as possible false positives. nil: no label is left out.
  package var noRelation: Int? = 0
  package var missingClass = MissingClass.skip
  /// Scores are logits: a softmax over the classes comes first.
  package var scoresAreLogits = false

  package init(noRelation: Int? = 0, missingClass: MissingClass = .skip, scoresAreLogits: Bool = false) {
    self.noRelation = noRelation
    self.missingClass = missingClass
    self.scoresAreLogits = scoresAreLogits
  }
}

/// Figures over all rows, as fractions of 1. 0/0 counts as 0.
package struct Metrics: Sendable, Equatable {
  package var rows: Int
  /// Classes without a positive row.
  package var missingClasses: Int
  package var microF1: Double
  package var microPrecision: Double
  package var microRecall: Double
  package var auprc: Double
  package var accuracy: Double
  /// Mean cross-entropy in nats; NaN for scores that are not probabilities, infinite where a row's own label has
  /// probability 0.
  package var loss: Double

  package init(
    rows: Int, missingClasses: Int, microF1: Double, microPrecision: Double, microRecall: Double, auprc: Double,
    accuracy: Double, loss: Double
  ) {
    self.rows = rows
    self.missingClasses = missingClasses
    self.microF1 = microF1
    self.microPrecision = microPrecision
    self.microRecall = microRecall
    self.auprc = auprc
    self.accuracy = accuracy
    self.loss = loss
  }
}

/// Figures of one class against all others.
package struct ClassMetrics: Sendable, Equatable {
  package var precision: Double
  package var recall: Double
  package var f1: Double
  /// By `MissingClass` where the class has no positive row (skip: NaN).
  package var auprc: Double
  /// Rows of the class.
  package var support: Int
  /// Rows predicted as the class.
  package var predicted: Int
  package var correct: Int
}

package import KluereBase

/// Something in a dataset that deserves a look.
package struct Finding: Sendable, Equatable {
  /// Raw values are KLUERE_FINDING_*.
  package enum Kind: Int32, Sendable, CaseIterable {
    case unreadable = 0
    case duplicate = 1
    case conflict = 2
    case overlap = 3
    case blankInSpan = 4
    case labelPrefix = 5
    case rareTypes = 6
    case unknownPiece = 7
    case tooLong = 8
    case notNFC = 9
    case hiddenLabel = 10
    case duplicateID = 11
    case leakedSentence = 12
    case leakedInput = 13
  }

  package enum Severity: Int32, Sendable {
    case note = 0
    case warning = 1
    case error = 2
  }

  /// What to do about it. Raw values are KLUERE_ACTION_*.
  package enum Action: Int32, Sendable {
    case none = 0
    case review = 1
    case removeRow = 2
    case resolveConflict = 3
    case correctType = 4
    case correctSpan = 5
    case normalize = 6
    case removeFromTraining = 7
    case renumber = 8
  }

  package var kind: Kind
  package var severity: Severity
  package var action: Action
  /// nil: of a row that is not in the dataset.
  package var row: Int?
  /// The row that it collides with: of the same dataset, for leakage of the other.
  package var otherRow: Int?
  package var message: String
}

/// What a model's input form makes of the rows, measured where tokens are known.
package struct InputFacts: Sendable {
  /// Per row the tokens of its input, before cropping.
  package var tokenCounts: [Int32]
  /// What an input is cropped to.
  package var limit: Int
  /// Per row whether the subject's pieces (1) or the object's (2) hold an unknown one.
  package var unknownEntities: [UInt8]

  package init(tokenCounts: [Int32], limit: Int, unknownEntities: [UInt8]) {
    self.tokenCounts = tokenCounts
    self.limit = limit
    self.unknownEntities = unknownEntities
  }
}

package struct AuditOptions: Sendable {
  /// A label with a pair of types that fewer rows than these have is rare.
  package var rareBelow = 3

  package init() {}
}

/// Goes through a dataset and lists what is wrong or odd in it.
package struct Audit: Sendable {
  /// Rows in order, for each row in the order of the kinds; what is of no row comes first.
  package private(set) var findings: [Finding] = []

  /// `other`: a dataset that must not share sentences with this one (an evaluation set). `inputs`: nil where no tokenizer
  /// is at hand; then nothing is said about pieces and lengths.
  package init(
    _ dataset: Dataset, other: Dataset? = nil, inputs: InputFacts? = nil, options: AuditOptions = AuditOptions()
  ) throws(KluereError) {
    guard options.rareBelow >= 0 else {
      throw KluereError(.invalidArgument, "rare_below: \(options.rareBelow), expected 0 or more")
    }
    for reason in dataset.skipped {
      findings.append(
        Finding(
          kind: .unreadable, severity: .error, action: .correctSpan, row: nil, otherRow: nil,
          message: "left out by the reader: \(reason)"))
    }
    let checks = RowChecks(dataset, options: options)
    var repetitions = RepetitionChecks(dataset)
    let leaks = other.map { LeakageChecks($0) }
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      repetitions.check(row, example, into: &findings)
      checks.check(row, example, inputs, into: &findings)
      leaks?.check(row, example, into: &findings)
    }
  }
}

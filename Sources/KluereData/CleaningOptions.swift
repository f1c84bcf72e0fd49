/// What of several labels for the same sentence and spans stays. Raw values are KLUERE_CONFLICTS_*.
package enum ConflictRule: Int32, Sendable {
  case leave = 0
  /// The label of the first row.
  case keepFirst = 1
  /// The label that most rows have, duplicates counted; of equally many the first.
  case majority = 2
  /// no_relation goes where a row says otherwise; two relations stay a conflict.
  case preferRelation = 3
  /// None of them.
  case dropAll = 4
}

/// How entity types are corrected. Raw values are KLUERE_TYPES_*.
package enum TypeRule: Int32, Sendable {
  case leave = 0
  /// To the type that nearly all rows of the label have.
  case majority = 1
  /// By a list of corrections.
  case list = 2
}

package enum EntityRole: Int32, Sendable {
  case subject = 0
  case object = 1

  package var name: String { self == .subject ? "subject" : "object" }
}

/// In rows of one label, one type of an entity becomes another.
package struct TypeCorrection: Sendable, Equatable {
  package var label: [UInt8]
  package var role: EntityRole
  /// nil: whatever it is.
  package var from: [UInt8]?
  package var to: [UInt8]

  package init(label: [UInt8], role: EntityRole, from: [UInt8]?, to: [UInt8]) {
    self.label = label
    self.role = role
    self.from = from
    self.to = to
  }
}

package struct CleaningOptions: Sendable {
  package var removesDuplicates = true
  package var conflicts = ConflictRule.leave
  /// Rows with these ids go, whatever the rule for conflicts; each must be there.
  package var removedIDs: [[UInt8]] = []
  package var types = TypeRule.leave
  /// For `.majority`: the share of a label's rows that must agree before the others are corrected.
  package var majorityShare = 0.9
  /// For `.list`; nil: the competition team's map.
  package var corrections: [TypeCorrection]?

  package init() {}
}

extension TypeCorrection {
  /// What the team of the report corrected (boostcampaitech6/level2-klue-nlp-05, code/data_preparation.py), as it ran: its
  /// three lines for org:member_of begin with a blank in the label, so that they never applied, and are not here.
  package static let competitionTeam: [TypeCorrection] = {
    let object: [(label: String, from: [String], to: String)] = [
      ("org:top_members/employees", ["ORG", "LOC", "NOH"], "POH"), ("org:members", ["PER", "NOH", "DAT"], "POH"),
      ("org:product", [], "POH"), ("per:title", [], "POH"), ("org:alternate_names", ["PER"], "ORG"),
      ("org:alternate_names", ["DAT"], "POH"), ("per:employee_of", ["DAT", "NOH"], "POH"),
      ("org:place_of_headquarters", ["DAT", "NOH", "PER"], "POH"), ("per:product", [], "POH"),
      ("per:children", ["LOC", "NOH", "DAT", "ORG"], "POH"), ("per:place_of_residence", ["ORG", "DAT"], "POH"),
      ("per:alternate_names", ["ORG", "LOC"], "POH"), ("per:other_family", ["LOC", "ORG"], "POH"),
      ("per:colleagues", ["ORG", "DAT", "LOC"], "POH"), ("per:origin", ["DAT", "PER", "NOH"], "POH"),
      ("per:spouse", ["LOC", "ORG", "DAT"], "POH"),
      ("org:political/religious_affiliation", ["LOC", "PER", "DAT"], "POH"),
      ("per:parents", ["LOC", "DAT", "NOH"], "POH"), ("per:schools_attended", ["LOC"], "ORG"),
      ("per:date_of_death", [], "DAT"), ("per:date_of_birth", [], "DAT"), ("per:place_of_birth", [], "LOC"),
      ("per:place_of_death", [], "LOC"), ("per:religion", ["LOC"], "POH"),
    ]
    let subject = ["org:top_members/employees", "org:members", "org:place_of_headquarters"]
    let ofSubjects = subject.map { label in
      TypeCorrection(label: Array(label.utf8), role: .subject, from: Array("PER".utf8), to: Array("ORG".utf8))
    }
    return ofSubjects
      + object.flatMap { entry in
        (entry.from.isEmpty ? [nil] : entry.from.map { Array($0.utf8) }).map { from in
          TypeCorrection(label: Array(entry.label.utf8), role: .object, from: from, to: Array(entry.to.utf8))
        }
      }
  }()
}

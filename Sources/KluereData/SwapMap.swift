/// Which relations still hold, and under what name, when subject and object change places. Raw values are KLUERE_SWAP_*.
package struct SwapMap: OptionSet, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Spouses, siblings, colleagues, other family, alternate names: the same relation in both directions.
  package static let symmetric = SwapMap(rawValue: 1)
  /// parents and children, members and member_of.
  package static let inverse = SwapMap(rawValue: 2)
  /// org:top_members/employees becomes per:employee_of.
  package static let topMembersToEmployeeOf = SwapMap(rawValue: 4)
  /// The other way: plausible, but employee_of also covers parties, clubs and units of the army.
  package static let employeeOfToTopMembers = SwapMap(rawValue: 8)
  /// no_relation between two persons or two organisations: not implied.
  package static let noRelation = SwapMap(rawValue: 16)

  package static let all: SwapMap = [
    .symmetric, .inverse, .topMembersToEmployeeOf, .employeeOfToTopMembers, .noRelation,
  ]
  package static let usual: SwapMap = [.symmetric, .inverse, .topMembersToEmployeeOf]

  private struct Entry {
    var map: SwapMap
    var label: String
    var subject: String
    var object: String
    var becomes: String
  }

  private static let entries: [Entry] = {
    var entries: [Entry] = []
    for label in ["per:spouse", "per:siblings", "per:colleagues", "per:other_family", "per:alternate_names"] {
      entries.append(Entry(map: .symmetric, label: label, subject: "PER", object: "PER", becomes: label))
    }
    let names = "org:alternate_names"
    entries.append(Entry(map: .symmetric, label: names, subject: "ORG", object: "ORG", becomes: names))
    for (type, one, other) in [
      ("PER", "per:parents", "per:children"), ("ORG", "org:members", "org:member_of"),
    ] {
      entries.append(Entry(map: .inverse, label: one, subject: type, object: type, becomes: other))
      entries.append(Entry(map: .inverse, label: other, subject: type, object: type, becomes: one))
    }
    let (top, employee) = ("org:top_members/employees", "per:employee_of")
    entries.append(Entry(map: .topMembersToEmployeeOf, label: top, subject: "ORG", object: "PER", becomes: employee))
    entries.append(Entry(map: .employeeOfToTopMembers, label: employee, subject: "PER", object: "ORG", becomes: top))
    for type in ["PER", "ORG"] {
      entries.append(
        Entry(map: .noRelation, label: "no_relation", subject: type, object: type, becomes: "no_relation"))
    }
    return entries
  }()

  /// The label of the row with its roles exchanged; nil where that says nothing.
  func label(of example: ExampleView) -> String? {
    guard let label = example.label, let subject = example.subject.type, let object = example.object.type else {
      return nil
    }
    return SwapMap.entries.first { entry in
      contains(entry.map) && label.elementsEqual(entry.label.utf8) && subject.elementsEqual(entry.subject.utf8)
        && object.elementsEqual(entry.object.utf8)
    }?.becomes
  }
}

package import KluereBase
internal import KluereFormats

/// The names of the relations, in the order of their indices. Names are compared byte for byte: Swift's own comparison
/// takes composed and decomposed Hangul for equal.
package struct LabelSet: Sendable, Equatable {
  package let names: [String]
  private let indices: [[UInt8]: Int]

  /// Not empty, distinct, without empty names and NUL.
  package init(_ names: [String]) throws(KluereError) {
    guard !names.isEmpty else { throw KluereError(.invalidArgument, "0 labels, expected at least one") }
    guard names.count <= Int(Int32.max) else {
      throw KluereError(.invalidArgument, "\(names.count) labels, expected at most \(Int32.max)")
    }
    var indices: [[UInt8]: Int] = [:]
    for (index, name) in names.enumerated() {
      let key = Array(name.utf8)
      guard !key.isEmpty, !key.contains(0) else {
        throw KluereError(
          .invalidArgument, "label \(index) is \(key.isEmpty ? "empty" : "not free of NUL"), expected a name")
      }
      if let first = indices.updateValue(index, forKey: key) {
        throw KluereError(.invalidArgument, "labels \(first) and \(index) are both \(excerpt(key))")
      }
    }
    self.init(unchecked: names, indices)
  }

  fileprivate init(unchecked names: [String], _ indices: [[UInt8]: Int]) {
    self.names = names
    self.indices = indices
  }

  package var count: Int { names.count }

  package func index(of name: String) -> Int? { indices[Array(name.utf8)] }

  package func index(ofUTF8 name: UnsafeBufferPointer<UInt8>) -> Int? { indices[Array(name)] }

  package static func == (a: LabelSet, b: LabelSet) -> Bool { a.indices == b.indices }
}

extension LabelSet {
  /// KLUE's 30 relations in the order of its relation_list.json.
  package static let klue = fixed([
    "no_relation", "org:dissolved", "org:founded", "org:place_of_headquarters", "org:alternate_names",
    "org:member_of", "org:members", "org:political/religious_affiliation", "org:product", "org:founded_by",
    "org:top_members/employees", "org:number_of_employees/members", "per:date_of_birth", "per:date_of_death",
    "per:place_of_birth", "per:place_of_death", "per:place_of_residence", "per:origin", "per:employee_of",
    "per:schools_attended", "per:alternate_names", "per:parents", "per:children", "per:siblings", "per:spouse",
    "per:other_family", "per:colleagues", "per:product", "per:religion", "per:title",
  ])

  /// The same 30 in the order of the competition's dict_label_to_num.pkl.
  package static let competition = fixed([
    "no_relation", "org:top_members/employees", "org:members", "org:product", "per:title", "org:alternate_names",
    "per:employee_of", "org:place_of_headquarters", "per:product", "org:number_of_employees/members", "per:children",
    "per:place_of_residence", "per:alternate_names", "per:other_family", "per:colleagues", "per:origin",
    "per:siblings", "per:spouse", "org:founded", "org:political/religious_affiliation", "org:member_of",
    "per:parents", "org:dissolved", "per:schools_attended", "per:date_of_death", "per:date_of_birth",
    "per:place_of_birth", "per:place_of_death", "org:founded_by", "per:religion",
  ])

  /// For the lists above, whose names are distinct (checked by a test).
  private static func fixed(_ names: [String]) -> LabelSet {
    var indices: [[UInt8]: Int] = [:]
    for (index, name) in names.enumerated() { indices[Array(name.utf8)] = index }
    return LabelSet(unchecked: names, indices)
  }
}

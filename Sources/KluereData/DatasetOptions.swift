/// How a dataset is read; see kluere_dataset_options. Raw values are those of the header.
package struct DatasetOptions: Sendable {
  package enum Format: Int32, Sendable {
    case auto = 0
    case klueJSON = 1
    case competitionCSV = 2
    case jsonLines = 3
    case flatCSV = 4
  }

  package enum LabelOrder: Int32, Sendable {
    case klue = 0
    case competition = 1
    case custom = 2
  }

  package enum BadRows: Int32, Sendable {
    case stop = 0
    case skip = 1
  }

  package var format = Format.auto
  package var labelOrder = LabelOrder.klue
  /// For `.custom`; nil: "no_relation" first, then in order of first appearance.
  package var labels: [String]?
  package var badRows = BadRows.stop

  package init() {}
}

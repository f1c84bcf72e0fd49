package import KluereBase

package struct AugmentationOptions: Sendable {
  /// Raw values are KLUERE_AUGMENT_*.
  package enum Kind: Int32, Sendable {
    case swapRoles = 0
    case swapTexts = 1
    case maskWords = 2
    case maskSubject = 3
    case maskObject = 4
    case insertPunctuation = 5
    case deleteWords = 6
    case swapWords = 7

    /// Behind the id of the row that a new row was made from.
    var mark: String {
      switch self {
      case .swapRoles: "swap"
      case .swapTexts: "textswap"
      case .maskWords: "mask"
      case .maskSubject: "subjectmask"
      case .maskObject: "objectmask"
      case .insertPunctuation: "aeda"
      case .deleteWords: "delete"
      case .swapWords: "wordswap"
      }
    }

    /// What the result depends on chance for.
    var isRandom: Bool { ![.swapRoles, .swapTexts, .maskSubject, .maskObject].contains(self) }
  }

  package var kind = Kind.swapRoles
  package var seed: UInt64 = 42
  /// The chance of each row to be taken.
  package var rowShare = 1.0
  /// The share of a sentence's words that is touched; 0: as `Kind` has it.
  package var wordShare = 0.0
  /// New rows for each row that is taken.
  package var copies = 1
  package var swapMap = SwapMap.usual
  /// Whether the rows there were stand before the new ones.
  package var keepsOriginals = true
  package var mask: [UInt8] = Array("[MASK]".utf8)

  package init() {}

  package func validate() throws(KluereError) {
    guard rowShare > 0, rowShare <= 1 else {
      throw KluereError(.invalidArgument, "row_share: \(rowShare), expected more than 0 and at most 1")
    }
    guard wordShare >= 0, wordShare <= 1 else {
      throw KluereError(.invalidArgument, "word_share: \(wordShare), expected 0 to 1")
    }
    guard copies >= 1, copies <= 1000 else {
      throw KluereError(.invalidArgument, "copies: \(copies), expected 1 to 1000")
    }
    guard kind.isRandom || copies == 1 else {
      throw KluereError(.invalidArgument, "copies: \(copies), but this augmentation gives the same row every time")
    }
    guard !mask.isEmpty, mask.count <= 1000 else {
      throw KluereError(.invalidArgument, "mask has \(mask.count) bytes, expected 1 to 1000")
    }
  }
}

/// Makes new rows from those of a dataset. The same seed gives the same rows on every machine; a row's chance does not
/// depend on the others. Spans are moved with the text and checked.
package enum Augmentation {
  package static func run(_ dataset: Dataset, _ options: AugmentationOptions) throws(KluereError) -> Dataset {
    try options.validate()
    var output = try AugmentedRows(dataset, keepsOriginals: options.keepsOriginals)
    let swaps = options.kind == .swapRoles || options.kind == .swapTexts ? EntitySwap(dataset, options.swapMap) : nil
    for row in 0..<dataset.count {
      for copy in 0..<options.copies {
        var random = AugmentedRows.random(options.seed, row, copy)
        guard random.fraction() < options.rowShare else { continue }
        let example = dataset.example(row)
        let mark = options.kind.mark + (copy == 0 ? "" : String(copy + 1))
        if let swaps {
          guard let swapped = swaps.swap(row, texts: options.kind == .swapTexts) else { continue }
          try output.append(row, swapped, mark)
        } else if let edits = WordEdits.edits(example, options, &random), !edits.isEmpty {
          let result = SentenceEdit.apply(edits, to: example)
          guard !result.text.elementsEqual(example.text) else { continue }
          try check(result, example, options)
          try output.append(row, MadeRow(result, example, label: dataset.labelIndex(row)), mark)
        }
      }
    }
    return try output.finish()
  }

  /// The entities stand where the spans say: as before, or masked.
  private static func check(
    _ result: SentenceEdit.Result, _ example: ExampleView, _ options: AugmentationOptions
  ) throws(KluereError) {
    func word(_ entity: Entity, isMasked: Bool) -> [UInt8] {
      isMasked ? options.mask : Array(example.text[entity.begin..<entity.end])
    }
    guard
      result.text[result.subject].elementsEqual(word(example.subject, isMasked: options.kind == .maskSubject)),
      result.text[result.object].elementsEqual(word(example.object, isMasked: options.kind == .maskObject))
    else { throw KluereError(.internal, "augmentation moved a span away from its word") }
  }
}

/// A row as augmentation makes it; types are by role.
package struct MadeRow {
  var text: [UInt8]
  var subject: Range<Int>
  var object: Range<Int>
  var subjectType: UnsafeBufferPointer<UInt8>?
  var objectType: UnsafeBufferPointer<UInt8>?
  var label: Int32

  /// With the types of `example`.
  package init(_ result: SentenceEdit.Result, _ example: ExampleView, label: Int32) {
    text = result.text
    subject = result.subject
    object = result.object
    subjectType = example.subject.type
    objectType = example.object.type
    self.label = label
  }

  init(
    text: [UInt8], subject: Range<Int>, object: Range<Int>, subjectType: UnsafeBufferPointer<UInt8>?,
    objectType: UnsafeBufferPointer<UInt8>?, label: Int32
  ) {
    self.text = text
    self.subject = subject
    self.object = object
    self.subjectType = subjectType
    self.objectType = objectType
    self.label = label
  }
}

/// Collects new rows behind those that they were made from. Every new row has its source's id as origin, so that no split
/// separates them; rows without an id get their number from 0 as one.
package struct AugmentedRows: ~Copyable {
  private let dataset: Dataset
  private var editor: DatasetEditor
  package private(set) var added = 0

  package init(_ dataset: Dataset, keepsOriginals: Bool) throws(KluereError) {
    self.dataset = dataset
    editor = DatasetEditor(dataset)
    guard keepsOriginals else { return }
    for row in 0..<dataset.count {
      var example = dataset.example(row)
      if example.id == nil { example.id = try editor.keep(AugmentedRows.id(dataset, row)) }
      try editor.append(example, label: dataset.labelIndex(row))
    }
  }

  private static func id(_ dataset: Dataset, _ row: Int) -> [UInt8] {
    dataset.example(row).id.map { Array($0) } ?? Array(String(row).utf8)
  }

  /// A stream of its own for each row and copy.
  package static func random(_ seed: UInt64, _ row: Int, _ copy: Int) -> SplitMix64 {
    var mixer = SplitMix64(state: seed)
    var rows = SplitMix64(state: mixer.next() ^ UInt64(truncatingIfNeeded: row))
    return SplitMix64(state: rows.next() ^ UInt64(truncatingIfNeeded: copy))
  }

  /// `mark` says in the new id how the row was made.
  package mutating func append(_ source: Int, _ made: MadeRow, _ mark: String) throws(KluereError) {
    var row = dataset.example(source)
    let id = AugmentedRows.id(dataset, source)
    row.text = try editor.keep(made.text)
    row.subject = Entity(begin: made.subject.lowerBound, end: made.subject.upperBound, type: made.subjectType)
    row.object = Entity(begin: made.object.lowerBound, end: made.object.upperBound, type: made.objectType)
    if row.origin == nil { row.origin = try editor.keep(id) }
    row.id = try editor.keep(id + Array("~\(mark)".utf8))
    try editor.append(row, label: made.label)
    added += 1
  }

  package consuming func finish() throws(KluereError) -> Dataset {
    guard let dataset = editor.finish() else {
      throw KluereError(.invalidArgument, "no row could be augmented, and the originals are not kept")
    }
    return dataset
  }
}

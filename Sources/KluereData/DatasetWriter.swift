package import KluereBase
internal import KluereFormats

extension Dataset {
  /// Writes all rows in a format that `read` reads; a hidden label is left out of JSON and "100" in CSV. The file is
  /// replaced at once.
  package func write(path: String, format: DatasetOptions.Format) throws(KluereError) {
    switch format == .auto ? try Dataset.format(ofName: path) : format {
    case .klueJSON, .auto: try Files.replace(path, try klueJSON())
    case .jsonLines: try Files.replace(path, try jsonLines())
    case .competitionCSV: try writeCSV(path, isFlat: false)
    case .flatCSV: try writeCSV(path, isFlat: true)
    }
  }

  private static func format(ofName path: String) throws(KluereError) -> DatasetOptions.Format {
    for (ending, format) in [
      (".json", DatasetOptions.Format.klueJSON), (".jsonl", .jsonLines), (".csv", .competitionCSV),
    ] where path.utf8.count > ending.utf8.count && path.utf8.suffix(ending.utf8.count).elementsEqual(ending.utf8) {
      return format
    }
    throw KluereError(
      .invalidArgument, "\(path): the name ends in none of .json, .jsonl and .csv; say which format to write")
  }

  /// Laid out as KLUE's own files.
  private func klueJSON() throws(KluereError) -> [UInt8] {
    var json = JSONWriter(indent: 4)
    json.beginArray()
    for row in 0..<count { try RowJSON.write(example(row), isOpenSchema: false, to: &json) }
    return json.finish()
  }

  private func jsonLines() throws(KluereError) -> [UInt8] {
    var bytes: [UInt8] = []
    for row in 0..<count {
      var json = JSONWriter(indent: nil)
      try RowJSON.write(example(row), isOpenSchema: true, to: &json)
      bytes += json.finish()
      bytes.append(UInt8(ascii: "\n"))
    }
    return bytes
  }

  private func writeCSV(_ path: String, isFlat: Bool) throws(KluereError) {
    // Files without rows made from others keep the columns that everybody knows.
    let hasOrigins = (0..<count).contains { example($0).origin != nil }
    var csv = CSVWriter()
    let header =
      isFlat ? FlatCSVReader.header : ["id", "sentence", "subject_entity", "object_entity", "label", "source"]
    for name in header + (hasOrigins ? ["origin"] : []) { try csv.field(name) }
    try csv.endRecord()
    var cell: [UInt8] = []
    for row in 0..<count {
      let example = example(row)
      let (subject, object) = (
        try WrittenEntity(example.subject, example), try WrittenEntity(example.object, example)
      )
      try csv.field(optional: example.id)
      try csv.field(example.text)
      if isFlat {
        try csv.label(example.label)
        try csv.field(optional: example.source)
        try csv.entity(subject)
        try csv.entity(object)
        try csv.pair(subject.type, object.type)
      } else {
        try csv.literal(subject, &cell)
        try csv.literal(object, &cell)
        try csv.label(example.label)
        try csv.field(optional: example.source)
      }
      if hasOrigins { try csv.field(optional: example.origin) }
      try csv.endRecord()
    }
    try Files.replace(path, [UnsafeRawBufferPointer(csv.bytes)])
  }
}

extension CSVWriter {
  fileprivate mutating func field(optional text: UnsafeBufferPointer<UInt8>?) throws(KluereError) {
    if let text { try field(text) } else { try field("") }
  }

  fileprivate mutating func label(_ label: UnsafeBufferPointer<UInt8>?) throws(KluereError) {
    if let label { try field(label) } else { try field("100") }
  }

  fileprivate mutating func entity(_ entity: WrittenEntity) throws(KluereError) {
    try field(entity.word)
    try field(String(entity.first))
    try field(String(entity.last))
    try field(optional: entity.type)
  }

  /// The types with a hyphen between them, as the audit's and the statistics' type pairs.
  fileprivate mutating func pair(
    _ subject: UnsafeBufferPointer<UInt8>?, _ object: UnsafeBufferPointer<UInt8>?
  ) throws(KluereError) {
    let pair = [subject, object].map { $0.map { String(decoding: $0, as: Unicode.UTF8.self) } ?? "" }
    try field(pair.joined(separator: "-"))
  }

  /// The dict literal of the competition's files; `cell` is scratch.
  fileprivate mutating func literal(_ entity: WrittenEntity, _ cell: inout [UInt8]) throws(KluereError) {
    cell.removeAll(keepingCapacity: true)
    cell += Array("{'word': ".utf8)
    PythonRepr.append(entity.word, to: &cell)
    cell += Array(", 'start_idx': \(entity.first), 'end_idx': \(entity.last), 'type': ".utf8)
    PythonRepr.append(entity.type ?? UnsafeBufferPointer(start: nil, count: 0), to: &cell)
    cell.append(UInt8(ascii: "}"))
    try field(String(decoding: cell, as: Unicode.UTF8.self))
  }
}

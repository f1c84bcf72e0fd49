package import KluereBase
internal import KluereFormats

extension Submission {
  /// Reads a submission for the rows of `dataset`, found by their ids (rows without one: by their number from 0), each
  /// exactly once, in any order. `probabilities`: rows x `labels`, re-ordered from the competition's columns; `labels`
  /// are the competition's 30 in any order. `predictions`: nil, or per row its pred_label. Both are untouched when this
  /// throws. The file's columns may stand in any order.
  package static func read(
    path: String, dataset: Dataset, labels: LabelSet, probabilities: UnsafeMutableBufferPointer<Float>,
    predictions: UnsafeMutableBufferPointer<Int32>?
  ) throws(KluereError) {
    let columns = try columns(of: .competition, in: labels)
    let file = try MappedFile(path: path, readIntoMemory: true)
    let rows = try rowsByID(dataset)
    var table = GrowingBuffer<Float>(for: "probabilities")
    var places = GrowingBuffer<Int>(for: "rows")
    var labelIndices = GrowingBuffer<Int32>(for: "labels")
    var seen = [Bool](repeating: false, count: dataset.count)

    let scratch = TextArena()
    var csv = CSVReader(file.bytes.bindMemory(to: UInt8.self), name: path)
    let header = try Header(&csv, path, scratch)
    while try csv.next() {
      scratch.removeAll()
      func failure(_ what: String) -> KluereError {
        KluereError(.badFormat, "\(path): record on line \(csv.line): \(what)")
      }
      guard csv.fieldCount == header.count, let id = try csv.field(header.id, scratch),
        let label = try csv.field(header.label, scratch), let cell = try csv.field(header.probabilities, scratch)
      else { throw failure("\(csv.fieldCount) fields, the header has \(header.count)") }
      guard let row = rows[Array(id)] else { throw failure("id \(excerpt(Array(id))) is none of the dataset's rows") }
      guard row >= 0 else { throw failure("id \(excerpt(Array(id))) stands for several rows of the dataset") }
      guard !seen[row] else { throw failure("id \(excerpt(Array(id))) stands in the file twice") }
      seen[row] = true
      guard let index = labels.index(ofUTF8: label) else {
        throw failure("pred_label \(excerpt(Array(label))) is none of the \(labels.count) labels")
      }
      try places.append(row)
      try labelIndices.append(Int32(truncatingIfNeeded: index))
      do throws(KluereError) { try append(cell, to: &table) } catch { throw failure(error.message) }
    }
    guard places.count == dataset.count else {
      let missing = seen.firstIndex(of: false) ?? 0
      throw KluereError(
        .badFormat,
        "\(path): \(places.count) rows, the dataset has \(dataset.count); row \(missing) of the dataset is not there")
    }
    for (place, row) in places.elements.enumerated() {
      predictions?[row] = labelIndices.elements[place]
      for (source, target) in columns.enumerated() {
        probabilities[row * labels.count + target] = table.elements[place * columns.count + source]
      }
    }
  }

  private struct Header {
    var count: Int
    var id: Int
    var label: Int
    var probabilities: Int

    init(_ csv: inout CSVReader, _ path: String, _ scratch: TextArena) throws(KluereError) {
      var places: [[UInt8]: Int] = [:]
      if try csv.next() {
        for index in 0..<csv.fieldCount {
          if let field = try csv.field(index, scratch) { places[Array(field)] = index }
        }
      }
      guard let id = places[Array("id".utf8)], let label = places[Array("pred_label".utf8)],
        let probabilities = places[Array("probs".utf8)]
      else {
        throw KluereError(.badFormat, "\(path): the first line is no header with id, pred_label and probs")
      }
      (count, self.id, self.label, self.probabilities) = (csv.fieldCount, id, label, probabilities)
    }
  }

  /// -1 where several rows share the id.
  private static func rowsByID(_ dataset: Dataset) throws(KluereError) -> [[UInt8]: Int] {
    var rows: [[UInt8]: Int] = [:]
    rows.reserveCapacity(dataset.count)
    for row in 0..<dataset.count {
      let key = dataset.example(row).id.map { Array($0) } ?? Array(String(row).utf8)
      if rows.updateValue(row, forKey: key) != nil { rows[key] = -1 }
    }
    return rows
  }

  /// One cell: a Python list of as many numbers as the competition has labels.
  private static func append(
    _ cell: UnsafeBufferPointer<UInt8>, to table: inout GrowingBuffer<Float>
  ) throws(KluereError) {
    let names = LabelSet.competition.names
    guard case .list(let values) = try PythonLiteral.parse(cell) else {
      throw KluereError(.badFormat, "probs is no list")
    }
    guard values.count == names.count else {
      throw KluereError(.badFormat, "probs has \(values.count) values, expected \(names.count)")
    }
    for (value, name) in zip(values, names) {
      let number: Double
      switch value {
      case .float(let float): number = float
      case .int(let int): number = Double(int)
      default: throw KluereError(.badFormat, "probs, \(name): \(value.kindName), expected a number")
      }
      // Rounding may carry a probability a little beyond 1.
      guard number >= 0, number <= 1.0001 else {
        throw KluereError(.badFormat, "probs, \(name): \(number), expected 0 to 1 (not logits)")
      }
      try table.append(Float(number))
    }
  }
}

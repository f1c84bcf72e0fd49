internal import KluereBase
internal import KluereFormats

/// The official files: an array of objects.
enum KlueJSONReader {
  static func read(_ file: MappedFile, _ path: String, into builder: inout DatasetBuilder) throws(KluereError) {
    let document = try JSON(file: file, name: path)
    guard document.root.kind == .array else {
      throw KluereError(.badFormat, "\(path): the file is \(document.root.kind.name), expected an array of rows")
    }
    let scratch = TextArena()
    for row in document.root.elements {
      scratch.removeAll()
      try builder.add { (id) throws(KluereError) in
        try JSONRow(row, isOpenSchema: false, scratch).fields(&id).example()
      }
    }
  }
}

/// One object a line, with less that is required.
enum JSONLinesReader {
  static func read(_ bytes: UnsafeBufferPointer<UInt8>, into builder: inout DatasetBuilder) throws(KluereError) {
    let scratch = TextArena()
    var number = 0
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      let line = UnsafeBufferPointer(rebasing: bytes[start..<end])
      number += 1
      start = end + 1
      if isBlank(line) { continue }
      scratch.removeAll()
      try builder.add { (id) throws(KluereError) in
        let document = try JSON(borrowing: line, name: "JSON", firstLine: number)
        return try JSONRow(document.root, isOpenSchema: true, scratch).fields(&id).example()
      }
    }
  }

  private static func isBlank(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0xEF || $0 == 0xBB || $0 == 0xBF }
  }
}

/// A row of either.
struct JSONRow {
  private let row: JSON.Value
  /// JSON Lines: word and type may be missing.
  private let isOpenSchema: Bool
  private let scratch: TextArena

  init(_ row: JSON.Value, isOpenSchema: Bool, _ scratch: TextArena) {
    self.row = row
    self.isOpenSchema = isOpenSchema
    self.scratch = scratch
  }

  func fields(_ id: inout UnsafeBufferPointer<UInt8>?) throws(KluereError) -> RowFields {
    guard row.kind == .object else {
      throw KluereError(.badFormat, "the row is \(row.kind.name), expected an object")
    }
    id = try name("guid")
    if id == nil { id = try name("id") }
    return RowFields(
      sentence: try required(row, "sentence", ""), subject: try entity("subject_entity"),
      object: try entity("object_entity"), label: try name("label"), id: id, source: try name("source"),
      origin: try name("origin"))
  }

  private func entity(_ key: String) throws(KluereError) -> EntityFields {
    guard let entity = row[key] else { throw KluereError(.badFormat, "\(key) is missing") }
    guard entity.kind == .object else {
      throw KluereError(.badFormat, "\(key) is \(entity.kind.name), expected an object")
    }
    return EntityFields(
      word: isOpenSchema ? try optional(entity, "word", key) : try required(entity, "word", key),
      first: try index(entity, "start_idx", key), last: try index(entity, "end_idx", key),
      type: isOpenSchema ? try optional(entity, "type", key) : try required(entity, "type", key))
  }

  private func index(_ entity: JSON.Value, _ key: String, _ parent: String) throws(KluereError) -> Int {
    guard let value = entity[key] else { throw KluereError(.badFormat, "\(parent): \(key) is missing") }
    guard let number = value.int else {
      let found = value.numberText.map { excerpt($0, quoted: false) } ?? value.kind.name
      throw KluereError(.badFormat, "\(parent): \(key) is \(found), expected a whole number")
    }
    return number
  }

  private func required(
    _ object: JSON.Value, _ key: String, _ parent: String
  ) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
    guard let text = try optional(object, key, parent) else {
      throw KluereError(.badFormat, "\(parent.isEmpty ? "" : parent + ": ")\(key) is missing")
    }
    return text
  }

  /// nil where the key is missing or null.
  private func optional(
    _ object: JSON.Value, _ key: String, _ parent: String
  ) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
    guard let value = object[key], !value.isNull else { return nil }
    guard let text = try value.bytes(scratch) else {
      throw KluereError(
        .badFormat, "\(parent.isEmpty ? "" : parent + ": ")\(key) is \(value.kind.name), expected a string")
    }
    return text
  }

  /// An id, a label or a source: also a whole number, as which pandas writes ids and the hidden label 100.
  private func name(_ key: String) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
    if let value = row[key], value.int != nil, let text = value.numberText { return text }
    return try optional(row, key, "")
  }
}

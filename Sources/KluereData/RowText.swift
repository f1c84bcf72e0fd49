internal import KluereBase
internal import KluereFormats
internal import KluereText

/// One entity as files have it.
struct WrittenEntity {
  var word: UnsafeBufferPointer<UInt8>
  /// Code points; the last one inclusive.
  var first: Int
  var last: Int
  var type: UnsafeBufferPointer<UInt8>?

  init(_ entity: Entity, _ example: ExampleView) throws(KluereError) {
    word = UnsafeBufferPointer(rebasing: example.text[entity.begin..<entity.end])
    first = try convertOffset(example.text, entity.begin, from: .bytes, to: .codePoints)
    last = try convertOffset(example.text, entity.end, from: .bytes, to: .codePoints) - 1
    type = entity.type
  }
}

/// A row as an object of JSON.
enum RowJSON {
  /// `isOpenSchema`: as JSON Lines have it, what is missing is left out; else as KLUE's files, where every entity has a
  /// type.
  static func write(_ example: ExampleView, isOpenSchema: Bool, to json: inout JSONWriter) throws(KluereError) {
    json.beginObject()
    text(isOpenSchema ? "id" : "guid", example.id, &json)
    text("sentence", example.text, &json)
    for (name, entity) in [("subject_entity", example.subject), ("object_entity", example.object)] {
      let written = try WrittenEntity(entity, example)
      json.key(name)
      json.beginObject()
      text("word", written.word, &json)
      json.key("start_idx")
      json.integer(written.first)
      json.key("end_idx")
      json.integer(written.last)
      if isOpenSchema { text("type", written.type, &json) } else { text("type", written.type ?? empty, &json) }
      json.endObject()
    }
    text("label", example.label, &json)
    text("source", example.source, &json)
    text("origin", example.origin, &json)
    json.endObject()
  }

  private static var empty: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: nil, count: 0) }

  private static func text(_ key: String, _ text: UnsafeBufferPointer<UInt8>?, _ json: inout JSONWriter) {
    guard let text else { return }
    json.key(key)
    json.string(text)
  }
}

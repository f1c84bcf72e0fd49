internal import KluereBase
internal import KluereFormats
internal import KluereText

/// An entity as KLUE's files have it: code points, `last` inclusive.
struct EntityFields {
  var word: UnsafeBufferPointer<UInt8>?
  var first: Int
  var last: Int
  var type: UnsafeBufferPointer<UInt8>?
}

/// A row as KLUE's files have it, its texts borrowed.
struct RowFields {
  var sentence: UnsafeBufferPointer<UInt8>
  var subject: EntityFields
  var object: EntityFields
  var label: UnsafeBufferPointer<UInt8>?
  var id: UnsafeBufferPointer<UInt8>?
  var source: UnsafeBufferPointer<UInt8>?
  var origin: UnsafeBufferPointer<UInt8>?

  /// With spans in bytes; their texts are compared with the words. The sentence is valid UTF-8.
  func example() throws(KluereError) -> ExampleView {
    var map = OffsetMap(sentence, from: .codePoints, to: .bytes)
    return ExampleView(
      text: sentence, subject: try entity(subject, "subject", &map), object: try entity(object, "object", &map),
      label: label, id: id, source: source, origin: origin)
  }

  private func entity(
    _ fields: EntityFields, _ name: String, _ map: inout OffsetMap
  ) throws(KluereError) -> Entity {
    func span() -> String { "\(name) span \(fields.first) to \(fields.last) (inclusive)" }
    guard fields.first >= 0, fields.first <= fields.last, let end = fields.last.sum(1) else {
      throw KluereError(.badFormat, "\(span()) is no span")
    }
    let bytes: Range<Int>
    do throws(KluereError) {
      let begin = try map.convert(fields.first)
      bytes = begin..<max(begin, try map.convert(end))
    } catch {
      let length = String(decoding: sentence, as: Unicode.UTF8.self).unicodeScalars.count
      throw KluereError(.badFormat, "\(span()) is outside a sentence of \(length) code points")
    }
    if let word = fields.word {
      let found = sentence[bytes]
      guard found.elementsEqual(word) else {
        throw KluereError(
          .badFormat, "\(span()) of the sentence is \(excerpt(found)), its word says \(excerpt(word))")
      }
    }
    return Entity(begin: bytes.lowerBound, end: bytes.upperBound, type: fields.type)
  }
}

package import KluereBase
internal import KluereFormats
internal import KluereText

/// A marked part of a sentence: bytes [begin, end).
package struct Entity: BitwiseCopyable, @unchecked Sendable {
  package var begin: Int
  package var end: Int
  /// "PER", "ORG", ... or one's own; nil or empty: no type.
  package var type: UnsafeBufferPointer<UInt8>?

  package init(begin: Int, end: Int, type: UnsafeBufferPointer<UInt8>? = nil) {
    self.begin = begin
    self.end = end
    self.type = type
  }

  /// The span lies in the text, on characters' borders, and is not empty. `name` begins the messages.
  package func validate(in text: UnsafeBufferPointer<UInt8>, _ name: String = "") throws(KluereError) {
    guard begin >= 0, begin <= end, end <= text.count else {
      throw KluereError(
        .invalidArgument, "\(name)span [\(begin), \(end)) is outside a sentence of \(text.count) bytes")
    }
    guard begin < end else { throw KluereError(.invalidArgument, "\(name)span [\(begin), \(end)) is empty") }
    for place in [begin, end] where place < text.count && text[place] & 0xC0 == 0x80 {
      throw KluereError(
        .invalidArgument, "\(name)span [\(begin), \(end)) of bytes: byte \(place) is inside a character")
    }
    try ExampleView.checkUTF8(type, "\(name)type")
  }
}

/// One sentence with two marked entities. Borrowed: the texts are those of a dataset or of the caller.
package struct ExampleView: BitwiseCopyable, @unchecked Sendable {
  package var text: UnsafeBufferPointer<UInt8>
  package var subject: Entity
  package var object: Entity
  /// nil: hidden.
  package var label: UnsafeBufferPointer<UInt8>?
  package var id: UnsafeBufferPointer<UInt8>?
  package var source: UnsafeBufferPointer<UInt8>?
  /// The id of the row that this one was made from; nil: it stands for itself.
  package var origin: UnsafeBufferPointer<UInt8>?

  package init(
    text: UnsafeBufferPointer<UInt8>, subject: Entity, object: Entity, label: UnsafeBufferPointer<UInt8>? = nil,
    id: UnsafeBufferPointer<UInt8>? = nil, source: UnsafeBufferPointer<UInt8>? = nil,
    origin: UnsafeBufferPointer<UInt8>? = nil
  ) {
    self.text = text
    self.subject = subject
    self.object = object
    self.label = label
    self.id = id
    self.source = source
    self.origin = origin
  }

  /// Texts are valid UTF-8; both spans lie in the sentence, on characters' borders, and are not empty. The spans may
  /// overlap, as in KLUE-baseline, but not be the same.
  package func validate() throws(KluereError) {
    try ExampleView.checkUTF8(text, "text")
    try subject.validate(in: text, "subject ")
    try object.validate(in: text, "object ")
    guard subject.begin != object.begin || subject.end != object.end else {
      throw KluereError(
        .invalidArgument,
        "subject and object are the same span [\(subject.begin), \(subject.end)) of bytes, expected two entities")
    }
    try ExampleView.checkUTF8(label, "label")
    try ExampleView.checkUTF8(id, "id")
    try ExampleView.checkUTF8(source, "source")
    try ExampleView.checkUTF8(origin, "origin")
  }

  static func checkUTF8(_ text: UnsafeBufferPointer<UInt8>?, _ name: @autoclosure () -> String) throws(KluereError) {
    guard let text, let place = UTF8.firstInvalid(text) else { return }
    throw KluereError(.invalidUTF8, "\(name()): byte \(place) of \(text.count) is not valid UTF-8")
  }
}

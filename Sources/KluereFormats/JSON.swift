package import KluereBase

/// A JSON text (RFC 8259), parsed into a flat list of nodes: nothing here recurses, in parsing or in deinit. Strict:
/// valid UTF-8, no lone surrogates, no NaN or Infinity, nothing behind the value. A byte order mark is passed over.
/// Of equal keys in one object the last counts, as in Python's json and in JavaScript.
package final class JSON: @unchecked Sendable {
  // Never written after init: any number of threads may read.
  let bytes: UnsafeBufferPointer<UInt8>
  private let tape: GrowingBuffer<JSONNode>
  /// The tape's memory, which no longer moves. Indices into it come from the tape itself.
  let nodes: UnsafeBufferPointer<JSONNode>
  /// Keeps `bytes` alive; nil where the caller does.
  private let owner: AnyObject?
  private let firstLine: Int

  /// Arrays and objects inside one another.
  package static let depthLimit = 200

  /// `name` of the file, for messages.
  package convenience init(_ bytes: [UInt8], name: String) throws(KluereError) {
    let memory = TextArena()
    let copy = try memory.allocate(bytes.count)
    _ = UnsafeMutableBufferPointer(start: copy, count: bytes.count).update(fromContentsOf: bytes)
    try self.init(UnsafeBufferPointer(start: copy, count: bytes.count), owner: memory, name: name, firstLine: 1)
  }

  package convenience init(file: MappedFile, name: String) throws(KluereError) {
    try self.init(file.bytes.bindMemory(to: UInt8.self), owner: file, name: name, firstLine: 1)
  }

  /// `bytes` must outlive this object and all of its values. `firstLine`: the line of the file they begin on.
  package convenience init(
    borrowing bytes: UnsafeBufferPointer<UInt8>, name: String, firstLine: Int = 1
  ) throws(KluereError) {
    try self.init(bytes, owner: nil, name: name, firstLine: firstLine)
  }

  init(
    _ bytes: UnsafeBufferPointer<UInt8>, owner: AnyObject?, name: String, firstLine: Int
  ) throws(KluereError) {
    self.bytes = bytes
    self.owner = owner
    self.firstLine = firstLine
    tape = try JSONParser(bytes, name: name, firstLine: firstLine).parse()
    nodes = UnsafeBufferPointer(tape.elements)
  }

  package var root: Value { Value(document: self, index: 0) }

  /// Index of the node behind node `index` and all that is in it.
  func end(of index: Int) -> Int {
    let node = nodes[index]
    return node.kind.isContainer ? node.extent : index + 1
  }

  /// What is between a string's quotes, or all of a number.
  func source(of node: JSONNode) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(rebasing: bytes[node.offset..<node.offset + node.extent])
  }

  /// Index of the value of the last member with this name; nil where there is none.
  func find(_ key: UnsafeBufferPointer<UInt8>, in object: Int) -> Int? {
    var found: Int?
    var place = object + 1
    while place < nodes[object].extent {
      if isKey(place, key) { found = place + 1 }
      place = end(of: place + 1)
    }
    return found
  }

  /// Compares bytes: strings that differ in normalisation are different keys.
  private func isKey(_ index: Int, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
    let node = nodes[index]
    guard node.kind == .string else {
      return Value(document: self, index: index).string.map { $0.utf8.elementsEqual(key) } ?? false
    }
    guard node.extent == key.count else { return false }
    for place in 0..<key.count where bytes[node.offset + place] != key[place] { return false }
    return true
  }

  package enum Kind: Sendable {
    case null, bool, number, string, array, object

    /// With its article, for messages.
    package var name: String {
      switch self {
      case .null: "null"
      case .bool: "a truth value"
      case .number: "a number"
      case .string: "a string"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  /// One value of the document, which it keeps alive.
  package struct Value: Sendable {
    let document: JSON
    let index: Int

    var node: JSONNode { document.nodes[index] }

    package var kind: Kind {
      switch node.kind {
      case .null: .null
      case .true, .false: .bool
      case .integer, .real: .number
      case .string, .escapedString: .string
      case .array: .array
      case .object: .object
      }
    }

    package var isNull: Bool { node.kind == .null }

    package var bool: Bool? {
      switch node.kind {
      case .true: true
      case .false: false
      default: nil
      }
    }

    /// A number written without fraction and exponent that fits; else nil.
    package var int: Int? {
      guard node.kind == .integer else { return nil }
      var value = 0
      var negative = false
      for byte in source {
        if byte == UInt8(ascii: "-") {
          negative = true
          continue
        }
        let digit = Int(byte) - 0x30
        guard let shifted = value.product(10), let next = shifted.sum(negative ? -digit : digit) else { return nil }
        value = next
      }
      return value
    }

    package var double: Double? {
      guard kind == .number else { return nil }
      return Double(String(decoding: source, as: Unicode.UTF8.self))
    }

    package var string: String? {
      switch node.kind {
      case .string: String(decoding: source, as: Unicode.UTF8.self)
      case .escapedString: String(decoding: unescaped, as: Unicode.UTF8.self)
      default: nil
      }
    }

    /// The string's bytes: in place where nothing in it is escaped, else in `scratch`.
    package func bytes(_ scratch: TextArena) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
      switch node.kind {
      case .string:
        return source
      case .escapedString:
        let target = try scratch.allocate(source.count)
        return UnsafeBufferPointer(start: target, count: JSONEscapes.decode(source, into: target))
      default:
        return nil
      }
    }

    /// A number as it is written in the file.
    package var numberText: UnsafeBufferPointer<UInt8>? { kind == .number ? source : nil }

    /// "line 3, column 7" of where the value begins. Takes a pass over the file.
    package var place: String { textPlace(document.bytes, node.offset, firstLine: document.firstLine) }

    private var source: UnsafeBufferPointer<UInt8> { document.source(of: node) }

    private var unescaped: [UInt8] {
      let source = source
      return [UInt8](unsafeUninitializedCapacity: source.count) { buffer, count in
        count = buffer.baseAddress.map { JSONEscapes.decode(source, into: $0) } ?? 0
      }
    }
  }
}

// MARK: - Containers

extension JSON.Value {
  /// The members of an object in the file's order, equal keys included; none of another value.
  package var members: Members {
    node.kind == .object
      ? Members(document: document, place: index + 1, end: node.extent)
      : Members(document: document, place: 0, end: 0)
  }

  package struct Members: Sequence, IteratorProtocol {
    let document: JSON
    var place: Int
    let end: Int

    package mutating func next() -> (key: JSON.Value, value: JSON.Value)? {
      guard place < end else { return nil }
      let key = JSON.Value(document: document, index: place)
      let value = JSON.Value(document: document, index: place + 1)
      place = document.end(of: value.index)
      return (key, value)
    }
  }

  /// The elements of an array; none of another value.
  package var elements: Elements {
    node.kind == .array
      ? Elements(document: document, place: index + 1, end: node.extent)
      : Elements(document: document, place: 0, end: 0)
  }

  package struct Elements: Sequence, IteratorProtocol {
    let document: JSON
    var place: Int
    let end: Int

    package mutating func next() -> JSON.Value? {
      guard place < end else { return nil }
      let value = JSON.Value(document: document, index: place)
      place = document.end(of: value.index)
      return value
    }
  }

  /// Elements of an array or members of an object; 0 of another value. Counts them.
  package var count: Int {
    switch node.kind {
    case .array: elements.reduce(into: 0) { count, _ in count += 1 }
    case .object: members.reduce(into: 0) { count, _ in count += 1 }
    default: 0
    }
  }

  /// The last member of that name; nil where there is none or this is no object. Looks at each member.
  package subscript(key: String) -> JSON.Value? {
    guard kind == .object else { return nil }
    var key = key
    return key.withUTF8 { document.find($0, in: index) }.map { JSON.Value(document: document, index: $0) }
  }
}

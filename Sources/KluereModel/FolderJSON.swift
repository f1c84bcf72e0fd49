internal import KluereBase
internal import KluereFormats

/// The members of a JSON object in a model folder, by name and kind. A member that is absent or null is nil; one of
/// another kind is refused with file, name and kind.
struct JSONFields {
  private let path: String
  /// Where the object stands, e.g. "id2label: ", for messages.
  private let within: String
  private let value: JSON.Value

  init(_ bytes: [UInt8], path: String) throws(KluereError) {
    try self.init(try JSON(bytes, name: path).root, path: path, within: "")
  }

  private init(_ value: JSON.Value, path: String, within: String) throws(KluereError) {
    guard value.kind == .object else {
      throw KluereError(.badFormat, "\(path): \(within)\(value.kind.name), expected an object")
    }
    self.value = value
    self.path = path
    self.within = within
  }

  var count: Int { value.count }
  var keys: [String] { value.members.compactMap(\.key.string) }

  private func member<T>(
    _ name: String, _ expected: String, _ read: (JSON.Value) -> T?
  ) throws(KluereError) -> T? {
    guard let member = value[name], !member.isNull else { return nil }
    guard let result = read(member) else {
      throw KluereError(
        .badFormat, "\(path): \(within)\(name) is \(member.kind.name) at \(member.place), expected \(expected)")
    }
    return result
  }

  func string(_ name: String) throws(KluereError) -> String? { try member(name, "a string") { $0.string } }
  func bool(_ name: String) throws(KluereError) -> Bool? { try member(name, "true or false") { $0.bool } }
  func int(_ name: String) throws(KluereError) -> Int? { try member(name, "a whole number of 64 bits") { $0.int } }
  func double(_ name: String) throws(KluereError) -> Double? { try member(name, "a number") { $0.double } }

  func strings(_ name: String) throws(KluereError) -> [String]? {
    try member(name, "an array of strings") { array in
      guard array.kind == .array else { return nil }
      let strings = array.elements.map(\.string)
      return strings.contains(nil) ? nil : strings.compactMap { $0 }
    }
  }

  func object(_ name: String) throws(KluereError) -> JSONFields? {
    guard let member = value[name], !member.isNull else { return nil }
    return try JSONFields(member, path: path, within: "\(within)\(name): ")
  }

  func objects(_ name: String) throws(KluereError) -> [JSONFields]? {
    guard let list = value[name], !list.isNull else { return nil }
    guard list.kind == .array else {
      throw KluereError(
        .badFormat, "\(path): \(within)\(name) is \(list.kind.name) at \(list.place), expected an array")
    }
    var objects: [JSONFields] = []
    for element in list.elements {
      objects.append(try JSONFields(element, path: path, within: "\(within)\(name)[\(objects.count)]: "))
    }
    return objects
  }

  func integers(_ name: String) throws(KluereError) -> [Int]? {
    try member(name, "an array of whole numbers") { array in
      guard array.kind == .array else { return nil }
      let numbers = array.elements.map(\.int)
      return numbers.contains(nil) ? nil : numbers.compactMap { $0 }
    }
  }

  func doubles(_ name: String) throws(KluereError) -> [Double]? {
    try member(name, "an array of numbers") { array in
      guard array.kind == .array else { return nil }
      let numbers = array.elements.map(\.double)
      return numbers.contains(nil) ? nil : numbers.compactMap { $0 }
    }
  }

  /// Calls `body` for every pair [text, number] of the array `name`.
  func forEachScored(_ name: String, _ body: (String, Double) -> Void) throws(KluereError) {
    guard let list = value[name], list.kind == .array else {
      throw KluereError(.badFormat, "\(path): \(within)\(name): expected an array of pieces and scores")
    }
    for pair in list.elements {
      var elements = pair.elements.makeIterator()
      guard pair.kind == .array, let text = elements.next()?.string, let number = elements.next()?.double else {
        throw KluereError(.badFormat, "\(path): \(within)\(name): no piece and score at \(pair.place)")
      }
      body(text, number)
    }
  }

  /// Element `index` of the array `name`, if it is a whole number.
  func number(in name: String, at index: Int) -> Int? {
    guard let list = value[name], list.kind == .array else { return nil }
    return list.elements.enumerated().first { $0.offset == index }?.element.int
  }

  /// Calls `body` for every member, each of which has to be a whole number.
  func forEachInt(_ body: (String, Int) throws(KluereError) -> Void) throws(KluereError) {
    for (key, member) in value.members {
      guard let name = key.string, let number = member.int else {
        throw KluereError(
          .badFormat, "\(path): \(within)\(member.kind.name) at \(member.place), expected a whole number")
      }
      try body(name, number)
    }
  }

  /// A list of tokens, each a string or an object with its content; what is not a list of tokens is none.
  func tokens(_ name: String) throws(KluereError) -> [String]? {
    guard let list = value[name], list.kind == .array else { return nil }
    return list.elements.compactMap { $0.string ?? $0["content"]?.string }
  }

  /// A special token: a string, or an object with its content.
  func token(_ name: String) throws(KluereError) -> String? {
    guard let member = value[name], !member.isNull else { return nil }
    if let text = member.string { return text }
    guard let text = try object(name)?.string("content") else {
      throw KluereError(.badFormat, "\(path): \(within)\(name) is no token")
    }
    return text
  }
}

/// A value to be written.
enum JSONItem {
  case string(String)
  case integer(Int)
  case bool(Bool)
  case number(Double)
  case numbers([Double])
  case object([(String, JSONItem)])
}

/// A JSON object in a model folder, written member by member.
struct JSONText {
  private var writer = JSONWriter()

  init() { writer.beginObject() }

  mutating func add(_ name: String, _ value: String) { add(name, .string(value)) }
  mutating func add(_ name: String, _ value: Int) { add(name, .integer(value)) }
  mutating func add(_ name: String, _ value: Bool) { add(name, .bool(value)) }

  mutating func add(_ name: String, _ value: Float) {
    writer.key(name)
    writer.number(value)
  }

  mutating func addNull(_ name: String) {
    writer.key(name)
    writer.null()
  }

  mutating func add(_ name: String, _ values: [String]) {
    writer.key(name)
    writer.beginArray()
    for value in values { writer.string(value) }
    writer.endArray()
  }

  mutating func addObject(_ name: String, _ members: [(String, JSONItem)]) { add(name, .object(members)) }

  private mutating func add(_ name: String, _ item: JSONItem) {
    writer.key(name)
    switch item {
    case .string(let value): writer.string(value)
    case .integer(let value): writer.integer(value)
    case .bool(let value): writer.bool(value)
    case .number(let value): writer.number(value)
    case .numbers(let values):
      writer.beginArray()
      for value in values { writer.number(value) }
      writer.endArray()
    case .object(let members):
      writer.beginObject()
      for (name, item) in members { add(name, item) }
      writer.endObject()
    }
  }

  /// The file's bytes.
  consuming func finish() -> [UInt8] { writer.finish() }
}

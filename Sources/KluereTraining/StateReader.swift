internal import KluereBase
internal import KluereFormats

/// Fields of one JSON object; what is missing or of another kind is an error that names file and field.
struct StateReader {
  private let object: JSON.Value
  private let path: String
  /// Names of the objects around this one, each with a dot.
  private let prefix: String

  init(_ object: JSON.Value, path: String, prefix: String = "") throws(KluereError) {
    guard object.kind == .object else {
      throw KluereError(.badFormat, "\(path): \(prefix)\(object.kind.name), expected an object")
    }
    self.object = object
    self.path = path
    self.prefix = prefix
  }

  func wrong(_ name: String, _ expected: String) -> KluereError {
    let found = object[name].map { "is \($0.kind.name) that does not fit" } ?? "is missing"
    return KluereError(.badFormat, "\(path): \(prefix)\(name) \(found), expected \(expected)")
  }

  func int(_ name: String) throws(KluereError) -> Int {
    guard let value = object[name]?.int else { throw wrong(name, "a whole number") }
    return value
  }

  /// A count: 0 or more.
  func count(_ name: String) throws(KluereError) -> Int {
    guard let value = object[name]?.int, value >= 0 else { throw wrong(name, "a whole number of at least 0") }
    return value
  }

  func bool(_ name: String) throws(KluereError) -> Bool {
    guard let value = object[name]?.bool else { throw wrong(name, "true or false") }
    return value
  }

  func double(_ name: String) throws(KluereError) -> Double {
    guard let value = object[name]?.double else { throw wrong(name, "a number") }
    return value
  }

  func optionalDouble(_ name: String) throws(KluereError) -> Double? {
    object[name]?.isNull == true ? nil : try double(name)
  }

  func string(_ name: String) throws(KluereError) -> String {
    guard let value = object[name]?.string else { throw wrong(name, "a string") }
    return value
  }

  func strings(_ name: String) throws(KluereError) -> [String] {
    guard let list = object[name], list.kind == .array else { throw wrong(name, "a list of strings") }
    var strings: [String] = []
    for element in list.elements {
      guard let string = element.string else { throw wrong(name, "a list of strings") }
      strings.append(string)
    }
    return strings
  }

  /// nil for null.
  func optionalDoubles(_ name: String) throws(KluereError) -> [Double]? {
    if object[name]?.isNull == true { return nil }
    guard let list = object[name], list.kind == .array else { throw wrong(name, "a list of numbers") }
    var numbers: [Double] = []
    for element in list.elements {
      guard let number = element.double else { throw wrong(name, "a list of numbers") }
      numbers.append(number)
    }
    return numbers
  }

  /// 16 hexadecimal digits, as they are written: a letter whose case changed is damage too.
  func hexadecimal(_ name: String) throws(KluereError) -> UInt64 {
    guard let text = object[name]?.string, let value = UInt64(text, radix: 16),
      KluereTraining.hexadecimal(value) == text
    else {
      throw wrong(name, "16 hexadecimal digits")
    }
    return value
  }

  /// nil for null.
  func optionalHexadecimal(_ name: String) throws(KluereError) -> UInt64? {
    object[name]?.isNull == true ? nil : try hexadecimal(name)
  }

  func object(_ name: String) throws(KluereError) -> StateReader {
    guard let value = object[name] else { throw wrong(name, "an object") }
    return try StateReader(value, path: path, prefix: prefix + name + ".")
  }

  func optionalObject(_ name: String) throws(KluereError) -> StateReader? {
    object[name]?.isNull == true ? nil : try object(name)
  }
}

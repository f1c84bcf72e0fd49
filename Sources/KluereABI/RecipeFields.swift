internal import CKluere
internal import KluereBase
internal import KluereRecipes

/// A field of one of the header's structs under the name that recipes give it: that of the header.
struct RecipeField<Struct> {
  let name: String
  /// What `set` takes, for messages.
  let expected: String
  /// False where the value is of another kind, or outside the field.
  let set: (inout Struct, RecipeValue) -> Bool

  private init<Value>(
    _ name: String, _ path: WritableKeyPath<Struct, Value>, expected: String, _ value: @escaping (RecipeValue) -> Value?
  ) {
    self.name = name
    self.expected = expected
    set = { target, given in
      guard let value = value(given) else { return false }
      target[keyPath: path] = value
      return true
    }
  }

  static func number(_ name: String, _ path: WritableKeyPath<Struct, Double>) -> RecipeField {
    RecipeField(name, path, expected: "a number") { $0.double }
  }

  static func number(_ name: String, _ path: WritableKeyPath<Struct, Float>) -> RecipeField {
    RecipeField(name, path, expected: "a number") { $0.double.map { Float($0) } }
  }

  static func count<Number: FixedWidthInteger>(
    _ name: String, _ path: WritableKeyPath<Struct, Number>
  ) -> RecipeField {
    RecipeField(name, path, expected: "a whole number from 0 on") { $0.integer.flatMap { Number(exactly: $0) } }
  }

  static func flag<Number: FixedWidthInteger>(
    _ name: String, _ path: WritableKeyPath<Struct, Number>
  ) -> RecipeField {
    RecipeField(name, path, expected: "true or false") { $0.bool.map { $0 ? 1 : 0 } }
  }

  /// `names`: those of an enum of the header, in lower case without their prefix.
  static func choice(
    _ name: String, _ path: WritableKeyPath<Struct, Int32>, _ names: KeyValuePairs<String, Int>
  ) -> RecipeField {
    RecipeField(name, path, expected: "one of \(names.map(\.key).joined(separator: ", "))") { value in
      names.first { .string($0.key) == value }.flatMap { Int32(exactly: $0.value) }
    }
  }
}

extension RecipeValue {
  fileprivate var double: Double? {
    switch self {
    case .number(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }

  fileprivate var integer: Int? { if case .integer(let value) = self { value } else { nil } }
  fileprivate var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
}

extension RecipeObject {
  /// Writes a section's values into the caller's struct, unless that is NULL; nothing is written where this throws.
  func apply<Struct: BitwiseCopyable>(
    _ section: RecipeSection, to pointer: UnsafeMutablePointer<Struct>?, _ argument: String,
    _ fields: [RecipeField<Struct>], defaults: Struct,
    also further: (inout Struct) -> Void = { _ in }
  ) throws(KluereError) {
    guard let pointer else { return }
    var values = try SizedStruct.read(UnsafePointer(pointer), argument, defaults: defaults)
    let before = values
    try set(section, in: &values, fields)
    further(&values)
    try SizedStruct.update(pointer, argument, from: before, to: values)
  }

  private func set<Struct>(
    _ section: RecipeSection, in values: inout Struct, _ fields: [RecipeField<Struct>]
  ) throws(KluereError) {
    for setting in recipe[section] where setting.name != RecipeObject.templateName || section != .model {
      let place = "\(recipe.origin): \(section.rawValue): \(setting.name)"
      guard let field = fields.first(where: { $0.name == setting.name }) else {
        let names = fields.map(\.name).joined(separator: ", ")
        throw KluereError(.badFormat, "\(place): no such option, expected one of \(names)")
      }
      guard field.set(&values, setting.value) else {
        throw KluereError(.badFormat, "\(place): expected \(field.expected)")
      }
    }
  }

  /// Every section against its struct, so that a recipe that was opened can be applied.
  func check() throws(KluereError) {
    for setting in recipe[.model] where setting.name == RecipeObject.templateName {
      guard case .string(let text) = setting.value, !text.utf8.contains(0) else {
        throw KluereError(.badFormat, "\(recipe.origin): model: \(setting.name): expected a text")
      }
    }
    var (config, open) = (defaultModelConfig(), defaultOpenOptions())
    var (train, loss) = (defaultTrainOptions(), defaultLossOptions())
    var (corpus, masking) = (defaultCorpusOptions(), defaultMaskedLMOptions())
    try set(.model, in: &config, RecipeObject.configFields)
    try set(.model, in: &open, RecipeObject.openFields)
    try set(.training, in: &train, RecipeObject.trainFields)
    try set(.loss, in: &loss, RecipeObject.lossFields)
    try set(.corpus, in: &corpus, RecipeObject.corpusFields)
    try set(.masking, in: &masking, RecipeObject.maskingFields)
    try set(.pretraining, in: &train, RecipeObject.trainFields)
  }
}

internal import CKluereRecipes
package import KluereBase
internal import KluereFormats

/// A value that a recipe gives to a field.
package enum RecipeValue: Sendable, Equatable {
  case number(Double)
  case integer(Int)
  case bool(Bool)
  case string(String)
}

package struct RecipeSetting: Sendable, Equatable {
  package let name: String
  package let value: RecipeValue
}

/// The parts of a recipe that set options. Raw values are the keys in its file.
package enum RecipeSection: String, Sendable, CaseIterable {
  /// How a model is made or opened.
  case model
  case training
  case loss
  /// Further masked-LM training before: its text, its masks, its trainer.
  case corpus
  case masking
  case pretraining
}

/// A set of options with a name: one of the library's, or a file of the same form.
package struct Recipe: Sendable {
  package let name: String
  /// The JSON it was read from.
  package let text: [UInt8]
  /// Where it was found, for messages.
  package let origin: String
  private let sections: [RecipeSection: [RecipeSetting]]

  /// Texts for people, and what is no option of one model: the pipeline.
  private static let otherKeys = ["name", "title", "source", "backbone", "published", "notes", "pipeline"]

  /// The library's own, in the order in which they are shown.
  package static var names: [String] {
    (0..<kr_recipe_count()).compactMap { index in kr_recipe_name(index).map { String(cString: $0) } }
  }

  /// `name`: one of `names`, or the path of a file that ends in .json.
  package static func open(_ name: String) throws(KluereError) -> Recipe {
    if let index = names.firstIndex(of: name), let text = kr_recipe_text(index) {
      return try Recipe(Array(String(cString: text).utf8), origin: "recipe \(name)")
    }
    guard name.hasSuffix(".json") else {
      throw KluereError(
        .invalidArgument,
        "recipe: \"\(name)\", expected a path that ends in .json or one of \(names.joined(separator: ", "))")
    }
    return try Recipe(try Files.readAll(name), origin: name)
  }

  package init(_ text: [UInt8], origin: String) throws(KluereError) {
    let root = try JSON(text, name: origin).root
    guard root.kind == .object else {
      throw KluereError(.badFormat, "\(origin): \(root.kind.name), expected an object")
    }
    guard let name = root["name"]?.string, !name.isEmpty, !name.utf8.contains(0) else {
      throw KluereError(.badFormat, "\(origin): name is missing, expected a text")
    }
    self.name = name
    self.text = text
    self.origin = origin
    var sections: [RecipeSection: [RecipeSetting]] = [:]
    for (key, value) in root.members {
      let key = key.string ?? ""
      if let section = RecipeSection(rawValue: key) {
        sections[section] = try Recipe.settings(value, key, origin)
      } else if !Recipe.otherKeys.contains(key) {
        let expected = RecipeSection.allCases.map(\.rawValue) + Recipe.otherKeys
        throw KluereError(
          .badFormat, "\(origin): \"\(key)\" is no part of a recipe, expected \(expected.joined(separator: ", "))")
      }
    }
    self.sections = sections
  }

  /// In the order of the file; none where the recipe lacks the section.
  package subscript(section: RecipeSection) -> [RecipeSetting] { sections[section] ?? [] }

  private static func settings(
    _ section: JSON.Value, _ name: String, _ origin: String
  ) throws(KluereError) -> [RecipeSetting] {
    guard section.kind == .object else {
      throw KluereError(.badFormat, "\(origin): \(name): \(section.kind.name), expected an object")
    }
    var settings: [RecipeSetting] = []
    for (key, member) in section.members {
      guard let key = key.string, let value = value(member) else {
        throw KluereError(
          .badFormat,
          "\(origin): \(name): \(member.kind.name) at \(member.place), expected a number, a text, true or false")
      }
      settings.append(RecipeSetting(name: key, value: value))
    }
    return settings
  }

  private static func value(_ value: JSON.Value) -> RecipeValue? {
    if let number = value.int { return .integer(number) }
    if let number = value.double { return .number(number) }
    if let bool = value.bool { return .bool(bool) }
    return value.string.map { .string($0) }
  }
}

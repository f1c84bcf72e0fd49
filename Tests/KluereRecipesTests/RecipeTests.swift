import KluereBase
import KluereRecipes
import Testing

struct RecipeTests {
  private func error(_ text: String) -> KluereError? {
    do throws(KluereError) {
      _ = try Recipe(Array(text.utf8), origin: "mine.json")
      return nil
    } catch { return error }
  }

  @Test func `every recipe of the library is read under its own name`() throws {
    #expect(Recipe.names.count == 12)
    for name in Recipe.names {
      let recipe = try Recipe.open(name)
      #expect(recipe.name == name)
      #expect(!recipe[.model].isEmpty)
      #expect(!recipe[.training].isEmpty)
    }
  }

  @Test func `sections keep kinds and order`() throws {
    let model = #""model": {"max_tokens": 64, "head": "cls"}"#
    let text = #"{"name": "x", "# + model + #", "training": {"epochs": 0.5, "group_by_length": true}}"#
    let recipe = try Recipe(Array(text.utf8), origin: "mine.json")
    #expect(recipe[.model].map(\.name) == ["max_tokens", "head"])
    #expect(recipe[.model].map(\.value) == [.integer(64), .string("cls")])
    #expect(recipe[.training].map(\.value) == [.number(0.5), .bool(true)])
    #expect(recipe[.loss].isEmpty)
  }

  @Test func `what is no recipe is refused in words`() {
    #expect(error("[]")?.message == "mine.json: an array, expected an object")
    #expect(error("{}")?.message == "mine.json: name is missing, expected a text")
    #expect(error(#"{"name": "a\u0000b"}"#)?.status == .badFormat)
    #expect(error(#"{"name": "x", "modell": {}}"#)?.message.contains("\"modell\" is no part of a recipe") == true)
    #expect(error(#"{"name": "x", "model": 3}"#)?.message.contains("expected an object") == true)
    #expect(error(#"{"name": "x", "model": {"head": null}}"#)?.message.contains("expected a number") == true)
    #expect(error(#"{"name": "x", "model": {"head": ["cls"]}}"#)?.status == .badFormat)
  }

  @Test func `an unknown name is answered with those there are`() {
    do throws(KluereError) {
      _ = try Recipe.open("typed_punct")
      Issue.record("it was opened")
    } catch {
      #expect(error.status == .invalidArgument)
      #expect(error.message.contains("typed-punct"))
    }
  }
}

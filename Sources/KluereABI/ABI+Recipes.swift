public import CKluere
internal import KluereBase
internal import KluereRecipes

/// kluere_recipe
final class RecipeObject: Handled {
  static let kind: UInt32 = 0x4B52_4350
  static let typeName = "kluere_recipe"
  let recipe: Recipe
  /// What C borrows: name, JSON, the model's template if there is one.
  private let texts: CStrings

  init(_ recipe: Recipe) {
    self.recipe = recipe
    var template: [String] = []
    for setting in recipe[.model] where setting.name == RecipeObject.templateName {
      if case .string(let text) = setting.value { template = [text] }
    }
    texts = CStrings([recipe.name, String(decoding: recipe.text, as: Unicode.UTF8.self)] + template)
  }

  /// The one field that is a pointer.
  static let templateName = "input_template"
  var name: UnsafePointer<CChar>? { texts[0] }
  var json: UnsafePointer<CChar>? { texts[1] }
  var template: UnsafePointer<CChar>? { texts[2] }
}

/// The library's own names, for ever.
private let recipeNames = CStrings(Recipe.names)

@_cdecl("kluere_recipe_count")
public func recipeCount() -> Int { recipeNames.count }

@_cdecl("kluere_recipe_name")
public func recipeName(_ index: Int) -> UnsafePointer<CChar>? { recipeNames[index] }

@_cdecl("kluere_recipe_open")
public func recipeOpen(
  _ name: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<RecipeObject>(out)
    let object = RecipeObject(try Recipe.open(try path(name, "name")))
    try object.check()
    try out.store(object)
  }
}

@_cdecl("kluere_recipe_destroy")
public func recipeDestroy(_ recipe: OpaquePointer?) { Handle<RecipeObject>.destroy(recipe) }

@_cdecl("kluere_recipe_json")
public func recipeJSON(_ recipe: OpaquePointer?) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in try Handle<RecipeObject>.borrow(recipe, "recipe").json }
}

@_cdecl("kluere_recipe_apply_model")
public func recipeApplyModel(
  _ recipe: OpaquePointer?, _ config: UnsafeMutablePointer<kluere_model_config>?,
  _ open: UnsafeMutablePointer<kluere_model_open_options>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<RecipeObject>.borrow(recipe, "recipe")
    try object.apply(
      .model, to: config, "config", RecipeObject.configFields, defaults: defaultModelConfig(),
      also: { config in
        config.recipe = object.name
        guard let template = object.template else { return }
        config.input_form = Int32(KLUERE_INPUT_TEMPLATE)
        config.input_template = template
      })
    try object.apply(
      .model, to: open, "open", RecipeObject.openFields, defaults: defaultOpenOptions(),
      also: { open in
        open.recipe = object.name
        guard let template = object.template else { return }
        open.input_form = Int32(KLUERE_INPUT_TEMPLATE)
        open.input_template = template
      })
  }
}

@_cdecl("kluere_recipe_apply_training")
public func recipeApplyTraining(
  _ recipe: OpaquePointer?, _ train: UnsafeMutablePointer<kluere_train_options>?,
  _ loss: UnsafeMutablePointer<kluere_loss_options>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<RecipeObject>.borrow(recipe, "recipe")
    guard object.recipe[.loss].isEmpty || train == nil || loss != nil else {
      throw KluereError(.invalidArgument, "loss is NULL, expected loss options: \(object.recipe.origin) has a loss")
    }
    try object.apply(.loss, to: loss, "loss", RecipeObject.lossFields, defaults: defaultLossOptions())
    try object.apply(
      .training, to: train, "train", RecipeObject.trainFields, defaults: defaultTrainOptions(),
      also: { train in
        if let loss, !object.recipe[.loss].isEmpty { train.loss = UnsafePointer(loss) }
      })
  }
}

@_cdecl("kluere_recipe_apply_pretraining")
public func recipeApplyPretraining(
  _ recipe: OpaquePointer?, _ corpus: UnsafeMutablePointer<kluere_corpus_options>?,
  _ masking: UnsafeMutablePointer<kluere_masked_lm_options>?, _ train: UnsafeMutablePointer<kluere_train_options>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<RecipeObject>.borrow(recipe, "recipe")
    guard !object.recipe[.pretraining].isEmpty else {
      throw KluereError(.state, "\(object.recipe.origin): it has no pretraining")
    }
    try object.apply(.corpus, to: corpus, "corpus", RecipeObject.corpusFields, defaults: defaultCorpusOptions())
    try object.apply(
      .masking, to: masking, "masking", RecipeObject.maskingFields, defaults: defaultMaskedLMOptions())
    try object.apply(.pretraining, to: train, "train", RecipeObject.trainFields, defaults: defaultTrainOptions())
  }
}

/// What a model carries beside configuration and weights: kluere.json keeps it, exported and retrained models have it too.
package struct ModelExtras: Sendable, Equatable {
  /// Name of the recipe that the model was made by.
  package var recipe: String?

  package init() {}
}

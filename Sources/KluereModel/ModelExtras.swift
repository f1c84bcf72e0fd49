/// What a model carries beside configuration and weights: kluere.json keeps it, exported and retrained models have it too.
package struct ModelExtras: Sendable, Equatable {
  /// Name of the recipe that the model was made by.
  package var recipe: String?
  /// What the entities' types say about the labels.
  package var typeMask: TypeMask?
  /// Blocks of the last layer for pairs of entity types.
  package var pairHeads: PairHeads?

  package init() {}
}

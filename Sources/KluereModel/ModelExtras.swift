package import KluereDecoding

/// What a model carries beside configuration and weights: kluere.json keeps it, exported and retrained models have it too.
package struct ModelExtras: Sendable, Equatable {
  /// Name of the recipe that the model was made by.
  package var recipe: String?
  /// How its logits become probabilities, where that is more than a softmax. Fitted to its weights: it goes when they do.
  package var decoding: Decoding?
  /// What the entities' types say about the labels.
  package var typeMask: TypeMask?
  /// Blocks of the last layer for pairs of entity types.
  package var pairHeads: PairHeads?

  package init() {}

  /// For the same model with other weights.
  var withoutFitted: ModelExtras {
    var extras = self
    extras.decoding = nil
    return extras
  }
}

package import KluereDecoding

/// What a model carries beside configuration and weights: kluere.json keeps it, exported and retrained models have it too.
package struct ModelExtras: Sendable, Equatable {
  /// Name of the recipe that the model was made by.
  package var recipe: String?
  /// How its logits become probabilities, where that is more than a softmax. Fitted to its weights: it goes when they do.
  package var decoding: Decoding?

  package init() {}

  /// For the same model with other weights.
  var withoutFitted: ModelExtras {
    var extras = self
    extras.decoding = nil
    return extras
  }
}

/// What the training passes of a network leave out: gradients that nobody wants, and values that are computed again.
package struct BackwardPlan: Sendable, Equatable {
  /// Tables, their layer norm and the projection get no gradient.
  package var freezesEmbeddings = false
  /// The lowest layers get none.
  package var frozenLayers = 0
  /// Only inputs of layers are kept; the backward pass computes a layer's other values once more (Chen et al. 2016,
  /// arXiv 1604.06174).
  package var recomputesLayers = false

  package init() {}

  /// The lowest layer that gradients must reach. What comes before it needs nothing of its values in the backward pass.
  var firstLayer: Int { freezesEmbeddings ? frozenLayers : 0 }
}

internal import Glibc
package import KluereModel

/// The arena cut into ranges that AdamW treats alike, as torch's parameter groups: by weight decay, by the factor of the
/// learning rate, and without what is frozen.
///
/// Factors, with decay d and L layers counted from 0: d^(L - l) for layer l, d^(L + 1) for the embeddings, the head's own
/// for the head (BEiT, Bao et al. 2022; ELECTRA's has one d more below the head).
package struct ParameterGroups: Sendable, Equatable {
  package struct Group: Sendable, Equatable {
    package var range: Range<Int>
    package var factor: Double
    package var decays: Bool
  }

  package let groups: [Group]
  /// Numbers of the tensors that are trained.
  package let trained: [Int]
  /// Gradients before this place are zero and stay zero.
  package let start: Int

  package init(_ layout: ParameterLayout, _ extras: TrainingExtras) {
    var groups: [Group] = []
    var trained: [Int] = []
    var frozenBetween = false
    for (number, slot) in layout.tensors.enumerated() {
      let depth = layout.depth(of: slot)
      guard let factor = ParameterGroups.factor(depth, layout.layers.count, extras) else {
        frozenBetween = true
        continue
      }
      trained.append(number)
      let decays = slot.offset < layout.decayingCount
      // Up to the next tensor: what lies between is zero, with a gradient of zero.
      let isLast = number + 1 == layout.tensors.count
      let next = isLast ? layout.count : layout.tensors[number + 1].offset
      let end = decays ? min(next, layout.decayingCount) : next
      if let last = groups.last, !frozenBetween, last.decays == decays, last.factor == factor {
        groups[groups.count - 1].range = last.range.lowerBound..<end
      } else {
        groups.append(Group(range: slot.offset..<end, factor: factor, decays: decays))
      }
      frozenBetween = false
    }
    self.groups = groups
    self.trained = trained
    start = groups.first?.range.lowerBound ?? layout.count
  }

  /// nil: frozen.
  private static func factor(_ depth: ParameterDepth, _ layers: Int, _ extras: TrainingExtras) -> Double? {
    switch depth {
    case .embeddings: extras.freezesEmbeddings ? nil : pow(extras.layerDecay, Double(layers + 1))
    case .layer(let number):
      number < extras.frozenLayers ? nil : pow(extras.layerDecay, Double(layers - number))
    case .head: extras.headRateFactor
    }
  }
}

/// How far a tensor is from the input: what layer-wise learning rates and freezing go by.
package enum ParameterDepth: Sendable, Equatable {
  /// The tables, their layer norm and, with a narrow embedding (ELECTRA), the projection after it.
  case embeddings
  /// Counted from 0, the lowest.
  case layer(Int)
  /// The pooler and everything else behind the last layer.
  case head
}

extension ParameterLayout {
  package func depth(of slot: TensorSlot) -> ParameterDepth {
    let decays = slot.offset < decayingCount
    let embeddingEnd = decays ? projection?.weight ?? type : projection?.bias ?? embeddingNorm.bias
    if slot.offset <= embeddingEnd { return .embeddings }
    let number = layers.lastIndex { (decays ? $0.qkv.weight : $0.qkv.bias) <= slot.offset }
    guard let number else { return .head }
    return slot.offset <= (decays ? layers[number].output.weight : layers[number].outputNorm.bias)
      ? .layer(number) : .head
  }
}

internal import KluereCompute

/// What prediction reads in place of the arena: linear weights in the form that the backend multiplies fastest, and the
/// table of word embeddings if it stays in the file. Made once, shared by all predictors.
package final class PackedWeights: Sendable {
  private let packed: [Int: FloatStorage]
  private let table: MappedTable?

  init(packed: [Int: FloatStorage], word: MappedTable?) {
    self.packed = packed
    table = word
  }

  /// Packed weights of the layer whose plain weights begin at `offset`.
  subscript(offset: Int) -> UnsafePointer<Float>? { packed[offset].map { UnsafePointer($0.pointer) } }

  /// [vocabulary, width] outside the arena, nil: it stands there.
  var word: UnsafePointer<Float>? { table?.pointer }
}

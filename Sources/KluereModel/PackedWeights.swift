package import KluereBase
package import KluereCompute

/// What a pass reads: the arena of parameters, and beside it what this precision or the lack of gradients allows.
package struct NetworkWeights {
  package let arena: FloatStorage
  package let half: HalfWeights?
  package let packed: PackedWeights?

  package init(_ arena: FloatStorage, half: HalfWeights? = nil, packed: PackedWeights? = nil) {
    self.arena = arena
    self.half = half
    self.packed = packed
  }

  var base: Weights { Weights(arena.pointer, half: half?.values) }
  var addresses: [UInt] { [UInt(bitPattern: arena.pointer), UInt(bitPattern: half?.values.address)] }
}

/// The arena once more in a 16-bit precision: what products read. A trainer's is written by each update.
package final class HalfWeights: Sendable {
  private let storage: DeviceStorage<UInt16>
  private let precision: Precision

  package init(count: Int, _ precision: Precision, on backend: any Backend) throws(KluereError) {
    storage = try DeviceStorage<UInt16>(count: count, on: backend, for: "\(precision.name) weights")
    self.precision = precision
  }

  package var values: Values { Values(UnsafeMutableRawPointer(storage.pointer), precision) }

  /// Takes over all values of the arena.
  package func fill(from arena: FloatStorage, on backend: any Backend) throws(KluereError) {
    try backend.convert(values, Values(arena.pointer), count: arena.count)
  }
}

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

package import KluereBase
package import KluereCompute

/// A model's linear weights in the form that the backend multiplies fastest; made once, shared by all predictors.
package final class PackedWeights: Sendable {
  private let packed: [Int: FloatStorage]

  /// Packs every linear layer of `layout`.
  package init(_ layout: ParameterLayout, _ weights: FloatStorage, on backend: any Backend) throws(KluereError) {
    var packed: [Int: FloatStorage] = [:]
    var slots = [layout.headDense, layout.headOutput]
    for layer in layout.layers { slots += [layer.qkv, layer.attentionOutput, layer.intermediate, layer.output] }
    for slot in slots {
      let count = backend.packedCount(out: slot.out, in: slot.width)
      if count == 0 { continue }
      let storage = try FloatStorage(count: count, on: backend, for: "packed weights")
      try backend.pack(storage.pointer, weights.pointer + slot.weight, out: slot.out, in: slot.width)
      packed[slot.weight] = storage
    }
    self.packed = packed
  }

  /// Packed weights of the layer whose plain weights begin at `offset`.
  subscript(offset: Int) -> UnsafePointer<Float>? { packed[offset].map { UnsafePointer($0.pointer) } }
}

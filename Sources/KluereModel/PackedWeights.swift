package import KluereBase
package import KluereCompute
internal import KluereFormats

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

  /// The next call may get weights that are multiplied faster; these stay valid.
  package var isProvisional: Bool { packed.map { !$0.isWhole } ?? false }

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

/// What prediction reads in place of the arena: linear weights in the form that the backend multiplies fastest or, for the
/// first calls, where they stand in the file; and the table of word embeddings if it stays there. Shared by all predictors.
package final class PackedWeights: Sendable {
  /// Of the encoder's layers and the word embeddings.
  let form: WeightForm
  /// By the offset of the layer's plain weights.
  let packed: [Int: FloatStorage]
  let mapped: [Int: MappedLinear]
  let table: MappedTable?
  private let narrow: [Int: DeviceStorage<UInt8>]
  private let narrowTable: NarrowTable?

  init(
    packed: [Int: FloatStorage], mapped: [Int: MappedLinear] = [:], word: MappedTable?, _ form: WeightForm = .float32,
    narrow: [Int: DeviceStorage<UInt8>] = [:], narrowWord: NarrowTable? = nil
  ) {
    self.form = form
    self.packed = packed
    self.mapped = mapped
    table = word
    self.narrow = narrow
    narrowTable = narrowWord
  }

  /// Nothing is left to pack.
  var isWhole: Bool { mapped.isEmpty }

  /// The same with more of them packed.
  func with(packed: [Int: FloatStorage], mapped: [Int: MappedLinear]) -> PackedWeights {
    PackedWeights(packed: packed, mapped: mapped, word: table, form, narrow: narrow, narrowWord: narrowTable)
  }

  /// The same for a layer whose weights have fewer bits.
  func narrow(_ offset: Int) -> UnsafeRawPointer? { narrow[offset].map { UnsafeRawPointer($0.pointer) } }

  /// In place of `word`.
  var narrowWord: NarrowRows? { narrowTable?.rows }

  /// Packed weights of the layer whose plain weights begin at `offset`.
  subscript(offset: Int) -> UnsafePointer<Float>? { packed[offset].map { UnsafePointer($0.pointer) } }

  /// [vocabulary, width] outside the arena, nil: it stands there.
  var word: UnsafePointer<Float>? { table?.pointer }
}

/// Linear weights that are read where they stand in a mapped file.
struct MappedLinear: @unchecked Sendable {
  /// One below the other. They live with `tables`.
  let parts: [ConstantFloats?]
  private let tensors: [StoredTensor]
  private let tables: [MappedTable]

  /// nil if the tensors cannot be read in place, or the backend does not take these parts.
  init?(_ tensors: [StoredTensor], out: Int, in width: Int, on backend: any Backend) {
    let tables = tensors.compactMap { MappedTable($0, on: backend) }
    guard tables.count == tensors.count, backend.takesParts(tables.count, out: out, in: width),
      tensors.allSatisfy({ $0.elementCount == tensors.first?.elementCount })
    else { return nil }
    self.tensors = tensors
    self.tables = tables
    parts = tables.map { $0.pointer }
  }

  /// The pages are not needed for now.
  func release() { for tensor in tensors { tensor.release() } }
}

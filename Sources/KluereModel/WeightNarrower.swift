internal import KluereBase
internal import KluereCompute
internal import KluereFormats

/// Makes weights of fewer bits: from a file that has them so, else from fp32. No fp32 copy of the whole is made.
struct WeightNarrower {
  /// One tensor of a matrix, and where its values are.
  struct Part {
    let slot: TensorSlot
    /// First value in the matrix.
    let start: Int
    /// nil: in the arena.
    let source: StoredTensor?
    let scales: StoredTensor?
    let arena: ConstantFloats
  }

  let form: WeightForm
  private let products: any NarrowProducts
  private let backend: any Backend
  /// Where the word embeddings stand in the arena. They are read, not multiplied.
  private let word: Int
  private var values: [UInt8] = []
  private var factors: [Float] = []
  private var floats: [Float] = []

  init(_ form: WeightForm, _ products: any NarrowProducts, _ backend: any Backend, word: Int) {
    self.form = form
    self.products = products
    self.backend = backend
    self.word = word
  }

  static func elementType(_ form: WeightForm) -> ElementType {
    switch form {
    case .float32: .f32
    case .bfloat16: .bf16
    case .float16: .f16
    case .int8, .int8Reduced: .i8
    }
  }

  /// A linear layer's weights, packed for products.
  mutating func packed(_ linear: LinearSlot, _ parts: [Part]) throws(KluereError) -> DeviceStorage<UInt8> {
    guard let size = products.packedBytes(out: linear.out, in: linear.width, form) else {
      throw KluereError(
        .unsupported, "weights: \(form.name) for a layer of \(linear.width) inputs, expected at most 65536")
    }
    let storage = try DeviceStorage<UInt8>(count: size, on: backend, for: "\(form.name) weights")
    let count = linear.out * linear.width * form.bytes
    if values.count < count { values = [UInt8](repeating: 0, count: count) }
    if factors.count < linear.out { factors = [Float](repeating: 0, count: linear.out) }
    for part in parts { try narrow(part, width: linear.width) }
    values.withUnsafeBytes { values in
      factors.withUnsafeBufferPointer { factors in
        guard let base = values.baseAddress else { return }
        products.pack(
          storage.pointer, NarrowRows(base, scales: factors.baseAddress, form), out: linear.out, in: linear.width)
      }
    }
    return storage
  }

  /// The word embeddings: where they stand in the file, else in memory of their own.
  mutating func table(_ part: Part) throws(KluereError) -> NarrowTable {
    if let source = part.source, let bytes = stored(part)?.baseAddress,
      Int(bitPattern: bytes) % form.bytes == 0
    {
      guard let stored = part.scales else { return NarrowTable(bytes, nil, form, owner: source) }
      let scales = try FloatStorage(count: part.slot.rows, on: backend, for: "scales")
      try stored.readFloats(into: UnsafeMutableBufferPointer(start: scales.pointer, count: scales.count))
      return NarrowTable(bytes, scales, form, owner: source)
    }
    let memory = try DeviceStorage<UInt8>(
      count: part.slot.count * form.bytes, on: backend, for: "\(form.name) embeddings")
    let scales = form.stored == .int8 ? try FloatStorage(count: part.slot.rows, on: backend, for: "scales") : nil
    try narrow(part, into: UnsafeMutableRawPointer(memory.pointer), scales: scales?.pointer)
    return NarrowTable(memory.pointer, scales, form, owner: memory)
  }

  /// The tensor's bytes, if they have this form already.
  private func stored(_ part: Part) -> UnsafeRawBufferPointer? {
    guard let source = part.source, source.type == WeightNarrower.elementType(form),
      (form.stored == .int8) == (part.scales != nil)
    else { return nil }
    return source.bytes
  }

  /// A tensor's values to their place in `values`, and its scales in `factors`.
  private mutating func narrow(_ part: Part, width: Int) throws(KluereError) {
    let start = part.start * form.bytes
    let row = part.start / width
    if let bytes = stored(part), let source = part.source {
      guard start + bytes.count <= values.count, row + part.slot.rows <= factors.count else { throw misplaced(part) }
      values.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[start...]).copyMemory(from: bytes) }
      if let scales = part.scales {
        let result: Result<Void, KluereError> = factors.withUnsafeMutableBufferPointer { factors in
          do throws(KluereError) {
            return .success(try scales.readFloats(into: UnsafeMutableBufferPointer(rebasing: factors[row...])))
          } catch { return .failure(error) }
        }
        try result.get()
      }
      source.release()
      return
    }
    guard start + part.slot.count * form.bytes <= values.count, row + part.slot.rows <= factors.count else {
      throw misplaced(part)
    }
    // The arrays stay what they are while others of this value are written.
    var (bytes, scales) = (values, factors)
    values = []
    factors = []
    defer { (values, factors) = (bytes, scales) }
    let result: Result<Void, KluereError> = bytes.withUnsafeMutableBytes { bytes in
      scales.withUnsafeMutableBufferPointer { scales in
        guard let base = bytes.baseAddress, let factors = scales.baseAddress else { return .success(()) }
        do throws(KluereError) {
          return .success(try narrow(part, into: base + start, scales: factors + row))
        } catch { return .failure(error) }
      }
    }
    try result.get()
  }

  private func misplaced(_ part: Part) -> KluereError {
    KluereError(.internal, "\(part.slot.name): it does not fit into its layer's weights")
  }

  /// The same anywhere.
  mutating func narrow(_ part: Part, into out: UnsafeMutableRawPointer, scales: Floats?) throws(KluereError) {
    let slot = part.slot
    guard let source = part.source else { return try make(part.arena, slot, out, scales) }
    if let mapped = MappedTable(source, on: backend) {
      try make(mapped.pointer, slot, out, scales)
      return source.release()
    }
    if floats.count < slot.count { floats = [Float](repeating: 0, count: slot.count) }
    try source.readFloats(into: &floats)
    let result: Result<Void, KluereError> = floats.withUnsafeBufferPointer { floats in
      guard let base = floats.baseAddress else { return .success(()) }
      do throws(KluereError) { return .success(try make(base, slot, out, scales)) } catch { return .failure(error) }
    }
    try result.get()
    source.release()
  }

  private func make(
    _ w: ConstantFloats, _ slot: TensorSlot, _ out: UnsafeMutableRawPointer, _ scales: Floats?
  ) throws(KluereError) {
    let form = slot.offset == word ? form.stored : form
    guard products.narrow(out, scales: scales, w, rows: slot.rows, width: slot.columns, form) else {
      throw KluereError(
        .unsupported,
        "\(slot.name): a value is not finite or too large, expected values that \(form.name) can stand for")
    }
  }
}

/// A table of fewer bits that is read row by row.
struct NarrowTable: @unchecked Sendable {
  let rows: NarrowRows
  private let scales: FloatStorage?
  /// Keeps the values.
  private let owner: any Sendable

  init(_ address: UnsafeRawPointer, _ scales: FloatStorage?, _ form: WeightForm, owner: any Sendable) {
    rows = NarrowRows(address, scales: scales.map { UnsafePointer($0.pointer) }, form)
    self.scales = scales
    self.owner = owner
  }
}

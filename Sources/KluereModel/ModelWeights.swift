package import KluereBase
package import KluereCompute
internal import KluereFormats

/// A model's parameters: an arena of the layout's shape on the device. Tensors of an opened folder come out of the mapped
/// file only when somebody needs them, and then where they are needed: a model that predicts holds its linear layers in
/// packed form alone, a trainer's copy is filled straight from the file.
package final class ModelWeights: @unchecked Sendable {
  /// Complete for created and trained models. Of an opened one only small tensors and those made at random are in; the
  /// rest is zero until `whole()`.
  package let arena: FloatStorage
  private let slots: [TensorSlot]
  private let backend: any Backend
  private let lock = Lock()
  /// By the slot's number; nil: in the arena. Read and written under `lock`.
  private var pending: [StoredTensor?]
  /// Where each tensor came from: it is saved again with these bytes.
  private let sources: [StoredTensor?]
  /// The scales of int8 tensors' rows.
  private let scales: [StoredTensor?]
  /// What the folder says of itself, or what the weights were made to be.
  package let form: WeightForm
  private var inference: [WeightForm: PackedWeights] = [:]
  /// By precision.
  private var halves: [Precision: HalfWeights] = [:]

  /// `arena` has the layout's shape and is not written by others any more.
  init(
    arena: FloatStorage, _ layout: ParameterLayout, pending: [StoredTensor?]? = nil, scales: [StoredTensor?]? = nil,
    form: WeightForm = .float32, on backend: any Backend
  ) {
    self.arena = arena
    slots = layout.tensors
    self.backend = backend
    sources = pending ?? [StoredTensor?](repeating: nil, count: layout.tensors.count)
    self.scales = scales ?? [StoredTensor?](repeating: nil, count: layout.tensors.count)
    self.form = form
    self.pending = sources
  }

  /// The arena with every tensor in it.
  package func whole() throws(KluereError) -> FloatStorage {
    try requireFloats()
    return try lock.locked { () throws(KluereError) in
      var staging: [Float] = []
      for (number, slot) in slots.enumerated() {
        guard let source = pending[number] else { continue }
        try read(number, slot, source, into: arena, &staging)
        pending[number] = nil
      }
      return arena
    }
  }

  /// A new arena with a copy of every tensor.
  func copy() throws(KluereError) -> FloatStorage {
    try requireFloats()
    let sources = lock.locked { pending }
    // In the file's own words until the end: the memory of `arena` is touched only where it holds something.
    let copy = try FloatStorage(count: arena.count, on: backend, for: "weights")
    var staging: [Float] = []
    for (number, slot) in slots.enumerated() {
      if let source = sources[number] {
        try read(number, slot, source, into: copy, &staging)
      } else {
        try backend.copy(
          copy.pointer + slot.offset, arena.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
      }
    }
    return copy
  }

  private func requireFloats() throws(KluereError) {
    guard form != .int8 else {
      throw KluereError(
        .unsupported, "model: its weights are int8 and can only predict; expected the model that they were made from")
    }
  }

  /// One tensor's values to the host; `out` has room for them.
  package func read(_ number: Int, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    let slot = slots[number]
    if let source = lock.locked({ pending[number] }) {
      return try readFloats(number, source, into: out)
    }
    guard let host = out.baseAddress else { return }
    try backend.copyOut(host, arena.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
  }

  /// The bytes of a tensor that still has the type and the values of its file; nil: it is in the arena.
  func unchanged(_ number: Int) -> (type: ElementType, bytes: UnsafeRawBufferPointer)? {
    guard let source = sources[number], source.type != .f64, let bytes = source.bytes else { return nil }
    return (source.type, bytes)
  }

  /// A tensor by itself as `WeightNarrower` takes it.
  func part(_ number: Int) -> WeightNarrower.Part { lock.locked { part(number, from: slots[number].offset) } }

  /// The scales of an `unchanged` int8 tensor.
  func unchangedScales(_ number: Int) -> StoredTensor? { scales[number] }

  /// Bytes of all tensors as a folder has them.
  package var storedBytes: Int {
    slots.indices.reduce(0) { total, number in
      let values = unchanged(number)?.bytes.count ?? slots[number].count * MemoryLayout<Float>.size
      return total + values + (scales[number]?.bytes?.count ?? 0)
    }
  }

  /// What a forward pass without gradients reads. Call it inside `Context.exclusive`. The first call for few rows finds
  /// linear weights where they stand in the file, each later one packs some of them: no such call waits for all.
  func forInference(
    _ layout: ParameterLayout, _ precision: Precision, _ form: WeightForm, fewRows: Bool
  ) throws(KluereError) -> NetworkWeights {
    try lock.locked { () throws(KluereError) in
      // As many as the top layer has, whose queries are a product of their own.
      let limit = !fewRows ? Int.max : inference[form] == nil ? 0 : 5
      var packed: PackedWeights
      if let made = inference[form] { packed = made } else { packed = try begin(layout, form) }
      if !packed.isWhole { packed = try pack(packed, layout, limit) }
      inference[form] = packed
      guard precision.isHalf else { return NetworkWeights(arena, packed: packed) }
      if let half = halves[precision] { return NetworkWeights(arena, half: half, packed: packed) }
      let half = try HalfWeights(count: arena.count, precision, on: backend)
      try half.fill(from: arena, on: backend)
      halves[precision] = half
      return NetworkWeights(arena, half: half, packed: packed)
    }
  }

  // MARK: Under the lock

  /// Linear weights that can be read in the file stay there, the rest comes in.
  private func begin(_ layout: ParameterLayout, _ form: WeightForm) throws(KluereError) -> PackedWeights {
    var packed: [Int: FloatStorage] = [:]
    var mapped: [Int: MappedLinear] = [:]
    var staging: [Float] = []
    var narrow: [Int: DeviceStorage<UInt8>] = [:]
    var narrower: WeightNarrower?
    if form != .float32, let products = backend.narrowProducts {
      narrower = WeightNarrower(form, products, backend, word: layout.word)
    }
    if narrower != nil {
      for linear in layout.narrowLinears {
        let storage = try narrower?.packed(linear, numbers(of: linear).map { part($0, from: linear.weight) })
        if let storage { narrow[linear.weight] = storage }
      }
    }
    for linear in layout.linears where narrow[linear.weight] == nil {
      let count = backend.packedCount(out: linear.out, in: linear.width)
      // Without a packed form the plain one is used; so is that of a layer whose tensors also serve elsewhere.
      if count == 0 {
        try bringIn(linear, &staging)
        continue
      }
      let numbers = numbers(of: linear)
      let tensors = numbers.compactMap { pending[$0] }
      if tensors.count == numbers.count,
        let found = MappedLinear(tensors, out: linear.out, in: linear.width, on: backend)
      {
        mapped[linear.weight] = found
        continue
      }
      let storage = try FloatStorage(count: count, on: backend, for: "packed weights")
      try withPlain(linear, &staging) { (plain) throws(KluereError) in
        try backend.pack(storage.pointer, plain, out: linear.out, in: linear.width)
      }
      packed[linear.weight] = storage
    }
    var word: MappedTable?
    var narrowWord: NarrowTable?
    for (number, slot) in slots.enumerated() {
      if slot.offset == layout.word, narrower != nil {
        narrowWord = try narrower?.table(part(number, from: slot.offset))
        continue
      }
      // A tied decoder makes the word embeddings a linear layer's weights too; they are needed in both forms.
      let isWord = slot.offset == layout.word
      guard let source = pending[number], isWord || !layout.isLinear(slot) else { continue }
      if isWord, let mapped = MappedTable(source, on: backend) {
        // The largest tensor, of which a sentence reads some rows: it stays in the file.
        word = mapped
        continue
      }
      try read(number, slot, source, into: arena, &staging)
      pending[number] = nil
    }
    return PackedWeights(
      packed: packed, mapped: mapped, word: word, form, narrow: narrow, narrowWord: narrowWord)
  }

  /// The same with up to `limit` more of the linear weights packed.
  private func pack(
    _ weights: PackedWeights, _ layout: ParameterLayout, _ limit: Int
  ) throws(KluereError) -> PackedWeights {
    var (packed, mapped) = (weights.packed, weights.mapped)
    for linear in layout.linears where packed.count - weights.packed.count < limit {
      guard let found = mapped.removeValue(forKey: linear.weight) else { continue }
      let count = backend.packedCount(out: linear.out, in: linear.width)
      let storage = try FloatStorage(count: count, on: backend, for: "packed weights")
      try backend.pack(storage.pointer, parts: found.parts, out: linear.out, in: linear.width)
      found.release()
      packed[linear.weight] = storage
    }
    return weights.with(packed: packed, mapped: mapped)
  }

  /// The slots that lie inside a linear layer's weights: one, or query, key and value.
  private func numbers(of linear: LinearSlot) -> [Int] {
    slots.indices.filter {
      slots[$0].offset >= linear.weight && slots[$0].offset < linear.weight + linear.out * linear.width
    }
  }

  private func bringIn(_ linear: LinearSlot, _ staging: inout [Float]) throws(KluereError) {
    for number in numbers(of: linear) {
      guard let source = pending[number] else { continue }
      try read(number, slots[number], source, into: arena, &staging)
      pending[number] = nil
    }
  }

  /// A tensor as `WeightNarrower` takes it; `start` is where its matrix begins.
  private func part(_ number: Int, from start: Int) -> WeightNarrower.Part {
    let slot = slots[number]
    return WeightNarrower.Part(
      slot: slot, start: slot.offset - start, source: pending[number], scales: scales[number],
      arena: UnsafePointer(arena.pointer + slot.offset))
  }

  /// Calls `body` with the layer's plain weights, from the arena or from the file. They are not kept.
  private func withPlain(
    _ linear: LinearSlot, _ staging: inout [Float], _ body: (UnsafePointer<Float>) throws(KluereError) -> Void
  ) throws(KluereError) {
    let numbers = numbers(of: linear)
    guard backend.isHost, numbers.allSatisfy({ pending[$0] != nil }) else {
      try bringIn(linear, &staging)
      return try body(arena.pointer + linear.weight)
    }
    let count = linear.out * linear.width
    if staging.count < count { staging = [Float](repeating: 0, count: count) }
    // withUnsafeMutableBufferPointer rethrows untyped errors; a Result carries ours out.
    let result: Result<Void, KluereError> = staging.withUnsafeMutableBufferPointer { buffer in
      do throws(KluereError) {
        for number in numbers {
          guard let source = pending[number] else { continue }
          let start = slots[number].offset - linear.weight
          try readFloats(
            number, source, into: UnsafeMutableBufferPointer(rebasing: buffer[start..<start + slots[number].count]))
          source.release()
        }
        guard let base = buffer.baseAddress else { return .success(()) }
        return .success(try body(base))
      } catch { return .failure(error) }
    }
    try result.get()
  }

  private func read(
    _ number: Int, _ slot: TensorSlot, _ source: StoredTensor, into target: FloatStorage, _ staging: inout [Float]
  ) throws(KluereError) {
    if backend.isHost {
      try readFloats(
        number, source, into: UnsafeMutableBufferPointer(start: target.pointer + slot.offset, count: slot.count))
    } else {
      if staging.count < slot.count { staging = [Float](repeating: 0, count: slot.count) }
      let result: Result<Void, KluereError> = staging.withUnsafeMutableBufferPointer { buffer in
        do throws(KluereError) { return .success(try readFloats(number, source, into: buffer)) } catch {
          return .failure(error)
        }
      }
      try result.get()
      try backend.copyIn(
        target.pointer + slot.offset, staging, bytes: slot.count * MemoryLayout<Float>.size)
    }
    // What has been read is kept elsewhere now; the file's pages come back if they are asked for again.
    source.release()
  }

  /// As `StoredTensor.readFloats`, and int8 by its scales.
  private func readFloats(
    _ number: Int, _ source: StoredTensor, into target: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    guard let scales = scales[number], let bytes = source.bytes?.bindMemory(to: Int8.self) else {
      return try source.readFloats(into: target)
    }
    let width = slots[number].columns
    var factors = [Float](repeating: 0, count: scales.elementCount)
    try scales.readFloats(into: &factors)
    guard factors.count * width <= min(bytes.count, target.count) else {
      throw KluereError(.internal, "\(source.path): \(source.name): \(factors.count) scales for \(bytes.count) values")
    }
    for (row, factor) in factors.enumerated() {
      for place in row * width..<(row + 1) * width { target[place] = factor * Float(bytes[place]) }
    }
  }
}

/// A tensor of fp32 values that is read where it stands in a mapped file.
struct MappedTable: @unchecked Sendable {
  let pointer: UnsafePointer<Float>
  /// Keeps the mapping.
  private let tensor: StoredTensor

  /// nil if the backend cannot read host memory, or the file's bytes are of another type, scattered or not aligned.
  init?(_ tensor: StoredTensor, on backend: any Backend) {
    guard backend.isHost, tensor.type == .f32, let base = tensor.bytes?.baseAddress,
      Int(bitPattern: base) % MemoryLayout<Float>.alignment == 0
    else { return nil }
    pointer = base.assumingMemoryBound(to: Float.self)
    self.tensor = tensor
  }
}

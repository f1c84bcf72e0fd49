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
  private var inference: PackedWeights?
  /// By precision.
  private var halves: [Precision: HalfWeights] = [:]

  /// `arena` has the layout's shape and is not written by others any more.
  init(arena: FloatStorage, _ layout: ParameterLayout, pending: [StoredTensor?]? = nil, on backend: any Backend) {
    self.arena = arena
    slots = layout.tensors
    self.backend = backend
    sources = pending ?? [StoredTensor?](repeating: nil, count: layout.tensors.count)
    self.pending = sources
  }

  /// The arena with every tensor in it.
  package func whole() throws(KluereError) -> FloatStorage {
    try lock.locked { () throws(KluereError) in
      var staging: [Float] = []
      for (number, slot) in slots.enumerated() {
        guard let source = pending[number] else { continue }
        try read(slot, source, into: arena, &staging)
        pending[number] = nil
      }
      return arena
    }
  }

  /// A new arena with a copy of every tensor.
  func copy() throws(KluereError) -> FloatStorage {
    let sources = lock.locked { pending }
    // In the file's own words until the end: the memory of `arena` is touched only where it holds something.
    let copy = try FloatStorage(count: arena.count, on: backend, for: "weights")
    var staging: [Float] = []
    for (number, slot) in slots.enumerated() {
      if let source = sources[number] {
        try read(slot, source, into: copy, &staging)
      } else {
        try backend.copy(
          copy.pointer + slot.offset, arena.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
      }
    }
    return copy
  }

  /// One tensor's values to the host; `out` has room for them.
  package func read(_ number: Int, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    let slot = slots[number]
    if let source = lock.locked({ pending[number] }) {
      return try source.readFloats(into: out)
    }
    guard let host = out.baseAddress else { return }
    try backend.copyOut(host, arena.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
  }

  /// The bytes of a tensor that still has the type and the values of its file; nil: it is in the arena.
  func unchanged(_ number: Int) -> (type: ElementType, bytes: UnsafeRawBufferPointer)? {
    guard let source = sources[number], source.type != .f64, let bytes = source.bytes else { return nil }
    return (source.type, bytes)
  }

  /// What a forward pass without gradients reads. Call it inside `Context.exclusive`. The first call for few rows finds
  /// linear weights where they stand in the file, each later one packs some of them: no such call waits for all.
  func forInference(
    _ layout: ParameterLayout, _ precision: Precision, fewRows: Bool
  ) throws(KluereError) -> NetworkWeights {
    try lock.locked { () throws(KluereError) in
      // As many as an encoder layer has.
      let limit = !fewRows ? Int.max : inference == nil ? 0 : 4
      var packed: PackedWeights
      if let inference { packed = inference } else { packed = try begin(layout) }
      if !packed.isWhole { packed = try pack(packed, layout, limit) }
      inference = packed
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
  private func begin(_ layout: ParameterLayout) throws(KluereError) -> PackedWeights {
    var packed: [Int: FloatStorage] = [:]
    var mapped: [Int: MappedLinear] = [:]
    var staging: [Float] = []
    for linear in layout.linears {
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
    for (number, slot) in slots.enumerated() {
      // A tied decoder makes the word embeddings a linear layer's weights too; they are needed in both forms.
      let isWord = slot.offset == layout.word
      guard let source = pending[number], isWord || !layout.isLinear(slot) else { continue }
      if isWord, let mapped = MappedTable(source, on: backend) {
        // The largest tensor, of which a sentence reads some rows: it stays in the file.
        word = mapped
        continue
      }
      try read(slot, source, into: arena, &staging)
      pending[number] = nil
    }
    return PackedWeights(packed: packed, mapped: mapped, word: word)
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
    return PackedWeights(packed: packed, mapped: mapped, word: weights.table)
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
      try read(slots[number], source, into: arena, &staging)
      pending[number] = nil
    }
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
          try source.readFloats(
            into: UnsafeMutableBufferPointer(rebasing: buffer[start..<start + slots[number].count]))
          source.release()
        }
        guard let base = buffer.baseAddress else { return .success(()) }
        return .success(try body(base))
      } catch { return .failure(error) }
    }
    try result.get()
  }

  private func read(
    _ slot: TensorSlot, _ source: StoredTensor, into target: FloatStorage, _ staging: inout [Float]
  ) throws(KluereError) {
    if backend.isHost {
      try source.readFloats(
        into: UnsafeMutableBufferPointer(start: target.pointer + slot.offset, count: slot.count))
    } else {
      if staging.count < slot.count { staging = [Float](repeating: 0, count: slot.count) }
      try source.readFloats(into: &staging)
      try backend.copyIn(
        target.pointer + slot.offset, staging, bytes: slot.count * MemoryLayout<Float>.size)
    }
    // What has been read is kept elsewhere now; the file's pages come back if they are asked for again.
    source.release()
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

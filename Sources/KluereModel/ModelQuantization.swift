package import KluereBase
package import KluereCompute
internal import KluereFormats

extension Model {
  /// What the folder says of its weights, or what they were made to be.
  package var weightForm: WeightForm { weights.form }

  /// Bytes of all tensors as its folder has them.
  package var storedBytes: Int { weights.storedBytes }

  /// The same model with the weights of the encoder's layers and the word embeddings in fewer bits. Everything else stays as it
  /// is, and shared: the head's rows are few and its logits decide; norms and biases are small.
  package func quantized(_ form: WeightForm) throws(KluereError) -> Model {
    guard form != .float32 else {
      throw KluereError(
        .invalidArgument, "weights: float32, expected 2 (bfloat16), 3 (float16), 4 (int8) or 5 (int8_reduced)")
    }
    guard weightForm == .float32 else {
      throw KluereError(.state, "model: its weights are \(weightForm.name) already, expected float32")
    }
    guard let products = context.backend.narrowProducts else {
      throw KluereError(.unsupported, "weights: \(form.name) on \(context.deviceName), expected a context on the CPU")
    }
    for linear in layout.narrowLinears where products.packedBytes(out: linear.out, in: linear.width, form) == nil {
      throw KluereError(
        .unsupported, "weights: \(form.name) for a layer of \(linear.width) inputs, expected at most 65536")
    }
    return try context.exclusive { () throws(KluereError) in
      let places = try NarrowPlaces(layout, form)
      let memory = try MappedFile(count: places.count) { (base) throws(KluereError) in
        var narrower = WeightNarrower(form, products, context.backend, word: layout.word)
        for (number, slot) in layout.tensors.enumerated() {
          let place = places.values[number]
          if !layout.isNarrow(slot) {
            let values = (base + place).bindMemory(to: Float.self, capacity: slot.count)
            try weights.read(number, into: UnsafeMutableBufferPointer(start: values, count: slot.count))
            continue
          }
          let scales = places.scales[number].map { (base + $0).bindMemory(to: Float.self, capacity: slot.rows) }
          try narrower.narrow(weights.part(number), into: base + place, scales: scales)
        }
      }
      var (sources, scales): ([StoredTensor?], [StoredTensor?]) = ([], [])
      for (number, slot) in layout.tensors.enumerated() {
        let type = layout.isNarrow(slot) ? WeightNarrower.elementType(form) : .f32
        sources.append(
          StoredTensor(
            name: slot.name, type: type, shape: slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns],
            elementCount: slot.count, begin: places.values[number], in: memory))
        scales.append(
          places.scales[number].map { place in
            StoredTensor(
              name: slot.name + TensorNames.scales, type: .f32, shape: [slot.rows], elementCount: slot.rows,
              begin: place, in: memory)
          })
      }
      return try Model(
        context: context, configuration: configuration, tokenizer: tokenizer, labels: labels, layout: layout,
        weights: ModelWeights(
          arena: try FloatStorage(count: layout.count, on: context.backend, for: "weights"), layout, pending: sources,
          scales: scales, form: form.stored, on: context.backend),
        newlyInitialized: newlyInitialized, unusedTensors: unusedTensors, extras: extras)
    }
  }
}

/// Where each tensor and its scales stand in one block of memory.
private struct NarrowPlaces {
  var values: [Int] = []
  var scales: [Int?] = []
  var count = 0

  init(_ layout: ParameterLayout, _ form: WeightForm) throws(KluereError) {
    for slot in layout.tensors {
      let isNarrow = layout.isNarrow(slot)
      values.append(try take(slot.count, bytes: isNarrow ? form.bytes : MemoryLayout<Float>.size))
      scales.append(isNarrow && form.stored == .int8 ? try take(slot.rows, bytes: MemoryLayout<Float>.size) : nil)
    }
  }

  private mutating func take(_ elements: Int, bytes: Int) throws(KluereError) -> Int {
    guard let size = elements.product(bytes)?.sum(63), let end = count.sum(size / 64 * 64) else {
      throw KluereError(.outOfMemory, "weights: they do not fit in memory")
    }
    defer { count = end }
    return count
  }
}

package import KluereBase

extension Safetensors {
  /// A tensor to be written; `values` are borrowed.
  package struct FloatTensor {
    package let name: String
    package let shape: [Int]
    package let values: UnsafeBufferPointer<Float>

    package init(name: String, shape: [Int], values: UnsafeBufferPointer<Float>) {
      self.name = name
      self.shape = shape
      self.values = values
    }
  }

  /// Adds the file `name` to `folder`, byte for byte as safetensors' own library writes these tensors: in the order of
  /// their names, the header padded with spaces to a multiple of 8 bytes. The values are written from where they lie.
  package static func write(
    _ name: String, to folder: AtomicDirectory, tensors: [FloatTensor],
    metadata: [(key: String, value: String)] = [("format", "pt")]
  ) throws(KluereError) {
    let sorted = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    let header = try header(sorted, metadata)
    // withUnsafeBytes cannot carry a typed error out.
    var failure: KluereError?
    header.withUnsafeBytes { header in
      do throws(KluereError) {
        try folder.add(name, slices: [header] + sorted.map { UnsafeRawBufferPointer($0.values) })
      } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// The length in 8 bytes and the header.
  private static func header(
    _ tensors: [FloatTensor], _ metadata: [(key: String, value: String)]
  ) throws(KluereError) -> [UInt8] {
    var writer = JSONWriter(indent: nil)
    writer.beginObject()
    if !metadata.isEmpty {
      writer.key("__metadata__")
      writer.beginObject()
      for entry in metadata {
        writer.key(entry.key)
        writer.string(entry.value)
      }
      writer.endObject()
    }
    var place = 0
    for tensor in tensors {
      var count: Int? = 1
      for size in tensor.shape { count = count?.product(size) }
      guard count == tensor.values.count, let bytes = tensor.values.count.product(4), let end = place.sum(bytes) else {
        throw KluereError(
          .internal, "\(tensor.name): \(tensor.values.count) values do not fit the shape \(tensor.shape)")
      }
      writer.key(tensor.name)
      writer.beginObject()
      writer.key("dtype")
      writer.string(ElementType.f32.rawValue)
      writer.key("shape")
      array(tensor.shape, &writer)
      writer.key("data_offsets")
      array([place, end], &writer)
      writer.endObject()
      place = end
    }
    writer.endObject()
    var text = writer.finish()
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
  }

  private static func array(_ numbers: [Int], _ writer: inout JSONWriter) {
    writer.beginArray()
    for number in numbers { writer.integer(number) }
    writer.endArray()
  }
}

package import KluereBase

extension Safetensors {
  /// A tensor to be written; `bytes` are borrowed.
  package struct OutputTensor {
    package let name: String
    package let type: ElementType
    package let shape: [Int]
    package let bytes: UnsafeRawBufferPointer

    package init(name: String, shape: [Int], values: UnsafeBufferPointer<Float>) {
      self.init(name: name, type: .f32, shape: shape, bytes: UnsafeRawBufferPointer(values))
    }

    /// Row-major, little-endian.
    package init(name: String, type: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer) {
      self.name = name
      self.type = type
      self.shape = shape
      self.bytes = bytes
    }
  }

  /// Adds the file `name` to `folder`, byte for byte as safetensors' own library writes these tensors: wider types first,
  /// then in the order of their names, the header padded with spaces to a multiple of 8 bytes. The values are written from
  /// where they lie.
  package static func write(
    _ name: String, to folder: AtomicDirectory, tensors: [OutputTensor],
    metadata: [(key: String, value: String)] = [("format", "pt")]
  ) throws(KluereError) {
    let sorted = tensors.sorted { a, b in
      a.type.rank != b.type.rank ? a.type.rank > b.type.rank : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    let header = try header(sorted, metadata)
    // withUnsafeBytes cannot carry a typed error out.
    var failure: KluereError?
    header.withUnsafeBytes { header in
      do throws(KluereError) {
        try folder.add(name, slices: [header] + sorted.map(\.bytes))
      } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// The length in 8 bytes and the header.
  private static func header(
    _ tensors: [OutputTensor], _ metadata: [(key: String, value: String)]
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
      guard let bytes = count?.product(tensor.type.size), bytes == tensor.bytes.count, let end = place.sum(bytes) else {
        throw KluereError(
          .internal, "\(tensor.name): \(tensor.bytes.count) bytes do not fit the shape \(tensor.shape)")
      }
      writer.key(tensor.name)
      writer.beginObject()
      writer.key("dtype")
      writer.string(tensor.type.rawValue)
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

extension ElementType {
  /// The order in which safetensors' own library sorts types: that of their declaration there.
  fileprivate var rank: Int {
    let order: [ElementType] = [
      .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .i16, .u16, .f16, .bf16, .i32, .u32, .f32, .c64, .f64, .i64, .u64,
    ]
    return order.firstIndex(of: self) ?? 0
  }
}

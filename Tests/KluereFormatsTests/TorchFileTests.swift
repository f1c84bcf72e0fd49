import KluereBase
import KluereFormats
import Testing

/// Files that torch.save wrote; see Tests/torch_files/make.py.
private let files = "\(#filePath)".replacingSuffix("KluereFormatsTests/TorchFileTests.swift", by: "torch_files/")

extension String {
  fileprivate func replacingSuffix(_ suffix: String, by other: String) -> String {
    hasSuffix(suffix) ? dropLast(suffix.count) + other : self
  }
}

private func tensors(_ bytes: [UInt8]) throws(KluereError) -> [StoredTensor] {
  let result: Result<[StoredTensor], KluereError> = bytes.withUnsafeBytes { raw in
    do throws(KluereError) {
      return .success(try WeightFiles.read(try MappedFile(copying: raw), name: "x.bin"))
    } catch { return .failure(error) }
  }
  return try result.get()
}

private func message(_ name: String) throws -> String? {
  let bytes = try Files.readAll(files + name)
  return failure { () throws(KluereError) in _ = try tensors(bytes) }.map { "\($0.status): \($0.message)" }
}

@Suite struct TorchFileTests {
  @Test(arguments: [
    "zip.bin", "zip_protocol4.bin", "zip_protocol5.bin", "legacy.bin", "legacy_protocol4.bin", "nested.bin",
  ]) func `every tensor of a state dict is what torch says`(name: String) throws {
    let golden = try JSON(try Files.readAll(files + "golden.json"), name: "golden.json").root
    let read = try tensors(try Files.readAll(files + name))
    #expect(Set(read.map(\.name)) == Set(golden.members.compactMap(\.key.string)))
    let types = ["float32": ElementType.f32, "float16": .f16, "bfloat16": .bf16, "float64": .f64, "int64": .i64]
    for tensor in read {
      let expected = try #require(golden[tensor.name])
      #expect(tensor.shape == (expected["shape"]?.elements.compactMap(\.int) ?? []), "\(tensor.name)")
      #expect(tensor.type == expected["type"]?.string.flatMap { types[$0] }, "\(tensor.name)")
      guard let values = expected["values"], !values.isNull else { continue }
      var floats = [Float](repeating: .nan, count: tensor.elementCount)
      try tensor.readFloats(into: &floats)
      let hex = floats.map { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes in
          bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
      }
      #expect(hex == values.elements.compactMap(\.string), "\(tensor.name)")
    }
  }

  @Test func `nothing is imported: what a pickle asks for is named and refused`() throws {
    for name in ["evil.bin", "evil_legacy.bin"] {
      let text = try #require(try message(name))
      #expect(text.hasPrefix("unsupported: ") && text.contains("asks for __builtin__.print"), "\(text)")
    }
  }

  @Test func `compressed entries, another byte order and cut storages are named`() throws {
    #expect(try message("compressed.bin")?.contains("compressed (method 8)") == true)
    #expect(try message("big_endian.bin")?.contains("byte order") == true)
    #expect(try message("cut_storage.bin")?.contains("is missing or cut") == true)
  }

  @Test(arguments: ["zip.bin", "legacy.bin", "nested.bin"]) func `every cut is an error`(name: String) throws {
    let bytes = try Files.readAll(files + name)
    for length in 0..<bytes.count {
      #expect(failure { () throws(KluereError) in _ = try tensors(Array(bytes[..<length])) } != nil, "\(length)")
    }
  }

  @Test(arguments: ["zip.bin", "legacy.bin"]) func `flipped bits give an error or tensors inside the file`(
    name: String
  ) throws {
    let bytes = try Files.readAll(files + name)
    for place in bytes.indices {
      var changed = bytes
      changed[place] ^= 1 << UInt8(place % 8)
      _ = failure { () throws(KluereError) in
        for tensor in try tensors(changed) where tensor.type.isFloat {
          var floats = [Float](repeating: 0, count: tensor.elementCount)
          try tensor.readFloats(into: &floats)
        }
      }
    }
  }

  @Test func `a pickle that multiplies shared lists takes no memory`() {
    // A list of one pair, then the list twice in a list, ...: plain sharing is free. An OrderedDict of it is not made.
    var pickle: [UInt8] = [0x80, 2]
    pickle += Array("ccollections\nOrderedDict\nq".utf8) + [0]
    pickle += Array("](".utf8)
    for _ in 0..<200 { pickle += [UInt8(ascii: "K"), 1, UInt8(ascii: "K"), 2, 0x86] }
    pickle += [UInt8(ascii: "e"), 0x85, UInt8(ascii: "q"), 1, UInt8(ascii: "0")]
    for _ in 0..<2000 { pickle += Array("h".utf8) + [0] + Array("h".utf8) + [1] + Array("R".utf8) }
    pickle += Array(".".utf8)
    // The older form: magic number, version, system, object.
    let head: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
    let version: [UInt8] = [0x80, 2, UInt8(ascii: "M"), 0xE9, 3, 0x2E]
    let system: [UInt8] = [0x80, 2, UInt8(ascii: "}"), 0x2E]
    let error = failure { () throws(KluereError) in _ = try tensors(head + version + system + pickle) }
    #expect(error?.message.contains("larger than the file") == true, "\(error?.message ?? "none")")
  }
}

@Suite struct WeightFilesTests {
  private func safetensors(_ name: String) -> [UInt8] {
    let header = Array("{\"\(name)\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}".utf8)
    return withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header + [0, 0, 0x80, 0x3F]
  }

  private func open(_ folder: TemporaryFolder) throws(KluereError) -> WeightFiles {
    try WeightFiles(directory: folder.path, readIntoMemory: true)
  }

  @Test func `shards are read by their index`() throws {
    let folder = try TemporaryFolder()
    try folder.write("a.safetensors", safetensors("one"))
    try folder.write("b.bin", try Files.readAll(files + "legacy.bin"))
    try folder.write(
      "model.safetensors.index.json", Array(#"{"weight_map":{"one":"a.safetensors","half":"b.bin"}}"#.utf8))
    let read = try open(folder)
    #expect(read.tensors.count == 13 && read.tensor("one") != nil && read.tensor("half")?.type == .f16)
    #expect(read.tensor("two") == nil)
  }

  @Test func `one file comes before shards, safetensors before bin`() throws {
    let folder = try TemporaryFolder()
    #expect(
      failure { () throws(KluereError) in _ = try open(folder) }?.message.hasSuffix(
        "no weights: none of model.safetensors, model.safetensors.index.json, pytorch_model.bin, "
          + "pytorch_model.bin.index.json is there") == true)
    try folder.write("pytorch_model.bin", try Files.readAll(files + "zip.bin"))
    #expect(try open(folder).tensors.count == 12)
    try folder.write("model.safetensors", safetensors("one"))
    #expect(try open(folder).tensors.map(\.name) == ["one"])
  }

  @Test(arguments: [
    (#"{"weight_map":{}}"#, "weight_map is empty"), (#"{}"#, "weight_map is missing"),
    (#"{"weight_map":{"one":"../a.safetensors"}}"#, "expected a file of the folder"),
    (#"{"weight_map":{"one":".."}}"#, "expected a file of the folder"),
    (#"{"weight_map":{"one":""}}"#, "expected a file of the folder"),
    (#"{"weight_map":{"one":1}}"#, "expected names of files"),
    (#"{"weight_map":{"two":"a.safetensors"}}"#, "should stand in a.safetensors, but does not"),
    (#"{"weight_map":{"one":"c.safetensors"}}"#, "No such file"),
    (#"{"weight_map":{"one":"a.safetensors","x":"b.safetensors"}}"#, "should stand in b.safetensors"),
    (#"{"weight_map":{"one":"a.safetensors","one":"b.safetensors"}}"#, "one"),
  ]) func `a wrong index is named`(index: String, expected: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("a.safetensors", safetensors("one"))
    try folder.write("b.safetensors", safetensors("one"))
    try folder.write("model.safetensors.index.json", Array(index.utf8))
    let error = failure { () throws(KluereError) in _ = try open(folder) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "none")")
  }
}

@Suite struct HalfFloatTests {
  @Test func `every half float widens and comes back with its bits`() {
    for bits in UInt16.min...UInt16.max {
      #expect(HalfFloat.exactly(HalfFloat.widened(bits)) == bits)
    }
    for value: Float in [0.1, 65536, 1e-8, 1e30, 6.1e-5 + 1e-12] { #expect(HalfFloat.exactly(value) == nil) }
  }
}

import KluereBase
import KluereFormats
import Testing

/// A file of this header, which is padded here, and this data.
private func file(_ header: String, _ data: [UInt8] = []) -> [UInt8] {
  var text = Array(header.utf8)
  while text.count % 8 != 0 { text.append(0x20) }
  return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + data
}

private func open(_ bytes: [UInt8], _ folder: TemporaryFolder) throws(KluereError) -> Safetensors {
  try folder.write("x.safetensors", bytes)
  return try Safetensors(
    file: try MappedFile(path: folder.path + "/x.safetensors", readIntoMemory: true), name: "x.safetensors")
}

private func write(
  _ tensors: [(String, [Int], [Float])], _ folder: TemporaryFolder
) throws(KluereError) -> [UInt8] {
  // Leaked: a few bytes, which must stay while the tensors are written.
  let views = tensors.map { name, shape, values in
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(values.count, 1))
    _ = copy.initialize(from: values)
    return Safetensors.OutputTensor(
      name: name, shape: shape, values: UnsafeBufferPointer(rebasing: copy[..<values.count]))
  }
  let target = try AtomicDirectory(folder.path + "/m", replacing: ["t.safetensors"])
  try Safetensors.write("t.safetensors", to: target, tensors: views)
  try target.commit()
  return try Files.readAll(folder.path + "/m/t.safetensors")
}

@Suite struct SafetensorsTests {
  @Test func `the file is what safetensors' own library writes`() throws {
    let folder = try TemporaryFolder()
    let bytes = try write(
      [("b", [2], [1, -2]), ("a.\"x\"", [1, 2], [0.5, 0]), ("가", [], [3]), ("empty", [0, 3], [])], folder)
    // save_file({...}, metadata={"format": "pt"}) of safetensors 0.8 gave this header for the same tensors.
    let header =
      #"{"__metadata__":{"format":"pt"},"a.\"x\"":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"#
      + #""b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"empty":{"dtype":"F32","shape":[0,3],"#
      + #""data_offsets":[16,16]},"가":{"dtype":"F32","shape":[],"data_offsets":[16,20]}}"#
    let data = [0.5, 0, 1, -2, 3].flatMap { value in
      withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { Array($0) }
    }
    #expect(bytes == file(header, data))
  }

  @Test func `what is written reads back`() throws {
    let folder = try TemporaryFolder()
    let bytes = try write([("b", [2, 2], [1, 2, 3, 4]), ("a", [1], [7])], folder)
    let read = try open(bytes, folder)
    #expect(read.tensors.map(\.name) == ["a", "b"])
    #expect(read.metadata == ["format": "pt"])
    #expect(read.tensor("b")?.shape == [2, 2] && read.tensor("c") == nil)
    var values = [Float](repeating: 0, count: 4)
    try read.readFloats("b", into: &values)
    #expect(values == [1, 2, 3, 4])
    var small = [Float](repeating: 0, count: 3)
    #expect(failure { () throws(KluereError) in try read.readFloats("b", into: &small) }?.status == .internal)
    #expect(failure { () throws(KluereError) in try read.readFloats("c", into: &values) }?.status == .badFormat)
  }

  @Test func `half floats are widened exactly`() throws {
    // Bit patterns and values of IEEE binary16: zeros, smallest subnormal, largest subnormal, 1, -2, largest, infinity.
    let halves: [UInt16] = [0, 0x8000, 0x0001, 0x83FF, 0x3C00, 0xC000, 0x7BFF, 0x7C00, 0x3555]
    let expected: [Float] = [0, -0.0, 0x1p-24, -0x1.ff8p-15, 1, -2, 65504, .infinity, 0x1.554p-2]
    let brains: [UInt16] = [0x3F80, 0xC000, 0x7F80, 0x0001]
    let data = (halves + brains).flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] } + [UInt8](repeating: 0, count: 8)
    let header =
      #"{"h":{"dtype":"F16","shape":[9],"data_offsets":[0,18]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[18,26]},"#
      + #""i":{"dtype":"I64","shape":[1],"data_offsets":[26,34]}}"#
    let folder = try TemporaryFolder()
    let read = try open(file(header, data), folder)
    var values = [Float](repeating: 0, count: 9)
    try read.readFloats("h", into: &values)
    #expect(values.map(\.bitPattern) == expected.map(\.bitPattern))
    try read.readFloats("b", into: &values)
    #expect(Array(values.prefix(4)).map(\.bitPattern) == [0x3F80_0000, 0xC000_0000, 0x7F80_0000, 0x0001_0000])
    #expect(failure { () throws(KluereError) in try read.readFloats("i", into: &values) }?.status == .unsupported)
  }

  @Test(arguments: [
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,  // shape and size differ
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,  // a hole at the beginning
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,  // a rest at the end
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,  // behind the end
    #"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[2]}}"#, #"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, #"{"a":7}"#, "{}", "[]", "{",
    #"{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
    #"{"__metadata__":7,"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
  ])
  func `a header that does not fit the data is refused`(header: String) throws {
    let folder = try TemporaryFolder()
    let error = failure { () throws(KluereError) in _ = try open(file(header, [UInt8](repeating: 0, count: 8)), folder)
    }
    #expect(error?.status == .badFormat)
    #expect(error?.message.hasPrefix("x.safetensors: ") == true)
  }

  @Test func `an element type that nobody knows is refused as unsupported`() throws {
    let folder = try TemporaryFolder()
    let header = #"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#
    #expect(failure { () throws(KluereError) in _ = try open(file(header, [0]), folder) }?.status == .unsupported)
  }

  @Test func `a header length that cannot be is refused`() throws {
    let folder = try TemporaryFolder()
    for length in [UInt64.max, 1 << 63, 100_000_001, 17, 0] {
      let bytes = withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array("{}              ".utf8)
      #expect(failure { () throws(KluereError) in _ = try open(bytes, folder) }?.status == .badFormat)
    }
    #expect(failure { () throws(KluereError) in _ = try open([1, 2, 3], folder) }?.status == .badFormat)
    #expect(failure { () throws(KluereError) in _ = try open([], folder) }?.status == .badFormat)
  }

  @Test func `damaged files give errors but no trap`() throws {
    let folder = try TemporaryFolder()
    let original = try write([("b", [2, 2], [1, 2, 3, 4]), ("a", [3], [7, 8, 9])], folder)
    var refused = 0
    var values = [Float](repeating: 0, count: 16)
    for bytes in mutations(original, count: 600, seed: 4) {
      let error = failure { () throws(KluereError) in
        let read = try open(bytes, folder)
        for tensor in read.tensors { try read.readFloats(tensor.name, into: &values) }
      }
      if error != nil { refused += 1 }
    }
    #expect(refused > 300)
  }
}

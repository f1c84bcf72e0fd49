// One reader under libFuzzer, chosen at build time by -D FUZZ_...; see run.sh. Whatever the bytes are, a reader returns a
// value or throws a KluereError: anything else is found by libFuzzer and the address sanitizer.
import KluereBase
import KluereFormats

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
  try? read(UnsafeRawBufferPointer(start: data, count: size))
  return 0
}

#if FUZZ_JSON
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    let json = try JSON(Array(bytes), name: "fuzz")
    walk(json.root)
  }

  /// Every member and element, without recursion.
  private func walk(_ root: JSON.Value) {
    var left = [root]
    while let value = left.popLast() {
      _ = (value.string, value.int, value.double, value.bool, value.place)
      left += value.elements
      for member in value.members {
        _ = member.key.string
        left.append(member.value)
      }
    }
  }
#elseif FUZZ_SAFETENSORS
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    let file = try Safetensors(file: try MappedFile(copying: bytes), name: "fuzz")
    for tensor in file.tensors.prefix(64) {
      var values = [Float](repeating: 0, count: tensor.elementCount)
      try? file.readFloats(tensor.name, into: &values)
    }
  }
#endif

// One reader under libFuzzer, chosen at build time by -D FUZZ_...; see run.sh. Whatever the bytes are, a reader returns a
// value or throws a KluereError: anything else is found by libFuzzer and the address sanitizer.
import KluereBase
import KluereFormats
import KluereText

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
  try? read(UnsafeRawBufferPointer(start: data, count: size))
  return 0
}

#if FUZZ_TOKENIZER
  import KluereModel

  /// A tokenizer.json, then the bytes themselves as a text, and its tokens as text again.
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    let tokenizer = try TokenizerFolder.open(file: "fuzz.json", Array(bytes), addedSpecialTokens: [])
    var tokens: [Token] = []
    var text = String(decoding: bytes.suffix(512), as: Swift.UTF8.self)
    try text.withUTF8 { try tokenizer.tokenize($0, allowSpecial: true, into: &tokens) }
    _ = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: true)
  }
#elseif FUZZ_JSON
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
#elseif FUZZ_INDEX
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    _ = try WeightFiles.readIndex(Array(bytes), path: "fuzz")
  }
#elseif FUZZ_WEIGHTS
  /// safetensors, and both forms of torch.save: the first bytes tell.
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    for tensor in try WeightFiles.read(try MappedFile(copying: bytes), name: "fuzz").prefix(64) {
      var values = [Float](repeating: 0, count: tensor.elementCount)
      try? tensor.readFloats(into: &values)
    }
  }
#elseif FUZZ_SENTENCEPIECE
  /// A SentencePiece model, then the bytes themselves as a text, and its tokens as text again.
  private func read(_ bytes: UnsafeRawBufferPointer) throws {
    let tokenizer = try Tokenizer(
      sentencePiece: TokenizerFile(name: "fuzz", bytes: Array(bytes)), fairseq: bytes.count % 2 == 1,
      configuration: TokenizerConfiguration(), template: { SpecialTemplate(bertWith: $0, $1) })
    var tokens: [Token] = []
    var text = String(decoding: bytes.suffix(512), as: Swift.UTF8.self)
    try text.withUTF8 { try tokenizer.tokenize($0, allowSpecial: true, into: &tokens) }
    _ = try tokenizer.decode(tokens.map(\.id), skipSpecial: false, cleanUp: false)
  }
#endif

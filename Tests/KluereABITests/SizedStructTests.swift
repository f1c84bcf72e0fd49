import CKluere
import Testing

@testable import KluereABI

/// As a header might have it after two more versions: 8 bytes at first, then 16, then 24.
private struct Growing: BitwiseCopyable {
  var size: UInt32 = 0
  var first: Int32 = 1
  var second: Int64 = 2
  var third: Int64 = 3
}

/// A caller's memory of `count` bytes that begins with the size `structSize`.
private func memory(_ count: Int, structSize: Int, fill: UInt8 = 0) -> [UInt64] {
  var words = [UInt64](repeating: UInt64(fill) &* 0x0101_0101_0101_0101, count: (count + 7) / 8)
  words.withUnsafeMutableBytes { $0.storeBytes(of: UInt32(structSize), as: UInt32.self) }
  return words
}

private func read(_ words: [UInt64]) throws -> Growing {
  try words.withUnsafeBytes { bytes in
    try SizedStruct.read(
      bytes.baseAddress?.assumingMemoryBound(to: Growing.self), "options", firstSize: 8, defaults: Growing())
  }
}

struct SizedStructTests {
  @Test func `an older caller's struct leaves the newer fields at their defaults`() throws {
    var words = memory(8, structSize: 8)
    words.withUnsafeMutableBytes { $0.storeBytes(of: 77, toByteOffset: 4, as: Int32.self) }
    let value = try read(words)
    #expect(value.first == 77 && value.second == 2 && value.third == 3)
    words = memory(16, structSize: 16)
    words[1] = 88
    #expect(try read(words).second == 88)
    #expect(try read(words).third == 3)
  }

  @Test func `a newer caller's struct passes while the unknown tail is zero`() throws {
    var words = memory(40, structSize: 40)
    words[2] = 99
    #expect(try read(words).third == 99)
    for place in 24..<40 {
      var changed = words
      changed.withUnsafeMutableBytes { $0[place] = 1 }
      #expect(throws: (any Error).self) { try read(changed) }
    }
  }

  @Test(arguments: [0, 1, 4, 7, 4097, 1 << 20, Int(UInt32.max)])
  func `a size that no version has is refused`(size: Int) {
    #expect(throws: (any Error).self) { try read(memory(64, structSize: size)) }
  }

  @Test func `NULL means the defaults`() throws {
    let value = try SizedStruct<Growing>.read(nil, "options", firstSize: 8, defaults: Growing())
    #expect(value.second == 2)
  }

  @Test(arguments: [8, 16, 24, 32, 64]) func `nothing is written beyond the caller's size`(size: Int) throws {
    for isInit in [true, false] {
      var words = memory(80, structSize: size, fill: 0xAA)
      try words.withUnsafeMutableBytes { bytes in
        let pointer = bytes.baseAddress?.assumingMemoryBound(to: Growing.self)
        let value = Growing(size: 5, first: 6, second: 7, third: 8)
        if isInit {
          try SizedStruct.initialize(pointer, size, firstSize: 8, defaults: value)
        } else {
          try SizedStruct.Out(pointer, "out", firstSize: 8).store(value)
        }
      }
      words.withUnsafeBytes { bytes in
        #expect(bytes.load(as: UInt32.self) == UInt32(size))
        #expect(bytes.load(fromByteOffset: 4, as: Int32.self) == 6)
        if size > 8 { #expect(words[1] == 7) }
        if size > 16 { #expect(words[2] == 8) }
        for place in 24..<max(size, 24) { #expect(bytes[place] == 0) }
        for place in size..<80 { #expect(bytes[place] == 0xAA) }
      }
    }
  }

  @Test func `programs compiled before a struct grew still work`() {
    var config = kluere_model_config()
    config.task = 7
    #expect(kluere_model_config_init(&config, 64) == KLUERE_OK)
    #expect(config.struct_size == 64 && config.task == 7 && config.seed == 42)
    #expect(kluere_model_config_init(&config, 63) == KLUERE_ERR_INVALID_ARGUMENT)
    var options = kluere_model_open_options()
    options.task = 7
    #expect(kluere_model_open_options_init(&options, 40) == KLUERE_OK)
    #expect(options.struct_size == 40 && options.task == 7 && options.input_form == -1)
    #expect(kluere_model_open_options_init(&options, 39) == KLUERE_ERR_INVALID_ARGUMENT)
    var training = kluere_train_options()
    training.precision = 7
    #expect(kluere_train_options_init(&training, 160) == KLUERE_OK)
    #expect(training.struct_size == 160 && training.precision == 7 && training.batch_sentences == 32)
    #expect(kluere_train_options_init(&training, 159) == KLUERE_ERR_INVALID_ARGUMENT)
    var predictor = kluere_predictor_options()
    predictor.decoding = 7
    #expect(kluere_predictor_options_init(&predictor, 16) == KLUERE_OK)
    #expect(predictor.struct_size == 16 && predictor.decoding == 7 && predictor.batch_tokens == 8192)
    #expect(kluere_predictor_options_init(&predictor, 15) == KLUERE_ERR_INVALID_ARGUMENT)
  }

  // The sizes and offsets below are the promise to programs that are compiled already.
  @Test func `the structs of the header have the sizes of version 1`() {
    #expect(MemoryLayout<kluere_context_options>.size == 32)
    #expect(MemoryLayout<kluere_context_info>.size == 32)
    #expect(MemoryLayout<kluere_entity>.size == 32)
    #expect(MemoryLayout<kluere_example>.size == 144)
    #expect(MemoryLayout<kluere_dataset_options>.size == 32)
    #expect(MemoryLayout<kluere_tokenizer_options>.size == 24)
    #expect(MemoryLayout<kluere_encode_options>.size == 16)
    #expect(MemoryLayout<kluere_token>.size == 32)
    #expect(MemoryLayout<kluere_model_config>.size == 112)
    #expect(MemoryLayout<kluere_model_open_options>.size == 96)
    #expect(MemoryLayout<kluere_tensor_info>.size == 40)
    #expect(MemoryLayout<kluere_predictor_options>.size == 40)
    #expect(MemoryLayout<kluere_decoding_options>.size == 64)
    #expect(MemoryLayout<kluere_decoding_report>.size == 128)
    #expect(MemoryLayout<kluere_select_options>.size == 48)
    #expect(MemoryLayout<kluere_pipeline_member>.size == 32)
    #expect(MemoryLayout<kluere_pipeline_options>.size == 40)
    #expect(MemoryLayout<kluere_metrics_options>.size == 16)
    #expect(MemoryLayout<kluere_metrics>.size == 64)
    #expect(MemoryLayout<kluere_class_metrics>.size == 56)
    #expect(MemoryLayout<kluere_loss_options>.size == 160)
    #expect(MemoryLayout<kluere_pseudo_label_options>.size == 48)
    #expect(MemoryLayout<kluere_train_options>.size == 272)
    #expect(MemoryLayout<kluere_step_info>.size == 96)
    #expect(MemoryLayout<kluere_train_event>.size == 40)
    #expect(MemoryLayout<kluere_train_options>.offset(of: \.output_directory) == 152)
    #expect(MemoryLayout<kluere_model_config>.offset(of: \.seed) == 56)
    #expect(MemoryLayout<kluere_model_open_options>.offset(of: \.added_special_tokens) == 48)
    #expect(MemoryLayout<kluere_example>.offset(of: \.source_length) == 120)
  }
}

public import CKluere
internal import KluereBase
internal import KluereModel
internal import KluereText

/// kluere_tokenizer
final class TokenizerObject: Handled {
  static let kind: UInt32 = 0x4B54_4F4B
  static let typeName = "kluere_tokenizer"
  let tokenizer: Tokenizer

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }
}

private func defaultTokenizerOptions() -> kluere_tokenizer_options {
  kluere_tokenizer_options(
    struct_size: UInt32(MemoryLayout<kluere_tokenizer_options>.size), reserved: 0, added_special_tokens: nil,
    added_special_token_count: 0)
}

private func defaultEncodeOptions() -> kluere_encode_options {
  kluere_encode_options(
    struct_size: UInt32(MemoryLayout<kluere_encode_options>.size), flags: KLUERE_ENCODE_ADD_SPECIAL.asFlags,
    max_tokens: 0, offset_unit: Int32(KLUERE_OFFSETS_BYTES))
}

@_cdecl("kluere_tokenizer_options_init")
public func tokenizerOptionsInit(
  _ options: UnsafeMutablePointer<kluere_tokenizer_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaultTokenizerOptions())
  }
}

@_cdecl("kluere_tokenizer_open")
public func tokenizerOpen(
  _ context: OpaquePointer?, _ pathPointer: UnsafePointer<CChar>?,
  _ options: UnsafePointer<kluere_tokenizer_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TokenizerObject>(out)
    _ = try Handle<ContextObject>.borrow(context, "context")
    let path = try path(pathPointer, "path")
    let options = try SizedStruct.read(options, "options", defaults: defaultTokenizerOptions())
    let added = try texts(options.added_special_tokens, options.added_special_token_count, "added_special_tokens")
    try out.store(TokenizerObject(try TokenizerFolder.open(path, addedSpecialTokens: added ?? [])))
  }
}

@_cdecl("kluere_tokenizer_destroy")
public func tokenizerDestroy(_ tokenizer: OpaquePointer?) { Handle<TokenizerObject>.destroy(tokenizer) }

@_cdecl("kluere_tokenizer_vocabulary_size")
public func tokenizerVocabularySize(_ tokenizer: OpaquePointer?) -> Int {
  value(otherwise: 0) { () throws(KluereError) in
    try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer.vocabularySize
  }
}

@_cdecl("kluere_tokenizer_token")
public func tokenizerToken(_ tokenizer: OpaquePointer?, _ id: Int32) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer.tokenCString(id)
  }
}

@_cdecl("kluere_tokenizer_id")
public func tokenizerID(_ tokenizer: OpaquePointer?, _ token: UnsafePointer<CChar>?) -> Int32 {
  value(otherwise: -1) { () throws(KluereError) in
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let token = try text(token, nulTerminated, "token")
    return tokenizer.id(of: String(decoding: token, as: Unicode.UTF8.self)) ?? -1
  }
}

@_cdecl("kluere_encode_options_init")
public func encodeOptionsInit(
  _ options: UnsafeMutablePointer<kluere_encode_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaultEncodeOptions())
  }
}

@_cdecl("kluere_tokenizer_encode")
public func tokenizerEncode(
  _ tokenizer: OpaquePointer?, _ textPointer: UnsafePointer<CChar>?, _ textLength: Int,
  _ pairPointer: UnsafePointer<CChar>?, _ pairLength: Int, _ options: UnsafePointer<kluere_encode_options>?,
  _ out: UnsafeMutablePointer<kluere_token>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let options = try SizedStruct.read(options, "options", defaults: defaultEncodeOptions())
    let flags = try flags(options.flags, known: 7, "flags")
    let unit = try offsetUnit(options.offset_unit, "offset_unit")
    let first = try text(textPointer, textLength, "text")
    let pair = try optionalText(pairPointer, pairLength, "pair")
    var maximum: Int?
    if flags & KLUERE_ENCODE_TRUNCATE.asFlags != 0 {
      maximum = options.max_tokens > 0 ? Int(options.max_tokens) : tokenizer.configuration.modelMaxLength
    }
    var tokens: [EncodedToken] = []
    try tokenizer.encode(
      first, pair: pair, addSpecial: flags & KLUERE_ENCODE_ADD_SPECIAL.asFlags != 0,
      allowSpecial: flags & KLUERE_ENCODE_ALLOW_SPECIAL.asFlags != 0, truncateTo: maximum, into: &tokens)
    try TokenOut(out, capacity, count).store(tokens, [first, pair], unit)
  }
}

@_cdecl("kluere_tokenizer_decode")
public func tokenizerDecode(
  _ tokenizer: OpaquePointer?, _ ids: UnsafePointer<Int32>?, _ count: Int, _ flagsValue: UInt32,
  _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ needed: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let needed = try required(needed, "needed")
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let ids = try array(ids, count, "ids")
    let flags = try flags(flagsValue, known: 3, "flags")
    var text = try tokenizer.decode(
      Array(ids), skipSpecial: flags & KLUERE_DECODE_SKIP_SPECIAL.asFlags != 0,
      cleanUp: flags & KLUERE_DECODE_CLEAN_UP.asFlags != 0)
    text.append(0)
    needed.pointee = text.count
    let out = try output(buffer, capacity: capacity, needed: text.count, "buffer")
    text.withUnsafeBytes { UnsafeMutableRawBufferPointer(out).copyMemory(from: $0) }
  }
}

/// The caller's array of tokens, and the count that is written even when the array is too small.
struct TokenOut {
  private let pointer: UnsafeMutablePointer<kluere_token>?
  private let capacity: Int
  private let count: UnsafeMutablePointer<Int>

  init(_ pointer: UnsafeMutablePointer<kluere_token>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>) {
    self.pointer = pointer
    self.capacity = capacity
    self.count = count
  }

  /// `texts`: those that `sequence` 0 and 1 mean; offsets are given in `unit`.
  func store(
    _ tokens: [EncodedToken], _ texts: [UnsafeBufferPointer<UInt8>?], _ unit: OffsetUnit
  ) throws(KluereError) {
    count.pointee = tokens.count
    let out = try output(pointer, capacity: capacity, needed: tokens.count)
    // Begins ascend within a text, and so do ends: one pass each.
    var begins = texts.map { OffsetMap($0 ?? UnsafeBufferPointer(start: nil, count: 0), from: .bytes, to: unit) }
    var ends = begins
    for (place, token) in tokens.enumerated() {
      var (begin, end) = (token.begin, token.end)
      if unit != .bytes, let sequence = Int(exactly: token.sequence), begins.indices.contains(sequence) {
        begin = try begins[sequence].convert(begin)
        end = try ends[sequence].convert(end)
      }
      out[place] = kluere_token(
        id: token.id, type_id: token.typeID, begin: begin, end: end, sequence: token.sequence, word: token.word)
    }
  }
}

extension FixedWidthInteger {
  /// The header's flags are unsigned constants that C imports as Int or UInt32.
  var asFlags: UInt32 { UInt32(truncatingIfNeeded: self) }
}

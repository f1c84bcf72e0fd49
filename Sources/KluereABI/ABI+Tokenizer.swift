public import CKluere
internal import KluereBase
internal import KluereCompute
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
      allowSpecial: flags & KLUERE_ENCODE_ALLOW_SPECIAL.asFlags != 0, truncateTo: maximum, unit: unit, into: &tokens)
    try TokenOut(out, capacity, count).store(tokens)
  }
}

@_cdecl("kluere_tokenizer_encode_batch")
public func tokenizerEncodeBatch(
  _ context: OpaquePointer?, _ tokenizer: OpaquePointer?, _ texts: UnsafePointer<UnsafePointer<CChar>?>?,
  _ lengths: UnsafePointer<Int>?, _ pairs: UnsafePointer<UnsafePointer<CChar>?>?, _ pairLengths: UnsafePointer<Int>?,
  _ count: Int, _ options: UnsafePointer<kluere_encode_options>?, _ ids: UnsafeMutablePointer<Int32>?,
  _ typeIDs: UnsafeMutablePointer<Int32>?, _ offsets: UnsafeMutablePointer<UInt32>?, _ capacity: Int,
  _ rowSplits: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let splits = try required(rowSplits, "row_splits")
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let options = try batchOptions(options, tokenizer)
    let first = try batchTexts(texts, "texts", lengths, "lengths", count)
    var second: [UnsafeBufferPointer<UInt8>]?
    if pairs != nil {
      second = try batchTexts(pairs, "pairs", pairLengths, "pair_lengths", count)
    } else if pairLengths != nil {
      throw KluereError(.invalidArgument, "pair_lengths is given but pairs is NULL")
    }
    let rows: [EncodedRows]
    if context.threadCount == 1 || first.count < 2 {
      rows = try tokenizer.encodeBatch(first, pairs: second, options, blocks: 1) { for item in 0..<$0 { $1(item) } }
    } else {
      // More blocks than threads: they end at about the same time.
      let blocks = min(first.count, context.threadCount * 4)
      rows = try context.exclusive { () throws(KluereError) in
        try tokenizer.encodeBatch(first, pairs: second, options, blocks: blocks) { context.backend.parallel($0, $1) }
      }
    }
    var (row, total) = (0, 0)
    splits[0] = 0
    for block in rows {
      for tokens in block.counts {
        total += tokens
        row += 1
        splits[row] = total
      }
    }
    let idsOut = try output(ids, capacity: capacity, needed: total, "ids")
    var place = 0
    for block in rows {
      guard let base = idsOut.baseAddress else { break }
      (base + place).update(from: block.ids, count: block.ids.count)
      if let typeIDs { (typeIDs + place).update(from: block.typeIDs, count: block.ids.count) }
      if let offsets { (offsets + 2 * place).update(from: block.offsets, count: block.offsets.count) }
      place += block.ids.count
    }
  }
}

private func batchOptions(
  _ pointer: UnsafePointer<kluere_encode_options>?, _ tokenizer: Tokenizer
) throws(KluereError) -> BatchEncodingOptions {
  let options = try SizedStruct.read(pointer, "options", defaults: defaultEncodeOptions())
  let flags = try flags(options.flags, known: 7, "flags")
  return BatchEncodingOptions(
    addSpecial: flags & KLUERE_ENCODE_ADD_SPECIAL.asFlags != 0,
    allowSpecial: flags & KLUERE_ENCODE_ALLOW_SPECIAL.asFlags != 0,
    truncateTo: flags & KLUERE_ENCODE_TRUNCATE.asFlags == 0
      ? nil : options.max_tokens > 0 ? Int(options.max_tokens) : tokenizer.configuration.modelMaxLength,
    unit: try offsetUnit(options.offset_unit, "offset_unit"))
}

/// Texts of a batch: valid UTF-8 whose offsets have 32 bits.
private func batchTexts(
  _ pointers: UnsafePointer<UnsafePointer<CChar>?>?, _ name: String, _ lengths: UnsafePointer<Int>?,
  _ lengthsName: String, _ count: Int
) throws(KluereError) -> [UnsafeBufferPointer<UInt8>] {
  let pointers = try array(pointers, count, name)
  let lengths = try lengths.map { pointer throws(KluereError) in try array(pointer, count, lengthsName) }
  var found: [UnsafeBufferPointer<UInt8>] = []
  found.reserveCapacity(pointers.count)
  for place in 0..<pointers.count {
    let length = lengths?[place] ?? nulTerminated
    guard let pointer = pointers[place] else { throw KluereError(.invalidArgument, "\(name)[\(place)] is NULL") }
    let bytes = try uncheckedText(pointer, length, name)
    if let invalid = UTF8.firstInvalid(bytes) {
      throw KluereError(.invalidUTF8, "\(name)[\(place)]: byte \(invalid) of \(bytes.count) is not valid UTF-8")
    }
    guard bytes.count <= Int(UInt32.max) else {
      throw KluereError(.unsupported, "\(name)[\(place)]: \(bytes.count) bytes, expected at most \(UInt32.max)")
    }
    found.append(bytes)
  }
  return found
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

  func store(_ tokens: [EncodedToken]) throws(KluereError) {
    count.pointee = tokens.count
    let out = try output(pointer, capacity: capacity, needed: tokens.count)
    for (place, token) in tokens.enumerated() {
      out[place] = kluere_token(
        id: token.id, type_id: token.typeID, begin: token.begin, end: token.end, sequence: token.sequence,
        word: token.word)
    }
  }
}

extension FixedWidthInteger {
  /// The header's flags are unsigned constants that C imports as Int or UInt32.
  var asFlags: UInt32 { UInt32(truncatingIfNeeded: self) }
}

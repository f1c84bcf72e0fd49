public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereModel
internal import KluereText

/// kluere_text
final class TextObject: Handled {
  static let kind: UInt32 = 0x4B54_5854
  static let typeName = "kluere_text"
  private let arena = TextArena()
  let text: UnsafeBufferPointer<UInt8>

  init(_ bytes: [UInt8]) throws(KluereError) {
    let arena = arena
    // withUnsafeBufferPointer cannot carry a typed error out.
    var copied: Result<UnsafeBufferPointer<UInt8>, KluereError> = .failure(KluereError(.internal, "no text"))
    bytes.withUnsafeBufferPointer { bytes in
      do throws(KluereError) { copied = .success(try arena.copy(bytes)) } catch { copied = .failure(error) }
    }
    text = try copied.get()
  }
}

@_cdecl("kluere_text_get")
public func textGet(_ text: OpaquePointer?, _ length: UnsafeMutablePointer<Int>?) -> UnsafePointer<CChar>? {
  value(otherwise: nil) { () throws(KluereError) in
    let text = try Handle<TextObject>.borrow(text, "text").text
    length?.pointee = text.count
    return UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
  }
}

@_cdecl("kluere_text_destroy")
public func textDestroy(_ text: OpaquePointer?) { Handle<TextObject>.destroy(text) }

/// A tokenizer that may be NULL.
func optionalTokenizer(_ tokenizer: OpaquePointer?) throws(KluereError) -> Tokenizer? {
  try Handle<TokenizerObject>.borrowOptional(tokenizer, "tokenizer")?.tokenizer
}

@_cdecl("kluere_dataset_lengths")
public func datasetLengths(
  _ dataset: OpaquePointer?, _ tokenizer: OpaquePointer?, _ out: UnsafeMutablePointer<Int32>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let tokenizer = try optionalTokenizer(tokenizer)
    let out = try output(out, capacity: capacity, needed: dataset.count)
    let lengths = try tokenizer.map { tokenizer throws(KluereError) in try DatasetTokens.lengths(dataset, tokenizer) }
    _ = out.update(fromContentsOf: lengths ?? dataset.characterLengths())
  }
}

@_cdecl("kluere_dataset_statistics")
public func datasetStatistics(
  _ dataset: OpaquePointer?, _ tokenizer: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TextObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let tokens = try optionalTokenizer(tokenizer).map { tokenizer throws(KluereError) in
      try DatasetTokens.lengths(dataset, tokenizer)
    }
    try out.store(try TextObject(Statistics.describe(dataset, tokens: tokens)))
  }
}

@_cdecl("kluere_dataset_compare")
public func datasetCompare(
  _ first: OpaquePointer?, _ second: OpaquePointer?, _ tokenizer: OpaquePointer?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TextObject>(out)
    let first = try Handle<DatasetObject>.borrow(first, "first").dataset
    let second = try Handle<DatasetObject>.borrow(second, "second").dataset
    let tokens = try optionalTokenizer(tokenizer).map { tokenizer throws(KluereError) in
      (first: try DatasetTokens.lengths(first, tokenizer), second: try DatasetTokens.lengths(second, tokenizer))
    }
    try out.store(try TextObject(Comparison.describe(first, second, tokens: tokens)))
  }
}

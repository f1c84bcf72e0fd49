public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereTraining

/// kluere_corpus
final class CorpusObject: Handled {
  static let kind: UInt32 = 0x4B43_4F52
  static let typeName = "kluere_corpus"
  let corpus: Corpus

  init(_ corpus: Corpus) { self.corpus = corpus }
}

func defaultCorpusOptions() -> kluere_corpus_options {
  let options = CorpusOptions()
  return kluere_corpus_options(
    struct_size: UInt32(MemoryLayout<kluere_corpus_options>.size), max_tokens: UInt32(clamping: options.maxTokens),
    rows: options.rows.rawValue, bad_lines: options.badLines.rawValue, input_form: -1, reserved: 0)
}

private func corpusOptions(_ pointer: UnsafePointer<kluere_corpus_options>?) throws(KluereError) -> CorpusOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaultCorpusOptions())
  var options = CorpusOptions()
  options.maxTokens = Int(given.max_tokens)
  options.rows = try choice(given.rows, "rows", "0 (lines) or 1 (packed)")
  options.badLines = try choice(given.bad_lines, "bad_lines", "0 (stop) or 1 (skip)")
  if given.input_form != -1 { options.inputForm = try inputForm(given.input_form) }
  return options
}

@_cdecl("kluere_corpus_options_init")
public func corpusOptionsInit(
  _ options: UnsafeMutablePointer<kluere_corpus_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaultCorpusOptions())
  }
}

@_cdecl("kluere_corpus_read")
public func corpusRead(
  _ tokenizer: OpaquePointer?, _ paths: UnsafePointer<UnsafePointer<CChar>?>?, _ pathCount: Int,
  _ options: UnsafePointer<kluere_corpus_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<CorpusObject>(out)
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let paths = try array(paths, pathCount, "paths")
    var files: [String] = []
    for (place, pointer) in paths.enumerated() { files.append(try path(pointer, "paths[\(place)]")) }
    try out.store(CorpusObject(try Corpus.read(files, tokenizer, try corpusOptions(options))))
  }
}

@_cdecl("kluere_corpus_create")
public func corpusCreate(
  _ tokenizer: OpaquePointer?, _ lines: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int>?,
  _ count: Int, _ options: UnsafePointer<kluere_corpus_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<CorpusObject>(out)
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let options = try corpusOptions(options)
    let pointers = try array(lines, count, "lines")
    let lengths = try lengths.map { pointer throws(KluereError) in try array(pointer, count, "lengths") }
    var given: [UnsafeBufferPointer<UInt8>] = []
    for place in 0..<pointers.count {
      let length = lengths?[place] ?? nulTerminated
      given.append(try uncheckedText(pointers[place], length, "lines[\(place)]"))
    }
    try out.store(CorpusObject(try Corpus.create(given, tokenizer, options)))
  }
}

@_cdecl("kluere_corpus_from_datasets")
public func corpusFromDatasets(
  _ tokenizer: OpaquePointer?, _ datasets: UnsafePointer<OpaquePointer?>?, _ count: Int,
  _ options: UnsafePointer<kluere_corpus_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<CorpusObject>(out)
    let tokenizer = try Handle<TokenizerObject>.borrow(tokenizer, "tokenizer").tokenizer
    let options = try corpusOptions(options)
    var given: [Dataset] = []
    for (place, handle) in try array(datasets, count, "datasets").enumerated() {
      given.append(try Handle<DatasetObject>.borrow(handle, "datasets[\(place)]").dataset)
    }
    try out.store(CorpusObject(try Corpus.of(given, tokenizer, options)))
  }
}

@_cdecl("kluere_corpus_destroy")
public func corpusDestroy(_ corpus: OpaquePointer?) { Handle<CorpusObject>.destroy(corpus) }

@_cdecl("kluere_corpus_describe")
public func corpusDescribe(
  _ corpus: OpaquePointer?, _ info: UnsafeMutablePointer<kluere_corpus_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let corpus = try Handle<CorpusObject>.borrow(corpus, "corpus").corpus
    let out = try SizedStruct.Out(info, "info")
    out.store(
      kluere_corpus_info(
        struct_size: 0, reserved: 0, rows: UInt64(clamping: corpus.count), tokens: UInt64(clamping: corpus.tokenCount),
        lines: UInt64(clamping: corpus.lineCount), cut: UInt64(clamping: corpus.cutCount),
        skipped: UInt64(clamping: corpus.skippedCount)))
  }
}

@_cdecl("kluere_corpus_row")
public func corpusRow(
  _ corpus: OpaquePointer?, _ row: Int, _ ids: UnsafeMutablePointer<Int32>?, _ types: UnsafeMutablePointer<Int32>?,
  _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let corpus = try Handle<CorpusObject>.borrow(corpus, "corpus").corpus
    let row = try index(row, below: corpus.count, "index")
    var tokens: [Int32] = []
    corpus.append(row, to: &tokens)
    count.pointee = tokens.count
    _ = try output(ids, capacity: capacity, needed: tokens.count, "ids").update(fromContentsOf: tokens)
    guard let types else { return }
    let second = corpus.secondPart(row)
    for place in tokens.indices { types[place] = place < second ? 0 : 1 }
  }
}

@_cdecl("kluere_corpus_mask")
public func corpusMask(
  _ corpus: OpaquePointer?, _ row: Int, _ options: UnsafePointer<kluere_masked_lm_options>?, _ seed: UInt64,
  _ pass: UInt64, _ ids: UnsafeMutablePointer<Int32>?, _ labels: UnsafeMutablePointer<Int32>?, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let corpus = try Handle<CorpusObject>.borrow(corpus, "corpus").corpus
    let row = try index(row, below: corpus.count, "index")
    let options = try maskingOptions(options)
    try options.validate()
    var (tokens, answers): ([Int32], [Int32]) = ([], [])
    corpus.append(row, to: &tokens)
    _ = Masking(options, corpus).apply(
      &tokens, from: 0, row: row, seed: seed, pass: Int(truncatingIfNeeded: pass), labels: &answers)
    count.pointee = tokens.count
    let shown = try output(ids, capacity: capacity, needed: tokens.count, "ids")
    _ = try output(labels, capacity: capacity, needed: tokens.count, "labels").update(fromContentsOf: answers)
    _ = shown.update(fromContentsOf: tokens)
  }
}

public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereTraining

private let defaultMask: StaticString = "[MASK]"

private func augmentDefaults() -> kluere_augment_options {
  let options = AugmentationOptions()
  return kluere_augment_options(
    struct_size: UInt32(MemoryLayout<kluere_augment_options>.size), kind: options.kind.rawValue, seed: options.seed,
    row_share: options.rowShare, word_share: options.wordShare, copies: UInt32(clamping: options.copies),
    swap_map: options.swapMap.rawValue, keep_originals: options.keepsOriginals ? 1 : 0, reserved: 0,
    mask: UnsafeRawPointer(defaultMask.utf8Start).assumingMemoryBound(to: CChar.self))
}

private func fillDefaults() -> kluere_fill_options {
  let options = FillInOptions()
  return kluere_fill_options(
    struct_size: UInt32(MemoryLayout<kluere_fill_options>.size), top_k: UInt32(clamping: options.topK),
    seed: options.seed, row_share: options.rowShare, word_share: options.wordShare,
    keep_originals: options.keepsOriginals ? 1 : 0, reserved: 0)
}

private func augmentOptions(
  _ pointer: UnsafePointer<kluere_augment_options>?
) throws(KluereError) -> AugmentationOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: augmentDefaults())
  var options = AugmentationOptions()
  options.kind = try choice(given.kind, "kind", "0 (swap roles) to 7 (swap words)")
  options.seed = given.seed
  options.rowShare = given.row_share
  options.wordShare = given.word_share
  options.copies = Int(given.copies)
  options.swapMap = SwapMap(rawValue: try flags(given.swap_map, known: SwapMap.all.rawValue, "swap_map"))
  options.keepsOriginals = try truth(given.keep_originals, "keep_originals")
  options.mask = Array(try text(given.mask, nulTerminated, "mask"))
  try options.validate()
  return options
}

private func fillOptions(_ pointer: UnsafePointer<kluere_fill_options>?) throws(KluereError) -> FillInOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: fillDefaults())
  var options = FillInOptions()
  options.topK = Int(given.top_k)
  options.seed = given.seed
  options.rowShare = given.row_share
  options.wordShare = given.word_share
  options.keepsOriginals = try truth(given.keep_originals, "keep_originals")
  try options.validate()
  return options
}

@_cdecl("kluere_augment_options_init")
public func augmentOptionsInit(
  _ options: UnsafeMutablePointer<kluere_augment_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: augmentDefaults()) }
}

@_cdecl("kluere_dataset_augment")
public func datasetAugment(
  _ dataset: OpaquePointer?, _ options: UnsafePointer<kluere_augment_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    try out.store(DatasetObject(try Augmentation.run(dataset, try augmentOptions(options))))
  }
}

@_cdecl("kluere_dataset_add_paraphrases")
public func datasetAddParaphrases(
  _ dataset: OpaquePointer?, _ rows: UnsafePointer<Int>?, _ texts: UnsafePointer<UnsafePointer<CChar>?>?,
  _ lengths: UnsafePointer<Int>?, _ count: Int, _ keepOriginals: UInt32, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ report: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try required(out, "out")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let keepsOriginals = try truth(keepOriginals, "keep_originals")
    let rows = try array(rows, count, "rows")
    let texts = try array(texts, count, "texts")
    let lengths = try lengths.map { pointer throws(KluereError) in try array(pointer, count, "lengths") }
    var entries: [Paraphrases.Entry] = []
    for place in 0..<count {
      let row = try index(rows[place], below: dataset.count, "rows[\(place)]: row")
      let text = try text(texts[place], lengths?[place] ?? nulTerminated, "texts[\(place)]")
      entries.append(Paraphrases.Entry(row: row, text: text))
    }
    let (made, words) = try Paraphrases.add(entries, to: dataset, keepsOriginals: keepsOriginals)
    try store(made, words, out, report)
  }
}

@_cdecl("kluere_fill_options_init")
public func fillOptionsInit(
  _ options: UnsafeMutablePointer<kluere_fill_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: fillDefaults()) }
}

@_cdecl("kluere_predictor_fill_in")
public func predictorFillIn(
  _ predictor: OpaquePointer?, _ judge: OpaquePointer?, _ dataset: OpaquePointer?,
  _ options: UnsafePointer<kluere_fill_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<DatasetObject>(out)
    let predictor = try Handle<PredictorObject>.borrow(predictor, "predictor")
    let judge = try Handle<PredictorObject>.borrowOptional(judge, "judge")
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let options = try fillOptions(options)
    let made = try predictor.exclusive.run("predictor") { () throws(KluereError) in
      guard let judge else {
        return try FillIn.run(dataset, predictor.predictor, judge: nil, options)
      }
      return try judge.exclusive.run("judge") { () throws(KluereError) in
        try FillIn.run(dataset, predictor.predictor, judge: judge.predictor, options)
      }
    }
    try out.store(DatasetObject(made))
  }
}

public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereModel
internal import KluereText
internal import KluereTraining

/// A caller's batch of token ids, checked against the predictor's model, handed to `body` inside the predictor's turn.
private func withRows(
  _ predictor: OpaquePointer?, _ batch: UnsafePointer<kluere_token_batch>?,
  _ body: (Predictor, TokenRows) throws(KluereError) -> Void
) throws(KluereError) {
  let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
  let empty = kluere_token_batch(
    struct_size: UInt32(MemoryLayout<kluere_token_batch>.size), reserved: 0, ids: nil, type_ids: nil, offsets: nil,
    input_count: 0)
  let given = try SizedStruct.read(try required(batch, "batch"), "batch", defaults: empty)
  guard let places = given.input_count.sum(1), given.input_count >= 0 else {
    throw KluereError(.invalidArgument, "input_count: \(asWritten(given.input_count)) does not fit in memory")
  }
  let offsets = try array(try required(given.offsets, "offsets"), places, "offsets")
  let ids = try array(given.ids, offsets[given.input_count], "ids")
  var types: UnsafeBufferPointer<Int32>?
  if let pointer = given.type_ids { types = try array(pointer, ids.count, "type_ids") }
  try object.exclusive.run("predictor") { () throws(KluereError) in
    let rows = try TokenRows(ids: ids, types: types, offsets: offsets, for: object.predictor.model.configuration)
    try body(object.predictor, rows)
  }
}

private func poolingOf(_ value: Int32) throws(KluereError) -> Pooling {
  try choice(value, "pooling", "0 (CLS), 1 (mean) or 2 (pooler)")
}

private func normalizes(_ flags: UInt32) throws(KluereError) -> Bool {
  guard flags & ~KLUERE_EMBED_NORMALIZE.asFlags == 0 else {
    throw KluereError(.invalidArgument, "flags: \(flags), expected KLUERE_EMBED_NORMALIZE or 0")
  }
  return flags != 0
}

@_cdecl("kluere_predictor_hidden_states")
public func predictorHiddenStates(
  _ predictor: OpaquePointer?, _ batch: UnsafePointer<kluere_token_batch>?, _ out: UnsafeMutablePointer<Float>?,
  _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withRows(predictor, batch) { (predictor, rows) throws(KluereError) in
      let needed = try tableSize(rows.tokenCount, predictor.model.configuration.hiddenSize, "out")
      try predictor.hiddenStates(rows, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

@_cdecl("kluere_predictor_embed")
public func predictorEmbed(
  _ predictor: OpaquePointer?, _ batch: UnsafePointer<kluere_token_batch>?, _ pooling: Int32, _ flags: UInt32,
  _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let (pooling, normalize) = (try poolingOf(pooling), try normalizes(flags))
    try withRows(predictor, batch) { (predictor, rows) throws(KluereError) in
      let needed = try tableSize(rows.count, predictor.model.configuration.hiddenSize, "out")
      try predictor.embed(
        rows, pooling, normalize: normalize, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

@_cdecl("kluere_predictor_embed_texts")
public func predictorEmbedTexts(
  _ predictor: OpaquePointer?, _ texts: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int>?,
  _ count: Int, _ pooling: Int32, _ flags: UInt32, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
    let (pooling, normalize) = (try poolingOf(pooling), try normalizes(flags))
    let texts = try array(texts, count, "texts")
    let lengths = try lengths.map { pointer throws(KluereError) in try array(pointer, count, "lengths") }
    try object.exclusive.run("predictor") { () throws(KluereError) in
      let model = object.predictor.model
      let needed = try tableSize(texts.count, model.configuration.hiddenSize, "out")
      let out = try output(out, capacity: capacity, needed: needed)
      var ids: [Int32] = []
      var types: [Int32] = []
      var offsets = [0]
      var tokens: [EncodedToken] = []
      for index in 0..<texts.count {
        tokens.removeAll(keepingCapacity: true)
        let text = try text(texts[index], lengths?[index] ?? nulTerminated, "texts[\(index)]")
        try model.tokenizer.encode(
          text, pair: nil, addSpecial: true, allowSpecial: false, truncateTo: model.configuration.maxTokens,
          into: &tokens)
        for token in tokens {
          ids.append(token.id)
          types.append(0)
        }
        offsets.append(ids.count)
      }
      let result: Result<Void, KluereError> = ids.withUnsafeBufferPointer { ids in
        types.withUnsafeBufferPointer { types in
          offsets.withUnsafeBufferPointer { offsets in
            do throws(KluereError) {
              let rows = try TokenRows(ids: ids, types: types, offsets: offsets, for: model.configuration)
              return .success(try object.predictor.embed(rows, pooling, normalize: normalize, into: out))
            } catch { return .failure(error) }
          }
        }
      }
      try result.get()
    }
  }
}

@_cdecl("kluere_predictor_classify")
public func predictorClassify(
  _ predictor: OpaquePointer?, _ batch: UnsafePointer<kluere_token_batch>?, _ out: UnsafeMutablePointer<Float>?,
  _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withRows(predictor, batch) { (predictor, rows) throws(KluereError) in
      let needed = try tableSize(rows.count, predictor.model.labels.count, "out")
      try predictor.classify(rows, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

@_cdecl("kluere_predictor_mask_logits")
public func predictorMaskLogits(
  _ predictor: OpaquePointer?, _ batch: UnsafePointer<kluere_token_batch>?, _ positions: UnsafePointer<Int>?,
  _ positionCount: Int, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let positions = try array(positions, positionCount, "positions")
    try withRows(predictor, batch) { (predictor, rows) throws(KluereError) in
      let needed = try tableSize(positions.count, predictor.model.configuration.vocabularySize, "out")
      try predictor.maskLogits(rows, at: positions, into: try output(out, capacity: capacity, needed: needed))
    }
  }
}

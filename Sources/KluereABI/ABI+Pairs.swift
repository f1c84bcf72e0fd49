public import CKluere
internal import KluereBase
internal import KluereData
internal import KluereModel
internal import KluereTraining

private func defaults() -> kluere_pair_options {
  let options = PairOptions()
  return kluere_pair_options(
    struct_size: UInt32(MemoryLayout<kluere_pair_options>.size), prune: options.pruning.rawValue,
    max_pairs: UInt64(clamping: options.maximumPairs))
}

@_cdecl("kluere_pair_options_init")
public func pairOptionsInit(
  _ options: UnsafeMutablePointer<kluere_pair_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_predictor_predict_pairs")
public func predictorPredictPairs(
  _ predictor: OpaquePointer?, _ sentence: UnsafePointer<CChar>?, _ sentenceLength: Int,
  _ given: UnsafePointer<kluere_entity>?, _ entityCount: Int, _ unit: Int32,
  _ options: UnsafePointer<kluere_pair_options>?, _ out: UnsafeMutablePointer<kluere_pair_relation>?, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>?, _ probabilities: UnsafeMutablePointer<Float>?, _ probabilityCapacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let count = try required(count, "count")
    let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
    let values = try SizedStruct.read(options, "options", defaults: defaults())
    var options = PairOptions()
    options.pruning = try choice(values.prune, "prune", "0 (none), 1 (impossible) or 2 (unseen)")
    options.maximumPairs = try integer(values.max_pairs, "max_pairs")
    let sentence = try text(sentence, sentenceLength, "text")
    let entities = try entities(given, entityCount, in: sentence, try offsetUnit(unit, "offset_unit"))
    try object.exclusive.run("predictor") { () throws(KluereError) in
      var pairs = try object.predictor.pairs(entities, options)
      count.pointee = pairs.count
      let target = try output(out, capacity: capacity, needed: pairs.count)
      var scores: UnsafeMutableBufferPointer<Float>?
      if probabilities != nil || probabilityCapacity != 0 {
        let needed = try tableSize(pairs.count, object.predictor.model.labels.count, "probabilities")
        scores = try output(probabilities, capacity: probabilityCapacity, needed: needed, "probabilities")
      }
      try object.predictor.predict(sentence, entities, &pairs, probabilities: scores)
      for (place, pair) in pairs.enumerated() {
        target[place] = kluere_pair_relation(
          subject: pair.subject, object: pair.object, label: pair.label, probability: pair.probability,
          status: pair.isPruned ? KLUERE_PAIR_PRUNED.asFlags : KLUERE_PAIR_COMPUTED.asFlags, reserved: 0)
      }
    }
  }
}

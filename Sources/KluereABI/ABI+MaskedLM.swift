public import CKluere
internal import KluereBase
internal import KluereModel
internal import KluereTraining

func defaultMaskedLMOptions() -> kluere_masked_lm_options {
  let options = MaskingOptions()
  return kluere_masked_lm_options(
    struct_size: UInt32(MemoryLayout<kluere_masked_lm_options>.size), whole_words: options.wholeWords ? 1 : 0,
    mask_probability: options.probability, mask_share: options.maskShare, random_share: options.randomShare,
    evaluation_seed: options.evaluationSeed)
}

/// The header's struct; ranges are checked where it is used.
func maskingOptions(_ pointer: UnsafePointer<kluere_masked_lm_options>?) throws(KluereError) -> MaskingOptions {
  let given = try SizedStruct.read(pointer, "options", defaults: defaultMaskedLMOptions())
  var options = MaskingOptions()
  options.wholeWords = try truth(given.whole_words, "whole_words")
  options.probability = given.mask_probability
  options.maskShare = given.mask_share
  options.randomShare = given.random_share
  options.evaluationSeed = given.evaluation_seed
  return options
}

private func figuresStruct(_ figures: MaskedLMFigures) -> kluere_masked_lm_figures {
  kluere_masked_lm_figures(
    struct_size: 0, reserved: 0, tokens: UInt64(clamping: figures.tokens), loss: figures.loss,
    perplexity: figures.perplexity, accuracy: figures.accuracy)
}

@_cdecl("kluere_masked_lm_options_init")
public func maskedLMOptionsInit(
  _ options: UnsafeMutablePointer<kluere_masked_lm_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaultMaskedLMOptions())
  }
}

@_cdecl("kluere_trainer_create_masked_lm")
public func trainerCreateMaskedLM(
  _ initial: OpaquePointer?, _ train: OpaquePointer?, _ evaluation: OpaquePointer?,
  _ masking: UnsafePointer<kluere_masked_lm_options>?, _ options: UnsafePointer<kluere_train_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TrainerObject>(out)
    let model = try Handle<ModelObject>.borrow(initial, "initial").model
    let train = try Handle<CorpusObject>.borrow(train, "train").corpus
    let evaluation = try Handle<CorpusObject>.borrowOptional(evaluation, "evaluation")?.corpus
    let masking = try maskingOptions(masking)
    var defaults = defaultTrainOptions()
    defaults.best_metric = Int32(KLUERE_BEST_LOSS)
    let options = try SizedStruct.read(options, "options", defaults: defaults)
    var configuration = try trainingConfiguration(options, on: model.context)
    // Only to be refused: what is given is not passed over.
    _ = try readLoss(options.loss, into: &configuration)
    try out.store(
      TrainerObject(
        try Trainer(
          model: model, corpus: train, evaluation: evaluation, masking: masking, configuration: configuration,
          libraryVersion: libraryVersion.description)))
  }
}

@_cdecl("kluere_trainer_resume_masked_lm")
public func trainerResumeMaskedLM(
  _ context: OpaquePointer?, _ directory: UnsafePointer<CChar>?, _ train: OpaquePointer?,
  _ evaluation: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TrainerObject>(out)
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let directory = try path(directory, "directory")
    let train = try Handle<CorpusObject>.borrow(train, "train").corpus
    let evaluation = try Handle<CorpusObject>.borrowOptional(evaluation, "evaluation")?.corpus
    try out.store(
      TrainerObject(
        try Trainer.resume(
          context: context, directory: directory, corpus: train, evaluation: evaluation,
          libraryVersion: libraryVersion.description)))
  }
}

@_cdecl("kluere_trainer_evaluate_masked_lm")
public func trainerEvaluateMaskedLM(
  _ trainer: OpaquePointer?, _ corpus: OpaquePointer?, _ out: UnsafeMutablePointer<kluere_masked_lm_figures>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      let corpus = try Handle<CorpusObject>.borrow(corpus, "corpus").corpus
      let out = try SizedStruct.Out(out, "out")
      out.store(figuresStruct(try trainer.evaluate(corpus)))
    }
  }
}

@_cdecl("kluere_predictor_evaluate_masked_lm")
public func predictorEvaluateMaskedLM(
  _ predictor: OpaquePointer?, _ corpus: OpaquePointer?, _ options: UnsafePointer<kluere_masked_lm_options>?,
  _ out: UnsafeMutablePointer<kluere_masked_lm_figures>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<PredictorObject>.borrow(predictor, "predictor")
    let corpus = try Handle<CorpusObject>.borrow(corpus, "corpus").corpus
    let masking = try maskingOptions(options)
    let out = try SizedStruct.Out(out, "out")
    try object.exclusive.run("predictor") { () throws(KluereError) in
      out.store(figuresStruct(try object.predictor.evaluate(corpus, masking)))
    }
  }
}

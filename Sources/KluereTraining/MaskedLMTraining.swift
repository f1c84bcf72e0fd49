package import KluereBase
package import KluereCompute
package import KluereModel

/// Masked-LM training: the same updates, loop and checkpoints over a corpus.
extension Trainer {
  /// Copies the weights of `model`, which stays as it is.
  package convenience init(
    model: Model, corpus: Corpus, evaluation: Corpus?, masking: MaskingOptions, configuration: TrainingConfiguration,
    libraryVersion: String
  ) throws(KluereError) {
    try self.init(model: model, configuration: configuration, libraryVersion: libraryVersion) {
      (live) throws(KluereError) in
      try MaskedLMObjective(live, corpus, evaluation, masking, configuration)
    }
  }

  /// As `resume` of classification, with the rows of then.
  package static func resume(
    context: Context, directory: String, corpus: Corpus, evaluation: Corpus?, libraryVersion: String
  ) throws(KluereError) -> Trainer {
    func rows(_ corpus: Corpus) -> CheckpointState.Rows {
      CheckpointState.Rows(count: corpus.count, contentHash: corpus.contentHash)
    }
    let given = (train: rows(corpus), evaluation: evaluation.map { rows($0) })
    return try resume(context, directory, given, masked: true, libraryVersion) { (live, state, _) throws(KluereError) in
      guard let masking = state.masking else { throw KluereError(.internal, "checkpoint: no masking options") }
      return try MaskedLMObjective(live, corpus, evaluation, masking, state.configuration)
    }
  }

  /// The present weights on a corpus, with the masks of the run's evaluations and without dropout.
  package func evaluate(_ corpus: Corpus) throws(KluereError) -> MaskedLMFigures {
    try alone { () throws(KluereError) in
      guard let objective = objective as? MaskedLMObjective else {
        throw KluereError(.state, "trainer: it learns relations, which are measured on a data set")
      }
      try MaskedLMEvaluator.check(corpus, live, "corpus")
      return try objective.measure(corpus, try weightsToEvaluate(half), stop: freshStop())
    }
  }
}

extension Predictor {
  /// A masked-LM on a corpus, with masks that are a function of `masking` alone.
  package func evaluate(_ corpus: Corpus, _ masking: MaskingOptions) throws(KluereError) -> MaskedLMFigures {
    try masking.validate()
    guard model.layout.maskedLM != nil else {
      throw KluereError(.state, "model: it has no masked-LM head; open the folder with the task masked LM")
    }
    try MaskedLMEvaluator.check(corpus, model, "corpus")
    let weights = try weights()
    return try MaskedLMEvaluator(model, options.precision, on: context).measure(corpus, masking, weights) { false }
  }
}

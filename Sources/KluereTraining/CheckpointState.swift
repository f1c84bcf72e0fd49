internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereFormats

/// trainer_state.json: the run's configuration and position, and what the other pieces of the checkpoint must be.
struct CheckpointState: Equatable {
  /// Rises when the meaning of a field changes.
  static let formatVersion = 1

  var libraryVersion: String
  /// Without the output directory, which is the place the checkpoint was read from.
  var configuration: TrainingConfiguration
  /// Whether the run writes checkpoints.
  var writesCheckpoints: Bool
  var totalSteps: Int
  var progress: Progress
  var train: Rows
  var evaluation: Rows?
  /// Of masked-LM training; nil: classification.
  var masking: MaskingOptions?
  var labels: [String]
  /// Checksum of the model's type mask and pair heads.
  var types: UInt64
  /// Checksums of the arenas.
  var weights: UInt64
  var firstMoments: UInt64
  var secondMoments: UInt64
  /// Of the soft targets; nil: there are none.
  var softTargets: UInt64?
  /// nil: there is none, and the model folder's weights are those of the training.
  var average: UInt64?

  /// What a data set must be to resume with it.
  struct Rows: Equatable {
    var count: Int
    var contentHash: UInt64

    init(count: Int, contentHash: UInt64) {
      self.count = count
      self.contentHash = contentHash
    }

    init(_ dataset: Dataset) { self.init(count: dataset.count, contentHash: dataset.contentHash) }

    func require(_ given: Rows, _ purpose: String, _ path: String) throws(KluereError) {
      guard given == self else {
        throw KluereError(
          .invalidArgument,
          "\(purpose): \(given.count) rows with hash \(hexadecimal(given.contentHash)), but \(path) was written "
            + "with \(count) rows with hash \(hexadecimal(contentHash)); expected the same rows")
      }
    }
  }

  init(
    libraryVersion: String, configuration: TrainingConfiguration, totalSteps: Int, progress: Progress, train: Rows,
    evaluation: Rows?, masking: MaskingOptions? = nil, labels: [String], types: UInt64, weights: UInt64,
    firstMoments: UInt64, secondMoments: UInt64, softTargets: UInt64?, average: UInt64?
  ) {
    self.libraryVersion = libraryVersion
    self.configuration = configuration
    self.configuration.outputDirectory = nil
    writesCheckpoints = configuration.outputDirectory != nil
    self.totalSteps = totalSteps
    self.progress = progress
    self.train = train
    self.evaluation = evaluation
    self.masking = masking
    self.labels = labels
    self.types = types
    self.weights = weights
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
    self.softTargets = softTargets
    self.average = average
  }
}

// MARK: - Reading

extension CheckpointState {
  init(_ bytes: [UInt8], path: String, libraryVersion: String) throws(KluereError) {
    let file = try StateReader(try JSON(bytes, name: path).root, path: path)
    let format = try file.int("format_version")
    let version = try file.string("library_version")
    guard format == CheckpointState.formatVersion, version == libraryVersion else {
      throw KluereError(
        .version,
        "\(path): written by version \(version) (format \(format)), and this is \(libraryVersion) (format "
          + "\(CheckpointState.formatVersion)); the folder still opens as a model")
    }
    let progress = try file.object("progress")
    self.libraryVersion = version
    configuration = try TrainingConfiguration(try file.object("configuration"))
    writesCheckpoints = try file.bool("writes_checkpoints")
    totalSteps = try file.count("total_steps")
    self.progress = Progress(
      step: try progress.count("step"), epoch: try progress.count("epoch"),
      nextBatch: try progress.count("next_batch"), evaluatedStep: try progress.count("evaluated_step"),
      best: try progress.optionalDouble("best"), bestStep: try progress.count("best_step"),
      evaluationsWithoutImprovement: try progress.count("evaluations_without_improvement"),
      lossScale: Float(try progress.double("loss_scale")),
      goodUpdates: UInt32(clamping: try progress.count("good_updates")), skipped: try progress.count("skipped"),
      averaged: try progress.count("averaged"))
    train = try Rows(try file.object("train"))
    evaluation = nil
    if let rows = try file.optionalObject("evaluation") { evaluation = try Rows(rows) }
    masking = nil
    if let object = try file.optionalObject("masked_lm") { masking = try MaskingOptions(object) }
    labels = try file.strings("labels")
    types = try file.hexadecimal("types_checksum")
    weights = try file.hexadecimal("weights_checksum")
    firstMoments = try file.hexadecimal("first_moments_checksum")
    secondMoments = try file.hexadecimal("second_moments_checksum")
    softTargets = try file.optionalHexadecimal("soft_targets_checksum")
    average = try file.optionalHexadecimal("average_checksum")
    // Before anything else is believed: a damaged digit would otherwise train on from somewhere else.
    guard try file.hexadecimal("checksum") == ownChecksum else {
      throw KluereError(.badFormat, "\(path): its checksum is not that of its content: it is damaged or was edited")
    }
    // A long count would overflow where the next one is added.
    guard self.progress.step <= totalSteps, self.progress.averaged <= self.progress.step,
      self.progress.skipped <= self.progress.step,
      self.progress.lossScale > 0, self.progress.lossScale.isFinite
    else {
      throw KluereError(
        .badFormat,
        "\(path): update \(self.progress.step) of \(totalSteps), \(self.progress.skipped) skipped, loss scale "
          + "\(self.progress.lossScale)")
    }
    guard (average == nil) == (self.progress.averaged == 0) else {
      throw KluereError(
        .badFormat, "\(path): \(self.progress.averaged) weights averaged, found the average or lack of it")
    }
    do throws(KluereError) {
      try configuration.validate()
      try masking?.validate()
    } catch {
      throw KluereError(.badFormat, "\(path): configuration: \(error.message)")
    }
  }

  /// Of everything else in the file.
  private var ownChecksum: UInt64 { text(checksum: nil).withUnsafeBytes { checksum($0) } }
}

extension CheckpointState.Rows {
  fileprivate init(_ object: StateReader) throws(KluereError) {
    count = try object.count("rows")
    contentHash = try object.hexadecimal("hash")
  }
}

extension MaskingOptions {
  fileprivate init(_ object: StateReader) throws(KluereError) {
    self.init()
    probability = try object.double("mask_probability")
    maskShare = try object.double("mask_share")
    randomShare = try object.double("random_share")
    wholeWords = try object.bool("whole_words")
    evaluationSeed = try object.hexadecimal("evaluation_seed")
  }

  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.field("mask_probability", probability)
    json.field("mask_share", maskShare)
    json.field("random_share", randomShare)
    json.field("whole_words", wholeWords)
    json.field("evaluation_seed", hexadecimal(evaluationSeed))
    json.endObject()
  }
}

extension TrainingConfiguration {
  fileprivate init(_ object: StateReader) throws(KluereError) {
    self.init()
    batchSentences = try object.int("batch_sentences")
    batchTokens = try object.int("batch_tokens")
    accumulation = try object.int("accumulation")
    seed = try object.hexadecimal("seed")
    maxSteps = try object.int("max_steps")
    epochs = try object.double("epochs")
    learningRate = try object.double("learning_rate")
    beta1 = try object.double("beta1")
    beta2 = try object.double("beta2")
    epsilon = try object.double("epsilon")
    weightDecay = try object.double("weight_decay")
    maxGradNorm = try object.double("max_grad_norm")
    guard let schedule = ScheduleKind(name: try object.string("schedule")) else {
      throw object.wrong("schedule", ScheduleKind.names)
    }
    self.schedule = schedule
    groupByLength = try object.bool("group_by_length")
    warmupSteps = try object.int("warmup_steps")
    warmupRatio = try object.double("warmup_ratio")
    hiddenDropout = try object.optionalDouble("hidden_dropout").map { Float($0) }
    attentionDropout = try object.optionalDouble("attention_dropout").map { Float($0) }
    classifierDropout = try object.optionalDouble("classifier_dropout").map { Float($0) }
    multiSampleDropout = try object.count("multi_sample_dropout")
    guard let metric = BestMetric(name: try object.string("best_metric")) else {
      throw object.wrong("best_metric", "micro_f1, auprc or loss")
    }
    bestMetric = metric
    evaluateEvery = try object.int("evaluate_every")
    checkpointEvery = try object.int("checkpoint_every")
    patience = try object.int("patience")
    guard let precision = Precision(name: try object.string("precision")) else {
      throw object.wrong("precision", "float32, tf32, bfloat16 or float16")
    }
    self.precision = precision
    splitsOnOutOfMemory = try object.bool("split_on_out_of_memory")
    loss = nil
    if let own = try object.optionalObject("loss") { loss = try LossConfiguration(own) }
    extras = try TrainingExtras(object)
  }
}

// MARK: - Writing

extension CheckpointState {
  func encoded() -> [UInt8] { text(checksum: ownChecksum) }

  /// nil: the text that the checksum is of.
  private func text(checksum: UInt64?) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.field("format_version", CheckpointState.formatVersion)
    json.field("library_version", libraryVersion)
    json.key("configuration")
    configuration.write(to: &json)
    json.field("writes_checkpoints", writesCheckpoints)
    json.field("total_steps", totalSteps)
    json.key("progress")
    json.beginObject()
    json.field("step", progress.step)
    json.field("epoch", progress.epoch)
    json.field("next_batch", progress.nextBatch)
    json.field("evaluated_step", progress.evaluatedStep)
    json.field("best", progress.best)
    json.field("best_step", progress.bestStep)
    json.field("evaluations_without_improvement", progress.evaluationsWithoutImprovement)
    json.field("loss_scale", Double(progress.lossScale))
    json.field("good_updates", Int(progress.goodUpdates))
    json.field("skipped", progress.skipped)
    json.field("averaged", progress.averaged)
    json.endObject()
    json.key("train")
    train.write(to: &json)
    json.key("evaluation")
    if let evaluation { evaluation.write(to: &json) } else { json.null() }
    json.key("masked_lm")
    if let masking { masking.write(to: &json) } else { json.null() }
    json.key("labels")
    json.beginArray()
    for label in labels { json.string(label) }
    json.endArray()
    json.field("types_checksum", hexadecimal(types))
    json.field("weights_checksum", hexadecimal(weights))
    json.field("first_moments_checksum", hexadecimal(firstMoments))
    json.field("second_moments_checksum", hexadecimal(secondMoments))
    json.key("soft_targets_checksum")
    if let softTargets { json.string(hexadecimal(softTargets)) } else { json.null() }
    json.key("average_checksum")
    if let average { json.string(hexadecimal(average)) } else { json.null() }
    if let checksum { json.field("checksum", hexadecimal(checksum)) }
    json.endObject()
    return json.finish()
  }
}

extension CheckpointState.Rows {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.field("rows", count)
    json.field("hash", hexadecimal(contentHash))
    json.endObject()
  }
}

extension TrainingConfiguration {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.field("batch_sentences", batchSentences)
    json.field("batch_tokens", batchTokens)
    json.field("accumulation", accumulation)
    json.field("seed", hexadecimal(seed))
    json.field("max_steps", maxSteps)
    json.field("epochs", epochs)
    json.field("learning_rate", learningRate)
    json.field("beta1", beta1)
    json.field("beta2", beta2)
    json.field("epsilon", epsilon)
    json.field("weight_decay", weightDecay)
    json.field("max_grad_norm", maxGradNorm)
    json.field("schedule", schedule.name)
    json.field("group_by_length", groupByLength)
    json.field("warmup_steps", warmupSteps)
    json.field("warmup_ratio", warmupRatio)
    // With all the digits of a double, which is exact for a float.
    json.field("hidden_dropout", hiddenDropout.map { Double($0) })
    json.field("attention_dropout", attentionDropout.map { Double($0) })
    json.field("classifier_dropout", classifierDropout.map { Double($0) })
    json.field("multi_sample_dropout", multiSampleDropout)
    json.field("best_metric", bestMetric.name)
    json.field("evaluate_every", evaluateEvery)
    json.field("checkpoint_every", checkpointEvery)
    json.field("patience", patience)
    json.field("precision", precision.name)
    json.field("split_on_out_of_memory", splitsOnOutOfMemory)
    json.key("loss")
    if let loss { loss.write(to: &json) } else { json.null() }
    extras.write(to: &json)
    json.endObject()
  }
}

extension JSONWriter {
  mutating func field(_ name: String, _ value: Int) {
    key(name)
    integer(value)
  }

  mutating func field(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  mutating func field(_ name: String, _ value: String) {
    key(name)
    string(value)
  }

  /// nil is null.
  mutating func field(_ name: String, _ value: Double?) {
    key(name)
    if let value { number(value) } else { null() }
  }
}

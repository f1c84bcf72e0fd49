internal import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereTraining

private let modelsOwn: Float = -1
private let schedulesOwn: Double = -1

func defaultTrainOptions() -> kluere_train_options {
  let c = TrainingConfiguration()
  let extras = c.extras
  return kluere_train_options(
    struct_size: UInt32(MemoryLayout<kluere_train_options>.size), batch_sentences: UInt32(clamping: c.batchSentences),
    batch_tokens: UInt32(clamping: c.batchTokens), accumulation: UInt32(clamping: c.accumulation), seed: c.seed,
    max_steps: UInt64(clamping: c.maxSteps), epochs: c.epochs, learning_rate: c.learningRate, beta1: c.beta1,
    beta2: c.beta2, epsilon: c.epsilon, weight_decay: c.weightDecay, max_grad_norm: c.maxGradNorm,
    schedule: c.schedule.rawValue, group_by_length: c.groupByLength ? 1 : 0,
    warmup_steps: UInt64(clamping: c.warmupSteps), warmup_ratio: c.warmupRatio,
    hidden_dropout: c.hiddenDropout ?? modelsOwn, attention_dropout: c.attentionDropout ?? modelsOwn,
    classifier_dropout: c.classifierDropout ?? modelsOwn, best_metric: c.bestMetric.rawValue,
    evaluate_every: UInt64(clamping: c.evaluateEvery), checkpoint_every: UInt64(clamping: c.checkpointEvery),
    patience: UInt64(clamping: c.patience), output_directory: nil,
    precision: c.precision.rawValue, split_on_out_of_memory: c.splitsOnOutOfMemory ? 1 : 0,
    loss: nil, multi_sample_dropout: UInt32(clamping: c.multiSampleDropout), optimizer: extras.optimizer.rawValue,
    layer_decay: extras.layerDecay, head_learning_rate_factor: extras.headRateFactor,
    freeze_embeddings: extras.freezesEmbeddings ? 1 : 0, freeze_layers: UInt32(clamping: extras.frozenLayers),
    ema_decay: extras.emaDecay, swa_start: extras.swaStart, swa_every: UInt64(clamping: extras.swaEvery),
    swa_learning_rate: extras.swaLearningRate, ema_warmup: extras.emaWarmup ? 1 : 0,
    checkpoint_activations: extras.recomputesLayers ? 1 : 0,
    schedule_cycles: extras.scheduleCycles, schedule_power: extras.schedulePower,
    end_learning_rate: extras.endLearningRate ?? schedulesOwn)
}

/// KLUERE_PRECISION_*; AUTO is the device's choice.
func precision(_ value: Int32, on context: Context) throws(KluereError) -> Precision {
  if value == Int32(KLUERE_PRECISION_AUTO) { return context.backend.preferredPrecision }
  return try choice(value, "precision", "-1 (auto), 0 (fp32), 1 (TF32), 2 (bf16) or 3 (fp16)")
}

/// The header's struct as a configuration; ranges are checked by the trainer.
func trainingConfiguration(
  _ options: kluere_train_options, on context: Context
) throws(KluereError) -> TrainingConfiguration {
  var c = TrainingConfiguration()
  c.batchSentences = Int(options.batch_sentences)
  c.batchTokens = Int(options.batch_tokens)
  c.accumulation = Int(options.accumulation)
  c.seed = options.seed
  c.maxSteps = try integer(options.max_steps, "max_steps")
  c.epochs = options.epochs
  c.learningRate = options.learning_rate
  c.beta1 = options.beta1
  c.beta2 = options.beta2
  c.epsilon = options.epsilon
  c.weightDecay = options.weight_decay
  c.maxGradNorm = options.max_grad_norm
  c.schedule = try choice(options.schedule, "schedule", "0 to 5 (KLUERE_SCHEDULE_*)")
  c.groupByLength = try flag(options.group_by_length, "group_by_length")
  c.warmupSteps = try integer(options.warmup_steps, "warmup_steps")
  c.warmupRatio = options.warmup_ratio
  c.hiddenDropout = options.hidden_dropout == modelsOwn ? nil : options.hidden_dropout
  c.attentionDropout = options.attention_dropout == modelsOwn ? nil : options.attention_dropout
  c.classifierDropout = options.classifier_dropout == modelsOwn ? nil : options.classifier_dropout
  c.bestMetric = try choice(options.best_metric, "best_metric", "0 (micro-F1), 1 (AUPRC) or 2 (loss)")
  c.evaluateEvery = try integer(options.evaluate_every, "evaluate_every")
  c.checkpointEvery = try integer(options.checkpoint_every, "checkpoint_every")
  c.patience = try integer(options.patience, "patience")
  c.precision = try precision(options.precision, on: context)
  c.multiSampleDropout = Int(options.multi_sample_dropout)
  c.splitsOnOutOfMemory = try flag(options.split_on_out_of_memory, "split_on_out_of_memory")
  c.extras = try trainingExtras(options)
  if let directory = options.output_directory { c.outputDirectory = try path(directory, "output_directory") }
  return c
}

private func trainingExtras(_ options: kluere_train_options) throws(KluereError) -> TrainingExtras {
  var extras = TrainingExtras()
  extras.layerDecay = options.layer_decay
  extras.headRateFactor = options.head_learning_rate_factor
  extras.freezesEmbeddings = try flag(options.freeze_embeddings, "freeze_embeddings")
  extras.frozenLayers = Int(options.freeze_layers)
  extras.emaDecay = options.ema_decay
  extras.emaWarmup = try flag(options.ema_warmup, "ema_warmup")
  extras.swaStart = options.swa_start
  extras.swaEvery = try integer(options.swa_every, "swa_every")
  extras.swaLearningRate = options.swa_learning_rate
  extras.recomputesLayers = try flag(options.checkpoint_activations, "checkpoint_activations")
  extras.optimizer = try choice(options.optimizer, "optimizer", "0 (AdamW) or 1 (AdamW of transformers)")
  extras.scheduleCycles = options.schedule_cycles
  extras.schedulePower = options.schedule_power
  extras.endLearningRate = options.end_learning_rate == schedulesOwn ? nil : options.end_learning_rate
  return extras
}

private func flag(_ value: UInt32, _ name: String) throws(KluereError) -> Bool {
  guard value <= 1 else { throw KluereError(.invalidArgument, "\(name): \(value), expected 0 or 1") }
  return value == 1
}

/// As the header's struct; struct_size is that of this version, or left to `SizedStruct.Out`.
func stepStruct(_ info: StepInfo) -> kluere_step_info {
  kluere_step_info(
    struct_size: UInt32(MemoryLayout<kluere_step_info>.size), done: info.done ? 1 : 0,
    step: UInt64(clamping: info.step), total_steps: UInt64(clamping: info.totalSteps),
    sentences: UInt64(clamping: info.sentences), tokens: UInt64(clamping: info.tokens), epoch: info.epoch,
    loss: info.loss, learning_rate: info.learningRate, grad_norm: info.gradNorm, seconds: info.seconds,
    skipped: info.skipped ? 1 : 0, reserved: 0, loss_scale: info.lossScale)
}

/// The event as C sees it, on the stack for the time of the call.
func withEventStruct<Result>(_ event: TrainEvent, _ body: (UnsafePointer<kluere_train_event>) -> Result) -> Result {
  withUnsafePointer(to: stepStruct(event.step)) { step in
    withOptionalPointer(to: event.metrics.map { sized(metricsStruct($0)) }) { metrics in
      withOptionalCString(event.path) { path in
        let structure = kluere_train_event(
          struct_size: UInt32(MemoryLayout<kluere_train_event>.size), kind: event.kind.rawValue, step: step,
          metrics: metrics, path: path, is_best: event.isBest ? 1 : 0, reserved: 0)
        return withUnsafePointer(to: structure, body)
      }
    }
  }
}

private func sized(_ metrics: kluere_metrics) -> kluere_metrics {
  var metrics = metrics
  metrics.struct_size = UInt32(MemoryLayout<kluere_metrics>.size)
  return metrics
}

private func withOptionalPointer<Value, Result>(to value: Value?, _ body: (UnsafePointer<Value>?) -> Result) -> Result {
  guard let value else { return body(nil) }
  return withUnsafePointer(to: value, body)
}

private func withOptionalCString<Result>(_ string: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
  guard let string else { return body(nil) }
  return string.withCString(body)
}

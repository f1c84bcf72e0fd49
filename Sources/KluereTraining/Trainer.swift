package import CKluereSupport
internal import Glibc
package import KluereBase
internal import KluereCompute
package import KluereData
package import KluereMetrics
package import KluereModel

/// Weights, optimizer and position of one training run. One thread at a time; only `stopFlag` may be set by others.
package final class Trainer {
  package let configuration: TrainingConfiguration
  package let totalSteps: Int
  /// Set it to 1 (ks_flag_set) to stop the call in progress, or else the next `run`; lives as long as the trainer.
  package let stopFlag: UnsafeMutablePointer<ks_flag>?
  let libraryVersion: String
  /// A model around the weights that this trainer changes; never handed out.
  let live: Model
  let train: TrainingRows
  let evaluation: TrainingRows?
  var progress: Progress
  /// The last update, or where a resumed run stands.
  var lastInfo = StepInfo()
  /// What the newest checkpoint-last and checkpoint-best of this run hold.
  var writtenLast: Progress?
  var writtenBestStep = 0
  private(set) lazy var evaluator = Evaluator(live)

  private let schedule: Schedule
  private let rule: BatchRule
  private let lengths: [Int32]
  private var plan = BatchPlan()
  private let network: Network
  private var batch: TokenBatch
  private var unpacked = EncodedRows.Unpacked()
  private var labels: [Int32] = []
  private let gradients: FloatStorage
  let moments: Moments
  private var gradientIsWhole = false
  /// A device failed between the two halves of an update.
  private var isDamaged = false
  private var isBusy = false

  /// AdamW's running means of the gradient and of its square, each shaped as the weights.
  struct Moments {
    let first: FloatStorage
    let second: FloatStorage

    init(_ model: Model) throws(KluereError) {
      let backend = model.context.backend
      first = try FloatStorage(count: model.layout.count, on: backend, for: "first moments")
      second = try FloatStorage(count: model.layout.count, on: backend, for: "second moments")
    }
  }

  // MARK: Creation

  /// Copies the weights of `model`, which stays as it is.
  package convenience init(
    model: Model, train: Dataset, evaluation: Dataset?, configuration: TrainingConfiguration, libraryVersion: String
  ) throws(KluereError) {
    try configuration.validate()
    guard model.layout.classifier != nil else {
      throw KluereError(.state, "trainer: the model has no classification head; open it with that task")
    }
    let train = try TrainingRows(train, model, "train")
    // Not Optional.map: its closure carries no typed error.
    var evaluationRows: TrainingRows?
    if let evaluation { evaluationRows = try TrainingRows(evaluation, model, "evaluation") }
    let lengths = train.lengths
    let rule = BatchRule(configuration)
    try rule.validate(lengths: lengths)
    var totalSteps = configuration.maxSteps
    if totalSteps == 0 {
      totalSteps = try rule.totalSteps(
        epochs: configuration.epochs, accumulation: configuration.accumulation, lengths: lengths)
    }
    let live = try model.with(weights: try model.copyWeights())
    try self.init(
      live: live, train: train, evaluation: evaluationRows, configuration: configuration, totalSteps: totalSteps,
      progress: Progress(), moments: try Moments(live), libraryVersion: libraryVersion)
  }

  /// `live`'s weights are this trainer's own from here on. Everything has been validated.
  init(
    live: Model, train: TrainingRows, evaluation: TrainingRows?, configuration: TrainingConfiguration,
    totalSteps: Int, progress: Progress, moments: Moments, libraryVersion: String
  ) throws(KluereError) {
    self.live = live
    self.train = train
    self.evaluation = evaluation
    self.configuration = configuration
    self.totalSteps = totalSteps
    self.progress = progress
    self.moments = moments
    self.libraryVersion = libraryVersion
    lengths = train.lengths
    rule = BatchRule(configuration)
    schedule = Schedule(configuration, totalSteps: totalSteps)
    gradients = try FloatStorage(count: live.layout.count, on: live.context.backend, for: "gradients")
    network = Network(live.configuration, live.layout, on: live.context, training: true)
    batch = TokenBatch(live.configuration)
    guard let memory = ks_allocate(MemoryLayout<ks_flag>.size) else {
      throw KluereError(.outOfMemory, "trainer: memory for its stop flag is not to be had")
    }
    let flag = memory.bindMemory(to: ks_flag.self, capacity: 1)
    flag.initialize(to: ks_flag())
    stopFlag = flag
    lastInfo = describe()
  }

  deinit { ks_free(stopFlag) }

  // MARK: Guards

  /// Runs `body` unless a call on this trainer is in progress, as inside a callback of `run`.
  func alone<Result>(_ body: () throws(KluereError) -> Result) throws(KluereError) -> Result {
    guard !isBusy else {
      throw KluereError(.state, "trainer: run() is in progress; only request_stop may be called meanwhile")
    }
    guard !isDamaged else {
      throw KluereError(.state, "trainer: the device failed in the middle of an update; resume from a checkpoint")
    }
    isBusy = true
    defer { isBusy = false }
    return try body()
  }

  /// Whether a stop was asked for; asking answers it.
  func takeStop() -> Bool { ks_flag_take(stopFlag) != 0 }

  /// For calls that a request made before them does not concern: that one is kept for the next `run`.
  private func freshStop() -> () -> Bool {
    ks_flag_get(stopFlag) != 0 ? { false } : { self.takeStop() }
  }

  package var isDone: Bool { progress.step >= totalSteps }

  // MARK: Updates

  /// One update. When it throws, weights, moments and position are those before it.
  package func step() throws(KluereError) -> StepInfo {
    try alone { () throws(KluereError) in
      guard !isDone else {
        throw KluereError(.state, "trainer: all \(totalSteps) updates have been made")
      }
      return try update(stop: freshStop())
    }
  }

  /// The trainer is not done. `stop` is asked before each micro-batch.
  func update(stop: () -> Bool) throws(KluereError) -> StepInfo {
    let start = ks_now_seconds()
    try preparePlan()
    gradientIsWhole = false
    let batches = progress.nextBatch..<min(progress.nextBatch + configuration.accumulation, plan.batchCount)
    let context = live.context
    var info = StepInfo()
    info.sentences = plan.bounds[batches.upperBound] - plan.bounds[batches.lowerBound]
    info.learningRate = schedule.rate(progress.step)
    try context.exclusive { () throws(KluereError) in
      let sum = try accumulate(batches, sentences: info.sentences, tokens: &info.tokens, stop: stop)
      gradientIsWhole = true
      info.loss = sum / Double(info.sentences)
      info.gradNorm = try context.backend.sumOfSquares(gradients.pointer, count: gradients.count).squareRoot()
      try requireFinite(info.gradNorm, "gradient norm")
      try apply(learningRate: info.learningRate, gradNorm: info.gradNorm)
    }
    progress.step += 1
    progress.nextBatch = batches.upperBound
    if progress.nextBatch == plan.batchCount {
      progress.epoch += 1
      progress.nextBatch = 0
    }
    let position = describe()
    info.step = position.step
    info.totalSteps = position.totalSteps
    info.done = position.done
    info.epoch = position.epoch
    info.seconds = ks_now_seconds() - start
    lastInfo = info
    return info
  }

  /// Position alone: step, totals and epoch.
  private func describe() -> StepInfo {
    var info = StepInfo()
    info.step = progress.step
    info.totalSteps = totalSteps
    info.done = isDone
    info.epoch = Double(progress.epoch)
    if progress.nextBatch > 0, plan.epoch == progress.epoch, plan.bounds.indices.contains(progress.nextBatch) {
      info.epoch += Double(plan.bounds[progress.nextBatch]) / Double(train.count)
    }
    return info
  }

  /// Plans the pass that the next update belongs to, and makes room for its largest micro-batch: its updates then
  /// allocate nothing.
  private func preparePlan() throws(KluereError) {
    if plan.epoch == progress.epoch { return }
    plan.make(rule, epoch: progress.epoch, lengths: lengths)
    try network.reserve(tokens: plan.maxTokens, sequences: plan.maxSentences)
  }

  /// Makes ready to go on from a position that was read; false if the pass has no such place.
  func restorePosition() throws(KluereError) -> Bool {
    try preparePlan()
    guard progress.nextBatch < plan.batchCount, progress.nextBatch % configuration.accumulation == 0 else {
      return false
    }
    lastInfo = describe()
    return true
  }

  /// Gradients = those of the mean loss over the update's sentences; returns the sum of their losses.
  private func accumulate(
    _ batches: Range<Int>, sentences: Int, tokens: inout Int, stop: () -> Bool
  ) throws(KluereError) -> Double {
    let dropout = DropoutPlan(
      seed: mix(configuration.seed, UInt64(truncatingIfNeeded: progress.step)),
      hidden: configuration.hiddenDropout ?? live.configuration.hiddenDropout,
      attention: configuration.attentionDropout ?? live.configuration.attentionDropout,
      classifier: configuration.classifierDropout ?? live.configuration.classifierDropout
        ?? live.configuration.hiddenDropout)
    try live.context.backend.fill(gradients.pointer, 0, count: gradients.count)
    let firstPlace = plan.bounds[batches.lowerBound]
    var sum = 0.0
    for number in batches {
      if stop() {
        throw KluereError(
          .cancelled, "stopped on request in update \(progress.step + 1) of \(totalSteps), which was not made")
      }
      batch.removeAll()
      labels.removeAll(keepingCapacity: true)
      for place in plan.bounds[number]..<plan.bounds[number + 1] {
        let row = Int(plan.order[place])
        // Numbered within the update: dropout does not depend on how the update is cut into micro-batches.
        train.encoded.load(row, sample: place - firstPlace, into: &batch, &unpacked)
        labels.append(train.labels[row])
      }
      tokens += batch.tokenCount
      _ = try network.forward(weights: live.weights.arena, batch, dropout)
      let loss = try network.loss(labels, scale: 1 / Float(sentences))
      try requireFinite(loss, "loss")
      sum += loss
      try network.backward(weights: live.weights.arena, gradients: gradients)
    }
    return sum
  }

  private func requireFinite(_ value: Double, _ name: String) throws(KluereError) {
    guard value.isFinite else {
      throw KluereError(
        .notFinite, "update \(progress.step + 1) of \(totalSteps): \(name) is \(value); the update was not made")
    }
  }

  /// AdamW on the decaying part and on the rest, after clipping by global norm as torch.nn.utils.clip_grad_norm_ does.
  private func apply(learningRate: Double, gradNorm: Double) throws(KluereError) {
    let clip = configuration.maxGradNorm > 0 ? min(1, configuration.maxGradNorm / (gradNorm + 1e-6)) : 1
    let number = Double(progress.step + 1)
    // The corrections belong to the betas as the backend applies them: rounded to fp32.
    let beta1 = Float(configuration.beta1)
    let beta2 = Float(configuration.beta2)
    var update = AdamWUpdate(
      learningRate: Float(learningRate), beta1: beta1, beta2: beta2, epsilon: Float(configuration.epsilon),
      weightDecay: Float(configuration.weightDecay), gradientScale: Float(clip),
      correction1: 1 - pow(Double(beta1), number), correction2: 1 - pow(Double(beta2), number))
    let decaying = live.layout.decayingCount
    do throws(KluereError) {
      try applyRange(0..<decaying, update)
      update.weightDecay = 0
      try applyRange(decaying..<live.layout.count, update)
    } catch {
      isDamaged = true
      throw error
    }
  }

  private func applyRange(_ range: Range<Int>, _ update: AdamWUpdate) throws(KluereError) {
    let start = range.lowerBound
    try live.context.backend.adamW(
      live.weights.arena.pointer + start, m: moments.first.pointer + start, v: moments.second.pointer + start,
      gradient: gradients.pointer + start, count: range.count, update)
  }

  // MARK: Looking at it

  /// The present weights on labelled rows, without dropout.
  package func evaluate(_ dataset: Dataset) throws(KluereError) -> Metrics {
    try alone { () throws(KluereError) in
      let stop = freshStop()
      let rows = try TrainingRows(dataset, live, "evaluation")
      return try evaluator.measure(rows, weights: live.weights.arena, stop: stop)
    }
  }

  /// A model with a copy of the present weights.
  package func exportModel() throws(KluereError) -> Model {
    try alone { () throws(KluereError) in try live.with(weights: try live.copyWeights()) }
  }

  /// Gradient of the last update before clipping; the first floats of `out` are overwritten.
  package func readGradient(tensor: Int, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    try alone { () throws(KluereError) in
      guard live.layout.tensors.indices.contains(tensor) else {
        throw KluereError(
          .invalidArgument, "tensor: \(tensor), expected 0 to \(live.layout.tensors.count - 1)")
      }
      guard gradientIsWhole else {
        throw KluereError(.state, "trainer: there is no gradient; the last step() did not get so far, or none was made")
      }
      let slot = live.layout.tensors[tensor]
      guard out.count >= slot.count, let base = out.baseAddress else {
        throw KluereError(.bufferTooSmall, "\(slot.name): room for \(out.count) floats, expected \(slot.count)")
      }
      try live.context.backend.copyOut(
        base, gradients.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
    }
  }
}

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
  /// What it learns from its rows.
  let objective: any Objective
  /// nil: cross entropy.
  var loss: TrainingLoss? { (objective as? ClassificationObjective)?.loss }
  var progress: Progress
  /// The last update, or where a resumed run stands.
  var lastInfo = StepInfo()
  /// What the newest checkpoint-last and checkpoint-best of this run hold.
  var writtenLast: Progress?
  var writtenBestStep = 0

  private let schedule: Schedule
  private let rule: BatchRule
  private let lengths: [Int32]
  private var plan = BatchPlan()
  private let network: Network
  private var batch: TokenBatch
  private let gradients: FloatStorage
  /// What products read in 16-bit precisions; written by each update.
  let half: HalfWeights?
  private let numbers: UpdateStorage
  /// Tokens of a pass; falls when the device's memory does not hold more and the configuration allows to split.
  private var passTokens = Int.max
  /// What the gradients of the last update are multiplied with, and what its sum of losses is divided by.
  private var lastLossScale: Float = 1
  private var lossDivisor = 1
  let moments: Moments
  let groups: ParameterGroups
  let average: WeightAverage?
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
    model: Model, train: Dataset, evaluation: Dataset?, configuration: TrainingConfiguration,
    softTargets: UnsafeBufferPointer<Float>? = nil, libraryVersion: String
  ) throws(KluereError) {
    try self.init(model: model, configuration: configuration, libraryVersion: libraryVersion) {
      (live) throws(KluereError) in
      try ClassificationObjective(live, train, evaluation, configuration) { (rows) throws(KluereError) in
        guard let softTargets, let loss = configuration.loss else { return [] }
        return try SoftTargets.soften(
          softTargets, rows: rows, classes: live.labels.count, temperature: loss.teacherTemperature)
      }
    }
  }

  /// `makeObjective` is given the model whose weights this trainer changes.
  convenience init(
    model: Model, configuration: TrainingConfiguration, libraryVersion: String,
    objective makeObjective: (Model) throws(KluereError) -> any Objective
  ) throws(KluereError) {
    try configuration.validate()
    let live = try model.with(weights: try model.copyWeights())
    let objective = try makeObjective(live)
    let lengths = objective.lengths
    let rule = BatchRule(configuration)
    try rule.validate(lengths: lengths, copies: configuration.loss?.copies ?? 1)
    var totalSteps = configuration.maxSteps
    if totalSteps == 0 {
      totalSteps = try rule.totalSteps(
        epochs: configuration.epochs, accumulation: configuration.accumulation, lengths: lengths)
    }
    try self.init(
      live: live, average: nil, objective: objective, configuration: configuration, totalSteps: totalSteps,
      progress: Progress(configuration.precision), moments: try Moments(live), libraryVersion: libraryVersion)
  }

  /// `live`'s weights and `average` (nil: none yet) are this trainer's own from here on. Everything has been validated.
  init(
    live: Model, average: FloatStorage?, objective: any Objective, configuration: TrainingConfiguration,
    totalSteps: Int, progress: Progress, moments: Moments, libraryVersion: String
  ) throws(KluereError) {
    self.live = live
    self.objective = objective
    self.configuration = configuration
    self.totalSteps = totalSteps
    self.progress = progress
    self.moments = moments
    self.libraryVersion = libraryVersion
    lengths = objective.lengths
    rule = BatchRule(configuration)
    schedule = Schedule(configuration, totalSteps: totalSteps)
    let backend = live.context.backend
    let precision = configuration.precision
    guard backend.supports(precision) else {
      throw KluereError(
        .unsupported, "precision: \(precision.name) on \(live.context.deviceName), expected one that the device can do")
    }
    let extras = configuration.extras
    guard extras.frozenLayers <= live.layout.layers.count else {
      throw KluereError(
        .invalidArgument, "freeze_layers: \(extras.frozenLayers), the model has \(live.layout.layers.count) layers")
    }
    groups = ParameterGroups(live.layout, extras)
    self.average = try Trainer.makeAverage(live, average, configuration, totalSteps: totalSteps)
    gradients = try FloatStorage(count: live.layout.count, on: backend, for: "gradients")
    half = precision.isHalf ? try HalfWeights(count: live.layout.count, precision, on: backend) : nil
    try half?.fill(from: live.weights.arena, on: backend)
    numbers = try UpdateStorage(count: 1, on: backend, for: "numbers of an update")
    try backend.startUpdates(numbers, lossScale: progress.lossScale, goodUpdates: progress.goodUpdates)
    var backward = BackwardPlan()
    backward.freezesEmbeddings = extras.freezesEmbeddings
    backward.frozenLayers = extras.frozenLayers
    backward.recomputesLayers = extras.recomputesLayers
    network = Network(
      live.configuration, live.layout, on: live.context, precision: precision, training: true,
      dropoutSamples: configuration.multiSampleDropout, plan: backward,
      types: objective.types)
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
  func freshStop() -> () -> Bool {
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
    var info = StepInfo()
    info.sentences = plan.bounds[batches.upperBound] - plan.bounds[batches.lowerBound]
    info.learningRate = schedule.rate(progress.step)
    var isAveraged = false
    let numbers = try live.context.exclusive { () throws(KluereError) in
      try computeGradients(batches, tokens: &info.tokens, stop: stop)
      return try apply(learningRate: info.learningRate, &isAveraged)
    }
    try note(numbers, &info)
    progress.step += 1
    if isAveraged { progress.averaged += 1 }
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

  /// What the device says of an update. Throws if it made none, unless only the loss scale was too large.
  private func note(_ numbers: UpdateNumbers, _ info: inout StepInfo) throws(KluereError) {
    info.loss = numbers.lossSum / Double(lossDivisor) / Double(network.dropoutSamples)
    info.gradNorm = numbers.gradNorm
    info.skipped = numbers.skip != 0
    info.lossScale = Double(lastLossScale)
    let isDynamic = configuration.precision == .float16
    if info.skipped, !isDynamic || !info.loss.isFinite || numbers.lossScale < Trainer.smallestLossScale {
      let (name, value) = info.loss.isFinite ? ("gradient norm", info.gradNorm) : ("loss", info.loss)
      throw KluereError(
        .notFinite, "update \(progress.step + 1) of \(totalSteps): \(name) is \(value); the update was not made")
    }
    if info.skipped { progress.skipped += 1 }
    progress.lossScale = numbers.lossScale
    progress.goodUpdates = numbers.goodUpdates
  }

  /// Gradients that overflow fp16 even so are not a matter of the scale.
  private static let smallestLossScale: Float = 1.0 / 65536

  /// Position alone: step, totals and epoch.
  private func describe() -> StepInfo {
    var info = StepInfo()
    info.step = progress.step
    info.totalSteps = totalSteps
    info.done = isDone
    info.epoch = Double(progress.epoch)
    if progress.nextBatch > 0, plan.epoch == progress.epoch, plan.bounds.indices.contains(progress.nextBatch) {
      info.epoch += Double(plan.bounds[progress.nextBatch]) / Double(lengths.count)
    }
    return info
  }

  /// Plans the pass that the next update belongs to, and makes room for its largest micro-batch: its updates then
  /// allocate nothing.
  private func preparePlan() throws(KluereError) {
    if plan.epoch == progress.epoch { return }
    plan.make(rule, epoch: progress.epoch, lengths: lengths)
    while true {
      do throws(KluereError) {
        return try network.reserve(
          tokens: min(plan.maxTokens, passTokens), sequences: try objective.reserve(rows: plan.maxSentences))
      } catch {
        guard error.status == .outOfMemory, try splitPasses(error) else { throw error }
      }
    }
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

  /// `accumulate`; where memory runs out and the configuration allows it, once more in smaller passes.
  private func computeGradients(
    _ batches: Range<Int>, tokens: inout Int, stop: () -> Bool
  ) throws(KluereError) {
    while true {
      do throws(KluereError) {
        tokens = 0
        try accumulate(batches, tokens: &tokens, stop: stop)
        gradientIsWhole = true
        return
      } catch {
        guard error.status == .outOfMemory, try splitPasses(error) else { throw error }
      }
    }
  }

  /// Halves the tokens of a pass; false if that is not allowed, or cannot help.
  private func splitPasses(_ error: KluereError) throws(KluereError) -> Bool {
    let half = min(passTokens, plan.maxTokens) / 2
    guard configuration.splitsOnOutOfMemory, half >= Int(lengths.max() ?? 0) else { return false }
    passTokens = half
    live.context.log(.warning, "trainer: passes of at most \(half) tokens from here on: \(error.message)")
    return true
  }

  /// Gradients = those of the update's mean loss, times the loss scale; adds up the losses.
  private func accumulate(
    _ batches: Range<Int>, tokens: inout Int, stop: () -> Bool
  ) throws(KluereError) {
    let dropout = DropoutPlan(
      seed: mix(configuration.seed, UInt64(truncatingIfNeeded: progress.step)),
      hidden: configuration.hiddenDropout ?? live.configuration.hiddenDropout,
      attention: configuration.attentionDropout ?? live.configuration.attentionDropout,
      classifier: configuration.classifierDropout(of: live.configuration))
    let backend = live.context.backend
    try backend.fill(gradients.pointer + groups.start, 0, count: gradients.count - groups.start)
    try backend.beginUpdate(numbers)
    lastLossScale = progress.lossScale
    let places = plan.bounds[batches.lowerBound]..<plan.bounds[batches.upperBound]
    let position = UpdatePosition(step: progress.step, totalSteps: totalSteps, epoch: progress.epoch)
    lossDivisor = max(1, try objective.begin(plan.order[places], position))
    let weights = NetworkWeights(live.weights.arena, half: half)
    for number in batches {
      var place = plan.bounds[number]
      while place < plan.bounds[number + 1] {
        if stop() {
          throw KluereError(
            .cancelled, "stopped on request in update \(progress.step + 1) of \(totalSteps), which was not made")
        }
        place = fill(from: place, to: plan.bounds[number + 1], firstPlace: places.lowerBound)
        tokens += batch.tokenCount
        try objective.add(
          UpdatePass(
            network: network, weights: weights, batch: batch, dropout: dropout, scale: 1 / Float(lossDivisor),
            numbers: numbers, gradients: gradients))
      }
    }
  }

  /// Loads sentences from `start` on, up to `end` or as many as a pass may have; returns the place after the last one.
  private func fill(from start: Int, to end: Int, firstPlace: Int) -> Int {
    batch.removeAll()
    objective.beginPass()
    var place = start
    while place < end {
      let row = Int(plan.order[place])
      if place > start, batch.tokenCount + Int(lengths[row]) > passTokens { break }
      objective.load(place - firstPlace, into: &batch)
      place += 1
    }
    return place
  }

  /// AdamW group by group, after clipping by global norm as torch.nn.utils.clip_grad_norm_ does; not where loss or
  /// gradients are not finite. The new weights then enter their average, if there is one and they are due.
  private func apply(learningRate: Double, _ isAveraged: inout Bool) throws(KluereError) -> UpdateNumbers {
    let backend = live.context.backend
    try backend.prepareUpdate(
      numbers, gradients: gradients.pointer + groups.start, count: gradients.count - groups.start,
      maxNorm: configuration.maxGradNorm, dynamic: configuration.precision == .float16)
    // Updates that were skipped moved no moments.
    let number = Double(progress.step + 1 - progress.skipped)
    do throws(KluereError) {
      for group in groups.groups {
        try applyRange(
          group.range,
          configuration.adamW(learningRate: learningRate * group.factor, decays: group.decays, number: number))
      }
      let read = try backend.readUpdate(numbers)
      if let average, read.skip == 0 {
        isAveraged = try average.add(
          live.weights.arena, step: progress.step + 1, averaged: progress.averaged, from: groups.start, on: backend)
      }
      return read
    } catch {
      isDamaged = true
      throw error
    }
  }

  private func applyRange(_ range: Range<Int>, _ rule: AdamWUpdate) throws(KluereError) {
    let start = range.lowerBound
    let copy = half.map { Values($0.values.address + start * $0.values.precision.bytes, $0.values.precision) }
    try live.context.backend.adamW(
      live.weights.arena.pointer + start, half: copy, m: moments.first.pointer + start,
      v: moments.second.pointer + start,
      gradient: gradients.pointer + start, count: range.count, rule, numbers)
  }

  // MARK: Looking at it

  /// The weights that count on labelled rows, without dropout.
  package func evaluate(_ dataset: Dataset) throws(KluereError) -> Metrics {
    try alone { () throws(KluereError) in
      guard let objective = objective as? ClassificationObjective else {
        throw KluereError(.state, "trainer: it learns masked-LM, which is measured on a corpus")
      }
      return try objective.measure(dataset, try weightsToEvaluate(half), stop: freshStop())
    }
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
      // A decoder tied to frozen embeddings leaves something in their place.
      guard groups.trained.contains(tensor) else { return out[..<slot.count].update(repeating: 0) }
      try live.context.backend.copyOut(
        base, gradients.pointer + slot.offset, bytes: slot.count * MemoryLayout<Float>.size)
      // Powers of two: exact.
      if lastLossScale != 1 { for place in 0..<slot.count { out[place] /= lastLossScale } }
    }
  }
}

internal import KluereBase
internal import KluereCompute

/// The loss of a run, ready for its updates: tables on the device, and what the sentences of an update decide. Not made for
/// plain cross entropy.
final class TrainingLoss {
  /// As the loss compares with them (`SoftTargets`), [rows, classes]; empty: none.
  let softTargets: [Float]
  /// Times that a sentence is in its batch, its copies one behind the other.
  let copies: Int
  private let configuration: LossConfiguration
  private let backend: any Backend
  private let classes: Int
  /// nil: none.
  private let classWeights: [Float]?
  /// Class weights times focal alphas, and the alphas alone: what is used before the weights begin.
  private let weighted: FloatStorage?
  private let unweighted: FloatStorage?
  private let margins: FloatStorage?
  private var batchTargets = GrowingStorage<Float>(for: "soft targets of a batch")
  private var gathered: [Float] = []
  private var rule = LossRule()

  /// nil: cross entropy and nothing else. `labels`: of the training rows, inside `classes`.
  static func make(
    _ configuration: LossConfiguration?, softTargets: [Float], labels: [Int32], classes: Int, on backend: any Backend
  ) throws(KluereError) -> TrainingLoss? {
    guard let configuration, !configuration.isPlain else { return nil }
    try configuration.validate(labels: classes)
    return try TrainingLoss(configuration, softTargets: softTargets, labels: labels, classes: classes, on: backend)
  }

  private init(
    _ configuration: LossConfiguration, softTargets: [Float], labels: [Int32], classes: Int, on backend: any Backend
  ) throws(KluereError) {
    guard softTargets.count == (configuration.distills ? labels.count * classes : 0) else {
      throw KluereError(
        .invalidArgument, "soft_targets: \(softTargets.count) numbers for \(labels.count) rows x \(classes) labels")
    }
    self.configuration = configuration
    self.softTargets = softTargets
    self.backend = backend
    self.classes = classes
    copies = configuration.copies
    var counts = [Int](repeating: 0, count: classes)
    for label in labels { counts[Int(label)] += 1 }
    classWeights = ClassWeights.make(configuration, counts: counts)
    let alphas = configuration.focalAlphas
    var both = classWeights
    if let weights = classWeights, let alphas { both = zip(weights, alphas).map { $0 * $1 } }
    unweighted = try TrainingLoss.table(alphas, on: backend)
    weighted = try TrainingLoss.table(both ?? alphas, on: backend)
    var own: [Float]?
    if configuration.kind == .ldam {
      own = ClassWeights.margins(
        largest: configuration.ldamMargin ?? LossConfiguration.defaultMargin, counts: counts)
    }
    margins = try TrainingLoss.table(own, on: backend)
    shapeRule()
  }

  private static func table(_ values: [Float]?, on backend: any Backend) throws(KluereError) -> FloatStorage? {
    guard let values else { return nil }
    let storage = try FloatStorage(count: values.count, on: backend, for: "weights of the classes")
    try copy(values, to: storage.pointer, on: backend)
    return storage
  }

  private static func copy(_ values: [Float], to device: Floats, on backend: any Backend) throws(KluereError) {
    // withUnsafeBytes cannot carry a typed error out.
    var failure: KluereError?
    values.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      do throws(KluereError) {
        try backend.copyIn(UnsafeMutableRawPointer(device), base, bytes: bytes.count)
      } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// What is the same in every update.
  private func shapeRule() {
    let smoothing = configuration.smoothing
    switch configuration.smoothingMode {
    case .allClasses:
      rule.offTarget = smoothing / Double(classes)
      rule.onTarget = 1 - smoothing + rule.offTarget
    case .otherClasses:
      rule.offTarget = classes > 1 ? smoothing / Double(classes - 1) : 0
      rule.onTarget = 1 - smoothing
    }
    rule.gamma = configuration.gamma
    rule.isDetached = configuration.isDetached
    if configuration.kind == .ldam { rule.sharpness = configuration.ldamScale ?? LossConfiguration.defaultScale }
    rule.margins = margins.map { UnsafePointer($0.pointer) }
    rule.temperature = configuration.teacherTemperature
    rule.agreement = configuration.rDrop
    // Copies of a sentence share its loss.
    rule.soft = configuration.share * rule.temperature * rule.temperature / Double(copies)
  }

  // MARK: Updates

  /// Makes room for batches of up to `rows` sentences, copies counted.
  func reserve(rows: Int) throws(KluereError) {
    guard configuration.distills else { return }
    guard let count = rows.product(classes) else {
      throw KluereError(.outOfMemory, "soft targets of a batch: \(rows) rows x \(classes) labels do not fit in memory")
    }
    _ = try batchTargets.reserve(count, on: backend)
    gathered.reserveCapacity(count)
  }

  /// Before the first batch of an update with these training rows: what its sentences are divided by does not depend on how it
  /// is cut into micro-batches.
  func begin(rows: ArraySlice<UInt32>, labels: [Int32], step: Int, totalSteps: Int) {
    let weightsCount = classWeights != nil && Double(step) >= configuration.weightsFrom * Double(totalSteps)
    rule.weights = (weightsCount ? weighted : unweighted).map { UnsafePointer($0.pointer) }
    rule.hard = (1 - configuration.share) * (configuration.focalAlpha ?? 1) / Double(copies)
    guard configuration.dividesByWeights, weightsCount, let classWeights else { return }
    var sum = 0.0
    for row in rows { sum += Double(classWeights[Int(labels[Int(row)])]) }
    // The trainer divides by the sentences.
    rule.hard = sum > 0 ? rule.hard * Double(rows.count) / sum : 0
  }

  /// The rule for a batch of these training rows, copies counted.
  func rule(rows: [Int]) throws(KluereError) -> LossRule {
    guard configuration.distills else { return rule }
    gathered.removeAll(keepingCapacity: true)
    for row in rows { gathered.append(contentsOf: softTargets[row * classes..<(row + 1) * classes]) }
    let device = try batchTargets.reserve(gathered.count, on: backend)
    try TrainingLoss.copy(gathered, to: device, on: backend)
    rule.teacher = UnsafePointer(device)
    return rule
  }
}

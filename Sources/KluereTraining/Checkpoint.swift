internal import CKluereSupport
package import KluereBase
package import KluereCompute
package import KluereData
internal import KluereFormats
internal import KluereModel

/// A checkpoint is a model folder with two files more: optimizer.safetensors (AdamW's moments of what is trained, named as
/// torch names them) and trainer_state.json (configuration, position, and what the other pieces must be). Of a run that
/// averages, the model is the average once there is one, and a third file has the weights that training goes on with;
/// with distillation soft_targets.safetensors is there too.
extension Trainer {
  static let stateName = "trainer_state.json"
  static let momentsName = "optimizer.safetensors"
  static let liveName = "training_weights.safetensors"

  // MARK: Writing

  /// Written beside its place and swapped in; changes nothing in the training.
  package func saveCheckpoint(_ directory: String) throws(KluereError) {
    try alone { () throws(KluereError) in try writeCheckpoint(directory) }
  }

  func writeCheckpoint(_ directory: String) throws(KluereError) {
    let backend = live.context.backend
    let average = presentAverage?.arena
    var averageChecksum: UInt64?
    if let average { averageChecksum = try Trainer.checksum(average, backend) }
    let state = CheckpointState(
      libraryVersion: libraryVersion, configuration: configuration, totalSteps: totalSteps, progress: progress,
      train: objective.train, evaluation: objective.evaluation, masking: objective.masking,
      labels: live.labels.names, types: Trainer.typesChecksum(live),
      weights: try Trainer.checksum(live.weights.arena, backend),
      firstMoments: try Trainer.checksum(moments.first, backend),
      secondMoments: try Trainer.checksum(moments.second, backend), softTargets: softTargetsChecksum,
      average: averageChecksum)
    let bytes = state.encoded()
    let (live, moments, trained) = (live, moments, groups.trained)
    try live.save(
      directory, libraryVersion: libraryVersion,
      extra: [
        Model.ExtraFile(Trainer.momentsName) { (target) throws(KluereError) in
          try Trainer.writeMoments(moments, trained, of: live, to: target)
        },
        // Named also where there is none: one of another run is replaced.
        Model.ExtraFile(Trainer.liveName) { (target) throws(KluereError) in
          if average == nil { return }
          try live.writeTensors(Trainer.liveName, to: target, named: live.layout, from: live.weights.arena)
        },
        Model.ExtraFile(Trainer.stateName) { (target) throws(KluereError) in
          try target.add(Trainer.stateName, bytes)
        },
      ] + softTargetsFile, weights: average)
  }

  private static func writeMoments(
    _ moments: Moments, _ trained: [Int], of model: Model, to target: AtomicDirectory
  ) throws(KluereError) {
    var tensors: [Safetensors.OutputTensor] = []
    let backend = model.context.backend
    let arenas = [
      (".exp_avg", try HostFloats(moments.first, on: backend)),
      (".exp_avg_sq", try HostFloats(moments.second, on: backend)),
    ]
    defer { withExtendedLifetime(arenas) {} }
    for slot in trained.map({ model.layout.tensors[$0] }) {
      for (suffix, arena) in arenas {
        tensors.append(
          Safetensors.OutputTensor(
            name: slot.name + suffix, shape: shape(slot),
            values: UnsafeBufferPointer(start: arena.pointer + slot.offset, count: slot.count)))
      }
    }
    try Safetensors.write(momentsName, to: target, tensors: tensors)
  }

  private static func momentArenas(_ moments: Moments) -> [(String, FloatStorage)] {
    [(".exp_avg", moments.first), (".exp_avg_sq", moments.second)]
  }

  private static func shape(_ slot: TensorSlot) -> [Int] {
    slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns]
  }

  // MARK: Resuming

  /// Goes on where the checkpoint was written, bit for bit. `directory`: a checkpoint, or the output_directory of a
  /// run, whose checkpoint-last is taken. The rows must be those of then. Further checkpoints go beside the one read.
  package static func resume(
    context: Context, directory: String, train: Dataset, evaluation: Dataset?, libraryVersion: String
  ) throws(KluereError) -> Trainer {
    let given = (CheckpointState.Rows(train), evaluation.map { CheckpointState.Rows($0) })
    return try resume(context, directory, given, masked: false, libraryVersion) {
      (live, state, checkpoint) throws(KluereError) in
      let soft = try readSoftTargets(checkpoint, state, rows: train.count, classes: live.labels.count)
      return try ClassificationObjective(live, train, evaluation, state.configuration) { _ in soft }
    }
  }

  /// `masked`: whether the rows are those of masked-LM training. `makeObjective` is called for the checkpoint of such rows,
  /// with the model whose weights the trainer changes and the checkpoint's folder.
  static func resume(
    _ context: Context, _ directory: String, _ given: (train: CheckpointState.Rows, evaluation: CheckpointState.Rows?),
    masked: Bool, _ libraryVersion: String,
    objective makeObjective: (Model, CheckpointState, String) throws(KluereError) -> any Objective
  ) throws(KluereError) -> Trainer {
    let (checkpoint, parent) = try locate(directory)
    let path = checkpoint + "/" + stateName
    let state = try CheckpointState(try Files.readAll(path), path: path, libraryVersion: libraryVersion)
    guard masked == (state.masking != nil) else {
      let (its, asked) = masked ? ("classification", "masked-LM") : ("masked-LM", "classification")
      throw KluereError(.state, "\(path): a checkpoint of \(its) training, which \(asked) training cannot go on from")
    }
    try state.train.require(given.train, "train", path)
    switch (state.evaluation, given.evaluation) {
    case (let rows?, let given?): try rows.require(given, "evaluation", path)
    case (let rows?, nil):
      throw KluereError(
        .invalidArgument, "evaluation: NULL, but \(path) was written with \(rows.count) evaluation rows")
    case (nil, .some):
      throw KluereError(
        .invalidArgument, "evaluation: rows are given, but \(path) was written without any; expected NULL")
    case (nil, nil): break
    }
    // A copy: an opened model is saved with its files' bytes, and this one will be written.
    var options = ModelOpenOptions()
    if masked { options.task = .maskedLM }
    let opened = try Model.open(context: context, directory: checkpoint, options: options)
    guard opened.labels.names.map({ Array($0.utf8) }) == state.labels.map({ Array($0.utf8) }) else {
      throw KluereError(.badFormat, "\(path): its \(state.labels.count) labels are not those of the model beside it")
    }
    guard typesChecksum(opened) == state.types else {
      throw KluereError(.badFormat, "\(path): its type mask or pair heads are not those of the model beside it")
    }
    let (live, average) = try readWeights(checkpoint, opened, state)
    var configuration = state.configuration
    if state.writesCheckpoints { configuration.outputDirectory = parent }
    let objective = try makeObjective(live, state, checkpoint)
    try BatchRule(configuration).validate(lengths: objective.lengths, copies: configuration.loss?.copies ?? 1)
    let moments = try readMoments(checkpoint + "/" + momentsName, live, state)
    let trainer = try Trainer(
      live: live, average: average, objective: objective, configuration: configuration, totalSteps: state.totalSteps,
      progress: state.progress, moments: moments, libraryVersion: libraryVersion)
    guard try trainer.restorePosition() else {
      throw KluereError(.badFormat, "\(path): the position is not one that its configuration leads to")
    }
    trainer.writtenBestStep = state.progress.bestStep
    if checkpoint == parent + "/" + lastCheckpointName { trainer.writtenLast = state.progress }
    return trainer
  }

  /// The checkpoint's folder and the folder it lies in.
  private static func locate(_ directory: String) throws(KluereError) -> (String, String) {
    var directory = directory
    while directory.utf8.count > 1, directory.utf8.last == UInt8(ascii: "/") { directory.removeLast() }
    let last = directory + "/" + lastCheckpointName
    // A swap that a crash cut in two on a file system without atomic exchange is finished first.
    try AtomicDirectory.recover(directory)
    if Int(ks_path_kind(directory + "/" + stateName)) == KS_PATH_FILE {
      return (directory, parent(of: directory))
    }
    if Int(ks_path_kind(directory)) == KS_PATH_DIRECTORY { try AtomicDirectory.recover(last) }
    guard Int(ks_path_kind(last)) == KS_PATH_DIRECTORY else {
      throw KluereError(.io, "\(directory): neither \(stateName) nor \(lastCheckpointName) is there")
    }
    return (last, directory)
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// What training goes on with, and the average, if the model in the folder is that.
  private static func readWeights(
    _ checkpoint: String, _ opened: Model, _ state: CheckpointState
  ) throws(KluereError) -> (Model, FloatStorage?) {
    let backend = opened.context.backend
    func require(_ arena: FloatStorage, _ expected: UInt64, _ name: String) throws(KluereError) {
      if try checksum(arena, backend) == expected { return }
      throw KluereError(
        .badFormat, "\(checkpoint)/\(name): its weights are not those that \(stateName) was written with")
    }
    let weights = try opened.copyWeights()
    guard let expected = state.average else {
      try require(weights, state.weights, Model.weightsName)
      return (try opened.with(weights: weights), nil)
    }
    try require(weights, expected, Model.weightsName)
    let path = checkpoint + "/" + liveName
    let file = try Safetensors(file: try MappedFile(path: path, readIntoMemory: false), name: path)
    let live = try FloatStorage(count: opened.layout.count, on: backend, for: "weights")
    for slot in opened.layout.tensors { try read(file, slot.name, slot, into: live, on: backend, path) }
    try require(live, state.weights, liveName)
    return (try opened.with(weights: live), weights)
  }

  private static func readMoments(
    _ path: String, _ model: Model, _ state: CheckpointState
  ) throws(KluereError) -> Moments {
    let file = try Safetensors(file: try MappedFile(path: path, readIntoMemory: false), name: path)
    let moments = try Moments(model)
    let backend = model.context.backend
    for number in ParameterGroups(model.layout, state.configuration.extras).trained {
      let slot = model.layout.tensors[number]
      for (suffix, arena) in momentArenas(moments) {
        try read(file, slot.name + suffix, slot, into: arena, on: backend, path)
      }
    }
    guard try checksum(moments.first, backend) == state.firstMoments,
      try checksum(moments.second, backend) == state.secondMoments
    else {
      throw KluereError(.badFormat, "\(path): its moments are not those that \(stateName) was written with")
    }
    return moments
  }

  private static func read(
    _ file: Safetensors, _ name: String, _ slot: TensorSlot, into arena: FloatStorage, on backend: any Backend,
    _ path: String
  ) throws(KluereError) {
    guard let tensor = file.tensor(name) else {
      throw KluereError(.badFormat, "\(path): tensor \(name) is missing")
    }
    guard tensor.shape == shape(slot) else {
      throw KluereError(.badFormat, "\(path): \(name): shape \(tensor.shape), the model needs \(shape(slot))")
    }
    var values = Workspace<Float>(for: name)
    try values.resize(slot.count)
    try file.readFloats(name, into: values.elements)
    guard let base = values.elements.baseAddress else { return }
    try backend.copyIn(arena.pointer + slot.offset, base, bytes: slot.count * MemoryLayout<Float>.size)
  }

  private static func typesChecksum(_ model: Model) -> UInt64 {
    model.describedTypes().withUnsafeBytes { KluereTraining.checksum($0) }
  }

  private static func checksum(_ arena: FloatStorage, _ backend: any Backend) throws(KluereError) -> UInt64 {
    let values = try HostFloats(arena, on: backend)
    defer { withExtendedLifetime(values) {} }
    return KluereTraining.checksum(
      UnsafeRawBufferPointer(start: values.pointer, count: arena.count * MemoryLayout<Float>.size))
  }
}

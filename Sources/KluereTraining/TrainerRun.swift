internal import CKluereSupport
internal import Glibc
package import KluereBase
internal import KluereModel

/// The loop over `update` with evaluations, checkpoints and early stopping.
///
/// What is due after an update is a function of `progress` and of what was written, never of the way the loop got
/// there: a run that was stopped between an update and its evaluation does the evaluation first when it goes on.
extension Trainer {
  package static let lastCheckpointName = "checkpoint-last"
  package static let bestCheckpointName = "checkpoint-best"

  /// All remaining updates. `onEvent` returns true to stop: checkpoint-last is then written and `.cancelled` thrown;
  /// `run` may be called again to go on.
  package func run(_ onEvent: (TrainEvent) -> Bool = { _ in false }) throws(KluereError) {
    try alone { () throws(KluereError) in
      // A request during this call is answered by this call, even where it came too late to stop anything.
      defer { _ = takeStop() }
      try prepareOutputDirectory()
      do throws(KluereError) {
        try loop(onEvent)
      } catch {
        if error.status == .cancelled { try writeAfterStop() }
        throw error
      }
    }
  }

  private func loop(_ onEvent: (TrainEvent) -> Bool) throws(KluereError) {
    while true {
      try evaluateIfDue(onEvent)
      try writeBestIfDue(onEvent)
      try writeLastIfDue(onEvent)
      if isDone || hasLostPatience { return }
      let info = try update(stop: takeStop)
      try emit(TrainEvent(kind: .step, step: info), onEvent)
    }
  }

  private func emit(_ event: TrainEvent, _ onEvent: (TrainEvent) -> Bool) throws(KluereError) {
    if onEvent(event) {
      throw KluereError(.cancelled, "stopped by the callback after update \(progress.step) of \(totalSteps)")
    }
  }

  private var hasLostPatience: Bool {
    configuration.patience > 0 && progress.evaluationsWithoutImprovement >= configuration.patience
  }

  // MARK: Evaluation

  private var isEvaluationPoint: Bool {
    progress.isEvaluationPoint(configuration, totalSteps: totalSteps)
  }

  private func evaluateIfDue(_ onEvent: (TrainEvent) -> Bool) throws(KluereError) {
    guard objective.evaluation != nil, isEvaluationPoint, progress.evaluatedStep < progress.step else { return }
    let metrics = try objective.measure(try weightsToEvaluate(half), stop: takeStop)
    let isBest = progress.note(metrics, configuration.bestMetric)
    try emit(TrainEvent(kind: .evaluation, step: lastInfo, metrics: metrics, isBest: isBest), onEvent)
  }

  // MARK: Checkpoints

  private func path(_ name: String) -> String? { configuration.outputDirectory.map { $0 + "/" + name } }

  /// The present weights are the best so far, and no checkpoint-best holds them.
  private var isBestDue: Bool {
    progress.best != nil && progress.bestStep == progress.step && writtenBestStep != progress.step
  }

  private func writeBestIfDue(_ onEvent: (TrainEvent) -> Bool) throws(KluereError) {
    guard let path = path(Trainer.bestCheckpointName), isBestDue else { return }
    try writeBest(path)
    try emit(TrainEvent(kind: .checkpoint, step: lastInfo, path: path, isBest: true), onEvent)
  }

  private func writeLastIfDue(_ onEvent: (TrainEvent) -> Bool) throws(KluereError) {
    guard let path = path(Trainer.lastCheckpointName), progress.step > 0, writtenLast != progress else { return }
    let every = configuration.checkpointEvery
    let isPoint = every > 0 ? progress.step % every == 0 : isEvaluationPoint
    guard isPoint || isDone || hasLostPatience else { return }
    try writeLast(path)
    let isBest = progress.best != nil && progress.bestStep == progress.step
    try emit(TrainEvent(kind: .checkpoint, step: lastInfo, path: path, isBest: isBest), onEvent)
  }

  private func writeBest(_ path: String) throws(KluereError) {
    try writeCheckpoint(path)
    writtenBestStep = progress.step
  }

  private func writeLast(_ path: String) throws(KluereError) {
    try writeCheckpoint(path)
    writtenLast = progress
  }

  /// A stop between an evaluation and its checkpoint-best would lose that one: it is written too.
  private func writeAfterStop() throws(KluereError) {
    guard let best = path(Trainer.bestCheckpointName), let last = path(Trainer.lastCheckpointName) else { return }
    if isBestDue { try writeBest(best) }
    if writtenLast != progress { try writeLast(last) }
  }

  /// Before hours of training, not after: the folder is there (or made) and can be written into.
  private func prepareOutputDirectory() throws(KluereError) {
    guard let directory = configuration.outputDirectory else { return }
    func refused(_ code: CInt) -> KluereError {
      KluereError(.io, "output_directory: \(directory): \(String(cString: strerror(code)))")
    }
    let kind = ks_path_kind(directory)
    if kind < 0 { throw refused(-kind) }
    if Int(kind) == KS_PATH_ABSENT {
      let code = ks_make_directory(directory)
      if code != 0 { throw refused(code) }
    } else if Int(kind) != KS_PATH_DIRECTORY {
      throw refused(ENOTDIR)
    }
    if access(directory, W_OK | X_OK) != 0 { throw refused(errno) }
  }
}

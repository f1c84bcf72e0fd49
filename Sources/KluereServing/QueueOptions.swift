internal import KluereBase
internal import KluereCompute
internal import KluereModel
internal import KluereTraining

package struct QueueOptions: Sendable, Equatable {
  /// How long the first request of a batch waits for others. 0: not at all; what comes while a batch is computed makes up the
  /// next one all the same.
  package var delayMicroseconds: UInt32 = 0
  package var batchRows = 32
  /// 0: the predictor's.
  package var batchTokens = 0
  /// Requests that may be inside and not yet computed; more are refused.
  package var waiting = 1024
  /// Batches computed at once. 0: as many as the context's threads make, where predictors have threads of their own; else 1.
  package var workers = 0

  package init() {}

  static let mostRequests = 1 << 20
  static let mostWorkers = 1024

  func validate(_ predictor: PredictorOptions) throws(KluereError) {
    guard (1...QueueOptions.mostRequests).contains(batchRows) else {
      throw KluereError(
        .invalidArgument, "max_batch_rows: \(batchRows), expected 1 to \(QueueOptions.mostRequests)")
    }
    guard batchTokens >= 0, batchTokens <= predictor.batchTokens else {
      throw KluereError(
        .invalidArgument,
        "max_batch_tokens: \(batchTokens), but the predictor's batch_tokens is \(predictor.batchTokens)")
    }
    guard (1...QueueOptions.mostRequests).contains(waiting) else {
      throw KluereError(.invalidArgument, "max_waiting: \(waiting), expected 1 to \(QueueOptions.mostRequests)")
    }
    guard (0...QueueOptions.mostWorkers).contains(workers) else {
      throw KluereError(.invalidArgument, "workers: \(workers), expected 0 to \(QueueOptions.mostWorkers)")
    }
    guard workers <= 1 || predictor.threads > 0 else {
      throw KluereError(
        .invalidArgument, "workers: \(workers), but threads is 0: the context computes one batch at a time")
    }
  }

  func workerCount(_ model: Model, _ predictor: PredictorOptions) -> Int {
    if workers > 0 || predictor.threads == 0 { return max(1, workers) }
    return max(1, model.context.threadCount / predictor.threads)
  }
}

internal import KluereBase
internal import KluereModel
internal import KluereTraining

/// One request on its way. Its caller fills `rows` and `out` before it waits; then everything belongs to the queue's monitor,
/// and, while it is computed, to the leader.
final class Ticket {
  enum Phase {
    case waiting
    /// Gathers a batch, whose first request it is.
    case leading
    case computing
    case answered
    /// Its deadline passed before a batch took it.
    case late
  }

  let rows: EncodedRows
  let signal = Signal()
  var out = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
  var phase = Phase.waiting
  var arrival: Int64 = 0
  var deadline = Nanoseconds.never
  /// Of an answered one that failed.
  var error: KluereError?
  /// Of a leading one.
  var worker: Worker?

  init(_ model: Model) { rows = EncodedRows(model) }
}

/// A predictor and the batch that it computes. Of one leader at a time.
final class Worker {
  private let predictor: Predictor
  private(set) var batch: [Ticket] = []
  private var requests: [EncodedRequest] = []

  init(_ predictor: Predictor) { self.predictor = predictor }

  func add(_ ticket: Ticket) { batch.append(ticket) }

  func removeAll() { batch.removeAll(keepingCapacity: true) }

  /// Answers every ticket of the batch, or gives it its error. One that a batch cannot be computed with fails alone.
  func compute() {
    if failure(batch[...]) == nil { return }
    for place in batch.indices { batch[place].error = failure(batch[place...place]) }
  }

  private func failure(_ tickets: ArraySlice<Ticket>) -> KluereError? {
    requests.removeAll(keepingCapacity: true)
    for ticket in tickets { requests.append(EncodedRequest(ticket.rows, into: ticket.out)) }
    defer { requests.removeAll(keepingCapacity: true) }
    do throws(KluereError) {
      try predictor.predict(requests)
      return nil
    } catch { return error }
  }
}

internal import CKluereSupport
package import KluereBase
internal import KluereCompute
package import KluereData
package import KluereModel
package import KluereTraining

/// Requests of any number of threads, merged into batches. A caller that finds nobody gathering leads: it waits a little for
/// others, computes for all, and the oldest request that waits then has the next leader. A leader computes one batch, its
/// own request in it, so that nobody works for others after its own answer.
package final class RequestQueue: @unchecked Sendable {
  package let model: Model
  private let options: QueueOptions
  private let batchTokens: Int
  private let workerCount: Int
  private let process = ks_process_id()
  /// Held but while a thread waits, encodes or computes.
  private let monitor = Lock()

  // MARK: Inside the monitor

  /// By arrival.
  private var waiting: [Ticket] = []
  private var waitingRows = 0
  private var waitingTokens = 0
  /// Requests from their admission until a batch takes them: those of `waiting`, and those that are being encoded.
  private var admitted = 0
  private var idle: [Worker] = []
  private var spare: [Ticket] = []
  /// The one that gathers, the first of `waiting`.
  private var leader: Ticket?
  private var gatheringEnds: Int64 = 0
  private var isClosed = false
  private var statistics = QueueStatistics()

  package init(
    model: Model, predictor: PredictorOptions = PredictorOptions(), options: QueueOptions = QueueOptions()
  ) throws(KluereError) {
    try predictor.validate()
    try options.validate(predictor)
    guard model.layout.classifier != nil else {
      throw KluereError(.state, "model: it has no classification head")
    }
    self.model = model
    self.options = options
    batchTokens = options.batchTokens == 0 ? predictor.batchTokens : options.batchTokens
    workerCount = options.workerCount(model, predictor)
    for _ in 0..<workerCount {
      idle.append(Worker(try Predictor(model: model, options: predictor)))
    }
  }

  /// As `Predictor.predict`, from any thread. `timeout` in microseconds, nil: none: the time in which a batch must begin
  /// with it. Throws `.busy` where too many wait, `.timeout`, and `.cancelled` once the queue is closed.
  package func predict(
    _ examples: [ExampleView], timeout: UInt64? = nil, into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    guard let needed = examples.count.product(model.labels.count), needed <= out.count else {
      throw KluereError(
        .bufferTooSmall, "out: \(out.count) floats, expected \(examples.count) rows of \(model.labels.count)")
    }
    try checkProcess()
    let ticket = try monitor.locked { () throws(KluereError) in try admit(timeout) }
    // Each caller encodes its own sentences: a bad one fails here, alone.
    var failure: KluereError?
    do throws(KluereError) { try ticket.rows.append(examples) } catch { failure = error }
    monitor.lock()
    defer {
      recycle(ticket)
      monitor.unlock()
    }
    if let failure {
      admitted -= 1
      statistics.failed()
      throw failure
    }
    guard !examples.isEmpty else {
      admitted -= 1
      return
    }
    ticket.out = UnsafeMutableBufferPointer(rebasing: out[..<needed])
    enqueue(ticket)
    try answer(ticket)
    statistics.answered(rows: examples.count, after: Nanoseconds.now - ticket.arrival)
  }

  /// Wakes all who wait with `.cancelled`, and refuses whoever comes; batches that are being computed are still answered.
  package func close() {
    // In a forked child the monitor may be locked by a thread that is no more.
    guard process == ks_process_id() else { return }
    monitor.locked {
      isClosed = true
      for ticket in waiting { ticket.signal.raise() }
    }
  }

  /// `reset`: the figures then begin anew.
  package func figures(reset: Bool = false) throws(KluereError) -> QueueFigures {
    try checkProcess()
    return monitor.locked {
      let figures = statistics.figures(waiting: waiting.count)
      if reset { statistics.reset() }
      return figures
    }
  }

  private func checkProcess() throws(KluereError) {
    guard process == ks_process_id() else {
      throw KluereError(.state, "queue: it was made before a fork, expected one of this process")
    }
  }

  // MARK: A caller, inside the monitor

  private func admit(_ timeout: UInt64?) throws(KluereError) -> Ticket {
    if isClosed { throw RequestQueue.cancelled }
    guard admitted < options.waiting else {
      statistics.refused()
      throw KluereError(.busy, "queue: \(admitted) requests wait, max_waiting is \(options.waiting)")
    }
    let ticket = spare.popLast() ?? Ticket(model)
    ticket.phase = .waiting
    ticket.arrival = Nanoseconds.now
    ticket.deadline = timeout.map { Nanoseconds.after(ticket.arrival, microseconds: $0) } ?? Nanoseconds.never
    admitted += 1
    return ticket
  }

  private func enqueue(_ ticket: Ticket) {
    waiting.append(ticket)
    waitingRows += ticket.rows.count
    waitingTokens += ticket.rows.tokenCount
    guard let leader else { return appoint() }
    let ends = min(gatheringEnds, ticket.deadline)
    if isFull || ends < gatheringEnds { leader.signal.raise() }
    gatheringEnds = ends
  }

  /// Returns when the ticket is answered.
  private func answer(_ ticket: Ticket) throws(KluereError) {
    while true {
      switch ticket.phase {
      case .answered:
        guard let error = ticket.error else { return }
        statistics.failed()
        throw error
      case .late:
        statistics.late()
        throw KluereError(.timeout, "queue: the deadline passed before a batch began with the request")
      case .leading: lead(ticket)
      case .computing: ticket.signal.wait(monitor)
      case .waiting:
        if isClosed {
          leave(ticket)
          statistics.failed()
          throw RequestQueue.cancelled
        }
        if ticket.deadline > Nanoseconds.now {
          ticket.signal.wait(monitor, until: ticket.deadline)
        } else if leader != nil {
          // Gathering ends now, by this very deadline; either the batch takes the ticket or its leader says that it is late.
          ticket.signal.wait(monitor)
        } else {
          leave(ticket)
          ticket.phase = .late
        }
      }
    }
  }

  /// Takes a ticket that nobody computes out of the queue.
  private func leave(_ ticket: Ticket) {
    guard let place = waiting.firstIndex(where: { $0 === ticket }) else { return }
    waiting.remove(at: place)
    forget(ticket)
  }

  private func forget(_ ticket: Ticket) {
    waitingRows -= ticket.rows.count
    waitingTokens -= ticket.rows.tokenCount
    admitted -= 1
  }

  /// Tickets are used again, but for those whose memory a large request made large.
  private func recycle(_ ticket: Ticket) {
    guard ticket.rows.count <= options.batchRows else { return }
    ticket.rows.removeAll()
    ticket.out = UnsafeMutableBufferPointer(start: nil, count: 0)
    ticket.error = nil
    spare.append(ticket)
  }

  // MARK: A leader, inside the monitor

  private var isFull: Bool { waitingRows >= options.batchRows || waitingTokens >= batchTokens }

  /// Makes the oldest ticket lead, if a worker is idle and nobody gathers.
  private func appoint() {
    guard leader == nil, !isClosed, !idle.isEmpty else { return }
    dismissLate()
    guard let first = waiting.first, let worker = idle.popLast() else { return }
    first.phase = .leading
    first.worker = worker
    leader = first
    gatheringEnds = Nanoseconds.after(first.arrival, microseconds: UInt64(options.delayMicroseconds))
    for ticket in waiting { gatheringEnds = min(gatheringEnds, ticket.deadline) }
    first.signal.raise()
  }

  private func dismissLate() {
    let now = Nanoseconds.now
    guard waiting.contains(where: { $0.deadline <= now }) else { return }
    waiting.removeAll { ticket in
      guard ticket.deadline <= now else { return false }
      forget(ticket)
      ticket.phase = .late
      ticket.signal.raise()
      return true
    }
  }

  private func lead(_ ticket: Ticket) {
    while !isClosed, !isFull, Nanoseconds.now < gatheringEnds { ticket.signal.wait(monitor, until: gatheringEnds) }
    leader = nil
    let taken = ticket.worker
    ticket.worker = nil
    // Every leader has one.
    guard let worker = taken else { return }
    guard !isClosed else {
      idle.append(worker)
      ticket.phase = .waiting
      return
    }
    let rows = take(worker)
    dismissLate()
    // Another worker may begin with those that are left.
    appoint()
    monitor.unlock()
    worker.compute()
    monitor.lock()
    statistics.computed(rows: rows)
    for other in worker.batch {
      other.phase = .answered
      if other !== ticket { other.signal.raise() }
    }
    worker.removeAll()
    idle.append(worker)
    appoint()
  }

  /// Moves tickets from the queue's front into the batch, as many as fit and at least one; returns their rows. Several
  /// workers share what waits: one that took all would keep most callers waiting while another computes for a few.
  private func take(_ worker: Worker) -> Int {
    let share = min(options.batchRows, (waitingRows + workerCount - 1) / workerCount)
    var (rows, tokens, count) = (0, 0, 0)
    for ticket in waiting {
      let (moreRows, moreTokens) = (rows + ticket.rows.count, tokens + ticket.rows.tokenCount)
      if count > 0, moreRows > share || moreTokens > batchTokens { break }
      (rows, tokens, count) = (moreRows, moreTokens, count + 1)
      ticket.phase = .computing
      worker.add(ticket)
      forget(ticket)
    }
    waiting.removeFirst(count)
    return rows
  }

  private static var cancelled: KluereError { KluereError(.cancelled, "queue: it was closed") }
}

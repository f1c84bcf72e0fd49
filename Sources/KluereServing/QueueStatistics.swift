/// What a queue did since it was made, or since its figures were last taken.
struct QueueStatistics {
  private var counts = QueueFigures()
  private var latencies = LatencyHistogram()
  private var computedRows: UInt64 = 0
  private var began = Nanoseconds.now

  mutating func answered(rows: Int, after nanoseconds: Int64) {
    counts.requests += 1
    counts.rows += UInt64(clamping: rows)
    latencies.add(nanoseconds)
  }

  mutating func computed(rows: Int) {
    counts.batches += 1
    computedRows += UInt64(clamping: rows)
  }

  mutating func refused() { counts.refused += 1 }
  mutating func late() { counts.late += 1 }
  mutating func failed() { counts.failed += 1 }

  func figures(waiting: Int) -> QueueFigures {
    var figures = counts
    func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / Double(Nanoseconds.perSecond) }
    figures.waiting = waiting
    figures.seconds = seconds(max(1, Nanoseconds.now - began))
    figures.rowsPerBatch = figures.batches == 0 ? 0 : Double(computedRows) / Double(figures.batches)
    figures.rowsPerSecond = Double(figures.rows) / figures.seconds
    figures.median = seconds(latencies.quantile(0.5))
    figures.p95 = seconds(latencies.quantile(0.95))
    figures.p99 = seconds(latencies.quantile(0.99))
    figures.maximum = seconds(latencies.maximum)
    return figures
  }

  /// From zero again; memory is kept.
  mutating func reset() {
    counts = QueueFigures()
    latencies.removeAll()
    computedRows = 0
    began = Nanoseconds.now
  }
}

/// The fields are those of kluere_queue_info; latencies in seconds, from the call to its answer.
package struct QueueFigures: Sendable, Equatable {
  package internal(set) var waiting = 0
  package internal(set) var requests: UInt64 = 0
  package internal(set) var rows: UInt64 = 0
  package internal(set) var batches: UInt64 = 0
  package internal(set) var refused: UInt64 = 0
  package internal(set) var late: UInt64 = 0
  package internal(set) var failed: UInt64 = 0
  package internal(set) var seconds = 0.0
  package internal(set) var rowsPerBatch = 0.0
  package internal(set) var rowsPerSecond = 0.0
  package internal(set) var median = 0.0
  package internal(set) var p95 = 0.0
  package internal(set) var p99 = 0.0
  package internal(set) var maximum = 0.0
}

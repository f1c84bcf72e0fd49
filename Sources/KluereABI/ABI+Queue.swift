public import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereData
internal import KluereModel
internal import KluereServing

/// kluere_queue
final class QueueObject: Handled {
  static let kind: UInt32 = 0x4B51_5545
  static let typeName = "kluere_queue"
  let queue: RequestQueue

  init(_ queue: RequestQueue) { self.queue = queue }
}

private func defaults() -> kluere_queue_options {
  let options = QueueOptions()
  return kluere_queue_options(
    struct_size: UInt32(MemoryLayout<kluere_queue_options>.size), max_delay_us: options.delayMicroseconds,
    max_batch_rows: UInt32(clamping: options.batchRows), max_batch_tokens: UInt32(clamping: options.batchTokens),
    max_waiting: UInt32(clamping: options.waiting), workers: UInt32(clamping: options.workers))
}

@_cdecl("kluere_queue_options_init")
public func queueOptionsInit(
  _ options: UnsafeMutablePointer<kluere_queue_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in try SizedStruct.initialize(options, structSize, defaults: defaults()) }
}

@_cdecl("kluere_queue_create")
public func queueCreate(
  _ model: OpaquePointer?, _ predictor: UnsafePointer<kluere_predictor_options>?,
  _ options: UnsafePointer<kluere_queue_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<QueueObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let predictor = try predictorOptions(predictor, "predictor", on: model.context)
    let given = try SizedStruct.read(options, "options", defaults: defaults())
    var options = QueueOptions()
    options.delayMicroseconds = given.max_delay_us
    options.batchRows = Int(given.max_batch_rows)
    options.batchTokens = Int(given.max_batch_tokens)
    options.waiting = Int(given.max_waiting)
    options.workers = Int(given.workers)
    try out.store(QueueObject(try RequestQueue(model: model, predictor: predictor, options: options)))
  }
}

@_cdecl("kluere_queue_destroy")
public func queueDestroy(_ queue: OpaquePointer?) {
  // Callers that wait inside hold the object: without this they would wait on.
  if let object = try? Handle<QueueObject>.borrow(queue, "queue") { object.queue.close() }
  Handle<QueueObject>.destroy(queue)
}

@_cdecl("kluere_queue_close")
public func queueClose(_ queue: OpaquePointer?) -> kluere_status {
  boundary { () throws(KluereError) in try Handle<QueueObject>.borrow(queue, "queue").queue.close() }
}

@_cdecl("kluere_queue_predict")
public func queuePredict(
  _ queue: OpaquePointer?, _ examples: UnsafePointer<kluere_example>?, _ exampleSize: Int, _ count: Int,
  _ offsetUnit: Int32, _ timeout: UInt64, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    let queue = try Handle<QueueObject>.borrow(queue, "queue").queue
    let examples = try ExampleArray(examples, size: exampleSize, count: count, unit: offsetUnit)
    let needed = try tableSize(examples.count, queue.model.labels.count, "out")
    let out = try output(out, capacity: capacity, needed: needed)
    try queue.predict(try examples.views(), timeout: timeout == 0 ? nil : timeout, into: out)
  }
}

@_cdecl("kluere_queue_stats")
public func queueStats(
  _ queue: OpaquePointer?, _ reset: UInt32, _ info: UnsafeMutablePointer<kluere_queue_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let queue = try Handle<QueueObject>.borrow(queue, "queue").queue
    let out = try SizedStruct.Out(info, "info")
    let figures = try queue.figures(reset: try truth(reset, "reset"))
    out.store(
      kluere_queue_info(
        struct_size: 0, waiting: UInt32(clamping: figures.waiting), requests: figures.requests, rows: figures.rows,
        batches: figures.batches, refused: figures.refused, late: figures.late, failed: figures.failed,
        seconds: figures.seconds, rows_per_batch: figures.rowsPerBatch, rows_per_second: figures.rowsPerSecond,
        latency_p50: figures.median, latency_p95: figures.p95, latency_p99: figures.p99,
        latency_max: figures.maximum))
  }
}

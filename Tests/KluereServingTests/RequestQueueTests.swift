import Foundation
import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereServing
import KluereText
import KluereTraining
import Testing

private let texts = ["kim w0 w1 born seoul", "lee works busan", "park w2 w3 w4 w5 owns jeju", "choi born ulsan"]
private let labelNames = ["no_relation", "born", "works", "owns"]

private func model(threads: Int32 = 2) throws -> Model {
  let pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "@", "*", "#", "^", "사람", "장소"]
  let words = texts.flatMap { $0.split(separator: " ").map(String.init) }
  let vocabulary = (pieces + Set(words).sorted()).joined(separator: "\n") + "\n"
  var configuration = ModelConfiguration()
  (configuration.hiddenSize, configuration.layerCount, configuration.headCount) = (24, 2, 3)
  (configuration.intermediateSize, configuration.maxPositions, configuration.maxTokens) = (40, 40, 32)
  configuration.initializerRange = 0.2
  return try Model.create(
    context: try Context(device: 0, threads: threads, log: .none),
    tokenizer: try Tokenizer(vocabulary: Array(vocabulary.utf8), configuration: TokenizerConfiguration()),
    configuration: configuration, labels: try LabelSet(labelNames), seed: 1)
}

/// The example's memory is kept for the rest of the run: a few bytes.
private func example(_ number: Int) -> ExampleView {
  func bytes(_ text: String) -> UnsafeBufferPointer<UInt8> {
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
    _ = copy.initialize(from: text.utf8)
    return UnsafeBufferPointer(copy)
  }
  let text = texts[number]
  let (first, last) = (text.split(separator: " ").first ?? "", text.split(separator: " ").last ?? "")
  return ExampleView(
    text: bytes(text), subject: Entity(begin: 0, end: first.utf8.count, type: bytes("PER")),
    object: Entity(begin: text.utf8.count - last.utf8.count, end: text.utf8.count, type: bytes("LOC")))
}

private func ask(_ queue: RequestQueue, _ numbers: [Int], timeout: UInt64? = nil) throws -> [Float] {
  var out = [Float](repeating: .nan, count: numbers.count * labelNames.count)
  try out.withUnsafeMutableBufferPointer { try queue.predict(numbers.map(example), timeout: timeout, into: $0) }
  return out
}

private func status(_ body: () throws -> Void) -> Status? {
  #expect(throws: KluereError.self) { try body() }?.status
}

/// Runs `body` in as many threads, and returns when all are done.
private func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let group = DispatchGroup()
  for number in 0..<count {
    group.enter()
    let thread = Thread {
      body(number)
      group.leave()
    }
    thread.start()
  }
  group.wait()
}

/// What threads collect.
private final class Collected: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [String] = []
  func add(_ value: String) { lock.withLock { values.append(value) } }
  var sorted: [String] { lock.withLock { values.sorted() } }
}

struct RequestQueueTests {
  @Test(arguments: [(0, 0, 0), (0, 1, 200), (1, 0, 0), (1, 3, 200), (2, 2, 0)])
  func `answers have the bits of a predictor`(threads: Int, workers: Int, delay: UInt32) throws {
    let model = try model()
    let predictor = try Predictor(model: model)
    let expected = try (0..<4).map { number in
      var out = [Float](repeating: .nan, count: 4)
      try out.withUnsafeMutableBufferPointer { try predictor.predict([example(number)], into: $0) }
      return out
    }
    var own = PredictorOptions()
    own.threads = threads
    var options = QueueOptions()
    (options.workers, options.delayMicroseconds, options.batchRows) = (workers, delay, 3)
    let queue = try RequestQueue(model: model, predictor: own, options: options)
    let wrong = Collected()
    inThreads(8) { number in
      for turn in 0..<20 {
        let rows = (0..<1 + turn % 3).map { (number + turn + $0) % 4 }
        do {
          if try ask(queue, rows) != rows.flatMap({ expected[$0] }) { wrong.add("bits") }
        } catch { wrong.add("\(error)") }
      }
    }
    #expect(wrong.sorted == [])
    let figures = try queue.figures(reset: true)
    #expect(figures.requests == 160 && figures.waiting == 0 && figures.failed == 0 && figures.batches <= 160)
    #expect(abs(figures.rowsPerBatch * Double(figures.batches) - Double(figures.rows)) < 0.5)
    #expect(try queue.figures().requests == 0)
  }

  @Test func `who waits when it is closed is cancelled, and so is who comes later`() throws {
    var options = QueueOptions()
    (options.delayMicroseconds, options.waiting) = (60_000_000, 3)
    let queue = try RequestQueue(model: try model(), options: options)
    let outcome = Collected()
    let closing = Thread {
      while (try? queue.figures().waiting) != 3 { usleep(500) }
      if status({ _ = try ask(queue, [0]) }) == .busy { outcome.add("busy") }
      queue.close()
    }
    closing.start()
    inThreads(3) { _ in
      do { _ = try ask(queue, [1]) } catch { outcome.add((error as? KluereError).map { "\($0.status)" } ?? "?") }
    }
    #expect(outcome.sorted == ["busy", "cancelled", "cancelled", "cancelled"])
    #expect(status { _ = try ask(queue, [0]) } == .cancelled)
    #expect(status { _ = try ask(queue, []) } == .cancelled)
  }

  @Test func `a deadline that passed is told, one that comes ends the gathering`() throws {
    var options = QueueOptions()
    options.delayMicroseconds = 60_000_000
    let queue = try RequestQueue(model: try model(), options: options)
    #expect(status { _ = try ask(queue, [0], timeout: 0) } == .timeout)
    // On a machine that is busy a deadline may pass before the request is in the queue: the next one is longer.
    var late: UInt64 = 1
    var answer: [Float]?
    for timeout: UInt64 in [20_000, 200_000, 2_000_000, 20_000_000] where answer == nil {
      do {
        answer = try ask(queue, [0], timeout: timeout)
      } catch {
        #expect((error as? KluereError)?.status == .timeout)
        late += 1
      }
    }
    #expect(try #require(answer).allSatisfy { $0 >= 0 && $0 <= 1 })
    #expect(try ask(queue, Array(repeating: 1, count: 40)).count == 160)  // more than a batch: at once
    #expect(try queue.figures().late == late)
  }

  @Test func `bad requests fail alone and leave the result`() throws {
    let queue = try RequestQueue(model: try model())
    var bad = example(1)
    bad.object = bad.subject
    var out = [Float](repeating: 7, count: 8)
    let error = #expect(throws: KluereError.self) {
      try out.withUnsafeMutableBufferPointer { try queue.predict([example(0), bad], into: $0) }
    }
    #expect(error?.message.hasPrefix("examples[1]: ") == true && out.allSatisfy { $0 == 7 })
    #expect(
      status { try out.withUnsafeMutableBufferPointer { try queue.predict([0, 1, 2].map(example), into: $0) } }
        == .bufferTooSmall)
    #expect(try ask(queue, [0]).count == 4)
    #expect(try queue.figures().failed == 1)
  }

  @Test func `options that contradict each other are refused`() throws {
    let model = try model()
    func refused(_ change: (inout QueueOptions, inout PredictorOptions) -> Void) -> Status? {
      var (options, predictor) = (QueueOptions(), PredictorOptions())
      change(&options, &predictor)
      return status { _ = try RequestQueue(model: model, predictor: predictor, options: options) }
    }
    #expect(refused { options, _ in options.workers = 2 } == .invalidArgument)
    #expect(refused { options, _ in options.batchTokens = 8193 } == .invalidArgument)
    #expect(refused { options, _ in options.batchRows = 0 } == .invalidArgument)
    #expect(refused { options, _ in options.waiting = 0 } == .invalidArgument)
    #expect(refused { _, predictor in predictor.threads = -1 } == .invalidArgument)
  }
}

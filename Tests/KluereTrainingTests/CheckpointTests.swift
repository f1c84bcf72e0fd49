import CKluereSupport
import Foundation
import KluereBase
import KluereCompute
import KluereData
import KluereMetrics
import KluereModel
import KluereTraining
import Testing

private let weights = "/model.safetensors"
private let moments = "/optimizer.safetensors"
private let state = "/trainer_state.json"

/// 48 updates with an evaluation after each epoch of 8.
private func trainer(_ scratch: Scratch?, _ change: (inout TrainingConfiguration) -> Void = { _ in }) throws -> Trainer
{
  try Fixture.trainer(evaluation: 500..<540) {
    $0.outputDirectory = scratch?.path("out")
    $0.bestMetric = .loss
    change(&$0)
  }
}

private func resume(_ directory: String, threads: Int32 = 2) throws -> Trainer {
  try Trainer.resume(
    context: try Fixture.context(threads: threads), directory: directory, train: try Fixture.dataset(0..<64),
    evaluation: try Fixture.dataset(500..<540), libraryVersion: "test")
}

private func expectEqualFolders(_ a: Scratch, _ b: Scratch, _ name: String) throws {
  for file in [weights, moments, state, "/config.json", "/kluere.json", "/vocab.txt"] {
    #expect(try a.bytes(name + file) == b.bytes(name + file), "\(name + file)")
  }
}

@Test(arguments: [1, 8, 11, 47], [1, 2] as [Int32])
func `a run that was stopped and resumed ends with the files of one that was not`(_ stop: Int, _ threads: Int32) throws
{
  let whole = try Scratch()
  try trainer(whole).run()
  let cut = try Scratch()
  #expect(status { try trainer(cut).run { $0.kind == .step && $0.step.step == stop } } == .cancelled)
  let second = try resume(cut.path("out"), threads: threads)
  var steps: [Int] = []
  try second.run { event in
    if event.kind == .step { steps.append(event.step.step) }
    return false
  }
  #expect(steps == Array(stop + 1...48))
  try expectEqualFolders(whole, cut, "out/checkpoint-last")
  try expectEqualFolders(whole, cut, "out/checkpoint-best")
}

@Test func `a run that was killed goes on from its last checkpoint and ends the same`() throws {
  let whole = try Scratch()
  try trainer(whole) { $0.checkpointEvery = 5 }.run()
  let cut = try Scratch()
  // As kill -9 would: the trainer is dropped two updates after a checkpoint, without a word to it.
  let killed = try trainer(cut) { $0.checkpointEvery = 5 }
  var copied = false
  let kept = try Scratch()
  try killed.run { event in
    if event.step.step == 22, !copied {
      copied = true
      try? FileManager.default.copyItem(atPath: cut.path("out"), toPath: kept.path("out"))
    }
    return false
  }
  let second = try resume(kept.path("out"))
  try second.run()
  try expectEqualFolders(whole, kept, "out/checkpoint-last")
  try expectEqualFolders(whole, kept, "out/checkpoint-best")
}

@Test func `step and save_checkpoint resume as run does, in the middle of an epoch`() throws {
  let scratch = try Scratch()
  let first = try trainer(nil) {
    $0.accumulation = 2
    $0.groupByLength = true
    $0.batchTokens = 100
  }
  for _ in 0..<4 { _ = try first.step() }
  try first.saveCheckpoint(scratch.path("mine"))
  let second = try resume(scratch.path("mine"))
  #expect(second.configuration == first.configuration)
  #expect(second.totalSteps == first.totalSteps)
  for _ in 0..<5 {
    var (a, b) = (try first.step(), try second.step())
    (a.seconds, b.seconds) = (0, 0)
    #expect(a == b)
  }
  #expect(try first.weightBits() == second.weightBits())
  // Saving changes nothing; a checkpoint over itself is written anew.
  try second.saveCheckpoint(scratch.path("mine"))
  try first.saveCheckpoint(scratch.path("other"))
  try expectEqualFolders(scratch, scratch, "mine")
  #expect(try scratch.bytes("mine" + moments) == scratch.bytes("other" + moments))
}

@Test func `events come in order and checkpoints are model folders`() throws {
  let scratch = try Scratch()
  let trainer = try trainer(scratch) { $0.epochs = 2 }
  var log: [String] = []
  var losses: [Double] = []
  try trainer.run { event in
    if let metrics = event.metrics { losses.append(metrics.loss) }
    switch event.kind {
    case .step: if event.step.step % 8 == 0 { log.append("step \(event.step.step)") }
    case .evaluation: log.append("evaluation \(event.metrics?.rows ?? 0) \(event.isBest)")
    case .checkpoint: log.append("checkpoint \(event.path?.split(separator: "-").last ?? "") \(event.isBest)")
    }
    return false
  }
  var expected = ["step 8", "evaluation 40 true", "checkpoint best true", "checkpoint last true", "step 16"]
  #expect(losses.count == 2)
  if losses[1] < losses[0] {
    expected += ["evaluation 40 true", "checkpoint best true", "checkpoint last true"]
  } else {
    expected += ["evaluation 40 false", "checkpoint last false"]
  }
  #expect(log == expected)
  let model = try Model.open(
    context: try Fixture.context(), directory: scratch.path("out/checkpoint-last"), options: ModelOpenOptions())
  let present = try trainer.weightBits()
  let reopened = try model.weights.whole()
  #expect((0..<model.layout.count).allSatisfy { reopened.pointer[$0].bitPattern == present[$0] })
  // At the end there is nothing left to do.
  try trainer.run { _ in
    Issue.record("an event after the end")
    return false
  }
}

@Test func `without evaluation rows checkpoint-last is written at the same points`() throws {
  let scratch = try Scratch()
  var written: [Int] = []
  let trainer = try Fixture.trainer {
    $0.outputDirectory = scratch.path("out"); $0.evaluateEvery = 20
  }
  try trainer.run { event in
    if event.kind == .checkpoint { written.append(event.step.step) }
    return false
  }
  #expect(written == [20, 40, 48])
  #expect(!scratch.exists("out/checkpoint-best"))
}

@Test func `patience stops early and best stays at the best`() throws {
  let scratch = try Scratch()
  // No learning: the first evaluation is the best for ever, equal ones are no improvement.
  let trainer = try trainer(scratch) {
    $0.learningRate = 0
    $0.patience = 2
  }
  var evaluations: [Bool] = []
  try trainer.run { event in
    if event.kind == .evaluation { evaluations.append(event.isBest) }
    return false
  }
  #expect(evaluations == [true, false, false])
  #expect(try scratch.bytes("out/checkpoint-best" + state) != scratch.bytes("out/checkpoint-last" + state))
  let steps = try Trainer.resume(
    context: try Fixture.context(), directory: scratch.path("out"), train: try Fixture.dataset(0..<64),
    evaluation: try Fixture.dataset(500..<540), libraryVersion: "test")
  try steps.run { _ in
    Issue.record("an event although patience was lost")
    return false
  }
}

@Test func `a callback may stop at any event and run goes on as if nothing had been`() throws {
  let whole = try Scratch()
  try trainer(whole) { $0.epochs = 2 }.run()
  let cut = try Scratch()
  let stopping = try trainer(cut) { $0.epochs = 2 }
  var stops = 0
  while true {
    // Every event stops the run once.
    let result = Result { try stopping.run { _ in true } }
    if case .success = result { break }
    #expect(throws: KluereError.self) { try result.get() }
    stops += 1
    #expect(cut.exists("out/checkpoint-last"))
    if stops > 100 { break }
  }
  // 16 updates, 2 evaluations; their checkpoints are written by the stop.
  #expect(stops == 18)
  try expectEqualFolders(whole, cut, "out/checkpoint-last")
  try expectEqualFolders(whole, cut, "out/checkpoint-best")
}

@Test func `a requested stop ends the call in progress, or else the next run`() throws {
  let plain = try Fixture.trainer { $0.accumulation = 4 }
  let trainer = try Fixture.trainer { $0.accumulation = 4 }
  let flag = try #require(trainer.stopFlag)
  // Nothing in progress: step is not concerned, the next run is.
  ks_flag_set(flag, 1)
  _ = try trainer.step()
  _ = try plain.step()
  #expect(status { try trainer.run() } == .cancelled)
  // In progress, from the callback: the next update is not made.
  var events = 0
  #expect(
    status {
      try trainer.run { _ in
        events += 1
        ks_flag_set(flag, 1)
        return false
      }
    } == .cancelled)
  #expect(events == 1)
  _ = try plain.step()
  #expect(try plain.weightBits() == trainer.weightBits())
  try trainer.run()
  try plain.run()
  #expect(try plain.weightBits() == trainer.weightBits())
}

@Test func `a stop from another thread ends a step or an evaluation between micro-batches`() throws {
  let trainer = try Fixture.trainer(rows: 0..<2048) {
    $0.batchSentences = 1
    $0.accumulation = 2048
  }
  let bits = try trainer.weightBits()
  let address = UInt(bitPattern: trainer.stopFlag)
  let thread = Thread {
    Thread.sleep(forTimeInterval: 0.05)
    if let flag = UnsafeMutablePointer<ks_flag>(bitPattern: address) { ks_flag_set(flag, 1) }
  }
  thread.start()
  #expect(status { _ = try trainer.step() } == .cancelled)
  #expect(try trainer.weightBits() == bits)
}

@Test func `calls from inside the callback are refused`() throws {
  let trainer = try Fixture.trainer { $0.epochs = 1 }
  var seen: [Status?] = []
  try trainer.run { event in
    if event.step.step == 1 {
      seen.append(status { _ = try trainer.step() })
      seen.append(status { try trainer.run() })
      seen.append(status { _ = try trainer.exportModel() })
      seen.append(status { try trainer.saveCheckpoint("nowhere") })
    }
    return false
  }
  #expect(seen == [.state, .state, .state, .state])
}

@Test func `disk errors are errors, and the trainer goes on when they are gone`() throws {
  let scratch = try Scratch()
  let missing = try Fixture.trainer { $0.outputDirectory = scratch.path("no/such") }
  #expect(status { try missing.run() } == .io)
  try Data().write(to: URL(fileURLWithPath: scratch.path("file")))
  let file = try Fixture.trainer { $0.outputDirectory = scratch.path("file") }
  #expect(status { try file.run() } == .io)

  // Somebody's file inside checkpoint-last is refused rather than lost.
  let trainer = try trainer(scratch) { $0.epochs = 2 }
  try FileManager.default.createDirectory(
    atPath: scratch.path("out/checkpoint-last"), withIntermediateDirectories: true)
  try Data("mine".utf8).write(to: URL(fileURLWithPath: scratch.path("out/checkpoint-last/notes.txt")))
  #expect(status { try trainer.run() } == .state)
  #expect(try scratch.bytes("out/checkpoint-last/notes.txt") == Data("mine".utf8))
  try FileManager.default.removeItem(atPath: scratch.path("out/checkpoint-last/notes.txt"))
  try trainer.run()
  let whole = try Scratch()
  let other = try KluereTrainingTests.trainer(whole) { $0.epochs = 2 }
  try other.run()
  try expectEqualFolders(scratch, whole, "out/checkpoint-last")
  try expectEqualFolders(scratch, whole, "out/checkpoint-best")
}

@Test func `a checkpoint is resumed only with the rows of then`() throws {
  let scratch = try Scratch()
  let first = try trainer(nil)
  _ = try first.step()
  try first.saveCheckpoint(scratch.path("c"))
  func resumed(_ train: Dataset, _ evaluation: Dataset?, version: String = "test") throws {
    _ = try Trainer.resume(
      context: try Fixture.context(), directory: scratch.path("c"), train: train, evaluation: evaluation,
      libraryVersion: version)
  }
  let train = try Fixture.dataset(0..<64)
  let evaluation = try Fixture.dataset(500..<540)
  try resumed(train, evaluation)
  #expect(status { try resumed(try Fixture.dataset(0..<63), evaluation) } == .invalidArgument)
  #expect(status { try resumed(try Fixture.dataset(1..<65), evaluation) } == .invalidArgument)
  #expect(status { try resumed(train, nil) } == .invalidArgument)
  #expect(status { try resumed(train, train) } == .invalidArgument)
  #expect(status { try resumed(train, evaluation, version: "other") } == .version)
  #expect(status { _ = try resume(scratch.path("nowhere")) } == .io)
  #expect(status { _ = try resume(scratch.path) } == .io)
}

@Test func `missing, cut and flipped files of a checkpoint are named`() throws {
  let scratch = try Scratch()
  let first = try trainer(nil)
  _ = try first.step()
  try first.saveCheckpoint(scratch.path("c"))
  for file in [weights, moments, state] {
    let path = scratch.path("c" + file)
    let good = try scratch.bytes("c" + file)
    func broken(_ bytes: Data?) throws -> Status? {
      if let bytes {
        try bytes.write(to: URL(fileURLWithPath: path))
      } else {
        try FileManager.default.removeItem(atPath: path)
      }
      defer { try? good.write(to: URL(fileURLWithPath: path)) }
      let error = #expect(throws: KluereError.self) { _ = try resume(scratch.path("c")) }
      #expect(error?.message.contains(file.dropFirst()) == true, "\(error?.message ?? "")")
      return error?.status
    }
    #expect(try broken(nil) == .io)
    #expect(try broken(Data()) == .badFormat)
    // The last byte of the JSON is a newline that nothing needs.
    for count in [1, 7, good.count / 2, good.count - 2] { #expect(try broken(good.prefix(count)) == .badFormat) }
    for step in 0..<40 {
      var bytes = good
      let place = bytes.startIndex + step * (good.count - 1) / 39
      bytes[place] ^= UInt8(1 << (step % 8))
      let status = try broken(bytes)
      // A byte of 128 and more is no UTF-8 in these files.
      #expect(status == .badFormat || status == .version || status == .invalidUTF8, "\(file): byte \(place)")
    }
  }
  _ = try resume(scratch.path("c"))
}

import Foundation
import KluereBase
import KluereCompute
import KluereData
import KluereMetrics
import KluereModel
import KluereText
import KluereTraining
import Testing

/// A little language: "kim ... verb ... seoul", in which the verb decides the relation. Made here, so that a tiny model
/// can learn it in a few dozen updates.
enum Fixture {
  static let labels = ["no_relation", "born", "works", "owns"]
  private static let fillers = (0..<24).map { "w\($0)" }
  private static let people = ["kim", "lee", "park", "choi"]
  private static let places = ["seoul", "busan", "jeju", "ulsan"]

  static func tokenizer() throws -> Tokenizer {
    let pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "@", "*", "#", "^", "사람", "장소"]
    let words = pieces + labels + fillers + people + places
    return try Tokenizer(
      vocabulary: Array((words.joined(separator: "\n") + "\n").utf8), configuration: TokenizerConfiguration())
  }

  static func context(threads: Int32 = 2) throws -> Context { try Context(device: 0, threads: threads, log: .none) }

  static func configuration() -> ModelConfiguration {
    var configuration = ModelConfiguration()
    configuration.hiddenSize = 24
    configuration.layerCount = 2
    configuration.headCount = 3
    configuration.intermediateSize = 40
    configuration.maxPositions = 40
    configuration.maxTokens = 32
    configuration.initializerRange = 0.1
    return configuration
  }

  static func model(_ context: Context, seed: UInt64 = 1) throws -> Model {
    try Model.create(
      context: context, tokenizer: try tokenizer(), configuration: configuration(), labels: try LabelSet(labels),
      seed: seed)
  }

  /// Rows `range` of an endless list. `hidden`: without labels.
  static func dataset(_ range: Range<Int>, hidden: Bool = false, labels: [String] = labels) throws -> Dataset {
    // Leaked: a few kilobytes per test, and the views below need memory that stays.
    func bytes(_ text: String) -> UnsafeBufferPointer<UInt8> {
      let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
      _ = copy.initialize(from: text.utf8)
      return UnsafeBufferPointer(copy)
    }
    let views = range.map { number in
      // A multiplicative walk: lengths, words and labels look unrelated.
      let random = (number * 2_654_435_761) % 1_000_003
      let label = random % 4
      let subject = people[random / 4 % 4]
      let object = places[random / 16 % 4]
      var words = [subject]
      for place in 0..<(random / 64 % 9) { words.append(fillers[(random / 7 + place * 5) % 24]) }
      words.append(Fixture.labels[label])
      for place in 0..<(random / 640 % 6) { words.append(fillers[(random / 11 + place * 3) % 24]) }
      words.append(object)
      let text = words.joined(separator: " ")
      return ExampleView(
        text: bytes(text), subject: Entity(begin: 0, end: subject.utf8.count, type: bytes("PER")),
        object: Entity(begin: text.utf8.count - object.utf8.count, end: text.utf8.count, type: bytes("LOC")),
        label: hidden ? nil : bytes(Fixture.labels[label]), id: nil, source: nil)
    }
    var options = DatasetOptions()
    options.labelOrder = .custom
    options.labels = labels
    return try Dataset.create(examples: views, options: options)
  }

  /// Short and lively: 6 epochs of 8 updates.
  static func training() -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.batchSentences = 8
    configuration.epochs = 6
    configuration.learningRate = 3e-3
    return configuration
  }

  static func trainer(
    threads: Int32 = 2, rows: Range<Int> = 0..<64, evaluation: Range<Int>? = nil,
    _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> Trainer {
    var configuration = training()
    change(&configuration)
    return try Trainer(
      model: try model(try context(threads: threads)), train: try dataset(rows),
      evaluation: try evaluation.map { try dataset($0) }, configuration: configuration, libraryVersion: "test")
  }
}

extension Trainer {
  /// All weights of the present model, bit for bit.
  func weightBits() throws -> [UInt32] {
    let model = try exportModel()
    return (0..<model.layout.count).map { model.weights.arena.pointer[$0].bitPattern }
  }
}

/// A folder that is removed with the object.
final class Scratch {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("kluere-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func path(_ name: String) -> String { path + "/" + name }
  func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path(name))) }
  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
}

/// The status a call throws with; records an issue if it does not throw a KluereError.
func status(_ body: () throws -> Void) -> Status? {
  #expect(throws: KluereError.self) { try body() }?.status
}

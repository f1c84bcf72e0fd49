import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereText

/// A small vocabulary with what the input forms need.
let pieces =
  ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", "@", "*", "#", "^", "사람", "단체", "장소", "날짜", "수량", "기타", "."]
  + ["가", "나", "다", "라", "마", "바", "사"] + ["##가", "##나", "##다", "##라", "##은", "##는"]

func makeTokenizer(without left: Set<String> = []) throws -> Tokenizer {
  var configuration = TokenizerConfiguration()
  configuration.doLowerCase = false
  let lines = pieces.filter { !left.contains($0) }.joined(separator: "\n") + "\n"
  return try Tokenizer(vocabulary: Array(lines.utf8), configuration: configuration)
}

func makeContext(threads: Int32 = 1) throws -> Context { try Context(device: 0, threads: threads, log: .none) }

/// hidden 12, 2 layers, 3 heads of width 4, unless changed.
func makeModel(
  _ context: Context, seed: UInt64 = 1, _ change: (inout ModelConfiguration) -> Void = { _ in }
) throws -> Model {
  var configuration = ModelConfiguration()
  configuration.hiddenSize = 12
  configuration.layerCount = 2
  configuration.headCount = 3
  configuration.intermediateSize = 20
  configuration.maxPositions = 64
  configuration.maxTokens = 64
  configuration.initializerRange = 0.3
  change(&configuration)
  return try Model.create(
    context: context, tokenizer: try makeTokenizer(), configuration: configuration,
    labels: try LabelSet(["no_relation", "a", "b", "c"]), seed: seed)
}

/// Calls `body` with a view of a sentence whose entities are given as (begin, end, type) in bytes.
func withExample<R>(
  _ text: String, subject: (Int, Int, String?), object: (Int, Int, String?), _ body: (ExampleView) throws -> R
) rethrows -> R {
  let bytes = Array(text.utf8)
  let subjectType = Array((subject.2 ?? "").utf8)
  let objectType = Array((object.2 ?? "").utf8)
  return try bytes.withUnsafeBufferPointer { text in
    try subjectType.withUnsafeBufferPointer { first in
      try objectType.withUnsafeBufferPointer { second in
        try body(
          ExampleView(
            text: text, subject: Entity(begin: subject.0, end: subject.1, type: subject.2 == nil ? nil : first),
            object: Entity(begin: object.0, end: object.1, type: object.2 == nil ? nil : second)))
      }
    }
  }
}

/// splitmix64, so that tests do not depend on the library's own generators.
struct TestRandom {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func below(_ n: Int) -> Int { Int(next() % UInt64(n)) }
}

/// A batch of sentences of the given lengths with random ids.
func makeBatch(_ model: Model, lengths: [Int], seed: UInt64) -> TokenBatch {
  var random = TestRandom(state: seed)
  var batch = TokenBatch(model.configuration)
  for (sample, length) in lengths.enumerated() {
    let ids = (0..<length).map { _ in Int32(2 + random.below(model.configuration.vocabularySize - 2)) }
    let types = (0..<length).map { Int32($0 * model.configuration.typeVocabularySize / max(length, 1)) }
    batch.append(ids: ids, types: types, sample: UInt32(sample))
  }
  return batch
}

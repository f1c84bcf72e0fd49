internal import KluereBase
internal import KluereModel

/// Rows of a corpus with masks in them, and how they come into a batch. Memory is kept between uses.
struct MaskedRows {
  private let corpus: Corpus
  private let masking: Masking
  private let hasTypes: Bool
  private var ids: [Int32] = []
  private var labels: [Int32] = []
  private var starts: [Int] = [0]
  private var seconds: [Int] = []
  private var rowIDs: [Int32] = []
  private var rowTypes: [Int32] = []

  /// Tokens asked for in the rows of the batch: their places in it, and what they are.
  private(set) var places: [Int32] = []
  private(set) var answers: [Int32] = []

  init(_ corpus: Corpus, _ options: MaskingOptions, _ model: Model) {
    self.corpus = corpus
    masking = Masking(options, corpus)
    hasTypes = model.configuration.typeVocabularySize > 1
  }

  mutating func removeAll() {
    ids.removeAll(keepingCapacity: true)
    labels.removeAll(keepingCapacity: true)
    starts.removeAll(keepingCapacity: true)
    seconds.removeAll(keepingCapacity: true)
    starts.append(0)
  }

  /// Masks one more row; returns for how many of its tokens it asks.
  mutating func mask(_ row: Int, seed: UInt64, pass: Int) -> Int {
    let start = ids.count
    corpus.append(row, to: &ids)
    let asked = masking.apply(&ids, from: start, row: row, seed: seed, pass: pass, labels: &labels)
    starts.append(ids.count)
    seconds.append(corpus.secondPart(row))
    return asked
  }

  mutating func beginBatch() {
    places.removeAll(keepingCapacity: true)
    answers.removeAll(keepingCapacity: true)
  }

  /// Appends the masked row number `place` to the batch.
  mutating func load(_ place: Int, sample: Int, into batch: inout TokenBatch) {
    let range = starts[place]..<starts[place + 1]
    let first = batch.tokenCount
    rowIDs.removeAll(keepingCapacity: true)
    rowTypes.removeAll(keepingCapacity: true)
    for (number, at) in range.enumerated() {
      rowIDs.append(ids[at])
      rowTypes.append(hasTypes && number >= seconds[place] ? 1 : 0)
      guard labels[at] != Masking.none else { continue }
      places.append(Int32(clamping: first + number))
      answers.append(labels[at])
    }
    batch.append(ids: rowIDs, types: rowTypes, sample: UInt32(clamping: sample))
  }
}

internal import Glibc
package import KluereBase
package import KluereData
internal import KluereModel
internal import KluereText

package struct FillInOptions: Sendable {
  package var seed: UInt64 = 42
  /// The chance of each row to be taken.
  package var rowShare = 1.0
  /// The share of the words that touch no entity whose beginning is asked for anew; at least one.
  package var wordShare = 0.15
  /// How many of the likeliest pieces are drawn from.
  package var topK = 10
  package var keepsOriginals = true

  package init() {}

  package func validate() throws(KluereError) {
    guard rowShare > 0, rowShare <= 1 else {
      throw KluereError(.invalidArgument, "row_share: \(rowShare), expected more than 0 and at most 1")
    }
    guard wordShare > 0, wordShare <= 1 else {
      throw KluereError(.invalidArgument, "word_share: \(wordShare), expected more than 0 and at most 1")
    }
    guard topK >= 1, topK <= 1000 else { throw KluereError(.invalidArgument, "top_k: \(topK), expected 1 to 1000") }
  }
}

/// New rows in which a masked-LM says the beginnings of some words anew. Endings, which are pieces of their own in Korean
/// vocabularies, stay; so do the entities.
package struct FillIn: ~Copyable {
  private let predictor: Predictor
  private let tokenizer: Tokenizer
  private let dataset: Dataset
  private let options: FillInOptions
  /// Per id the text of a piece that may begin a word; nil for all others.
  private let pieces: [[UInt8]?]
  private var made: [(source: Int, row: MadeRow)] = []
  private var batch = Batch()
  private var logits = Workspace<Float>(for: "masked-LM logits")

  /// Sentences on their way through the model.
  private struct Batch {
    var ids: [Int32] = []
    var types: [Int32] = []
    var offsets = [0]
    /// Places of masks among the ids, and what they stand for.
    var masks: [Int] = []
    var blanks: [(row: Int, range: Range<Int>, id: Int32)] = []
  }

  /// Masks in one forward pass: each gives a row of logits as long as the vocabulary.
  private static let masksAtOnce = 128

  /// `judge`: a predictor of labels that must agree with a new row's label; nil: nobody is asked.
  package static func run(
    _ dataset: Dataset, _ predictor: Predictor, judge: Predictor?, _ options: FillInOptions
  ) throws(KluereError) -> Dataset {
    try options.validate()
    var fill = try FillIn(dataset, predictor, options)
    try fill.makeRows()
    let kept = try judge.map { judge throws(KluereError) in try fill.agreeing(judge) } ?? Array(fill.made.indices)
    return try fill.dataset(of: kept, keepsOriginals: options.keepsOriginals)
  }

  private init(_ dataset: Dataset, _ predictor: Predictor, _ options: FillInOptions) throws(KluereError) {
    tokenizer = predictor.model.tokenizer
    guard tokenizer.maskID >= 0 else { throw KluereError(.unsupported, "tokenizer: it has no mask token") }
    self.dataset = dataset
    self.predictor = predictor
    self.options = options
    let tokenizer = tokenizer
    let size = min(tokenizer.vocabularySize, predictor.model.configuration.vocabularySize)
    pieces = (0..<size).map { id in
      let id = Int32(clamping: id)
      guard id != tokenizer.unknownID, !tokenizer.isSpecial(id), var piece = tokenizer.token(id) else { return nil }
      // SentencePiece marks what begins a word, WordPiece what does not.
      if piece.hasPrefix("\u{2581}") { piece.removeFirst() }
      let isWord = piece.unicodeScalars.allSatisfy { $0.properties.isAlphabetic || $0.properties.numericType != nil }
      return isWord && !piece.isEmpty ? Array(piece.utf8) : nil
    }
  }

  // MARK: Making

  private mutating func makeRows() throws(KluereError) {
    for row in 0..<dataset.count {
      var random = AugmentedRows.random(options.seed, row, 0)
      guard random.fraction() < options.rowShare else { continue }
      try append(row, &random)
      if batch.masks.count >= FillIn.masksAtOnce { try flush() }
    }
    try flush()
  }

  private mutating func append(_ row: Int, _ random: inout SplitMix64) throws(KluereError) {
    let example = dataset.example(row)
    var tokens: [EncodedToken] = []
    try tokenizer.encode(
      example.text, pair: nil, addSpecial: true, allowSpecial: false,
      truncateTo: predictor.model.configuration.maxPositions, into: &tokens)
    let sentence = SentenceWords(example)
    let begins = Set(sentence.free.map { sentence.words[$0].lowerBound })
    var places = tokens.indices.filter { place in
      let token = tokens[place]
      return token.sequence == 0 && token.begin < token.end && begins.contains(token.begin) && piece(token.id) != nil
    }
    guard !places.isEmpty else { return }
    let count = max(1, Int(exactly: (options.wordShare * Double(places.count)).rounded()) ?? 1)
    for place in 0..<min(count, places.count) {
      places.swapAt(place, place + random.below(places.count - place))
    }
    let start = batch.ids.count
    let typeCount = predictor.model.configuration.typeVocabularySize
    for token in tokens {
      batch.ids.append(token.id)
      batch.types.append(Int(token.typeID) < typeCount ? token.typeID : 0)
    }
    for place in places.prefix(count).sorted() {
      let token = tokens[place]
      batch.ids[start + place] = tokenizer.maskID
      batch.masks.append(start + place)
      batch.blanks.append((row, token.begin..<token.end, token.id))
    }
    batch.offsets.append(batch.ids.count)
  }

  private func piece(_ id: Int32) -> [UInt8]? {
    guard let place = Int(exactly: id), pieces.indices.contains(place) else { return nil }
    return pieces[place]
  }

  private mutating func flush() throws(KluereError) {
    guard !batch.masks.isEmpty else { return }
    let vocabulary = predictor.model.configuration.vocabularySize
    guard let size = batch.masks.count.product(vocabulary) else {
      throw KluereError(.outOfMemory, "\(batch.masks.count) rows of \(vocabulary) logits do not fit in memory")
    }
    try logits.resize(size)
    try forward(into: logits.elements)
    var edits: [SentenceEdit] = []
    for (place, blank) in batch.blanks.enumerated() {
      let row = UnsafeBufferPointer(rebasing: logits.elements[place * vocabulary..<(place + 1) * vocabulary])
      // The draw does not depend on what shares the batch.
      var random = AugmentedRows.random(options.seed, blank.row, 1 + blank.range.lowerBound)
      if let text = draw(row, except: blank.id, &random) { edits.append(SentenceEdit(blank.range, text)) }
      let isLast = place + 1 == batch.blanks.count || batch.blanks[place + 1].row != blank.row
      guard isLast else { continue }
      finish(blank.row, edits)
      edits = []
    }
    batch = Batch()
  }

  private func forward(into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    // The closures cannot carry a typed error out.
    var failure: KluereError?
    let batch = batch
    batch.ids.withUnsafeBufferPointer { ids in
      batch.types.withUnsafeBufferPointer { types in
        batch.offsets.withUnsafeBufferPointer { offsets in
          batch.masks.withUnsafeBufferPointer { masks in
            do throws(KluereError) {
              let rows = try TokenRows(ids: ids, types: types, offsets: offsets, for: predictor.model.configuration)
              try predictor.maskLogits(rows, at: masks, into: out)
            } catch { failure = error }
          }
        }
      }
    }
    if let failure { throw failure }
  }

  /// One of the likeliest pieces, by their probabilities among themselves; not the one that was there.
  private func draw(
    _ logits: UnsafeBufferPointer<Float>, except old: Int32, _ random: inout SplitMix64
  ) -> [UInt8]? {
    var best: [(logit: Float, id: Int)] = []
    for id in pieces.indices where pieces[id] != nil && id != Int(old) && logits[id].isFinite {
      guard best.count < options.topK || logits[id] > (best.last?.logit ?? 0) else { continue }
      let place = best.firstIndex { $0.logit < logits[id] } ?? best.count
      best.insert((logits[id], id), at: place)
      if best.count > options.topK { best.removeLast() }
    }
    guard let largest = best.first?.logit else { return nil }
    let weights = best.map { exp(Double($0.logit - largest)) }
    var left = random.fraction() * weights.reduce(0, +)
    for (place, weight) in weights.enumerated() {
      left -= weight
      if left < 0 { return pieces[best[place].id] }
    }
    return best.last.flatMap { pieces[$0.id] }
  }

  private mutating func finish(_ row: Int, _ edits: [SentenceEdit]) {
    let example = dataset.example(row)
    let result = SentenceEdit.apply(edits, to: example)
    let subject = example.text[example.subject.begin..<example.subject.end]
    let object = example.text[example.object.begin..<example.object.end]
    guard !edits.isEmpty, !result.text.elementsEqual(example.text), result.text[result.subject].elementsEqual(subject),
      result.text[result.object].elementsEqual(object)
    else { return }
    made.append((row, MadeRow(result, example, label: dataset.labelIndex(row))))
  }

  // MARK: Choosing

  private func dataset(of places: [Int], keepsOriginals: Bool) throws(KluereError) -> Dataset {
    var rows = try AugmentedRows(dataset, keepsOriginals: keepsOriginals)
    for place in places { try rows.append(made[place].source, made[place].row, "fill") }
    return try rows.finish()
  }

  /// Places of the new rows of which the judge says what their label says.
  private func agreeing(_ judge: Predictor) throws(KluereError) -> [Int] {
    let labelled = made.indices.filter { dataset.labelIndex(made[$0].source) >= 0 }
    guard !labelled.isEmpty else { return [] }
    let rows = try dataset(of: labelled, keepsOriginals: false)
    let names = judge.model.labels.names
    var scores = Workspace<Float>(for: "scores")
    try scores.resize(rows.count.product(names.count) ?? 0)
    try judge.predict(rows, into: scores.elements)
    return labelled.enumerated().filter { index, _ in
      let row = scores.elements[index * names.count..<(index + 1) * names.count]
      guard let best = row.indices.max(by: { row[$0] < row[$1] }), let label = rows.example(index).label else {
        return false
      }
      return label.elementsEqual(names[best - row.startIndex].utf8)
    }.map { $0.element }
  }
}

internal import CKluereText
internal import KluereBase

/// A unigram tokenizer as Hugging Face's tokenizers library runs one: normalized, split at white space, spaces marked,
/// Viterbi in double precision. It differs from SentencePiece's own pipeline in corners: clusters of characters are
/// replaced whole, extra spaces stay unless a step takes them, and every piece may match in text.
package struct MetaspaceUnigram: Sendable {
  private static let mark: UInt32 = 0x2581
  private static let unknownPenalty = 10.0

  /// The pre-tokenizer Metaspace: spaces become marks.
  package struct Metaspace: Sendable {
    /// Where a word without a mark at its front gets one. `first`: only at the beginning of the text.
    package enum Prepending: Sendable { case always, first, never }

    package var prepends = Prepending.always
    /// Words are cut before each mark.
    package var splits = true

    package init() {}
  }

  /// What a tokenizer.json states.
  package struct Rules: Sendable {
    package var pieces: [(text: [UInt8], score: Double)] = []
    package var unknownID: Int32 = 0
    package var byteFallback = false
    package var normalizer: [NormalizerStep] = []
    package var splitsAtWhiteSpace = false
    /// nil: text goes to the model as it is.
    package var metaspace: Metaspace?
    package var decoder: [DecoderStep] = []

    package init() {}
  }

  /// What it was made of.
  let rules: Rules
  let unknownID: Int32
  let normalizer: StepNormalizer
  let decoder: [DecoderStep]
  private let splitsAtWhiteSpace: Bool
  private let metaspace: Metaspace?
  private let unigram: Unigram
  /// Ids of <0x00> to <0xFF>, nil without byte fallback.
  private let byteIDs: [Int32]?

  init(_ rules: Rules) throws(KluereError) {
    guard !rules.pieces.isEmpty, rules.unknownID >= 0, Int(rules.unknownID) < rules.pieces.count else {
      throw KluereError(.badFormat, "unigram: unk_id \(rules.unknownID), expected one of \(rules.pieces.count) pieces")
    }
    guard rules.pieces.count <= SentencePieceModel.maximumPieces else {
      throw KluereError(.unsupported, "unigram: more than \(SentencePieceModel.maximumPieces) pieces")
    }
    self.rules = rules
    var storage: [UInt8] = []
    var keys: [kt_key] = []
    for (id, piece) in rules.pieces.enumerated() {
      guard piece.score.isFinite, piece.text.count <= SentencePieceModel.maximumPieceBytes else {
        throw KluereError(
          .badFormat,
          "unigram: piece \(id) has score \(piece.score) and \(piece.text.count) bytes, expected a finite score and at "
            + "most \(SentencePieceModel.maximumPieceBytes) bytes")
      }
      if piece.text.isEmpty { continue }
      keys.append(PieceTrie.key(storage.count..<storage.count + piece.text.count, id))
      storage += piece.text
    }
    let scores = rules.pieces.map { $0.score }
    normalizer = try StepNormalizer(rules.normalizer)
    unigram = try Unigram(
      keys, storage: storage, scores: scores,
      unknownScore: (scores.min() ?? 0) - MetaspaceUnigram.unknownPenalty, unknownID: rules.unknownID, single: false,
      normalization: normalizer.normalization)
    unknownID = rules.unknownID
    decoder = rules.decoder
    splitsAtWhiteSpace = rules.splitsAtWhiteSpace
    metaspace = rules.metaspace
    var ids: [Int32]?
    if rules.byteFallback {
      let digits = Array("0123456789ABCDEF".utf8)
      let found = (0..<256).map { [unigram] byte -> Int32? in
        let name = [0x3C, 0x30, 0x78, digits[byte >> 4], digits[byte & 15], 0x3E]
        return name.withUnsafeBufferPointer { unigram.value($0) }
      }
      // Bytes without a piece make their character an unknown one.
      ids = found.map { $0 ?? -1 }
    }
    byteIDs = ids
  }

  func id(of text: [UInt8]) -> Int32? {
    text.withUnsafeBufferPointer { unigram.value($0) }
  }

  struct Scratch: ~Copyable {
    /// The next word goes on with one: no mark at its front. Taken back once it is tokenized.
    var continues = false
    var normalized = NormalizedText()
    fileprivate var other = NormalizedText()
    fileprivate var word = NormalizedText()
    var search = Unigram.Scratch()
  }

  /// [begin, end) of `text`, a stretch without added tokens, if it needs no normalization; else false, and nothing is done.
  func tokenizePlain(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, word: inout Int32, scratch: inout Scratch,
    into tokens: inout [Token]
  ) -> Bool {
    guard let metaspace, metaspace.splits else { return false }
    var first = KT_MARK_NONE
    if !scratch.continues, metaspace.prepends == .always || (metaspace.prepends == .first && begin == 0) {
      first = KT_MARK_FIRST
    }
    // Where spaces go, only prepending gives a word its mark.
    if splitsAtWhiteSpace, metaspace.prepends != .always { return false }
    let others = splitsAtWhiteSpace ? KT_MARK_FIRST : KT_MARK_SPACE
    guard
      unigram.segmentPlain(
        text, begin, end, first: first, others: others, word: &word, scratch: &scratch.search, into: &tokens)
    else { return false }
    scratch.continues = false
    return true
  }

  /// [begin, end) of `text` into scratch.normalized.
  func normalize(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, scratch: inout Scratch) {
    normalizer.normalize(text, begin, end, into: &scratch.normalized, scratch: &scratch.other)
  }

  /// Appends the tokens of [begin, end) of scratch.normalized, a stretch without added tokens.
  func tokenize(_ begin: Int, _ end: Int, word: inout Int32, scratch: inout Scratch, into tokens: inout [Token]) {
    let normalized = scratch.normalized
    normalized.bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      guard splitsAtWhiteSpace else {
        if begin < end { split(normalized, base, begin, end, &word, &scratch, into: &tokens) }
        return
      }
      var position = begin
      while position < end {
        var stop = position
        var length = 0
        while stop < end {
          let scalar: UInt32
          (scalar, length) = UTF8.decode(base, stop, end)
          if Characters.shared.isWhiteSpace(scalar) { break }
          stop += length
          length = 0
        }
        if position < stop { split(normalized, base, position, stop, &word, &scratch, into: &tokens) }
        position = stop + length
      }
    }
  }

  /// One word of the normalized text: its spaces marked, one mark more at its front, cut before each mark.
  private func split(
    _ normalized: NormalizedText, _ base: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ word: inout Int32,
    _ scratch: inout Scratch, into tokens: inout [Token]
  ) {
    let continues = scratch.continues
    scratch.continues = false
    guard let metaspace else {
      segment(normalized, base, begin, end, word, &scratch, into: &tokens)
      word &+= 1
      return
    }
    let prepends: Bool
    switch metaspace.prepends {
    case .always: prepends = true
    case .first: prepends = normalized.begins[begin] == 0
    case .never: prepends = false
    }
    scratch.word.removeAll()
    if prepends, !continues, base[begin] != 0x20, UTF8.decode(base, begin, end).scalar != MetaspaceUnigram.mark {
      scratch.word.append(MetaspaceUnigram.mark, normalized.begins[begin], normalized.ends[begin])
    }
    var position = begin
    while position < end {
      var stop = position
      while stop < end, base[stop] != 0x20 { stop += 1 }
      scratch.word.append(normalized, position..<stop)
      if stop < end { scratch.word.append(MetaspaceUnigram.mark, normalized.begins[stop], normalized.ends[stop]) }
      position = stop + 1
    }
    let text = scratch.word
    text.bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      var start = 0
      while start < buffer.count {
        var stop = metaspace.splits ? start + 1 : buffer.count
        while stop < buffer.count, !buffer.starts(with: SentencePiece.space, at: stop) { stop += 1 }
        segment(text, base, start, stop, word, &scratch, into: &tokens)
        word &+= 1
        start = stop
      }
    }
  }

  // MARK: Segmenting

  /// [begin, end) of `text`, whose bytes are at `bytes`. Neighbouring unknown pieces become one.
  private func segment(
    _ text: NormalizedText, _ bytes: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ word: Int32,
    _ scratch: inout Scratch, into tokens: inout [Token]
  ) {
    var unknown = (from: begin, to: begin)
    unigram.segment(bytes + begin, end - begin, scratch: &scratch.search) { from, to, id in
      if id == unknownID {
        if unknown.from == unknown.to { unknown.from = begin + from }
        unknown.to = begin + to
        return
      }
      append(unknown: &unknown, text, bytes, word, into: &tokens)
      tokens.append(Token(id: id, begin: text.begins[begin + from], end: text.ends[begin + to - 1], word: word))
    }
    append(unknown: &unknown, text, bytes, word, into: &tokens)
  }

  /// Unknown characters together may spell a piece.
  private func append(
    unknown: inout (from: Int, to: Int), _ text: NormalizedText, _ bytes: UnsafePointer<UInt8>, _ word: Int32,
    into tokens: inout [Token]
  ) {
    guard unknown.from < unknown.to else { return }
    let (first, last) = (text.begins[unknown.from], text.ends[unknown.to - 1])
    let piece = UnsafeBufferPointer(start: bytes + unknown.from, count: unknown.to - unknown.from)
    unknown.from = unknown.to
    if let id = unigram.value(piece) {
      tokens.append(Token(id: id, begin: first, end: last, word: word))
    } else if let byteIDs, piece.allSatisfy({ byteIDs[Int($0)] >= 0 }) {
      for byte in piece { tokens.append(Token(id: byteIDs[Int(byte)], begin: first, end: last, word: word)) }
    } else {
      tokens.append(Token(id: unknownID, begin: first, end: last, word: word))
    }
  }
}

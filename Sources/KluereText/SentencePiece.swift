internal import CKluereText
internal import KluereBase

/// SentencePiece's own pipeline, as its C++ library runs it: normalize, mark spaces, segment. Offsets are bytes of the text.
struct SentencePiece: Sendable {
  static let space: [UInt8] = [0xE2, 0x96, 0x81]  // U+2581

  let model: SentencePieceModel
  /// What is added to the file's ids, and what the unknown piece becomes: XLM-R keeps fairseq's numbers.
  let shift: Int32
  let unknownID: Int32
  private let unigram: Unigram
  private let userDefined: PieceTrie?
  /// Ids of <0x00> to <0xFF>, the file's.
  private let byteIDs: [Int32]
  /// The file's ids by text, of the pieces that match in no text.
  private let others: PieceTrie

  init(_ model: SentencePieceModel, fairseq: Bool) throws(KluereError) {
    self.model = model
    shift = fairseq ? 1 : 0
    unknownID = fairseq ? 3 : model.unknownID
    var symbols: [kt_key] = []
    // Unused pieces are passed over where they match; they need no place in the trie.
    var matching: [kt_key] = []
    var rest: [kt_key] = []
    var lowest = Float.greatestFiniteMagnitude
    // Scores are logarithms, so SentencePiece's start value, the smallest positive number, remains the maximum.
    var highest = Float.leastNormalMagnitude
    var bytes = [Int32](repeating: model.unknownID, count: 256)
    // Each as large as it gets: where an array grows it is there twice.
    let matchingCount = model.pieces.count { $0.matches }
    matching.reserveCapacity(matchingCount)
    rest.reserveCapacity(model.pieces.count - matchingCount)
    symbols.reserveCapacity(model.pieces.count { $0.type == .userDefined })
    for (id, piece) in model.pieces.enumerated() {
      let key = PieceTrie.key(piece.text, id)
      if piece.type == .normal {
        lowest = min(lowest, piece.score)
        highest = max(highest, piece.score)
      }
      if piece.matches { matching.append(key) } else { rest.append(key) }
      if piece.type == .userDefined { symbols.append(key) }
      if piece.type == .byte {
        let text = String(decoding: model.text(id), as: Unicode.UTF8.self)
        guard text.utf8.count == 6, text.hasPrefix("<0x"), text.hasSuffix(">"),
          let byte = UInt8(text.dropFirst(3).dropLast(), radix: 16)
        else { throw KluereError(.badFormat, "SentencePiece model: byte piece \(id) is no <0x00> to <0xFF>") }
        bytes[Int(byte)] = key.value
      }
    }
    byteIDs = bytes
    unigram = try Unigram(
      matching, storage: model.bytes, scores: model.pieces.lazy.map { Double($0.score) },
      userDefined: symbols.isEmpty ? nil : model.pieces.map { $0.type == .userDefined }, userScore: Double(highest),
      unknownScore: Double(lowest - 10), unknownID: model.unknownID, single: true,
      normalization: .rules([model.characterMap].compactMap { $0 }, longer: true, changes: []))
    others = try PieceTrie.make(rest, storage: model.bytes)
    userDefined = symbols.isEmpty ? nil : try PieceTrie.make(symbols, storage: model.bytes)
    let twice = model.bytes.withUnsafeBufferPointer { bytes in
      model.pieces.enumerated().first { id, piece in
        let text = UnsafeBufferPointer(rebasing: bytes[piece.text])
        let (found, other) = (unigram.value(text), others.value(text))
        return found.map { $0 != Int32(truncatingIfNeeded: id) || other != nil }
          ?? (other != Int32(truncatingIfNeeded: id))
      }
    }
    if let twice { throw KluereError(.badFormat, "SentencePiece model: piece \(twice.offset) is there twice") }
  }

  func fileID(_ text: [UInt8]) -> Int32? {
    text.withUnsafeBufferPointer { unigram.value($0) } ?? others.value(text)
  }

  /// The tokenizer's id of a piece of the file.
  func id(_ piece: Int32) -> Int32 { piece == model.unknownID ? unknownID : piece + shift }

  // MARK: Normalizing

  /// Normalized text: byte k of the first `count` comes from the text at origins[k]; one origin more for the end. The arrays
  /// stay as large as the longest text made them.
  struct Scratch: ~Copyable {
    fileprivate var bytes: [UInt8] = []
    fileprivate var origins: [Int] = []
    fileprivate var count = 0
    var search = Unigram.Scratch()

    mutating func makeRoom(for bytes: Int) {
      let missing = count + bytes - self.bytes.count
      guard missing > 0 else { return }
      self.bytes.append(contentsOf: repeatElement(0, count: missing))
      origins.append(contentsOf: repeatElement(0, count: missing))
    }

    mutating func fill(
      _ body: (UnsafeMutableBufferPointer<UInt8>, UnsafeMutableBufferPointer<Int>, inout Int) -> Void
    ) {
      var count = count
      bytes.withUnsafeMutableBufferPointer { bytes in
        origins.withUnsafeMutableBufferPointer { origins in body(bytes, origins, &count) }
      }
      self.count = count
    }

    mutating func append(_ added: [UInt8], _ origin: Int) {
      makeRoom(for: added.count)
      for byte in added {
        bytes[count] = byte
        origins[count] = origin
        count += 1
      }
    }
  }

  private func normalize(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, continues: Bool, _ scratch: inout Scratch
  ) {
    scratch.count = 0
    var rules = kt_normalizer(
      map: model.characterMap?.map
        ?? kt_character_map(units: nil, replacements: nil, unit_count: 0, replacement_count: 0),
      user: userDefined?.trie, removes_extra_spaces: model.removesExtraSpaces ? 1 : 0,
      escapes_spaces: model.escapesSpaces ? 1 : 0)
    var position = begin
    if model.removesExtraSpaces { position += kt_leading_spaces(&rules, text, begin, end) }
    var consumed = end
    if position < end {
      let mark = model.escapesSpaces ? SentencePiece.space : [0x20]
      if model.addsDummyPrefix, !model.spaceIsSuffix, !continues { scratch.append(mark, position) }
      var afterSpace: Int32 = model.removesExtraSpaces ? 1 : 0
      // Most texts stay as long as they are; spaces grow.
      var room = (end - position) / 2 * 3
      while position < end {
        room += Int(KT_NORMALIZER_ROOM)
        scratch.makeRoom(for: room)
        scratch.fill { bytes, origins, count in
          kt_normalize(
            &rules, text, &position, end, &afterSpace, bytes.baseAddress, origins.baseAddress, &count, bytes.count)
        }
      }
      if model.removesExtraSpaces {
        while scratch.count >= mark.count, scratch.bytes[scratch.count - mark.count..<scratch.count].elementsEqual(mark)
        {
          scratch.count -= mark.count
          consumed = scratch.origins[scratch.count]
        }
      }
      if model.addsDummyPrefix, model.spaceIsSuffix { scratch.append(mark, consumed) }
    }
    scratch.makeRoom(for: 1)
    scratch.origins[scratch.count] = consumed
  }

  // MARK: Segmenting

  /// Appends the tokens of [begin, end) of `text`. A run of unknown characters is one token; with byte fallback each of
  /// their bytes is one, of which the last stands for the character. `word` counts the pieces that begin with a space.
  /// `continues`: no space is put before the text.
  func tokenize(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, continues: Bool = false, word: inout Int32,
    scratch: inout Scratch, into tokens: inout [Token]
  ) {
    if tokenizePlain(text, begin, end, continues: continues, word: &word, scratch: &scratch, into: &tokens) { return }
    normalize(text, begin, end, continues: continues, &scratch)
    var search = Unigram.Scratch()
    swap(&search, &scratch.search)
    defer { swap(&search, &scratch.search) }
    var afterUnknown = false
    var started = false
    scratch.bytes.withUnsafeBufferPointer { buffer in
      scratch.origins.withUnsafeBufferPointer { origins in
        guard let base = buffer.baseAddress else { return }
        unigram.segment(base, scratch.count, scratch: &search) { from, to, piece in
          let isUnknown = piece == model.unknownID
          if started, buffer.starts(with: SentencePiece.space, at: from) { word &+= 1 }
          started = true
          if isUnknown, model.hasByteFallback {
            for place in from..<to {
              let stop = place == to - 1 ? origins[to] : origins[from]
              tokens.append(
                Token(id: id(byteIDs[Int(buffer[place])]), begin: origins[from], end: stop, word: word))
            }
          } else if isUnknown, afterUnknown {
            tokens[tokens.count - 1].end = origins[to]
          } else {
            tokens.append(Token(id: id(piece), begin: origins[from], end: origins[to], word: word))
          }
          afterUnknown = isUnknown
        }
      }
    }
    if started { word &+= 1 }
  }

  /// Text that needs no normalization, which is most of it.
  private func tokenizePlain(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, continues: Bool, word: inout Int32,
    scratch: inout Scratch, into tokens: inout [Token]
  ) -> Bool {
    guard model.escapesSpaces, !model.spaceIsSuffix else { return false }
    let first = model.addsDummyPrefix && !continues ? KT_MARK_EMPTY : KT_MARK_NONE
    let place = tokens.count
    guard
      unigram.segmentPlain(
        text, begin, end, first: first, others: KT_MARK_SPACE, word: &word, scratch: &scratch.search, into: &tokens)
    else { return false }
    if shift != 0 { for index in place..<tokens.count { tokens[index].id &+= shift } }
    return true
  }

  // MARK: Decoding

  /// Appends one piece's text. `isStart`: nothing has been written yet and no space left out.
  func decode(_ piece: Int32, isStart: inout Bool, into text: inout [UInt8]) {
    let index = Int(piece)
    switch model.pieces[index].type {
    case .control: return
    case .unknown: text += model.unknownSurface
    default:
      var content = model.text(index)
      if isStart, model.addsDummyPrefix || model.removesExtraSpaces, content.starts(with: SentencePiece.space) {
        content = content.dropFirst(SentencePiece.space.count)
        // Where extra spaces were removed, every leading one is an artefact.
        if content.isEmpty, model.removesExtraSpaces { return }
      }
      var position = content.startIndex
      while position < content.endIndex {
        if content[position...].starts(with: SentencePiece.space) {
          text.append(0x20)
          position += SentencePiece.space.count
        } else {
          text.append(content[position])
          position += 1
        }
      }
    }
    isStart = false
  }

  /// The byte that a byte piece stands for.
  func byte(_ piece: Int32) -> UInt8? {
    guard model.pieces[Int(piece)].type == .byte else { return nil }
    return byteIDs.firstIndex(of: piece).map { UInt8(truncatingIfNeeded: $0) }
  }
}

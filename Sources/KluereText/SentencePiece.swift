internal import KluereBase

/// SentencePiece's own pipeline, as its C++ library runs it: normalize, mark spaces, segment. Offsets are bytes of the text.
struct SentencePiece: Sendable {
  static let space: [UInt8] = [0xE2, 0x96, 0x81]  // U+2581

  let model: SentencePieceModel
  /// What is added to the file's ids, and what the unknown piece becomes: XLM-R keeps fairseq's numbers.
  let shift: Int32
  let unknownID: Int32
  private let unigram: Unigram
  private let userDefined: ByteTrie?
  private let userDefinedRoot: UInt32?
  /// Ids of <0x00> to <0xFF>, the file's.
  private let byteIDs: [Int32]
  /// The file's ids by text.
  private let lookup: ByteTrie

  init(_ model: SentencePieceModel, fairseq: Bool) throws(KluereError) {
    self.model = model
    shift = fairseq ? 1 : 0
    unknownID = fairseq ? 3 : model.unknownID
    unigram = Unigram(model)
    var symbols: [ByteTrie.Key] = []
    var all: [ByteTrie.Key] = []
    var bytes = [Int32](repeating: model.unknownID, count: 256)
    for (id, piece) in model.pieces.enumerated() {
      let key = ByteTrie.Key(
        group: 0, offset: piece.text.lowerBound, length: piece.text.count, value: Int32(truncatingIfNeeded: id))
      all.append(key)
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
    let (trie, symbolTrie) = model.bytes.withUnsafeBufferPointer { buffer in
      (ByteTrie(all, storage: buffer), symbols.isEmpty ? nil : ByteTrie(symbols, storage: buffer))
    }
    lookup = trie
    userDefined = symbolTrie
    userDefinedRoot = symbolTrie?.root(group: 0)
    for (id, piece) in model.pieces.enumerated() where self.fileID(Array(model.bytes[piece.text])) != Int32(id) {
      throw KluereError(.badFormat, "SentencePiece model: piece \(id) is there twice")
    }
  }

  func fileID(_ text: [UInt8]) -> Int32? {
    guard let root = lookup.root(group: 0) else { return nil }
    return text.withUnsafeBufferPointer { lookup.value(root, $0) }
  }

  /// The tokenizer's id of a piece of the file.
  func id(_ piece: Int32) -> Int32 { piece == model.unknownID ? unknownID : piece + shift }

  // MARK: Normalizing

  /// Normalized text; byte k comes from the text at origins[k]; one origin more for the end.
  struct Scratch {
    fileprivate var bytes: [UInt8] = []
    fileprivate var origins: [Int] = []
    fileprivate var lattice = Unigram.Scratch()
  }

  /// What the text at `position` becomes: a replacement of the character map (nil: itself), and the bytes it takes.
  @inline(__always)
  private func rule(
    _ text: UnsafePointer<UInt8>, _ position: Int, _ end: Int
  ) -> (replacement: Int?, length: Int) {
    if let userDefined, let root = userDefinedRoot,
      case (.some, let stop) = userDefined.longestMatch(root, text, position, end)
    {
      return (nil, stop - position)
    }
    if let map = model.characterMap, let found = map.longestRule(text, position, end) {
      return (found.start, found.length)
    }
    return (nil, UTF8.decode(text, position, end).length)
  }

  private func normalize(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, continues: Bool, _ scratch: inout Scratch
  ) {
    scratch.bytes.removeAll(keepingCapacity: true)
    scratch.origins.removeAll(keepingCapacity: true)
    func byte(_ found: (replacement: Int?, length: Int), _ position: Int, _ index: Int) -> UInt8? {
      guard let start = found.replacement else { return index < found.length ? text[position + index] : nil }
      let byte = model.characterMap?.replacement(start, index) ?? 0
      return byte == 0 ? nil : byte
    }
    var position = begin
    if model.removesExtraSpaces {
      while position < end {
        let found = rule(text, position, end)
        guard byte(found, position, 0) == 0x20, byte(found, position, 1) == nil else { break }
        position += found.length
      }
      if position == end { return scratch.origins.append(end) }
    }
    if end == begin { return scratch.origins.append(end) }

    let mark = model.escapesSpaces ? SentencePiece.space : [0x20]
    func addSpace(_ origin: Int) {
      for byte in mark {
        scratch.bytes.append(byte)
        scratch.origins.append(origin)
      }
    }
    if model.addsDummyPrefix, !model.spaceIsSuffix, !continues { addSpace(position) }
    var afterSpace = model.removesExtraSpaces
    while position < end {
      let found = rule(text, position, end)
      var index = 0
      while afterSpace, byte(found, position, index) == 0x20 { index += 1 }
      var last: UInt8?
      while let value = byte(found, position, index) {
        if value == 0x20 {
          addSpace(position)
        } else {
          scratch.bytes.append(value)
          scratch.origins.append(position)
        }
        last = value
        index += 1
      }
      if let last { afterSpace = last == 0x20 }
      if !model.removesExtraSpaces { afterSpace = false }
      position += found.length
    }
    var consumed = end
    if model.removesExtraSpaces {
      while scratch.bytes.count >= mark.count, scratch.bytes.suffix(mark.count).elementsEqual(mark) {
        let length = scratch.bytes.count - mark.count
        consumed = scratch.origins[length]
        scratch.bytes.removeLast(mark.count)
        scratch.origins.removeLast(mark.count)
      }
    }
    if model.addsDummyPrefix, model.spaceIsSuffix { addSpace(consumed) }
    scratch.origins.append(consumed)
  }

  // MARK: Segmenting

  /// Appends the tokens of [begin, end) of `text`. A run of unknown characters is one token; with byte fallback each of
  /// their bytes is one, of which the last stands for the character. `word` counts the pieces that begin with a space.
  /// `continues`: no space is put before the text.
  func tokenize(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, continues: Bool = false, word: inout Int32,
    scratch: inout Scratch, into tokens: inout [Token]
  ) {
    normalize(text, begin, end, continues: continues, &scratch)
    let (bytes, origins) = (scratch.bytes, scratch.origins)
    var lattice = scratch.lattice
    defer { scratch.lattice = lattice }
    var afterUnknown = false
    var started = false
    bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unigram.segment(base, buffer.count, scratch: &lattice) { from, to, piece in
        let isUnknown = piece == model.unknownID
        if started, buffer[from..<to].starts(with: SentencePiece.space) { word &+= 1 }
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
    if started { word &+= 1 }
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

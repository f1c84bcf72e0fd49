internal import CKluereText
internal import KluereBase

/// Pieces with scores and the search for the most probable segmentation (Kudo 2018): kt_segment of kluere_text.h.
final class Unigram: @unchecked Sendable {  // immutable after init
  private let trie: PieceTrie
  private let scores: UnsafeMutablePointer<Double>
  private let userDefined: UnsafeMutablePointer<UInt8>?
  private let model: kt_unigram
  /// The trie's code of U+2581; nil where no text can be read as it is.
  private let markCode: UInt32?

  /// What normalization does, as far as it tells which characters stay as they are in any text.
  enum Normalization {
    /// Characters may change anywhere.
    case anything
    /// The maps' rules, and nothing to other characters but these and U+0020. `longer`: rules of several characters apply.
    case rules([PrecompiledCharacterMap], longer: Bool, changes: [UInt32])
  }

  /// `scores`: of all pieces, `keys`: those that match in text. `userScore`: of a byte of a user-defined piece. `single`:
  /// single precision and a text as one, as in SentencePiece.
  init(
    _ keys: [kt_key], storage: [UInt8], scores: some Collection<Double>, userDefined: [Bool]? = nil,
    userScore: Double = 0, unknownScore: Double, unknownID: Int32, single: Bool, normalization: Normalization
  ) throws(KluereError) {
    trie = try PieceTrie.make(keys, storage: storage)
    self.scores = Unigram.copy(scores)
    self.userDefined = userDefined.map { Unigram.copy($0.lazy.map { $0 ? 1 : 0 }) }
    model = kt_unigram(
      trie: trie.trie, scores: self.scores, user: self.userDefined, unknown_score: unknownScore,
      user_score: userScore, unknown: unknownID, single: single ? 1 : 0)
    let code = kt_code(trie.trie, Unigram.mark)
    // Where a text is one search, a piece that reaches from one word into the next would tie them together.
    let isPlain = code != 0 && userDefined == nil && !(single && Unigram.reachAcross(keys, storage))
    if isPlain, case .rules(let maps, let longer, let changes) = normalization {
      kt_set_staying(trie.trie)
      var spacesStay = true
      for map in maps {
        var rules = map.map
        if kt_clear_ruled(trie.trie, &rules, longer ? 1 : 0) != 0 { spacesStay = false }
      }
      for character in changes { kt_clear_staying(trie.trie, character) }
      markCode = spacesStay ? code : nil
    } else {
      markCode = nil
    }
  }

  deinit {
    scores.deallocate()
    userDefined?.deallocate()
  }

  private static let mark: UInt32 = 0x2581

  private static func copy<Element>(_ elements: some Collection<Element>) -> UnsafeMutablePointer<Element> {
    let copy = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
    _ = UnsafeMutableBufferPointer(start: copy, count: elements.count).initialize(from: elements)
    return copy
  }

  /// Whether a key has a mark behind another character.
  private static func reachAcross(_ keys: [kt_key], _ storage: [UInt8]) -> Bool {
    storage.withUnsafeBufferPointer { bytes in
      keys.contains { key in
        let end = key.offset + Int(key.length)
        var place = key.offset
        while bytes.starts(with: SentencePiece.space, at: place), place < end { place += SentencePiece.space.count }
        while place < end {
          if bytes.starts(with: SentencePiece.space, at: place) { return true }
          place += 1
        }
        return false
      }
    }
  }

  func value(_ text: UnsafeBufferPointer<UInt8>) -> Int32? { trie.value(text) }

  // MARK: Segmenting

  /// Memory that stays as large as the longest text made it.
  struct Scratch: ~Copyable {
    fileprivate var nodes = GrowingBuffer<kt_lattice_node>(for: "tokenizer")
    fileprivate var tokens = GrowingBuffer<kt_token>(for: "tokenizer")
    /// What was not to be had. Whoever tokenizes asks at the end.
    var error: KluereError?
  }

  /// Calls `body` for the pieces of [0, count) of `text` in order; without memory for it `scratch` has an error.
  @inline(__always)
  func segment(
    _ text: UnsafePointer<UInt8>, _ count: Int, scratch: inout Scratch,
    _ body: (_ begin: Int, _ end: Int, _ id: Int32) -> Void
  ) {
    let nodes: UnsafeMutablePointer<kt_lattice_node>
    do throws(KluereError) {
      guard count < Unigram.maximumBytes else {
        throw KluereError(.unsupported, "tokenizer: a text of \(count) bytes, expected less than 4 GiB")
      }
      nodes = try scratch.nodes.room(for: count + 1)
    } catch {
      scratch.error = error
      return
    }
    var model = model
    kt_segment(&model, text, count, nodes)
    var node = nodes[0]
    while node.start != UInt32.max {
      let next = nodes[Int(node.start)]
      body(Int(node.place), Int(next.place), node.id)
      node = next
    }
  }

  private static let maximumBytes = Int(UInt32.max)

  /// Texts up to here are read as they are, in one go.
  private static let plainBytes = 1 << 16

  /// Appends the tokens of [begin, end) of `text`, read as it is: kt_segment_plain. False if that cannot be, and nothing is
  /// appended.
  func segmentPlain(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, first: kt_mark, others: kt_mark, word: inout Int32,
    scratch: inout Scratch, into tokens: inout [Token]
  ) -> Bool {
    guard let markCode, end - begin <= Unigram.plainBytes else { return false }
    let room = end - begin + 1
    guard let buffer = try? scratch.tokens.room(for: room) else { return false }
    var model = model
    var plain = kt_plain(mark_code: markCode, first: first, others: others)
    var count = 0
    guard kt_segment_plain(&model, &plain, text, begin, end, &word, buffer, room, &count) != 0 else { return false }
    tokens.append(UnsafeMutableBufferPointer(start: buffer, count: count), count)
    return true
  }
}

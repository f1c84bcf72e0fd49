internal import CKluereText
internal import KluereBase

/// One piece of a text. Laid out as kt_token.
package struct Token: Sendable, Equatable {
  /// [begin, end) in bytes of the text.
  package var begin: Int
  package var end: Int
  package var id: Int32
  /// Index of the word in the text: of the stretch between white space and punctuation, or the punctuation mark.
  package var word: Int32

  package init(id: Int32, begin: Int, end: Int, word: Int32) {
    self.begin = begin
    self.end = end
    self.id = id
    self.word = word
  }
}

extension [Token] {
  mutating func append(_ tokens: UnsafeMutableBufferPointer<kt_token>, _ count: Int) {
    guard let base = tokens.baseAddress else { return }
    let start = UnsafeRawPointer(base).assumingMemoryBound(to: Token.self)
    append(contentsOf: UnsafeBufferPointer(start: start, count: count))
  }
}

/// Splits a word into the longest pieces of the vocabulary, from the left.
struct WordPiece: Sendable {
  private let trie: PieceTrie
  private let prefix: [UInt8]
  let unknownID: Int32
  let maximumCharacters: Int

  init(
    _ vocabulary: Vocabulary, prefix: [UInt8], unknown: String, maximumCharacters: Int
  ) throws(KluereError) {
    self.prefix = prefix
    self.maximumCharacters = maximumCharacters
    // A piece with the prefix may start a word too, if a word can start so: not with "##", for punctuation stands alone.
    let prefixStands = prefix.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress, !bytes.isEmpty else { return false }
      let scalar = UTF8.decode(base, 0, bytes.count).scalar
      return Characters.shared.properties(scalar) & CharacterKind.mask == CharacterKind.punctuation
    }
    var initial: [kt_key] = []
    var continuing: [kt_key] = []
    initial.reserveCapacity(vocabulary.pieces.count)
    let made: Result<PieceTrie, KluereError> = vocabulary.bytes.withUnsafeBufferPointer { bytes in
      for (id, piece) in vocabulary.pieces.enumerated() {
        let hasPrefix = piece.count >= prefix.count && bytes.starts(with: prefix, at: piece.lowerBound)
        if hasPrefix { continuing.append(PieceTrie.key(piece.lowerBound + prefix.count..<piece.upperBound, id)) }
        if !hasPrefix || !prefixStands || bytes[piece].dropFirst().allSatisfy({ $0 & 0xC0 == 0x80 }) {
          initial.append(PieceTrie.key(piece, id))
        }
      }
      do throws(KluereError) {
        return .success(try PieceTrie(initial, continuing: continuing, storage: bytes, hasKinds: true))
      } catch { return .failure(error) }
    }
    trie = try made.get()
    guard let id = WordPiece.id(of: Array(unknown.utf8), trie, prefix) else {
      throw KluereError(.badFormat, "vocabulary: no \(unknown) among \(vocabulary.pieces.count) pieces")
    }
    unknownID = id
  }

  private static func id(of token: [UInt8], _ trie: PieceTrie, _ prefix: [UInt8]) -> Int32? {
    token.withUnsafeBufferPointer { bytes in
      if let id = trie.value(bytes) { return id }
      guard !prefix.isEmpty, bytes.starts(with: prefix) else { return nil }
      return trie.value(UnsafeBufferPointer(rebasing: bytes[prefix.count...]), group: PieceTrie.continuation)
    }
  }

  /// The piece that goes on with a word as `token` begins one.
  func continuationID(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
    trie.value(token, group: PieceTrie.continuation)
  }

  func id(of token: [UInt8]) -> Int32? { WordPiece.id(of: token, trie, prefix) }

  /// Tokens that fit on the stack.
  private static let room = 1024 / MemoryLayout<kt_token>.stride

  private func rules(_ actions: UInt32) -> kt_words {
    kt_words(trie: trie.trie, maximum: maximumCharacters, unknown: unknownID, actions: actions)
  }

  /// Appends the pieces of the words of text[position, end) until one has dropped characters inside: then true, and `position`
  /// is where that word begins. `actions`: what each kind of character is, as kt_words has it.
  func split(
    _ text: UnsafePointer<UInt8>, _ position: inout Int, _ end: Int, actions: UInt32, word: inout Int32,
    into tokens: inout [Token]
  ) -> Bool {
    var rules = rules(actions)
    var room = WordPiece.room
    while position < end {
      let (status, count) = withUnsafeTemporaryAllocation(of: kt_token.self, capacity: room) { buffer in
        var count = 0
        let status = kt_split_words(&rules, text, &position, end, &word, buffer.baseAddress, room, &count)
        tokens.append(buffer, count)
        return (status, count)
      }
      if status == KT_GAP { return true }
      // A word of more pieces than there is room for.
      if status == KT_FULL, count == 0 { room = min(8 * room, end - position) }
    }
    return false
  }

  /// Appends the pieces of the one word [begin, end) of `text`. `continues`: a word has begun before it.
  func splitWord(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, word: Int32, continues: Bool = false,
    into tokens: inout [Token]
  ) {
    var rules = rules(0)
    var room = WordPiece.room
    while true {
      let isDone = withUnsafeTemporaryAllocation(of: kt_token.self, capacity: room) { buffer in
        let count = kt_split_word(&rules, text, begin, end, continues ? 1 : 0, word, buffer.baseAddress, room)
        if count < 0 { return false }
        tokens.append(buffer, count)
        return true
      }
      if isDone { return }
      room = min(8 * room, end - begin)
    }
  }
}

/// One piece of a text.
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

/// Splits a word into the longest pieces of the vocabulary, from the left.
struct WordPiece: Sendable {
  private static let initial: UInt8 = 0
  private static let continuation: UInt8 = 1

  private let trie: ByteTrie
  private let prefix: [UInt8]
  let unknownID: Int32
  let maximumCharacters: Int

  /// nil if the vocabulary lacks `unknown`.
  init?(_ vocabulary: Vocabulary, prefix: [UInt8], unknown: [UInt8], maximumCharacters: Int) {
    var keys: [ByteTrie.Key] = []
    for (index, piece) in vocabulary.pieces.enumerated() {
      let id = Int32(truncatingIfNeeded: index)  // at most 2^20 pieces
      let content = vocabulary.bytes[piece]
      if !prefix.isEmpty, content.starts(with: prefix) {
        keys.append(
          .init(
            group: WordPiece.continuation, offset: piece.lowerBound + prefix.count,
            length: piece.count - prefix.count, value: id))
      }
      // A piece with the prefix may start a word too, if a word can start so (it cannot with "##").
      keys.append(.init(group: WordPiece.initial, offset: piece.lowerBound, length: piece.count, value: id))
      if prefix.isEmpty {
        keys.append(.init(group: WordPiece.continuation, offset: piece.lowerBound, length: piece.count, value: id))
      }
    }
    trie = vocabulary.bytes.withUnsafeBufferPointer { ByteTrie(keys, storage: $0) }
    self.prefix = prefix
    self.maximumCharacters = maximumCharacters
    guard let root = trie.root(group: WordPiece.initial),
      let id = unknown.withUnsafeBufferPointer({ [trie] in trie.value(root, $0) })
    else { return nil }
    unknownID = id
  }

  /// The piece that goes on with a word as `token` begins one.
  func continuationID(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
    trie.root(group: WordPiece.continuation).flatMap { trie.value($0, token) }
  }

  func id(of token: UnsafeBufferPointer<UInt8>) -> Int32? {
    trie.root(group: WordPiece.initial).flatMap { trie.value($0, token) }
  }

  /// Appends the pieces of the word [begin, end) of `text`, which has `characters` characters; offsets are those in
  /// `text`. `continues`: a word has begun before it.
  @inline(__always)
  func split(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, characters: Int, word: Int32,
    continues: Bool = false, into tokens: inout [Token]
  ) {
    let first = tokens.count
    var root = trie.root(group: continues ? WordPiece.continuation : WordPiece.initial)
    var position = begin
    if characters <= maximumCharacters {
      while position < end {
        guard let node = root, case (let id?, let pieceEnd) = trie.longestMatch(node, text, position, end) else {
          break
        }
        tokens.append(Token(id: id, begin: position, end: pieceEnd, word: word))
        if position == begin { root = trie.root(group: WordPiece.continuation) }
        position = pieceEnd
      }
      if position == end { return }
    }
    tokens.removeSubrange(first...)
    tokens.append(Token(id: unknownID, begin: begin, end: end, word: word))
  }
}

internal import CKluereText
internal import KluereBase

/// Pieces with scores and the search for the most probable segmentation (Kudo 2018): kt_segment of kluere_text.h.
final class Unigram: @unchecked Sendable {  // immutable after init
  private let trie: PieceTrie
  private let scores: UnsafeMutablePointer<Double>
  private let userDefined: UnsafeMutablePointer<UInt8>?
  private let model: kt_unigram

  /// `scores` of all pieces, `keys` those that match in text. `userScore`: of a byte of a user-defined piece. `single`:
  /// single precision, as in SentencePiece.
  init(
    _ keys: [kt_key], storage: [UInt8], scores: [Double], userDefined: [Bool]? = nil, userScore: Double = 0,
    unknownScore: Double, unknownID: Int32, single: Bool
  ) throws(KluereError) {
    trie = try PieceTrie.make(keys, storage: storage)
    self.scores = .allocate(capacity: scores.count)
    self.scores.initialize(from: scores, count: scores.count)
    self.userDefined = userDefined.map { flags in
      let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: flags.count)
      copy.initialize(from: flags.map { $0 ? 1 : 0 }, count: flags.count)
      return copy
    }
    model = kt_unigram(
      trie: trie.trie, scores: self.scores, user: self.userDefined, unknown_score: unknownScore,
      user_score: userScore, unknown: unknownID, single: single ? 1 : 0)
  }

  deinit {
    scores.deallocate()
    userDefined?.deallocate()
  }

  func value(_ text: UnsafeBufferPointer<UInt8>) -> Int32? { trie.value(text) }

  /// Calls `body` for the pieces of [0, count) of `text` in order.
  @inline(__always)
  func segment(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ body: (_ begin: Int, _ end: Int, _ id: Int32) -> Void
  ) {
    var model = model
    withUnsafeTemporaryAllocation(of: kt_lattice_node.self, capacity: count + 1) { nodes in
      withUnsafeTemporaryAllocation(of: kt_token.self, capacity: count + 1) { pieces in
        let found = kt_segment(&model, text, count, nodes.baseAddress, pieces.baseAddress)
        for piece in UnsafeMutableBufferPointer(rebasing: pieces[..<found]) { body(piece.begin, piece.end, piece.id) }
      }
    }
  }
}

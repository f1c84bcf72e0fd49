/// The most probable segmentation under a unigram model (Kudo 2018), as SentencePiece's Viterbi finds it: scores are single
/// precision, of equal paths the first found stays.
struct Unigram: Sendable {
  private let trie: ByteTrie
  private let root: UInt32?
  /// By piece. What a user-defined piece scores depends on its length alone.
  private let scores: [Float]
  private let isUserDefined: [Bool]
  private let unknownScore: Float
  private let unknownID: Int32
  private let userDefinedBase: Double

  /// How the best path reaches a byte.
  struct Node {
    var score: Float
    var start: Int
    var id: Int32
  }

  struct Scratch {
    fileprivate var nodes: [Node] = []
    /// Ends of the pieces, the last first.
    fileprivate var path: [Int] = []
  }

  init(_ model: SentencePieceModel) {
    var keys: [ByteTrie.Key] = []
    var lowest = Float.greatestFiniteMagnitude
    // Scores are logarithms, so SentencePiece's start value, the smallest positive number, remains the maximum.
    var highest = Float.leastNormalMagnitude
    for (id, piece) in model.pieces.enumerated() {
      if piece.type == .normal {
        lowest = min(lowest, piece.score)
        highest = max(highest, piece.score)
      }
      // Unused pieces are passed over where they match; they need no place in the trie.
      guard piece.type == .normal || piece.type == .userDefined else { continue }
      keys.append(
        .init(
          group: 0, offset: piece.text.lowerBound, length: piece.text.count, value: Int32(truncatingIfNeeded: id)))
    }
    trie = model.bytes.withUnsafeBufferPointer { ByteTrie(keys, storage: $0) }
    root = trie.root(group: 0)
    scores = model.pieces.map(\.score)
    isUserDefined = model.pieces.map { $0.type == .userDefined }
    unknownScore = lowest - 10
    unknownID = model.unknownID
    userDefinedBase = Double(highest)
  }

  /// Calls `body` for the pieces of [0, count) of `text` in order. `scratch` is kept between calls.
  func segment(
    _ text: UnsafePointer<UInt8>, _ count: Int, scratch: inout Scratch,
    _ body: (_ begin: Int, _ end: Int, _ id: Int32) -> Void
  ) {
    if count == 0 { return }
    let none = Node(score: 0, start: -1, id: -1)
    scratch.nodes.removeAll(keepingCapacity: true)
    scratch.nodes.append(contentsOf: repeatElement(none, count: count + 1))
    scratch.nodes.withUnsafeMutableBufferPointer { nodes in
      var position = 0
      while position < count {
        let here = nodes[position].score
        let length = UTF8.decode(text, position, count).length
        var hasSingle = false
        if let root {
          trie.forEachMatch(root, text, position, count) { id, end in
            let candidate: Double
            if isUserDefined[Int(id)] {
              candidate = Double(end - position) * userDefinedBase - 0.1 + Double(here)
            } else {
              candidate = Double(scores[Int(id)] + here)
            }
            if nodes[end].start < 0 || candidate > Double(nodes[end].score) {
              nodes[end] = Node(score: Float(candidate), start: position, id: id)
            }
            if end - position == length { hasSingle = true }
          }
        }
        if !hasSingle {
          let end = position + length
          let candidate = unknownScore + here
          if nodes[end].start < 0 || candidate > nodes[end].score {
            nodes[end] = Node(score: candidate, start: position, id: unknownID)
          }
        }
        position += length
      }
    }
    scratch.path.removeAll(keepingCapacity: true)
    var end = count
    while end > 0 {
      scratch.path.append(end)
      end = scratch.nodes[end].start
    }
    for end in scratch.path.reversed() { body(scratch.nodes[end].start, end, scratch.nodes[end].id) }
  }
}

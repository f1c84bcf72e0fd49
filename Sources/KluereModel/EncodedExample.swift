/// The tokens of one example as the model reads them. All arrays have one entry per token.
package struct EncodedExample {
  package internal(set) var ids: [Int32] = []
  package internal(set) var types: [Int32] = []
  /// Bytes of the example's sentence that the token stands for; 0, 0 for inserted tokens.
  package internal(set) var begins: [Int] = []
  package internal(set) var ends: [Int] = []
  /// 0 for pieces of the sentence or of an entity, -1 for everything inserted.
  package internal(set) var sequences: [Int32] = []
  /// Tokens left out because the sentence was too long.
  package internal(set) var croppedCount = 0

  package init() {}

  package var count: Int { ids.count }
}

/// One token on its way into an `EncodedExample`, with what cropping needs to know.
struct Piece {
  var id: Int32
  var type: Int32 = 0
  var begin = 0
  var end = 0
  var inserted = true
  /// Smaller is kept first: 0 markers and special tokens, then entities, then the sentence by distance.
  var priority = 0
  /// Context is ranked by its distance from the nearest anchor: entities in the sentence and the markers around them.
  var anchor = false
}

/// Cropping of sentences that are too long: markers and entities stay, of the rest what is nearest to them.
enum Cropping {
  /// Entity pieces rank before any context, in their order: of a very long entity the beginning stays.
  static func entityPriority(_ index: Int) -> Int { 1 + index }
  private static let contextBase = 1 << 24

  /// Keeps at most `maximum` pieces, in their order. Returns how many were left out.
  static func apply(_ pieces: inout [Piece], maximum: Int) -> Int {
    guard pieces.count > maximum else { return 0 }
    rankContext(&pieces)
    // Stable order by (priority, place): the first `maximum` stay.
    let order = pieces.indices.sorted { (pieces[$0].priority, $0) < (pieces[$1].priority, $1) }
    let kept = Set(order.prefix(maximum))
    let left = pieces.count - maximum
    var place = -1
    pieces.removeAll { _ in
      place += 1
      return !kept.contains(place)
    }
    return left
  }

  /// Context pieces carry `contextPriority`; gives them their distance to the nearest entity or marker.
  static let contextPriority = Int.max
  private static func rankContext(_ pieces: inout [Piece]) {
    var distance = pieces.count
    var distances = [Int](repeating: pieces.count, count: pieces.count)
    for place in pieces.indices {
      distance = pieces[place].anchor ? 0 : distance + 1
      distances[place] = distance
    }
    distance = pieces.count
    for place in pieces.indices.reversed() {
      distance = pieces[place].anchor ? 0 : distance + 1
      distances[place] = min(distances[place], distance)
    }
    for place in pieces.indices where pieces[place].priority == contextPriority {
      pieces[place].priority = contextBase + distances[place]
    }
  }
}

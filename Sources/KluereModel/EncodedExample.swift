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
  /// Of the markers beside the text, which are the last tokens: the places in the text whose positions they have.
  package internal(set) var besidePositions: [Int32] = []
  package internal(set) var subject = EntityPlaces()
  package internal(set) var object = EntityPlaces()

  package init() {}

  package var count: Int { ids.count }
  /// Tokens without the markers beside them.
  package var textCount: Int { ids.count - besidePositions.count }
}

/// Where an entity is among the tokens: markers that open it [markerBegin, begin), its pieces [begin, end), markers that close
/// it [end, markerEnd). A mask is the entity's one piece. Markers beside the text are all of [markerBegin, markerEnd), and its
/// pieces elsewhere.
package struct EntityPlaces: Equatable, Sendable {
  package var markerBegin = 0
  package var begin = 0
  package var end = 0
  package var markerEnd = 0

  init() {}

  /// In the sentence, or, where that shows nothing of it, where the template names it.
  init(_ pieces: [Piece], opens: Piece.Roles, is inside: Piece.Roles, closes: Piece.Roles, named: Piece.Roles) {
    let opening = pieces.lastIndex { $0.roles.contains(opens) && !$0.roles.contains(.beside) }
    if let first = pieces.firstIndex(where: { $0.roles.contains(inside) }) {
      begin = first
      end = (pieces.lastIndex { $0.roles.contains(inside) } ?? first) + 1
    } else if let opening {
      // An entity of characters that are no text has no pieces.
      begin = opening + 1
      end = begin
    } else if let first = pieces.firstIndex(where: { $0.roles.contains(named) }) {
      begin = first
      end = (pieces[first...].firstIndex { !$0.roles.contains(named) } ?? pieces.count)
    }
    markerBegin = pieces.firstIndex { $0.roles.contains(opens) } ?? begin
    markerEnd = pieces.lastIndex { $0.roles.contains(closes) }.map { $0 + 1 } ?? end
  }
}

extension EncodedExample {
  mutating func store(_ pieces: [Piece]) {
    ids.removeAll(keepingCapacity: true)
    types.removeAll(keepingCapacity: true)
    begins.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    sequences.removeAll(keepingCapacity: true)
    for piece in pieces {
      ids.append(piece.id)
      types.append(piece.type)
      begins.append(piece.inserted ? 0 : piece.begin)
      ends.append(piece.inserted ? 0 : piece.end)
      sequences.append(piece.inserted ? -1 : 0)
    }
    subject = EntityPlaces(
      pieces, opens: .subjectOpens, is: .subject, closes: .subjectCloses, named: .namedSubject)
    object = EntityPlaces(pieces, opens: .objectOpens, is: .object, closes: .objectCloses, named: .namedObject)
    besidePositions.removeAll(keepingCapacity: true)
    for piece in pieces where piece.roles.contains(.beside) {
      let isSubjects = piece.roles.contains(.subjectOpens) || piece.roles.contains(.subjectCloses)
      let opens = piece.roles.contains(.subjectOpens) || piece.roles.contains(.objectOpens)
      let entity = isSubjects ? subject : object
      // An entity that shows nowhere is where [CLS] is, as for the heads.
      besidePositions.append(Int32(clamping: opens ? entity.begin : max(entity.begin, entity.end - 1)))
    }
  }
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
  var roles: Roles = []

  struct Roles: OptionSet {
    let rawValue: UInt16
    static let subject = Roles(rawValue: 1)
    static let object = Roles(rawValue: 2)
    static let subjectOpens = Roles(rawValue: 4)
    static let subjectCloses = Roles(rawValue: 8)
    static let objectOpens = Roles(rawValue: 16)
    static let objectCloses = Roles(rawValue: 32)
    /// The template names the entity.
    static let namedSubject = Roles(rawValue: 64)
    static let namedObject = Roles(rawValue: 128)
    static let typeWord = Roles(rawValue: 256)
    /// Beside the text.
    static let beside = Roles(rawValue: 512)
  }
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

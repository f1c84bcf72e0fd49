internal import CKluereText

/// What is done to text before it is split: cleaning always, and these where configured.
struct Normalizer: Sendable {
  var lowercase: Bool
  var stripAccents: Bool
  /// Spaces around Chinese characters.
  var spaceIdeographs: Bool

  /// True if the normalized text is the text but for removed characters: words can be taken from the text itself.
  var keepsCharacters: Bool { !lowercase && !stripAccents }
}

/// Normalized text and where each of its bytes comes from. The arrays are used again and again: `removeAll` keeps them.
struct NormalizedText {
  private(set) var bytes: [UInt8] = []
  /// For each byte: the range of the text that it stands for.
  private(set) var begins: [Int] = []
  private(set) var ends: [Int] = []

  /// Marks that wait to be sorted by combining class: class << 56 | order << 24 | added << 23 | character.
  private var marks: [UInt64] = []
  /// Ranges of those marks that were in the text (not added by decomposition), in text order.
  private var markRanges: [(begin: Int, end: Int)] = []
  /// The range of the last character taken from the text.
  private var last = (begin: 0, end: 0)

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    begins.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
  }

  /// Appends a character as it is.
  mutating func append(_ scalar: UInt32, _ begin: Int, _ end: Int) {
    let start = bytes.count
    UTF8.append(scalar, to: &bytes)
    for _ in start..<bytes.count {
      begins.append(begin)
      ends.append(end)
    }
  }

  mutating func append(byte: UInt8, _ begin: Int, _ end: Int) {
    bytes.append(byte)
    begins.append(begin)
    ends.append(end)
  }

  /// Appends [begin, end) of `text` as it is, each character with its own place.
  mutating func append(kept text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) {
    let start = bytes.count
    bytes.append(contentsOf: UnsafeBufferPointer(start: text + begin, count: end - begin))
    begins.append(contentsOf: repeatElement(0, count: end - begin))
    ends.append(contentsOf: repeatElement(0, count: end - begin))
    begins.withUnsafeMutableBufferPointer { begins in
      ends.withUnsafeMutableBufferPointer { ends in
        guard let first = begins.baseAddress, let second = ends.baseAddress else { return }
        kt_character_places(text, begin, end, first + start, second + start)
      }
    }
  }

  /// Appends a stretch of another normalized text, places included.
  mutating func append(_ other: NormalizedText, _ range: Range<Int>) {
    bytes.append(contentsOf: other.bytes[range])
    begins.append(contentsOf: other.begins[range])
    ends.append(contentsOf: other.ends[range])
  }

  /// Appends [begin, end) of `text`, normalized. Cut text only where `finish` may be called: at white space.
  mutating func append(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ normalizer: Normalizer) {
    var position = begin
    while position < end {
      let (scalar, length) = UTF8.decode(text, position, end)
      let next = position + length
      switch Characters.shared.properties(scalar) & CharacterKind.mask {
      case CharacterKind.dropped:
        break
      case CharacterKind.space:
        decompose(0x20, position, next, normalizer)
      case CharacterKind.ideograph where normalizer.spaceIdeographs:
        decompose(0x20, position, next, normalizer)
        decompose(scalar, position, next, normalizer)
        decompose(0x20, position, next, normalizer)
      default:
        decompose(scalar, position, next, normalizer)
      }
      position = next
    }
    sortMarks(normalizer)
  }

  /// Accents, first half: canonical decomposition (NFD). Ranges follow Hugging Face's rule: they go by place, not by
  /// character, so that marks which change places exchange their ranges, and parts that decomposition adds take the range
  /// of the last character before them.
  private mutating func decompose(_ scalar: UInt32, _ begin: Int, _ end: Int, _ normalizer: Normalizer) {
    guard normalizer.stripAccents else { return fold(scalar, begin, end, normalizer) }
    guard Characters.shared.properties(scalar) & Characters.decomposes != 0 else {
      return place(scalar, isAdded: false, begin, end, normalizer)
    }
    var parts = (count: 0, values: SIMD4<UInt32>(repeating: 0))
    Characters.shared.decompose(scalar) { part in
      if parts.count < 4 { parts.values[parts.count] = part }
      parts.count += 1
    }
    for index in 0..<min(parts.count, 4) {
      place(parts.values[index], isAdded: index > 0, begin, end, normalizer)
    }
  }

  private mutating func place(
    _ scalar: UInt32, isAdded: Bool, _ begin: Int, _ end: Int, _ normalizer: Normalizer
  ) {
    let combiningClass = Characters.shared.combiningClass(scalar)
    if combiningClass != 0 {
      let order = UInt64(truncatingIfNeeded: marks.count)
      marks.append(UInt64(combiningClass) << 56 | order << 24 | (isAdded ? 1 << 23 : 0) | UInt64(scalar))
      if !isAdded { markRanges.append((begin, end)) }
      return
    }
    sortMarks(normalizer)
    if !isAdded { last = (begin, end) }
    strip(scalar, last.begin, last.end, normalizer)
  }

  private mutating func sortMarks(_ normalizer: Normalizer) {
    if marks.isEmpty { return }
    if marks.count > 1 { marks.sort() }
    var taken = 0
    for mark in marks {
      if mark & 1 << 23 == 0, taken < markRanges.count {
        last = markRanges[taken]
        taken += 1
      }
      strip(UInt32(truncatingIfNeeded: mark & 0x1F_FFFF), last.begin, last.end, normalizer)
    }
    marks.removeAll(keepingCapacity: true)
    markRanges.removeAll(keepingCapacity: true)
  }

  /// Accents, second half: nonspacing marks go.
  private mutating func strip(_ scalar: UInt32, _ begin: Int, _ end: Int, _ normalizer: Normalizer) {
    if Characters.shared.properties(scalar) & Characters.nonspacing == 0 { fold(scalar, begin, end, normalizer) }
  }

  private mutating func fold(_ scalar: UInt32, _ begin: Int, _ end: Int, _ normalizer: Normalizer) {
    guard normalizer.lowercase, Characters.shared.properties(scalar) & Characters.changesInLowercase != 0 else {
      return append(scalar, begin, end)
    }
    append(Characters.shared.lowercase(scalar), begin, end)
    if scalar == 0x130 { append(0x307, begin, end) }
  }
}

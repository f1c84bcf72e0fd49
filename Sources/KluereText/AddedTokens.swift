internal import CKluereText
internal import KluereBase

/// A token beside the pieces of the model: matched in the text before anything else happens to it. The flags are those
/// of Hugging Face's AddedToken.
package struct AddedToken: Sendable, Equatable {
  /// Longer ones are refused: finding them takes up to that many steps at every byte of a text.
  static let maximumBytes = 1024

  package var content: String
  /// Structure such as [SEP], which text must not forge; left out when decoding skips special tokens.
  package var special: Bool
  /// Only where no word character touches it.
  package var singleWord: Bool
  /// Takes the white space to its left (right) with it.
  package var lstrip: Bool
  package var rstrip: Bool
  /// Matched in the normalized text rather than in the text as it is.
  package var normalized: Bool
  /// As a file states it (then checked), or nil: the vocabulary's id if it has the token, else the next free one.
  package var id: Int32?

  package init(
    content: String, special: Bool, singleWord: Bool = false, lstrip: Bool = false, rstrip: Bool = false,
    normalized: Bool? = nil, id: Int32? = nil
  ) {
    self.content = content
    self.special = special
    self.singleWord = singleWord
    self.lstrip = lstrip
    self.rstrip = rstrip
    self.normalized = normalized ?? !special
    self.id = id
  }
}

/// Finds added tokens in text: leftmost, then longest, not overlapping.
struct AddedTokenMatcher: Sendable {
  struct Pattern: Sendable {
    let id: Int32
    let special: Bool
    let singleWord: Bool
    let lstrip: Bool
    let rstrip: Bool
  }

  private let trie: PieceTrie
  private let patterns: [Pattern]
  /// Bytes that some pattern starts with.
  private let starts: [Bool]
  private let onlySpecial: Bool

  /// Of equal texts the first counts.
  init(_ entries: [(text: [UInt8], pattern: Pattern)]) throws(KluereError) {
    let present = entries.filter { !$0.text.isEmpty }
    var storage: [UInt8] = []
    var keys: [kt_key] = []
    var starts = [Bool](repeating: false, count: 256)
    for (index, entry) in present.enumerated().reversed() {
      keys.append(PieceTrie.key(storage.count..<storage.count + entry.text.count, index))
      storage += entry.text
      starts[Int(entry.text[0])] = true
    }
    trie = try PieceTrie.make(keys, storage: storage)
    patterns = present.map(\.pattern)
    self.starts = starts
    onlySpecial = patterns.allSatisfy(\.special)
  }

  /// False if nothing can match, so that the search may be left out.
  func canMatch(allowSpecial: Bool) -> Bool { !patterns.isEmpty && (allowSpecial || !onlySpecial) }

  /// Splits [begin, end) of `text` into stretches without (nil) and with an added token, in order. Special tokens are
  /// passed over unless allowed; what they cover is not searched again, as in Hugging Face's split_special_tokens.
  @inline(__always)
  func split(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, allowSpecial: Bool,
    _ body: (_ begin: Int, _ end: Int, _ id: Int32?) -> Void
  ) {
    var done = begin
    var position = begin
    while position < end {
      guard starts[Int(text[position])], let (value, matchEnd) = trie.longestMatch(text, position, end) else {
        position += 1
        continue
      }
      let pattern = patterns[Int(value)]
      let matchBegin = position
      position = matchEnd
      if pattern.special, !allowSpecial { continue }
      if pattern.singleWord,
        hasWordCharacter(before: matchBegin, text, begin) || hasWordCharacter(at: matchEnd, text, end)
      {
        continue
      }
      // White space that the match before took by rstrip may start this one: they overlap, as in Hugging Face.
      let from =
        pattern.lstrip && done <= matchBegin
        ? max(whiteSpaceStart(before: matchBegin, text, begin), done) : matchBegin
      // Up to `done` all is white space then.
      let to = pattern.rstrip ? whiteSpaceEnd(at: max(matchEnd, done), text, end) : matchEnd
      if done < from { body(done, from, nil) }
      body(from, to, pattern.id)
      done = to
    }
    if done < end { body(done, end, nil) }
  }

  private func previous(_ position: Int, _ text: UnsafePointer<UInt8>, _ begin: Int) -> Int {
    var start = position - 1
    while start > begin, position - start < 4, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  private func whiteSpaceStart(before position: Int, _ text: UnsafePointer<UInt8>, _ begin: Int) -> Int {
    var start = position
    while start > begin {
      let candidate = previous(start, text, begin)
      guard Characters.shared.isWhiteSpace(UTF8.decode(text, candidate, start).scalar) else { break }
      start = candidate
    }
    return start
  }

  private func whiteSpaceEnd(at position: Int, _ text: UnsafePointer<UInt8>, _ end: Int) -> Int {
    var stop = position
    while stop < end {
      let (scalar, length) = UTF8.decode(text, stop, end)
      guard Characters.shared.isWhiteSpace(scalar) else { break }
      stop += length
    }
    return stop
  }

  private func hasWordCharacter(before position: Int, _ text: UnsafePointer<UInt8>, _ begin: Int) -> Bool {
    guard position > begin else { return false }
    return isWord(UTF8.decode(text, previous(position, text, begin), position).scalar)
  }

  private func hasWordCharacter(at position: Int, _ text: UnsafePointer<UInt8>, _ end: Int) -> Bool {
    position < end && isWord(UTF8.decode(text, position, end).scalar)
  }

  /// \w of regular expressions (UTS 18): alphabetic, marks, decimal digits, connectors, join controls.
  private func isWord(_ scalar: UInt32) -> Bool {
    guard let properties = Unicode.Scalar(scalar)?.properties else { return false }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return properties.isAlphabetic || properties.isJoinControl
    }
  }
}

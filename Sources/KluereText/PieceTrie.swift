internal import CKluereText
internal import KluereBase

/// UTF-8 strings in two groups, each string with a value: the trie of kluere_text.h.
final class PieceTrie: @unchecked Sendable {  // immutable after init
  /// Group 0 and the one for pieces that go on with a word.
  static let initial: Int32 = 0
  static let continuation: Int32 = 1

  /// Different beginnings, which are what takes memory: so many and two a piece. Real vocabularies have 1.1 (KLUE), 1.6
  /// (KE-T5) and 1.9 (BARThez) a piece, the fewer the more pieces there are.
  static let mostBeginnings = 1 << 20

  let trie: OpaquePointer

  /// Of equal keys in a group the last counts. `hasKinds`: characters are told apart as WordPiece needs it.
  init(
    _ keys: [kt_key], continuing: [kt_key] = [], storage: UnsafeBufferPointer<UInt8>, hasKinds: Bool = false
  ) throws(KluereError) {
    var made: OpaquePointer?
    var kinds = Characters.shared.kinds
    let all = continuing.isEmpty ? keys : keys + continuing
    let most = PieceTrie.mostBeginnings + 2 * all.count
    let status = withUnsafePointer(to: &kinds) { kinds in
      kt_trie_create(
        &made, all, [keys.count, continuing.count], storage.baseAddress, hasKinds ? kinds : nil, most)
    }
    guard status != KT_NO_MEMORY else {
      throw KluereError(.outOfMemory, "vocabulary: no memory for the trie of \(all.count) pieces")
    }
    guard status != KT_TOO_LONG else {
      throw KluereError(
        .unsupported,
        "vocabulary: \(all.count) pieces that begin in more than \(most) ways, expected at most \(PieceTrie.mostBeginnings) "
          + "and two a piece")
    }
    guard let made else {
      throw KluereError(.unsupported, "vocabulary: \(all.count) pieces are more than the trie has room for")
    }
    trie = made
  }

  static func make(_ keys: [kt_key], storage: [UInt8]) throws(KluereError) -> PieceTrie {
    // withUnsafeBufferPointer rethrows untyped errors; a Result carries ours out.
    let made: Result<PieceTrie, KluereError> = storage.withUnsafeBufferPointer { bytes in
      do throws(KluereError) { return .success(try PieceTrie(keys, storage: bytes)) } catch { return .failure(error) }
    }
    return try made.get()
  }

  deinit { kt_trie_destroy(trie) }

  static func key(_ range: Range<Int>, _ value: Int) -> kt_key {
    kt_key(
      offset: range.lowerBound, length: UInt32(truncatingIfNeeded: range.count), value: Int32(truncatingIfNeeded: value)
    )
  }

  /// Value of exactly this key.
  func value(_ key: UnsafeBufferPointer<UInt8>, group: Int32 = initial) -> Int32? {
    let found = kt_trie_value(trie, group, key.baseAddress, key.count)
    return found < 0 ? nil : found
  }

  func value(_ key: [UInt8]) -> Int32? { key.withUnsafeBufferPointer { value($0) } }

  /// The longest key of one byte or more that `text` has at `begin`: its value and where it ends.
  func longestMatch(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> (value: Int32, end: Int)? {
    let stop = kt_trie_longest(trie, PieceTrie.initial, text, begin, end)
    guard stop > begin, let found = value(UnsafeBufferPointer(start: text + begin, count: stop - begin)) else {
      return nil
    }
    return (found, stop)
  }
}

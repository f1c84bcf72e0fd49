internal import KluereBase

/// The character map of a SentencePiece model (normalizer_spec.precompiled_charsmap): the size of a double-array trie in
/// bytes, the trie's units (Darts-clone's layout), and the replacements, each ended by a NUL.
struct PrecompiledCharacterMap: Sendable {
  /// Bytes that a rule takes or gives; nmt_nfkc has 33. Bounds what a hostile map can make of a text.
  private static let maximumRule = 256

  private let units: [UInt32]
  private let replacements: [UInt8]

  /// nil for an empty map: characters stay.
  init?(_ blob: UnsafeBufferPointer<UInt8>) throws(KluereError) {
    if blob.isEmpty { return nil }
    func number(_ offset: Int) -> UInt32 {
      UInt32(blob[offset]) | UInt32(blob[offset + 1]) << 8 | UInt32(blob[offset + 2]) << 16
        | UInt32(blob[offset + 3]) << 24
    }
    guard blob.count > 4, case let size = Int(number(0)), size >= 4, size % 4 == 0, size < blob.count - 4 else {
      throw KluereError(.badFormat, "SentencePiece model: the character map's trie does not fit in \(blob.count) bytes")
    }
    units = (0..<size / 4).map { number(4 + 4 * $0) }
    replacements = Array(blob[(4 + size)...])
    var length = 0
    for byte in replacements {
      length = byte == 0 ? 0 : length + 1
      guard length <= PrecompiledCharacterMap.maximumRule else {
        throw KluereError(
          .unsupported,
          "SentencePiece model: a replacement of more than \(PrecompiledCharacterMap.maximumRule) bytes")
      }
    }
    guard replacements.last == 0, replacements.withUnsafeBufferPointer({ UTF8.firstInvalid($0) }) == nil else {
      throw KluereError(.badFormat, "SentencePiece model: the character map's replacements are no ended UTF-8")
    }
  }

  /// The longest rule that `text` has at `begin`: the bytes it takes, and its replacement in `replacements`.
  func longestRule(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> (length: Int, start: Int)? {
    var found: (length: Int, start: Int)?
    forEachRule(text, begin, end) { length, start in
      found = (length, start)
      return true
    }
    return found
  }

  /// The replacement of the shortest one.
  func shortestRule(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Int? {
    var found: Int?
    forEachRule(text, begin, end) { _, start in
      found = start
      return false
    }
    return found
  }

  /// Calls `body` for the rules that `text` has at `begin`, the shortest first, as long as it says true.
  @inline(__always)
  private func forEachRule(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ body: (_ length: Int, _ start: Int) -> Bool
  ) {
    var node = 0
    node ^= offset(units[0])
    var position = begin
    let limit = min(end, begin + PrecompiledCharacterMap.maximumRule)
    while position < limit, text[position] != 0 {
      node ^= Int(text[position])
      guard node < units.count else { return }
      let unit = units[node]
      // A leaf's unit never equals a byte: its highest bit is set.
      guard unit & 0x8000_00FF == UInt32(text[position]) else { return }
      position += 1
      node ^= offset(unit)
      guard node < units.count else { return }
      if unit >> 8 & 1 != 0 {
        let start = Int(units[node] & 0x7FFF_FFFF)
        if start < replacements.count, !body(position - begin, start) { return }
      }
    }
  }

  @inline(__always)
  private func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }

  /// Byte `index` of the replacement that starts at `start`; 0 at its end.
  func replacement(_ start: Int, _ index: Int) -> UInt8 { replacements[start + index] }

  func withReplacement(_ start: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
    replacements.withUnsafeBufferPointer { buffer in
      var stop = start
      while stop < buffer.count, buffer[stop] != 0 { stop += 1 }
      body(UnsafeBufferPointer(rebasing: buffer[start..<stop]))
    }
  }
}

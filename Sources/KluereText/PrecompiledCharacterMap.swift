internal import CKluereText
internal import KluereBase

/// The character map of a SentencePiece model (normalizer_spec.precompiled_charsmap): the size of a double-array trie in
/// bytes, the trie's units (Darts-clone's layout), and the replacements, each ended by a NUL.
final class PrecompiledCharacterMap: @unchecked Sendable {  // immutable after init
  /// Bytes that a rule takes or gives; nmt_nfkc has 33. Bounds what a hostile map can make of a text.
  private static let maximumRule = Int(KT_MAXIMUM_RULE)

  private let units: UnsafeMutablePointer<UInt32>
  private let unitCount: Int
  private let replacements: UnsafeMutablePointer<UInt8>
  private let replacementCount: Int

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
    let replacements = UnsafeBufferPointer(rebasing: blob[(4 + size)...])
    var length = 0
    for byte in replacements {
      length = byte == 0 ? 0 : length + 1
      guard length <= PrecompiledCharacterMap.maximumRule else {
        throw KluereError(
          .unsupported,
          "SentencePiece model: a replacement of more than \(PrecompiledCharacterMap.maximumRule) bytes")
      }
    }
    guard replacements.last == 0, UTF8.firstInvalid(replacements) == nil else {
      throw KluereError(.badFormat, "SentencePiece model: the character map's replacements are no ended UTF-8")
    }
    unitCount = size / 4
    units = .allocate(capacity: unitCount)
    for place in 0..<unitCount { units[place] = number(4 + 4 * place) }
    replacementCount = replacements.count
    self.replacements = .allocate(capacity: replacementCount)
    for place in 0..<replacementCount { self.replacements[place] = replacements[place] }
  }

  deinit {
    units.deallocate()
    replacements.deallocate()
  }

  /// What C reads; lives as long as this object.
  var map: kt_character_map {
    kt_character_map(
      units: units, replacements: replacements, unit_count: unitCount, replacement_count: replacementCount)
  }

  /// The replacement of the shortest rule that `text` has at `begin`.
  func shortestRule(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> Int? {
    var map = map
    var start = 0
    return kt_shortest_rule(&map, text, begin, end, &start) > 0 ? start : nil
  }

  func withReplacement(_ start: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
    var stop = start
    while stop < replacementCount, replacements[stop] != 0 { stop += 1 }
    body(UnsafeBufferPointer(start: replacements + start, count: stop - start))
  }
}

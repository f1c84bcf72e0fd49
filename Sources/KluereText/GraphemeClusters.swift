/// Extended grapheme clusters (UAX 29), as the standard library finds them. tests/test_tokenizer_forms.py compares the
/// result with tokenizers over every pair of characters that matters there.
enum GraphemeClusters {
  /// Where the cluster that begins at `begin` ends, and how many characters it has.
  @inline(__always)
  static func next(_ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int) -> (end: Int, characters: Int) {
    let (first, length) = UTF8.decode(text, begin, end)
    let position = begin + length
    guard position < end else { return (position, 1) }
    if standsAlone(first), first != 0x0D, standsAlone(UTF8.decode(text, position, end).scalar) { return (position, 1) }
    return search(text, first, position, end)
  }

  /// `position`: behind the first character.
  private static func search(
    _ text: UnsafePointer<UInt8>, _ first: UInt32, _ position: Int, _ end: Int
  ) -> (end: Int, characters: Int) {
    var recognizer = Unicode._CharacterRecognizer()
    guard let first = Unicode.Scalar(first) else { return (position, 1) }
    _ = recognizer.hasBreak(before: first)
    var position = position
    var characters = 1
    while position < end {
      let (value, length) = UTF8.decode(text, position, end)
      guard let scalar = Unicode.Scalar(value), !recognizer.hasBreak(before: scalar) else { break }
      position += length
      characters += 1
    }
    return (position, characters)
  }

  /// Characters that never share a cluster with another of these, but for CR LF: Latin, kana, Hangul syllables, Han.
  @inline(__always)
  private static func standsAlone(_ scalar: UInt32) -> Bool {
    scalar < 0x300 || (scalar >= 0xAC00 && scalar <= 0xD7A3) || (scalar >= 0x3400 && scalar < 0xA000)
      || (scalar >= 0x3041 && scalar <= 0x3096) || (scalar >= 0x30A1 && scalar <= 0x30FF)
  }
}

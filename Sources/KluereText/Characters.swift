internal import CKluereText
internal import Glibc

/// What the tokenizer does with a character, in the low bits of `Characters.properties`.
enum CharacterKind {
  /// Part of a word.
  static let letter: UInt8 = 0
  /// Separates words.
  static let space: UInt8 = 1
  /// Removed by cleaning; what stands around it joins.
  static let dropped: UInt8 = 2
  /// A word of its own.
  static let punctuation: UInt8 = 3
  /// A word of its own if Chinese characters are set apart, else a letter.
  static let ideograph: UInt8 = 4
  static let mask: UInt8 = 7
}

/// The generated tables, spread out for lookup: two stages, 256 characters a page, equal pages stored once (about
/// 50 KB). Made once for the process.
final class Characters: @unchecked Sendable {  // immutable after init
  static let shared = Characters()

  static let changesInLowercase: UInt8 = 8
  static let decomposes: UInt8 = 16
  static let combines: UInt8 = 32  // combining class other than 0
  static let nonspacing: UInt8 = 64

  /// 8,192 entries: any 21-bit value is in bounds, also those above U+10FFFF that malformed text may decode to.
  private let pages: UnsafeMutablePointer<UInt16>
  private let table: UnsafeMutablePointer<UInt8>
  private let pageCount: Int
  private let decompositionKeys: [UInt32]
  private let decompositionStarts: [Int]

  private init() {
    var flat = [UInt8](repeating: 0, count: 8192 * 256)
    func mark(_ ranges: [UInt32], stride: Int = 2, _ bits: UInt8) {
      for index in Swift.stride(from: 0, to: ranges.count, by: stride) {
        for scalar in ranges[index]...ranges[index + 1] { flat[Int(scalar)] |= bits }
      }
    }
    mark(CharacterTables.dropped, CharacterKind.dropped)
    mark(CharacterTables.spaces, CharacterKind.space)
    mark(CharacterTables.punctuation, CharacterKind.punctuation)
    mark(CharacterTables.ideographs, CharacterKind.ideograph)
    mark(CharacterTables.nonspacing, Characters.nonspacing)
    mark(CharacterTables.combining, stride: 3, Characters.combines)
    let lowercase = CharacterTables.lowercase
    for index in stride(from: 0, to: lowercase.count, by: 4) {
      for scalar in stride(from: lowercase[index], through: lowercase[index + 1], by: Int(lowercase[index + 2])) {
        flat[Int(scalar)] |= Characters.changesInLowercase
      }
    }
    var keys: [UInt32] = []
    var starts: [Int] = []
    var next = 0
    let decompositions = CharacterTables.decompositions
    while next < decompositions.count {
      keys.append(decompositions[next] >> 3)
      starts.append(next)
      flat[Int(decompositions[next] >> 3)] |= Characters.decomposes
      next += 1 + Int(decompositions[next] & 7)
    }
    decompositionKeys = keys
    decompositionStarts = starts
    for scalar in 0xAC00..<0xAC00 + 11172 { flat[scalar] |= Characters.decomposes }

    var unique: [UInt8] = []
    var last = 0
    pages = .allocate(capacity: 8192)
    for page in 0..<8192 {
      let index = flat.withUnsafeBufferPointer { flat in
        unique.withUnsafeBufferPointer { unique -> Int? in
          guard let content = flat.baseAddress.map({ $0 + page * 256 }), let base = unique.baseAddress else {
            return nil
          }
          // Neighbours are alike.
          if memcmp(content, base + last * 256, 256) == 0 { return last }
          return (0..<unique.count / 256).first { memcmp(content, base + $0 * 256, 256) == 0 }
        }
      }
      last = index ?? unique.count / 256
      if index == nil { unique.append(contentsOf: flat[page * 256..<page * 256 + 256]) }
      pages[page] = UInt16(truncatingIfNeeded: last)
    }
    pageCount = unique.count / 256
    table = .allocate(capacity: unique.count)
    table.initialize(from: unique, count: unique.count)
  }

  /// For a trie's characters.
  var kinds: kt_kinds { kt_kinds(pages: pages, table: table, page_count: pageCount) }

  /// `scalar` is below 2^21.
  @inline(__always)
  func properties(_ scalar: UInt32) -> UInt8 {
    table[Int(pages[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
  }

  /// Lower case of a character whose `changesInLowercase` is set; U+0130 also gives U+0307, which the caller adds.
  func lowercase(_ scalar: UInt32) -> UInt32 {
    let runs = CharacterTables.lowercase
    let value = Int32(truncatingIfNeeded: scalar)
    var low = 0
    var high = runs.count / 4
    while low < high {
      let middle = (low + high) / 2
      if runs[middle * 4 + 1] < value { low = middle + 1 } else { high = middle }
    }
    return low * 4 + 3 < runs.count ? UInt32(bitPattern: value &+ runs[low * 4 + 3]) : scalar
  }

  func combiningClass(_ scalar: UInt32) -> UInt8 {
    guard properties(scalar) & Characters.combines != 0 else { return 0 }
    let runs = CharacterTables.combining
    var low = 0
    var high = runs.count / 3
    while low < high {
      let middle = (low + high) / 2
      if runs[middle * 3 + 1] < scalar { low = middle + 1 } else { high = middle }
    }
    return low * 3 + 2 < runs.count ? UInt8(truncatingIfNeeded: runs[low * 3 + 2]) : 0
  }

  /// Calls `body` with each part of the full canonical decomposition of a character whose `decomposes` is set.
  @inline(__always)
  func decompose(_ scalar: UInt32, _ body: (UInt32) -> Void) {
    if scalar >= 0xAC00, scalar < 0xAC00 + 11172 {
      // Hangul: leading consonant, vowel, trailing consonant (Unicode standard, section 3.12).
      let index = scalar - 0xAC00
      body(0x1100 + index / 588)
      body(0x1161 + index % 588 / 28)
      if index % 28 != 0 { body(0x11A7 + index % 28) }
      return
    }
    var low = 0
    var high = decompositionKeys.count
    while low < high {
      let middle = (low + high) / 2
      if decompositionKeys[middle] < scalar { low = middle + 1 } else { high = middle }
    }
    guard low < decompositionKeys.count, decompositionKeys[low] == scalar else { return body(scalar) }
    let start = decompositionStarts[low]
    for index in 0..<Int(CharacterTables.decompositions[start] & 7) {
      body(CharacterTables.decompositions[start + 1 + index])
    }
  }

  /// White space as Unicode's White_Space property: what a token's lstrip and rstrip take with them.
  func isWhiteSpace(_ scalar: UInt32) -> Bool {
    properties(scalar) & CharacterKind.mask == CharacterKind.space || scalar == 0x0B || scalar == 0x0C || scalar == 0x85
  }
}

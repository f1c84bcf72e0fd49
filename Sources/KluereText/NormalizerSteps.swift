internal import CKluereText
internal import KluereBase

/// One step of a tokenizer.json's normalizer.
package enum NormalizerStep: Sendable {
  /// Precompiled: a SentencePiece character map, decoded.
  case characterMap([UInt8])
  /// Every occurrence, from left to right.
  case replace([UInt8], with: [UInt8])
  /// Runs of that many U+0020 or more.
  case replaceSpaces(atLeast: Int, with: [UInt8])
  /// White space at the ends.
  case strip(left: Bool, right: Bool)
}

/// A normalizer of Hugging Face's tokenizers library as a list of steps. Which part of the text a normalized character
/// stands for follows that library's NormalizedString: an inserted character shares the place of the one before it.
struct StepNormalizer: Sendable {
  private enum Step {
    case characterMap(PrecompiledCharacterMap)
    case replace([UInt8], with: [UInt8])
    case replaceSpaces(atLeast: Int, with: [UInt8])
    case strip(left: Bool, right: Bool)
  }

  /// Clusters of fewer bytes are looked up whole in a character map.
  private static let clusterLimit = 6

  private let steps: [Step]

  init(_ steps: [NormalizerStep]) throws(KluereError) {
    var prepared: [Step] = []
    for step in steps {
      switch step {
      case .characterMap(let bytes):
        // withUnsafeBufferPointer rethrows untyped errors; a Result carries ours out.
        let made: Result<PrecompiledCharacterMap?, KluereError> = bytes.withUnsafeBufferPointer { blob in
          do throws(KluereError) {
            return .success(try PrecompiledCharacterMap(blob))
          } catch {
            return .failure(error)
          }
        }
        if let map = try made.get() { prepared.append(.characterMap(map)) }
      case .replace(let pattern, let content):
        guard !pattern.isEmpty, content.count <= 64 else {
          throw KluereError(
            .unsupported,
            "normalizer: Replace of \(pattern.count) by \(content.count) bytes, expected 1 or more by at "
              + "most 64")
        }
        prepared.append(.replace(pattern, with: content))
      case .replaceSpaces(let count, let content):
        guard count > 0, content.count <= 64 else {
          throw KluereError(.unsupported, "normalizer: Replace with \(content.count) bytes, expected at most 64")
        }
        prepared.append(.replaceSpaces(atLeast: count, with: content))
      case .strip(let left, let right): prepared.append(.strip(left: left, right: right))
      }
    }
    self.steps = prepared
  }

  /// Which characters stay in text without a space at its ends and without two in a row.
  var normalization: Unigram.Normalization {
    var maps: [PrecompiledCharacterMap] = []
    var changes: [UInt32] = []
    for step in steps {
      switch step {
      case .characterMap(let map): maps.append(map)
      case .replace(let pattern, _):
        if pattern.count > 1, pattern.allSatisfy({ $0 == 0x20 }) { continue }
        guard pattern[0] != 0x20 else { return .anything }
        changes.append(
          pattern.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { UTF8.decode($0, 0, bytes.count).scalar } ?? 0
          })
      case .replaceSpaces(let least, _): if least < 2 { return .anything }
      case .strip: break
      }
    }
    // Each costs a pass over all characters when the file is opened. Real files have one.
    return maps.count > 8 ? .anything : .rules(maps, longer: false, changes: changes)
  }

  /// [begin, end) of `text` normalized; `other` is room for the steps between.
  func normalize(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, into result: inout NormalizedText,
    scratch other: inout NormalizedText
  ) {
    result.removeAll()
    result.append(kept: text, begin, end)
    for step in steps where mayChange(result.bytes, by: step) {
      other.removeAll()
      switch step {
      case .characterMap(let map): apply(map, result, begin, end, into: &other)
      case .replace(let pattern, let content):
        replace(result, content, into: &other) { bytes, position in
          bytes.starts(with: pattern, at: position) ? pattern.count : 0
        }
      case .replaceSpaces(let least, let content):
        replace(result, content, into: &other) { bytes, position in
          var stop = position
          while stop < bytes.count, bytes[stop] == 0x20 { stop += 1 }
          return stop - position >= least ? stop - position : 0
        }
      case .strip(let left, let right): strip(result, left, right, into: &other)
      }
      swap(&result, &other)
    }
  }

  /// Most texts stay as they are: then a step costs a look and no copy.
  private func mayChange(_ text: [UInt8], by step: Step) -> Bool {
    text.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return false }
      switch step {
      case .characterMap(let map):
        var rules = map.map
        return kt_stays(&rules, base, 0, bytes.count) == 0
      case .replace(let pattern, _):
        return pattern.count == 1 ? bytes.contains(pattern[0]) : true
      case .replaceSpaces(let least, _):
        var run = 0
        for byte in bytes {
          run = byte == 0x20 ? run + 1 : 0
          if run >= least { return true }
        }
        return false
      case .strip(let left, let right):
        guard !bytes.isEmpty else { return false }
        var last = bytes.count - 1
        while last > 0, bytes[last] & 0xC0 == 0x80 { last -= 1 }
        return left && Characters.shared.isWhiteSpace(UTF8.decode(base, 0, bytes.count).scalar)
          || right && Characters.shared.isWhiteSpace(UTF8.decode(base, last, bytes.count).scalar)
      }
    }
  }

  /// Copies `source`, but for the stretches of which `length` says that they are to be replaced (0: none begins here).
  private func replace(
    _ source: NormalizedText, _ content: [UInt8], into result: inout NormalizedText,
    _ length: (UnsafeBufferPointer<UInt8>, Int) -> Int
  ) {
    source.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      var copied = 0
      while position < bytes.count {
        let matched = length(bytes, position)
        if matched == 0 {
          position += 1
          continue
        }
        result.append(source, copied..<position)
        position += matched
        copied = position
        for byte in content { result.append(byte: byte, source.begins[position - 1], source.ends[position - 1]) }
      }
      result.append(source, copied..<bytes.count)
    }
  }

  private func strip(_ source: NormalizedText, _ left: Bool, _ right: Bool, into result: inout NormalizedText) {
    source.bytes.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return }
      var (first, last) = (0, bytes.count)
      while left, first < last {
        let (scalar, length) = UTF8.decode(base, first, last)
        guard Characters.shared.isWhiteSpace(scalar) else { break }
        first += length
      }
      while right, last > first {
        var start = last - 1
        while start > first, base[start] & 0xC0 == 0x80 { start -= 1 }
        guard Characters.shared.isWhiteSpace(UTF8.decode(base, start, last).scalar) else { break }
        last = start
      }
      result.append(source, first..<last)
    }
  }

  // MARK: Character map

  /// A cluster of characters is replaced whole by the shortest rule that it begins with, else character by character.
  private func apply(
    _ map: PrecompiledCharacterMap, _ source: NormalizedText, _ begin: Int, _ end: Int,
    into result: inout NormalizedText
  ) {
    var writer = AlignedWriter(begin: begin, end: end)
    source.bytes.withUnsafeBufferPointer { bytes in
      guard let text = bytes.baseAddress else { return }
      var position = 0
      while position < bytes.count {
        let (stop, characters) = GraphemeClusters.next(text, position, bytes.count)
        if characters > 1, stop - position < StepNormalizer.clusterLimit,
          replace(map, text, position, stop, characters, &writer, source, into: &result)
        {
          position = stop
          continue
        }
        while position < stop {
          let (scalar, length) = UTF8.decode(text, position, stop)
          if !replace(map, text, position, position + length, 1, &writer, source, into: &result) {
            writer.append(scalar, change: 0, source, into: &result)
          }
          position += length
        }
      }
    }
    writer.finish(source, into: &result)
  }

  @inline(__always)
  private func replace(
    _ map: PrecompiledCharacterMap, _ text: UnsafePointer<UInt8>, _ from: Int, _ to: Int, _ characters: Int,
    _ writer: inout AlignedWriter, _ source: NormalizedText, into result: inout NormalizedText
  ) -> Bool {
    guard let start = map.shortestRule(text, from, to) else { return false }
    var written = 0
    map.withReplacement(start) { replacement in
      guard let base = replacement.baseAddress else { return }
      var place = 0
      while place < replacement.count {
        let (scalar, length) = UTF8.decode(base, place, replacement.count)
        writer.append(scalar, change: written < characters ? 0 : 1, source, into: &result)
        written += 1
        place += length
      }
    }
    if written < characters { writer.remove(characters - written) }
    return true
  }
}

/// Writes characters in place of those of a source, in order. Each comes with its change: 1, it is inserted; 0, it
/// replaces the next character of the source; -n, it does, and the n after that one go.
struct AlignedWriter {
  private let begin: Int
  private let end: Int
  /// The source's byte that the next character replaces.
  private var place = 0
  /// Held back, since characters that go after it change it.
  private var pending: (scalar: UInt32, change: Int)?

  /// [begin, end): the whole text that the source stands for.
  init(begin: Int, end: Int) {
    self.begin = begin
    self.end = end
  }

  mutating func append(
    _ scalar: UInt32, change: Int, _ source: NormalizedText, into result: inout NormalizedText
  ) {
    finish(source, into: &result)
    pending = (scalar, change)
  }

  /// The next `count` characters of the source go. At the very start there is nothing to tell it to, and what follows keeps
  /// the places of what went, as in Hugging Face's library.
  mutating func remove(_ count: Int) { pending?.change -= count }

  mutating func finish(_ source: NormalizedText, into result: inout NormalizedText) {
    guard let (scalar, change) = pending else { return }
    pending = nil
    if change > 0 {
      let isFirst = place == 0 || place > source.begins.count
      let (from, to) = isFirst ? (begin, begin) : (source.begins[place - 1], source.ends[place - 1])
      return result.append(scalar, from, to)
    }
    let isInside = place < source.begins.count
    let (from, to) = isInside ? (source.begins[place], source.ends[place]) : (end, end)
    result.append(scalar, from, to)
    for _ in 0..<(1 - change) where place < source.bytes.count {
      place += 1
      while place < source.bytes.count, source.bytes[place] & 0xC0 == 0x80 { place += 1 }
    }
  }
}

extension UnsafeBufferPointer<UInt8> {
  @inline(__always)
  func starts(with other: [UInt8], at position: Int) -> Bool {
    guard count - position >= other.count else { return false }
    for index in 0..<other.count where self[position + index] != other[index] { return false }
    return true
  }
}

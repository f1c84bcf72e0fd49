/// One step of a tokenizer.json's decoder: strings of tokens in, strings out.
package enum DecoderStep: Sendable {
  /// Marks become spaces; those of the first token go, if `dropsFirst`.
  case metaspace(dropsFirst: Bool)
  case replace([UInt8], with: [UInt8])
  /// Runs of <0x00> to <0xFF> become the characters they spell, or U+FFFD each.
  case byteFallback
  /// All strings become one.
  case fuse
  /// Up to so many of a character at the front and at the end of each string.
  case strip([UInt8], start: Int, stop: Int)

  func apply(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .metaspace(let dropsFirst):
      return tokens.enumerated().map { index, token in
        DecoderStep.replace(SentencePiece.space, with: index == 0 && dropsFirst ? [] : [0x20], in: token)
      }
    case .replace(let pattern, let content): return tokens.map { DecoderStep.replace(pattern, with: content, in: $0) }
    case .byteFallback: return DecoderStep.joinBytes(tokens)
    case .fuse: return [Array(tokens.joined())]
    case .strip(let content, let start, let stop):
      return tokens.map { token in
        var rest = token[...]
        for _ in 0..<max(0, start) where rest.starts(with: content) { rest = rest.dropFirst(content.count) }
        for _ in 0..<max(0, stop) where rest.suffix(content.count).elementsEqual(content) {
          rest = rest.dropLast(content.count)
        }
        return Array(rest)
      }
    }
  }

  private static func replace(_ pattern: [UInt8], with content: [UInt8], in token: [UInt8]) -> [UInt8] {
    if pattern.isEmpty { return token }
    var result: [UInt8] = []
    token.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        if bytes.starts(with: pattern, at: position) {
          result += content
          position += pattern.count
        } else {
          result.append(bytes[position])
          position += 1
        }
      }
    }
    return result
  }

  private static func joinBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var spelled: [UInt8] = []
    func flush() {
      if spelled.isEmpty { return }
      if spelled.withUnsafeBufferPointer({ UTF8.firstInvalid($0) }) == nil {
        result.append(spelled)
      } else {
        for _ in spelled { result.append("\u{FFFD}".utf8Key) }
      }
      spelled.removeAll(keepingCapacity: true)
    }
    for token in tokens {
      if let byte = byte(token) {
        spelled.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  private static func byte(_ token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token.last == 0x3E else { return nil }
    return UInt8(String(decoding: token[3..<5], as: Unicode.UTF8.self), radix: 16)
  }
}

import KluereBase
import KluereText
import Testing

func withBytes<R>(_ bytes: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
  bytes.withUnsafeBufferPointer { body($0) }
}

/// A tokenizer over a vocabulary given line by line, behind [PAD] [UNK] [CLS] [SEP] [MASK] with ids 0 to 4. Cased unless
/// `change` says otherwise.
func makeTokenizer(
  _ pieces: [String], added: [String] = [], change: (inout TokenizerConfiguration) -> Void = { _ in }
) throws -> Tokenizer {
  var configuration = TokenizerConfiguration()
  configuration.doLowerCase = false
  change(&configuration)
  let lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + pieces
  return try Tokenizer(
    vocabulary: Array((lines.joined(separator: "\n") + "\n").utf8), configuration: configuration,
    addedSpecialTokens: added)
}

extension Tokenizer {
  func pieces(_ bytes: [UInt8], allowSpecial: Bool = false) -> [Token] {
    var tokens: [Token] = []
    withBytes(bytes) { text in
      do { try tokenize(text, allowSpecial: allowSpecial, into: &tokens) } catch { Issue.record(error) }
    }
    return tokens
  }

  func pieces(_ text: String, allowSpecial: Bool = false) -> [Token] {
    pieces(Array(text.utf8), allowSpecial: allowSpecial)
  }

  /// The tokens' strings.
  func words(_ text: String, allowSpecial: Bool = false) -> [String] {
    pieces(text, allowSpecial: allowSpecial).map { token($0.id) ?? "?" }
  }
}

/// A small generator with a seed, so that a failure can be seen again.
struct Random {
  var state: UInt64

  mutating func next(below bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
}

/// The message and status of what `body` throws.
func failure(_ body: () throws -> Void) -> KluereError? {
  do { try body() } catch { return error as? KluereError }
  return nil
}

internal import KluereBase

extension String {
  /// Strings compare by canonical equivalence; tokens are equal only if their bytes are.
  package var utf8Key: [UInt8] { Array(utf8) }
}

/// All added tokens of a tokenizer with their ids, given out in the order in which Hugging Face adds them: those of the
/// files, then the five named ones, then the caller's.
struct AddedTokenTable: Sendable {
  private(set) var tokens: [AddedToken] = []
  private(set) var ids: [[UInt8]: Int32] = [:]
  private(set) var specialIDs: Set<Int32> = []
  /// Of named tokens that are pieces and no added tokens.
  private var namedIDs: [[UInt8]: Int32] = [:]
  private(set) var beyondVocabulary: [AddedToken] = []

  init(
    _ configuration: TokenizerConfiguration, _ addedSpecialTokens: [String], vocabularyCount: Int,
    lookup: ([UInt8]) -> Int32?
  ) throws(KluereError) {
    let named = [
      configuration.unkToken, configuration.sepToken, configuration.padToken, configuration.clsToken,
      configuration.maskToken,
    ].filter { !$0.isEmpty }
    let namedKeys = Set(named.map(\.utf8Key))
    let withIDs = configuration.addedTokens.filter { $0.id != nil }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    var wanted = withIDs + configuration.addedTokens.filter { $0.id == nil }
    for index in wanted.indices where namedKeys.contains(wanted[index].content.utf8Key) {
      wanted[index].special = true
    }
    if configuration.addsNamedTokens {
      wanted += named.map { AddedToken(content: $0, special: true) }
    } else {
      for key in namedKeys { namedIDs[key] = lookup(key) }
    }
    wanted += addedSpecialTokens.map { AddedToken(content: $0, special: true) }

    for var token in wanted {
      let key = token.content.utf8Key
      if key.isEmpty { throw KluereError(.invalidArgument, "an added token is empty") }
      if key.count > AddedToken.maximumBytes {
        throw KluereError(
          .unsupported, "an added token has \(key.count) bytes, expected at most \(AddedToken.maximumBytes)")
      }
      if let id = ids[key] {
        // Listed twice: the first counts, but what is special once is special.
        if token.special {
          specialIDs.insert(id)
          for index in tokens.indices where tokens[index].id == id { tokens[index].special = true }
        }
        continue
      }
      let place: Int32
      if let id = lookup(key) {
        place = id
      } else {
        guard let next = Int32(exactly: vocabularyCount + beyondVocabulary.count) else {
          throw KluereError(.unsupported, "more than \(Int32.max) tokens")
        }
        place = next
      }
      if let stated = token.id, stated != place {
        throw KluereError(
          .badFormat, "added token \(token.content): id \(stated), expected \(place) by the vocabulary")
      }
      token.id = place
      ids[key] = place
      tokens.append(token)
      if token.special { specialIDs.insert(place) }
      if Int(place) >= vocabularyCount { beyondVocabulary.append(token) }
    }
    beyondVocabulary = tokens.filter { Int($0.id ?? 0) >= vocabularyCount }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
  }

  /// Id of one of the five named tokens; -1 for "".
  func id(of token: String) -> Int32 { ids[token.utf8Key] ?? namedIDs[token.utf8Key] ?? -1 }

  /// Ids and normalized texts of the tokens that are matched in normalized text: decoding writes them so, too.
  func normalizedTexts(_ normalize: (UnsafeBufferPointer<UInt8>, inout NormalizedText) -> Void) -> [Int32: [UInt8]] {
    var texts: [Int32: [UInt8]] = [:]
    for token in tokens where token.normalized {
      var text = NormalizedText()
      token.content.utf8Key.withUnsafeBufferPointer { normalize($0, &text) }
      texts[token.id ?? 0] = text.bytes
    }
    return texts
  }

  /// For the tokens that are matched in the text as it is (nil), or in normalized text, where they have these texts.
  func matcher(normalized texts: [Int32: [UInt8]]?) throws(KluereError) -> AddedTokenMatcher {
    // Of equal patterns the first counts, and special tokens come first.
    let ordered = tokens.filter(\.special) + tokens.filter { !$0.special }
    return try AddedTokenMatcher(
      ordered.filter { $0.normalized == (texts != nil) }.map { token in
        (
          texts?[token.id ?? 0] ?? token.content.utf8Key,
          .init(
            id: token.id ?? 0, special: token.special, singleWord: token.singleWord, lstrip: token.lstrip,
            rstrip: token.rstrip)
        )
      })
  }
}

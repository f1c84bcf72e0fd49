/// Splits text into words at white space and around punctuation, and hands them to WordPiece.
struct PreTokenizer: Sendable {
  let model: WordPiece
  let normalizer: Normalizer
  /// Bit k: characters of kind k are part of words.
  private let letters: UInt32
  private let normalizedLetters: UInt32 =
    1 << CharacterKind.letter | 1 << CharacterKind.dropped
    | 1 << CharacterKind.ideograph

  init(model: WordPiece, normalizer: Normalizer) {
    self.model = model
    self.normalizer = normalizer
    letters = 1 << CharacterKind.letter | (normalizer.spaceIdeographs ? 0 : 1 << CharacterKind.ideograph)
  }

  @inline(__always)
  private func kind(
    _ text: UnsafePointer<UInt8>, _ position: Int, _ end: Int
  ) -> (kind: UInt8, length: Int) {
    let (scalar, length) = UTF8.decode(text, position, end)
    return (Characters.shared.properties(scalar) & CharacterKind.mask, length)
  }

  /// Text whose normalization keeps the characters: words are taken from the text itself, without a copy, unless a
  /// character inside of one was dropped.
  func splitKept(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, word: inout Int32, scratch: inout NormalizedText,
    into tokens: inout [Token]
  ) {
    var position = begin
    while position < end {
      let (kind, length) = kind(text, position, end)
      if letters >> UInt32(kind) & 1 != 0 {
        let wordBegin = position
        position += length
        var characters = 1
        var stop = CharacterKind.space
        while position < end {
          let (kind, length) = self.kind(text, position, end)
          if letters >> UInt32(kind) & 1 == 0 {
            stop = kind
            break
          }
          position += length
          characters += 1
        }
        if stop == CharacterKind.dropped {
          position = splitWithGaps(
            text, wordBegin, position, end, characters: characters, word: word, scratch: &scratch, into: &tokens)
        } else {
          model.split(text, wordBegin, position, characters: characters, word: word, into: &tokens)
        }
        word &+= 1
      } else {
        if kind == CharacterKind.punctuation || kind == CharacterKind.ideograph {
          model.split(text, position, position + length, characters: 1, word: word, into: &tokens)
          word &+= 1
        }
        position += length
      }
    }
  }

  /// The word [begin, gap), then dropped characters, then perhaps the rest of the word. Returns where the word ends.
  private func splitWithGaps(
    _ text: UnsafePointer<UInt8>, _ begin: Int, _ gap: Int, _ end: Int, characters: Int, word: Int32,
    scratch: inout NormalizedText, into tokens: inout [Token]
  ) -> Int {
    scratch.removeAll()
    var count = 0
    var position = begin
    var wordEnd = begin
    while position < end {
      let (scalar, length) = UTF8.decode(text, position, end)
      let kind = Characters.shared.properties(scalar) & CharacterKind.mask
      if letters >> UInt32(kind) & 1 != 0 {
        count += 1
        // Longer words are unknown whatever they are: nothing to keep.
        if count <= model.maximumCharacters { scratch.append(scalar, position, position + length) }
        wordEnd = position + length
      } else if kind != CharacterKind.dropped {
        break
      }
      position += length
    }
    if wordEnd == gap {
      model.split(text, begin, gap, characters: characters, word: word, into: &tokens)
    } else if count > model.maximumCharacters {
      tokens.append(Token(id: model.unknownID, begin: begin, end: wordEnd, word: word))
    } else {
      scratch.bytes.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return }
        let first = tokens.count
        model.split(base, 0, bytes.count, characters: count, word: word, into: &tokens)
        restoreOffsets(of: &tokens, from: first, scratch)
      }
    }
    return position
  }

  /// Normalized text, whose offsets are turned into those of the text it came from.
  func splitNormalized(
    _ normalized: NormalizedText, _ begin: Int, _ end: Int, word: inout Int32, into tokens: inout [Token]
  ) {
    normalized.bytes.withUnsafeBufferPointer { bytes in
      guard let text = bytes.baseAddress else { return }
      let first = tokens.count
      var position = begin
      while position < end {
        let (kind, length) = kind(text, position, end)
        var wordEnd = position + length
        if kind == CharacterKind.space {
          position = wordEnd
          continue
        }
        var characters = 1
        if kind != CharacterKind.punctuation {
          while wordEnd < end {
            let (kind, length) = self.kind(text, wordEnd, end)
            if normalizedLetters >> UInt32(kind) & 1 == 0 { break }
            wordEnd += length
            characters += 1
          }
        }
        model.split(text, position, wordEnd, characters: characters, word: word, into: &tokens)
        word &+= 1
        position = wordEnd
      }
      restoreOffsets(of: &tokens, from: first, normalized)
    }
  }

  func restoreOffsets(of tokens: inout [Token], from first: Int, _ normalized: NormalizedText) {
    for index in first..<tokens.count {
      let last = tokens[index].end - 1
      tokens[index].begin = normalized.begins[tokens[index].begin]
      tokens[index].end = normalized.ends[last]
    }
  }
}

/// Small changes to the words around the entities, or masks in the entities' places.
enum WordEdits {
  /// Of AEDA (Karimi, Rossi and Prati 2021, "AEDA: An Easier Data Augmentation Technique for Text Classification").
  private static let marks = [".", ";", "?", ":", "!", ","]
  private static let punctuationShare = 1.0 / 3
  private static let usualShare = 0.1

  /// nil where the sentence has nothing that may be touched.
  static func edits(
    _ example: ExampleView, _ options: AugmentationOptions, _ random: inout SplitMix64
  ) -> [SentenceEdit]? {
    switch options.kind {
    case .maskSubject: return mask(example.subject, example, options)
    case .maskObject: return mask(example.object, example, options)
    case .swapRoles, .swapTexts: return nil
    case .maskWords, .insertPunctuation, .deleteWords, .swapWords: break
    }
    let sentence = SentenceWords(example)
    switch options.kind {
    case .maskWords:
      // One word unless a share is asked for.
      let count = options.wordShare > 0 ? part(options.wordShare, of: sentence.free.count) : 1
      return chosen(count, of: sentence.free, &random).map { SentenceEdit(sentence.words[$0], options.mask) }
    case .deleteWords: return deletions(sentence, example, share(options), &random)
    case .swapWords: return exchanges(sentence, example, share(options), &random)
    default: return insertions(sentence, example, options, &random)
    }
  }

  private static func share(_ options: AugmentationOptions) -> Double {
    options.wordShare > 0 ? options.wordShare : usualShare
  }

  /// At least one, at most all.
  private static func part(_ share: Double, of count: Int) -> Int {
    min(max(Int(exactly: (share * Double(count)).rounded()) ?? 1, 1), count)
  }

  /// Ascending; fewer where there are fewer.
  private static func chosen(_ count: Int, of places: [Int], _ random: inout SplitMix64) -> [Int] {
    var places = places
    let count = min(count, places.count)
    for place in 0..<count { places.swapAt(place, place + random.below(places.count - place)) }
    return places.prefix(count).sorted()
  }

  /// Overlapping entities would lose their words.
  private static func mask(
    _ entity: Entity, _ example: ExampleView, _ options: AugmentationOptions
  ) -> [SentenceEdit]? {
    guard example.subject.end <= example.object.begin || example.object.end <= example.subject.begin else { return nil }
    return [SentenceEdit(entity.begin..<entity.end, options.mask)]
  }

  /// Words go with the blanks before them, the first with those behind it. Blanks that belong to an entity stay.
  private static func deletions(
    _ sentence: SentenceWords, _ example: ExampleView, _ share: Double, _ random: inout SplitMix64
  ) -> [SentenceEdit]? {
    guard !sentence.free.isEmpty else { return nil }
    let entities = [example.subject, example.object]
    var edits: [SentenceEdit] = []
    for place in chosen(part(share, of: sentence.free.count), of: sentence.free, &random) {
      let word = sentence.words[place]
      var range = word
      if place > 0 {
        let before = entities.map(\.end).filter { $0 <= word.lowerBound }.max() ?? 0
        range = max(sentence.words[place - 1].upperBound, before)..<word.upperBound
      } else if sentence.words.count > 1 {
        let behind = entities.map(\.begin).filter { $0 >= word.upperBound }.min() ?? example.text.count
        range = word.lowerBound..<min(sentence.words[1].lowerBound, behind)
      }
      if let last = edits.last, last.range.upperBound > range.lowerBound {
        edits[edits.count - 1].range = last.range.lowerBound..<max(last.range.upperBound, range.upperBound)
      } else {
        edits.append(SentenceEdit(range, []))
      }
    }
    return edits
  }

  private static func exchanges(
    _ sentence: SentenceWords, _ example: ExampleView, _ share: Double, _ random: inout SplitMix64
  ) -> [SentenceEdit]? {
    guard sentence.free.count > 1 else { return nil }
    var order = sentence.free
    for _ in 0..<part(share, of: sentence.free.count) {
      let first = random.below(order.count)
      // Any other place, each as likely.
      let second = (first + 1 + random.below(order.count - 1)) % order.count
      order.swapAt(first, second)
    }
    return zip(sentence.free, order).filter { $0 != $1 }.map { place, source in
      SentenceEdit(sentence.words[place], Array(example.text[sentence.words[source]]))
    }
  }

  /// Marks, each followed by a blank, before words; not inside an entity.
  private static func insertions(
    _ sentence: SentenceWords, _ example: ExampleView, _ options: AugmentationOptions, _ random: inout SplitMix64
  ) -> [SentenceEdit]? {
    let places = sentence.words.indices.filter { word in
      let begin = sentence.words[word].lowerBound
      return ![example.subject, example.object].contains { $0.begin < begin && begin < $0.end }
    }
    guard !places.isEmpty else { return nil }
    let share = options.wordShare > 0 ? options.wordShare : punctuationShare
    let most = max(1, Int(exactly: (share * Double(sentence.words.count)).rounded(.down)) ?? 1)
    return chosen(1 + random.below(most), of: places, &random).map { word in
      let begin = sentence.words[word].lowerBound
      return SentenceEdit(begin..<begin, Array("\(marks[random.below(marks.count)]) ".utf8))
    }
  }
}

package import KluereBase
internal import KluereFormats

/// Takes in sentences that somebody else made from a dataset's: translated back, rewritten by a language model. What it
/// takes has both entities, in places that can be told.
package enum Paraphrases {
  package struct Entry {
    var row: Int
    var text: UnsafeBufferPointer<UInt8>

    package init(row: Int, text: UnsafeBufferPointer<UInt8>) {
      self.row = row
      self.text = text
    }
  }

  /// The rows with those that were taken behind them, and which were refused and why, as JSON. Rows and texts are valid.
  package static func add(
    _ entries: [Entry], to dataset: Dataset, keepsOriginals: Bool
  ) throws(KluereError) -> (Dataset, report: [UInt8]) {
    var rows = try AugmentedRows(dataset, keepsOriginals: keepsOriginals)
    let sentences = RowIndex(dataset, by: .sentence)
    var refused: [(index: Int, why: String)] = []
    var copies: [Int: Int] = [:]
    for (index, entry) in entries.enumerated() {
      let source = dataset.example(entry.row)
      let known = ExampleView(text: entry.text, subject: source.subject, object: source.object)
      if sentences.row(equalTo: known) != nil {
        refused.append((index, "the sentence stands in the dataset already"))
        continue
      }
      switch EntitySearch.spans(of: source, in: entry.text) {
      case .failure(let reason): refused.append((index, reason.message))
      case .success(let spans):
        copies[entry.row, default: 0] += 1
        let number = copies[entry.row].map { $0 == 1 ? "" : String($0) } ?? ""
        let made = MadeRow(
          text: Array(entry.text), subject: spans.subject, object: spans.object, subjectType: source.subject.type,
          objectType: source.object.type, label: dataset.labelIndex(entry.row))
        try rows.append(entry.row, made, "paraphrase" + number)
      }
    }
    let added = rows.added
    return (try rows.finish(), report(entries, added, refused))
  }

  private static func report(_ entries: [Entry], _ added: Int, _ refused: [(index: Int, why: String)]) -> [UInt8] {
    var json = JSONWriter(indent: nil)
    json.beginObject()
    json.key("added")
    json.integer(added)
    json.key("refused")
    json.beginArray()
    for (index, why) in refused {
      json.beginObject()
      json.key("index")
      json.integer(index)
      json.key("row")
      json.integer(entries[index].row)
      json.key("why")
      json.string(why)
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.finish()
  }
}

/// Finds a row's entities in another sentence.
enum EntitySearch {
  struct Reason: Error { var message: String }

  struct Spans {
    var subject: Range<Int>
    var object: Range<Int>
  }

  static func spans(of source: ExampleView, in text: UnsafeBufferPointer<UInt8>) -> Result<Spans, Reason> {
    let (subject, object) = (word(source.subject, source), word(source.object, source))
    do throws(Reason) {
      let first = try span("subject", subject, beside: object, source.subject.begin, source.text, text)
      let second = try span("object", object, beside: subject, source.object.begin, source.text, text)
      guard !first.overlaps(second) else { throw Reason(message: "subject and object would overlap") }
      return .success(Spans(subject: first, object: second))
    } catch { return .failure(error) }
  }

  private static func word(_ entity: Entity, _ source: ExampleView) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(rebasing: source.text[entity.begin..<entity.end])
  }

  /// The one place of the word; of several the one with the number that it has in the source, if there are as many there.
  private static func span(
    _ role: String, _ word: UnsafeBufferPointer<UInt8>, beside other: UnsafeBufferPointer<UInt8>, _ begin: Int,
    _ source: UnsafeBufferPointer<UInt8>, _ text: UnsafeBufferPointer<UInt8>
  ) throws(Reason) -> Range<Int> {
    let all = places(of: word, in: text)
    guard !all.isEmpty else { throw Reason(message: "the \(role) \(excerpt(word)) does not stand in it") }
    // "서울" of "서울대학교" is not the city; and a name that begins a word there begins one here.
    let beginsWord = isWordStart(source, begin)
    func candidates(_ text: UnsafeBufferPointer<UInt8>, _ places: [Int]) -> [Int] {
      let longer = other.count > word.count ? EntitySearch.places(of: other, in: text) : []
      return places.filter { place in
        (!beginsWord || isWordStart(text, place))
          && !longer.contains { $0 <= place && place + word.count <= $0 + other.count }
      }
    }
    let here = candidates(text, all)
    guard let only = here.first else {
      throw Reason(message: "the \(role) \(excerpt(word)) stands in it only inside another word")
    }
    if here.count == 1 { return only..<only + word.count }
    let there = candidates(source, places(of: word, in: source))
    guard there.count == here.count, let number = there.firstIndex(of: begin) else {
      throw Reason(
        message: "the \(role) \(excerpt(word)) stands in it \(here.count) times, and \(there.count) times in the source"
      )
    }
    return here[number]..<here[number] + word.count
  }

  /// Where `word`, which is not empty, begins in `text`. UTF-8 of a character begins nowhere inside another's.
  private static func places(of word: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>) -> [Int] {
    guard let first = word.first, text.count >= word.count else { return [] }
    return (0...text.count - word.count).filter { place in
      text[place] == first && text[place..<place + word.count].elementsEqual(word)
    }
  }

  private static func isWordStart(_ text: UnsafeBufferPointer<UInt8>, _ place: Int) -> Bool {
    var begin = place - 1
    while begin > 0, text[begin] & 0xC0 == 0x80 { begin -= 1 }
    guard begin >= 0, let before = String(decoding: text[begin..<place], as: Unicode.UTF8.self).unicodeScalars.first
    else { return true }
    return !before.properties.isAlphabetic && before.properties.numericType == nil
  }
}

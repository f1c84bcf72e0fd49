/// Replaces parts of a sentence and says where its entities are afterwards.
package struct SentenceEdit {
  /// Bytes of the old sentence, which may be none (an insertion), and what stands there instead.
  package var range: Range<Int>
  package var text: [UInt8]

  package init(_ range: Range<Int>, _ text: [UInt8]) {
    self.range = range
    self.text = text
  }

  package struct Result {
    package var text: [UInt8]
    package var subject: Range<Int>
    package var object: Range<Int>
  }

  /// `edits` in order, not overlapping, each outside both entities or exactly on one. An insertion where an entity begins
  /// comes before it, one where it ends behind it.
  package static func apply(_ edits: [SentenceEdit], to example: ExampleView) -> Result {
    var text: [UInt8] = []
    text.reserveCapacity(example.text.count)
    var from = 0
    for edit in edits {
      text += example.text[from..<edit.range.lowerBound]
      text += edit.text
      from = edit.range.upperBound
    }
    text += example.text[from...]
    return Result(
      text: text, subject: moved(example.subject, edits), object: moved(example.object, edits))
  }

  private static func moved(_ entity: Entity, _ edits: [SentenceEdit]) -> Range<Int> {
    var (begin, end) = (entity.begin, entity.end)
    for edit in edits {
      let growth = edit.text.count - edit.range.count
      if edit.range.upperBound <= entity.begin { begin += growth }
      if edit.range.upperBound <= entity.end, edit.range.lowerBound < entity.end { end += growth }
    }
    return begin..<max(begin, end)
  }
}

/// The words of a sentence: what stands between blanks.
package struct SentenceWords {
  /// In bytes, in order.
  package private(set) var words: [Range<Int>] = []
  /// Places in `words` of those that touch no entity.
  package private(set) var free: [Int] = []

  package init(_ example: ExampleView) {
    var start: Int?
    var place = 0
    while place < example.text.count {
      let blank = Blank.length(in: example.text, at: place)
      if blank > 0 {
        if let begin = start { words.append(begin..<place) }
        start = nil
        place += blank
      } else {
        if start == nil { start = place }
        place += 1
      }
    }
    if let begin = start { words.append(begin..<example.text.count) }
    free = words.indices.filter { word in
      ![example.subject, example.object].contains { entity in
        words[word].lowerBound < entity.end && words[word].upperBound > entity.begin
      }
    }
  }
}

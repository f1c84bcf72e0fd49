internal import Glibc
package import KluereBase
package import KluereData
internal import KluereFormats
internal import KluereModel
package import KluereText

/// Makes a corpus of lines. A blank line ends a document; packed rows have the separator between two documents (Liu et al.
/// 2019, section 4.2: FULL-SENTENCES), and only the last row is not full.
struct CorpusBuilder {
  let corpus: Corpus
  private let tokenizer: Tokenizer
  private let options: CorpusOptions
  private let prefix: [Int32]
  private let suffix: [Int32]
  /// Tokens of text in a row.
  private let room: Int
  private var tokens: [Token] = []
  private var row: [Int32] = []
  /// Of packed rows: text that fills no row yet.
  private var pending: [Int32] = []
  private var documentEnded = false

  /// Text that is tokenized at once: bounds memory where a file has no line ends.
  private static let chunkBytes = 1 << 20

  init(_ tokenizer: Tokenizer, _ options: CorpusOptions) throws(KluereError) {
    try options.validate()
    corpus = try Corpus(tokenizer)
    self.tokenizer = tokenizer
    self.options = options
    var (prefix, suffix): ([Int32], [Int32]) = ([], [])
    var isBehind = false
    for item in tokenizer.template.single {
      switch item {
      case .special(let id, _): if isBehind { suffix.append(id) } else { prefix.append(id) }
      case .text: isBehind = true
      }
    }
    self.prefix = prefix
    self.suffix = suffix
    room = options.maxTokens - prefix.count - suffix.count
    guard room > 0 else {
      throw KluereError(
        .invalidArgument,
        "max_tokens: \(options.maxTokens), expected more than the \(prefix.count + suffix.count) special tokens")
    }
  }

  /// One line; `place` names it in messages.
  mutating func add(
    _ line: UnsafeBufferPointer<UInt8>, _ place: () -> String
  ) throws(KluereError) {
    if let byte = UTF8.firstInvalid(line) {
      guard options.badLines == .skip else {
        throw KluereError(.invalidUTF8, "\(place()): byte \(byte) of \(line.count) is not valid UTF-8")
      }
      corpus.skippedCount += 1
      return
    }
    guard line.contains(where: { $0 > 0x20 }) else { return endDocument() }
    corpus.lineCount += 1
    let rows = corpus.count
    var start = 0
    while start < line.count {
      let end = CorpusBuilder.chunkEnd(line, from: start)
      tokens.removeAll(keepingCapacity: true)
      try tokenizer.tokenize(UnsafeBufferPointer(rebasing: line[start..<end]), allowSpecial: false, into: &tokens)
      switch options.rows {
      case .lines: try addRows()
      case .packed: try pack()
      }
      start = end
    }
    if options.rows == .lines, corpus.count > rows + 1 { corpus.cutCount += 1 }
  }

  mutating func endDocument() { documentEnded = true }

  mutating func finish() throws(KluereError) -> Corpus {
    if !pending.isEmpty { try emit(pending[...]) }
    return try corpus.seal()
  }

  /// The end of the text that is tokenized together with `start`: the line's, or behind a space, or between characters.
  private static func chunkEnd(_ line: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    guard line.count - start > chunkBytes else { return line.count }
    let limit = start + chunkBytes
    if let space = line[start..<limit].lastIndex(of: 0x20), space > start { return space + 1 }
    var end = limit
    while end > start + 1, line[end] & 0xC0 == 0x80 { end -= 1 }
    return end
  }

  private mutating func addRows() throws(KluereError) {
    var start = 0
    while start < tokens.count {
      let end = min(start + room, tokens.count)
      row.removeAll(keepingCapacity: true)
      for place in start..<end { row.append(tokens[place].id) }
      try emit(row[...])
      start = end
    }
  }

  private mutating func pack() throws(KluereError) {
    if documentEnded, !pending.isEmpty, !tokens.isEmpty { try push(tokenizer.sepID) }
    if !tokens.isEmpty { documentEnded = false }
    for token in tokens { try push(token.id) }
  }

  private mutating func push(_ id: Int32) throws(KluereError) {
    guard id >= 0 else { return }
    pending.append(id)
    guard pending.count == room else { return }
    try emit(pending[...])
    pending.removeAll(keepingCapacity: true)
  }

  private func emit(_ text: ArraySlice<Int32>) throws(KluereError) {
    let ids = prefix + text + suffix
    try corpus.append(ids: ids[...], secondPart: ids.count)
  }
}

extension Corpus {
  /// UTF-8 files of a paragraph a line, one after the other; each ends a document. A file must not be cut short meanwhile.
  package static func read(
    _ paths: [String], _ tokenizer: Tokenizer, _ options: CorpusOptions
  ) throws(KluereError) -> Corpus {
    guard options.inputForm == nil else {
      throw KluereError(.invalidArgument, "input_form: given with text files, expected data sets")
    }
    var builder = try CorpusBuilder(tokenizer, options)
    for path in paths {
      try read(path, into: &builder)
      builder.endDocument()
    }
    return try builder.finish()
  }

  private static func read(_ path: String, into builder: inout CorpusBuilder) throws(KluereError) {
    let file = try MappedFile(path: path)
    let bytes = file.bytes.bindMemory(to: UInt8.self)
    var start = 0
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
    var number = 0
    var released = 0
    while start < bytes.count, let base = bytes.baseAddress {
      let rest = bytes.count - start
      let end = memchr(base + start, 0x0A, rest).map { UnsafeRawPointer($0) - UnsafeRawPointer(base) } ?? bytes.count
      number += 1
      var line = bytes[start..<end]
      if line.last == 0x0D { line = line.dropLast() }
      try builder.add(UnsafeBufferPointer(rebasing: line)) { "\(path): line \(number)" }
      start = end + 1
      // What has been read need not stay in memory.
      if start - released >= 1 << 24 {
        file.release(released, min(start, bytes.count))
        released = start
      }
    }
  }

  /// Lines in memory; a blank one ends a document.
  package static func create(
    _ lines: [UnsafeBufferPointer<UInt8>], _ tokenizer: Tokenizer, _ options: CorpusOptions
  ) throws(KluereError) -> Corpus {
    guard options.inputForm == nil else {
      throw KluereError(.invalidArgument, "input_form: given with lines of text, expected data sets")
    }
    var builder = try CorpusBuilder(tokenizer, options)
    for (index, line) in lines.enumerated() { try builder.add(line) { "lines[\(index)]" } }
    return try builder.finish()
  }

  /// The sentences of data sets, labels and test rows alike: task-adaptive pretraining (Gururangan et al. 2020). Each is a
  /// document.
  package static func of(
    _ datasets: [Dataset], _ tokenizer: Tokenizer, _ options: CorpusOptions
  ) throws(KluereError) -> Corpus {
    var builder = try CorpusBuilder(tokenizer, options)
    guard let form = options.inputForm else {
      for dataset in datasets {
        for row in 0..<dataset.count {
          try builder.add(dataset.example(row).text) { "row \(row)" }
          builder.endDocument()
        }
      }
      return try builder.finish()
    }
    var configuration = ModelConfiguration()
    configuration.inputForm = form
    configuration.maxTokens = options.maxTokens
    // Types are stored as they would be with two of them; a model that has one sees 0.
    configuration.typeVocabularySize = 2
    guard !configuration.hasMarkersBeside else {
      throw KluereError(
        .invalidArgument,
        "input_form: \(form.name), expected none or a form with all of its tokens in the text, as a masked LM reads them"
      )
    }
    let encoder = try InputEncoder(tokenizer, configuration)
    var scratch = InputEncoder.Scratch()
    var encoded = EncodedExample()
    for dataset in datasets {
      for row in 0..<dataset.count {
        try encoder.encode(dataset.example(row), &scratch, into: &encoded)
        let second = encoded.types.firstIndex(of: 1) ?? encoded.count
        try builder.corpus.append(ids: encoded.ids[...], secondPart: second)
        builder.corpus.lineCount += 1
        if encoded.croppedCount > 0 { builder.corpus.cutCount += 1 }
      }
    }
    return try builder.finish()
  }
}

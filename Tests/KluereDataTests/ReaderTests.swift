import KluereBase
import KluereData
import Testing

/// One row of KLUE's JSON, its parts replaceable.
private func row(
  sentence: String = "비틀즈는 영국 밴드다", subject: String = "\"word\": \"비틀즈\", \"start_idx\": 0, \"end_idx\": 2",
  object: String = "\"word\": \"영국\", \"start_idx\": 5, \"end_idx\": 6", label: String = "\"no_relation\"",
  guid: String = "\"g0\""
) -> String {
  """
  {"guid": \(guid), "sentence": "\(sentence)", "subject_entity": {\(subject), "type": "ORG"}, \
  "object_entity": {\(object), "type": "LOC"}, "label": \(label), "source": "wikipedia"}
  """
}

/// The members of an entity but its type.
private func entity(_ word: String, _ first: String, _ last: String) -> String {
  "\"word\": \(word), \"start_idx\": \(first), \"end_idx\": \(last)"
}

private let header = "id,sentence,subject_entity,object_entity,label,source\n"

@Suite struct ReaderTests {
  @Test func `a row of KLUE's JSON is read with spans in bytes`() throws {
    let read = try dataset("[\(row())]")
    let example = read.example(0)
    #expect(read.count == 1 && read.labelIndices == [0])
    #expect(word(example.subject, example) == "비틀즈" && word(example.object, example) == "영국")
    #expect(text(example.subject.type) == "ORG" && text(example.id) == "g0" && text(example.source) == "wikipedia")
    #expect(example.subject.end == 9 && example.object.begin == 13)
    // Every text has a NUL behind it, for C.
    for bytes in [example.text, example.id, example.label, example.source, example.object.type] {
      #expect(bytes?.baseAddress?[bytes?.count ?? 0] == 0)
    }
  }

  @Test func `spans count code points, also beyond the BMP and with combining marks`() throws {
    let read = try dataset(
      "["
        + row(
          sentence: "😀e\u{301} \u{1112}\u{1161}\u{11AB} A B",
          subject: "\"word\": \"A\", \"start_idx\": 8, \"end_idx\": 8",
          object: "\"word\": \"B\", \"start_idx\": 10, \"end_idx\": 10") + "]")
    let example = read.example(0)
    #expect(word(example.subject, example) == "A" && word(example.object, example) == "B")
  }

  @Test func `escaped JSON strings are unescaped before spans are counted`() throws {
    let read = try dataset(
      "["
        + row(
          sentence: #"\uBE44\uD2C0\uC988\ud83d\ude00\n\"\uC601국"#,
          subject: #""word": "비틀즈\ud83d\ude00", "start_idx": 0, "end_idx": 3"#,
          object: #""word": "\"\u0022영국", "start_idx": 5, "end_idx": 7"#
        ).split(separator: #"\"\u0022"#).joined(separator: #"\""#) + "]")
    let example = read.example(0)
    #expect(word(example.subject, example) == "비틀즈😀" && word(example.object, example) == "\"영국")
  }

  @Test func `words with commas, colons, quotes and escapes are read from CSV cells`() throws {
    let read = try dataset(
      header
        + #"7,"말: ""O'Neil, Jr."" \n {x} 끝","{'word': ""O'Neil, Jr."", 'start_idx': 4, 'end_idx': 14, 'type': 'PER'}","#
        + #""{'type': 'POH', 'end_idx': 22, 'word': '{\x78}', 'start_idx': 20}",100,"# + "\n"
        + "8,\"두 줄\n문장\",\"{'word': '줄\\n문', 'start_idx': 2, 'end_idx': 4, 'type': 'PER'}\","
        + "\"{'word': '두', 'start_idx': 0, 'end_idx': 0, 'type': 'PER'}\",per:title,wikitree\r\n"
    )
    let first = read.example(0)
    #expect(word(first.subject, first) == "O'Neil, Jr." && word(first.object, first) == "{x}")
    #expect(text(first.object.type) == "POH" && read.labelIndices[0] == -1)
    let second = read.example(1)
    #expect(word(second.subject, second) == "줄\n문" && text(second.id) == "8" && text(second.source) == "wikitree")
  }

  @Test func `CSV columns are found by name, CRLF and a byte order mark are fine, ids and labels may be missing`()
    throws
  {
    let read = try dataset(
      "\u{FEFF}object_entity,extra,sentence,subject_entity\r\n"
        + "\"{'word': 'B', 'start_idx': 2, 'end_idx': 2, 'type': 'PER'}\",?,A B,"
        + "\"{'word': 'A', 'start_idx': 0, 'end_idx': 0, 'type': 'ORG'}\"\r\n")
    #expect(read.labelIndices == [-1])
    #expect(read.example(0).id == nil && text(read.example(0).object.type) == "PER")
  }

  @Test func `JSON Lines need no word, type, label and source`() throws {
    let read = try dataset(
      #"""
      {"id": "a", "sentence": "A B", "subject_entity": {"start_idx": 0, "end_idx": 0}, \#
      "object_entity": {"start_idx": 2, "end_idx": 2, "type": "약"}, "label": "치료"}

      {"id": 7, "sentence": "A B", "subject_entity": {"start_idx": 0, "end_idx": 0, "type": null}, \#
      "object_entity": {"start_idx": 2, "end_idx": 2}, "label": 100}
      """#
    ) { $0.labelOrder = .custom }
    #expect(read.count == 2 && read.labels.names == ["no_relation", "치료"])
    #expect(read.labelIndices == [1, -1])
    #expect(read.example(0).subject.type == nil && text(read.example(0).object.type) == "약")
    #expect(text(read.example(1).id) == "7" && read.example(1).label == nil)
  }

  @Test func `labels take the order that is asked for`() throws {
    let text = "[\(row(label: "\"per:title\"")), \(row(label: "\"100\"")), \(row(label: "null"))]"
    #expect(try dataset(text).labelIndices == [29, -1, -1])
    #expect(try dataset(text) { $0.labelOrder = .competition }.labelIndices == [4, -1, -1])
    let own = try dataset(text) {
      $0.labelOrder = .custom
      $0.labels = ["x", "per:title"]
    }
    #expect(own.labelIndices == [1, -1, -1] && own.labels.count == 2)
    let found = try dataset("[\(row(label: "\"b\"")), \(row(label: "\"a\"")), \(row(label: "\"b\""))]") {
      $0.labelOrder = .custom
    }
    #expect(found.labels.names == ["no_relation", "b", "a"] && found.labelIndices == [1, 2, 1])
  }

  @Test func `errors name file, row, id and reason`() throws {
    let cases: [(String, String)] = [
      (
        row(object: entity(#""영국""#, "5", "11")),
        "object span 5 to 11 (inclusive) is outside a sentence of 11 code points"
      ),
      (
        row(object: entity(#""영""#, "5", "6")),
        "object span 5 to 6 (inclusive) of the sentence is \"영국\", its word says \"영\""
      ),
      (
        row(object: entity(#""영""#, "5", "4")),
        "object span 5 to 4 (inclusive) is no span"
      ),
      (
        row(object: entity(#""영""#, "-1", "4")),
        "object span -1 to 4 (inclusive) is no span"
      ),
      (
        row(object: entity(#""영""#, "0", "9223372036854775807")),
        "object span 0 to 9223372036854775807 (inclusive) is no span"
      ),
      (
        row(object: entity(#""영""#, "5.0", "5")),
        "object_entity: start_idx is 5.0, expected a whole number"
      ),
      (
        row(object: entity(#"7"#, "5", "5")),
        "object_entity: word is a number, expected a string"
      ),
      (row(object: "\"start_idx\": 5, \"end_idx\": 5"), "object_entity: word is missing"),
      (
        row(object: entity(#""비틀즈""#, "0", "2")),
        "subject and object are the same span [0, 9) of bytes, expected two entities"
      ),
      (row(label: "\"per:x\""), "label \"per:x\" is none of the 30 labels"),
      (row(label: "true"), "label is a truth value, expected a string"),
    ]
    for (bad, reason) in cases {
      let error = try refusal("[\(row()), \(bad)]")
      #expect(error?.status == .badFormat)
      #expect(error?.message == "FILE: row 2 (g0): \(reason)")
    }
    #expect(try refusal("[7]")?.message == "FILE: row 1: the row is a number, expected an object")
    #expect(try refusal("{\"sentence\": \"a\"}")?.message == "FILE: row 1: subject_entity is missing")
    #expect(
      try refusal(row() + "\n{\"id\": 1,, }")?.message
        == "FILE: row 2: JSON: line 2, column 10 (byte 9): expected a key in quotes")
    #expect(try refusal("[\n7,\n]")?.message == "FILE: line 3, column 1 (byte 5): expected a value")
  }

  private static let wrongFiles: [(String, String)] = [
    (
      "a,b\n1,2\n",
      "the header has no column \"sentence\", expected id,sentence,subject_entity,object_entity,label,source"
    ),
    (header, "no rows, expected at least one"),
    ("\(header)1,2\n", "row 1: 2 fields, the header has 6"),
    ("\(header)1,A,x,x,100,\n", "row 1 (1): subject_entity: byte 0 of the literal: expected a literal"),
    ("\(header)1,A,7,x,100,\n", "row 1 (1): subject_entity is a number, expected a dict"),
    ("\(header)1,A,{},x,100,\n", "row 1 (1): subject_entity: 'word' is missing"),
    ("\(header)1,A,{'word': 'A'},x,100,\n", "row 1 (1): subject_entity: 'start_idx' is missing"),
    (
      "\(header)1,A,\"{'word': 'A', 'start_idx': 0.0}\",x,100,\n",
      "row 1 (1): subject_entity: 'start_idx' is a number, expected a whole number"
    ),
    ("\(header)1,\"A\n", "record on line 2, field 2: a quoted field that does not end"),
    ("sentence,sentence,subject_entity\n", "the header has two columns \"sentence\""),
    ("", "the file is empty"), (" \n\t", "the file is empty"), ("[]", "no rows, expected at least one"),
    ("{}\n", "row 1: sentence is missing"),
  ]

  @Test(arguments: wrongFiles)
  func `files that are none of the three are refused`(content: String, reason: String) throws {
    let error = try refusal(content)
    #expect(error?.status == .badFormat)
    #expect(error?.message == "FILE: \(reason)")
  }

  @Test func `invalid UTF-8 is refused in each format`() throws {
    let bad: [UInt8] = [0xED, 0xA0, 0x80]
    #expect(try refusal(Array("[\"".utf8) + bad + Array("\"]".utf8))?.status == .invalidUTF8)
    #expect(try refusal(Array("{\"sentence\": \"".utf8) + bad + Array("\"}".utf8))?.status == .invalidUTF8)
    let cell = "\"{'word': 'A', 'start_idx': 0, 'end_idx': 0, 'type': 'PER'}\""
    let row = Array((header + "1,A").utf8) + bad + Array(",\(cell),\(cell),100,\n".utf8)
    let error = try refusal(row)
    #expect(error?.status == .invalidUTF8)
    #expect(error?.message == "FILE: row 1 (1): sentence: byte 1 of 4 is not valid UTF-8")
  }

  @Test func `bad rows are skipped and listed if asked`() throws {
    let bad = row(label: "\"none\"", guid: "\"bad\"")
    let read = try dataset("[\(bad), \(row()), \(bad), 7]") { $0.badRows = .skip }
    #expect(read.count == 1 && read.skippedCount == 3 && read.skipped.count == 3)
    #expect(read.skipped[1].contains(": row 3 (bad): label \"none\" is none of the 30 labels"))
    let many = Array(repeating: bad, count: 1500).joined(separator: ",")
    let mostly = try dataset("[\(many), \(row())]") { $0.badRows = .skip }
    #expect(mostly.skippedCount == 1500 && mostly.skipped.count == 1000)
    let error = try refusal("[\(bad), \(bad)]") { $0.badRows = .skip }
    #expect(error?.status == .badFormat)
    #expect(error?.message.hasPrefix("FILE: all 2 rows are bad, the first: ") == true)
    // What is broken as JSON fails the file, whatever is asked.
    #expect(try refusal("[\(row()), {]") { $0.badRows = .skip }?.status == .badFormat)
  }

  @Test func `a broken line of JSON Lines is one bad row`() throws {
    let read = try dataset("\(row())\n{\"sentence\n\(row())\n") { $0.badRows = .skip }
    #expect(read.count == 2 && read.skippedCount == 1)
  }

  @Test func `a format that is named is not guessed`() throws {
    #expect(try refusal("[\(row())]") { $0.format = .competitionCSV }?.status == .badFormat)
    #expect(try refusal("[\(row())]") { $0.format = .jsonLines }?.status == .badFormat)
    #expect(
      try refusal(row()) { $0.format = .klueJSON }?.message == "FILE: the file is an object, expected an array of rows")
    #expect(try dataset(row()) { $0.format = .jsonLines }.count == 1)
  }

  @Test func `labels without the custom order, and a missing file, are refused`() throws {
    #expect(try refusal("[\(row())]") { $0.labels = ["a"] }?.status == .invalidArgument)
    let missing = failure { () throws(KluereError) in _ = try Dataset.read(path: "/nowhere/x.json") }
    #expect(missing?.status == .io)
  }

  @Test func `damaged files of each format give errors or rows but no trap`() throws {
    let cell = "\"{'word': 'A', 'start_idx': 0, 'end_idx': 0, 'type': 'PER'}\""
    let other = "\"{'word': '비', 'start_idx': 2, 'end_idx': 2, 'type': 'PER'}\""
    let originals = [
      "[\(row()), \(row(label: "\"100\""))]", "\(row())\n\(row())\n",
      header + "1,A 비,\(cell),\(other),per:title,w\r\n2,\"A 비\",\(other),\(cell),100,\n",
    ]
    var random = TestRandom(state: 9)
    for (index, original) in originals.enumerated() {
      let format = DatasetOptions.Format(rawValue: [1, 3, 2][index]) ?? .auto
      var refused = 0
      for number in 0..<300 {
        var bytes = Array(original.utf8)
        if number % 3 == 0 { bytes = Array(bytes.prefix(random.below(bytes.count))) }
        for _ in 0...random.below(3) where !bytes.isEmpty {
          let place = random.below(bytes.count)
          if random.below(2) == 0 { bytes[place] = UInt8(random.below(256)) } else { bytes.remove(at: place) }
        }
        if try refusal(bytes, { $0.format = format }) != nil { refused += 1 }
      }
      #expect(refused > 150)
    }
  }
}

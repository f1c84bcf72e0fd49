import KluereBase
import KluereData
import KluereFormats
import Testing

/// Rows of JSON Lines with spans in code points, end inclusive: (sentence, subject, object, id, origin).
private func rows(
  _ list: [(String, (Int, Int), (Int, Int), String?, String?)], label: String = "no_relation"
) throws -> Dataset {
  let lines = list.map { text, subject, object, id, origin in
    let spans = [("subject", subject), ("object", object)].map {
      "\"\($0)_entity\":{\"start_idx\":\($1.0),\"end_idx\":\($1.1),\"type\":\"PER\"}"
    }
    let names = [("id", id), ("origin", origin)].compactMap { key, value in value.map { ",\"\(key)\":\"\($0)\"" } }
    return "{\"sentence\":\"\(text)\",\(spans.joined(separator: ",")),\"label\":\"\(label)\"\(names.joined())}\n"
  }
  return try dataset(lines.joined())
}

@Suite struct DataWorkTests {
  @Test func `rows are grouped by sentence, by origin, and across both`() throws {
    let made = try rows([
      ("a b", (0, 0), (2, 2), "1", nil), ("c d", (0, 0), (2, 2), "2", nil), ("a b", (2, 2), (0, 0), "3", nil),
      ("e f", (0, 0), (2, 2), "4", "3"), ("g h", (0, 0), (2, 2), nil, "absent"), ("i j", (0, 0), (2, 2), nil, "absent"),
      ("k l", (0, 0), (2, 2), nil, nil),
    ])
    #expect(RowGroups(made).groups == [[0, 2, 3], [1], [4, 5], [6]])
  }

  @Test func `equal rows are found by their parts`() throws {
    let made = try rows([
      ("a b", (0, 0), (2, 2), "1", nil), ("a b", (2, 2), (0, 0), "2", nil), ("a b", (0, 0), (2, 2), "3", nil),
    ])
    #expect(RowIndex(made, by: .sentence).first == [0, 0, 0])
    #expect(RowIndex(made, by: .input).first == [0, 1, 0])
    #expect(RowIndex(made, by: .row).distinctCount == 2)
  }

  @Test func `edits move the spans behind them`() throws {
    let made = try rows([("가 나 다 라", (2, 2), (6, 6), nil, nil)])
    defer { withExtendedLifetime(made) {} }
    let example = made.example(0)
    let word = SentenceWords(example)
    #expect(word.words.count == 4 && word.free == [0, 2])
    let result = SentenceEdit.apply(
      [
        SentenceEdit(word.words[0], []),
        SentenceEdit(word.words[1].upperBound..<word.words[1].upperBound, Array("!".utf8)),
        SentenceEdit(word.words[2], Array("다른 말".utf8)),
      ], to: example)
    #expect(String(decoding: result.text, as: UTF8.self) == " 나! 다른 말 라")
    #expect(String(decoding: result.text[result.subject], as: UTF8.self) == "나")
    #expect(String(decoding: result.text[result.object], as: UTF8.self) == "라")
  }

  @Test func `divergence is 0 for equal shares and 1 for nothing in common`() {
    let a = Distribution(counts: [("x", 1), ("y", 3)])
    #expect(Distribution.divergence(a, Distribution(counts: [("y", 30), ("x", 10)])) == 0)
    #expect(Distribution.divergence(a, Distribution(counts: [("z", 2)])) == 1)
    #expect(Distribution.divergence(a, Distribution()) == nil)
  }

  @Test func `strings are written as Python's repr writes them`() {
    // Printed by Python 3.11.
    for (text, expected) in [
      ("it's", "\"it's\""), ("a\"b", "'a\"b'"), ("'\"", "'\\'\"'"),
      ("\\\n\t\r\u{7F}\u{A0}", "'\\\\\\n\\t\\r\\x7f\\xa0'"),
      ("\u{200B}\u{3000}가", "'\\u200b\\u3000가'"), ("\u{E0001}", "'\\U000e0001'"),
    ] {
      var out: [UInt8] = []
      Array(text.utf8).withUnsafeBufferPointer { PythonRepr.append($0, to: &out) }
      #expect(String(decoding: out, as: UTF8.self) == expected)
    }
  }
}

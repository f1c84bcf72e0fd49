import KluereBase
import KluereFormats
import Testing

private func parse(_ text: String) throws(KluereError) -> JSON { try JSON(Array(text.utf8), name: "a.json") }

private func refusal(_ bytes: [UInt8]) -> KluereError? {
  failure { () throws(KluereError) in _ = try JSON(bytes, name: "a.json") }
}

private func refusal(_ text: String) -> KluereError? { refusal(Array(text.utf8)) }

@Suite struct JSONTests {
  @Test func `every kind of value is read`() throws {
    let root = try parse(#"{"a": [1, -2.5e3, true, false, null, "\ud83d\ude00\n한"], "b": {}, "": 0}"#).root
    #expect(root.kind == .object && root.count == 3)
    let list = try #require(root["a"])
    #expect(list.kind == .array && list.count == 6)
    let values = Array(list.elements)
    #expect(values[0].int == 1 && values[0].double == 1)
    #expect(values[1].double == -2500 && values[1].int == nil)
    #expect(values[2].bool == true && values[3].bool == false && values[4].isNull)
    #expect(values[5].string == "😀\n한")
    #expect(root["b"]?.count == 0 && root[""]?.int == 0 && root["c"] == nil)
    #expect(root.members.map { $0.key.string } == ["a", "b", ""])
  }

  @Test func `whole numbers are exact or refused`() throws {
    for (text, value) in [
      ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("-0", 0), ("0", 0),
    ] { #expect(try parse(text).root.int == value) }
    for text in ["9223372036854775808", "-9223372036854775809", "1.0", "1e2", "99999999999999999999999"] {
      #expect(try parse(text).root.int == nil)
    }
    #expect(try parse("99999999999999999999999").root.double == 1e23)
  }

  @Test(arguments: [
    "", " ", "nul", "truefalse", "NaN", "Infinity", "-", "01", "1.", ".5", "+1", "1e", "1e999", "[1,]", "[,1]", "[1 2]",
    "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{'a':1}", "{1:2}", "[", "{", "]", "\"", "\"\\", "\"\\x41\"", "\"\\u12",
    "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"a\nb\"", "\"\t\"", "1 2", "{}{}", "\u{0}", "[1}",
    "{\"a\":1]",
    "//", "\"a\"b",
  ])
  func `what is not JSON is refused with its place`(text: String) {
    let error = refusal(text)
    #expect(error?.status == .badFormat)
    #expect(error?.message.hasPrefix("a.json: line ") == true)
  }

  @Test func `an error names line, column in characters and byte`() {
    #expect(
      refusal("{\n  \"한국\": x\n}")?.message == "a.json: line 2, column 9 (byte 14): expected a value")
    #expect(
      refusal("[1, 2")?.message == "a.json: line 1, column 6 (byte 5): expected , or ] in an array, found the end")
  }

  @Test(
    arguments: [[0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22], [0xFF], [0x22, 0xE2, 0x82, 0x22]] as [[UInt8]]
  )
  func `invalid UTF-8 is refused`(bytes: [UInt8]) {
    #expect(refusal(bytes)?.status == .invalidUTF8)
  }

  @Test func `depth is limited and does not use the stack`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try parse(nested(JSON.depthLimit))
    #expect(refusal(nested(JSON.depthLimit + 1))?.status == .badFormat)
    #expect(refusal(String(repeating: "[", count: 1_000_000))?.status == .badFormat)
    #expect(refusal(String(repeating: "{\"a\":", count: 1_000_000))?.status == .badFormat)
  }

  @Test func `a byte order mark is passed over and the last of equal keys counts`() throws {
    #expect(try parse("\u{FEFF}{\"a\": 1, \"b\": 2, \"\\u0061\": 3}").root["a"]?.int == 3)
  }

  @Test func `keys that differ in normalisation are different`() throws {
    let root = try parse("{\"\u{AC00}\": 1, \"\u{1100}\u{1161}\": 2}").root
    #expect(root["\u{AC00}"]?.int == 1)
    #expect(root["\u{1100}\u{1161}"]?.int == 2)
  }

  @Test func `damaged files give errors or values but no trap`() throws {
    let original = Array(
      #"[{"guid": "r\u00e9", "n": [-1.5e-3, 0, 12345678901234567890], "s": "\ud83d\ude00한국", "t": true}, null, {}]"#
        .utf8)
    var refused = 0
    for bytes in mutations(original, count: 2000, seed: 1) {
      do {
        let root = try JSON(bytes, name: "a.json").root
        for row in root.elements { _ = (row["s"]?.string, row["n"].map { $0.elements.map(\.double) }, row.count) }
      } catch { refused += 1 }
    }
    #expect(refused > 1000)
  }

  @Test func `what is written reads back and is indented like Python's`() throws {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("a")
    writer.beginArray()
    writer.integer(1)
    writer.string("q\"\\\n\u{1}한/")
    writer.endArray()
    writer.key("empty")
    writer.beginObject()
    writer.endObject()
    writer.key("x")
    writer.number(1e-12)
    writer.key("f")
    writer.number(Float(0.1))
    writer.key("n")
    writer.number(Double.nan)
    let bytes = writer.finish()
    let expected = """
      {
        "a": [
          1,
          "q\\"\\\\\\n\\u0001한/"
        ],
        "empty": {},
        "x": 1e-12,
        "f": 0.1,
        "n": null
      }

      """
    #expect(String(decoding: bytes, as: UTF8.self) == expected)
    let root = try JSON(bytes, name: "a.json").root
    #expect(root["a"].map { Array($0.elements)[1].string } == "q\"\\\n\u{1}한/")
  }
}

import KluereBase
import KluereFormats
import Testing

private func parse(_ bytes: [UInt8]) throws(KluereError) -> PythonLiteral {
  let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
  defer { copy.deallocate() }
  _ = copy.update(fromContentsOf: bytes)
  return try PythonLiteral.parse(UnsafeBufferPointer(rebasing: copy[..<bytes.count]))
}

private func parse(_ text: String) throws(KluereError) -> PythonLiteral { try parse(Array(text.utf8)) }

private func string(_ text: String) -> PythonLiteral { .string(Array(text.utf8)) }

@Suite struct PythonTests {
  @Test func `a cell of the competition is read`() throws {
    let cell = try parse("{'word': \"조지, '해리슨': {x}\", 'start_idx': 13, 'end_idx': 18, 'type': 'PER'}")
    #expect(cell["word"] == string("조지, '해리슨': {x}"))
    #expect(cell["start_idx"] == .int(13))
    #expect(cell["type"] == string("PER"))
    #expect(cell["x"] == nil)
  }

  /// The right sides are what Python 3.11's ast.literal_eval gives.
  @Test(arguments: [
    (#"'\x41\u00e9\U0001F600\101\0\n\t\\\'\"\a\b\f\r\v'"#, "A\u{E9}😀A\u{0}\n\t\\'\"\u{7}\u{8}\u{C}\r\u{B}"),
    (#""it's""#, "it's"), (#"'\d'"#, #"\d"#), (#"r'\n\''"#, #"\n\'"#), (#"u'x'"#, "x"), ("'a\\\nb'", "ab"), ("''", ""),
    (#"'\777'"#, "\u{1FF}"),
  ])
  func `escapes mean what they mean in Python`(source: String, value: String) throws {
    #expect(try parse(source) == string(value))
  }

  @Test(arguments: [
    ("1_000", PythonLiteral.int(1000)), ("-0x1F", .int(-31)), ("0o17", .int(15)), ("0B101", .int(5)), ("000", .int(0)),
    ("-9223372036854775808", .int(.min)), ("1.", .float(1)), (".5e-1", .float(0.05)), ("1_0.5_0", .float(10.5)),
    ("0x1e", .int(30)), ("None", .none), ("True", .bool(true)),
    ("[1, (2,), (3), {}]", .list([.int(1), .tuple([.int(2)]), .int(3), .dict([])])),
    ("(\n1 ,\t2)", .tuple([.int(1), .int(2)])), ("()", .tuple([])),
  ])
  func `numbers, words and containers are read`(source: String, value: PythonLiteral) throws {
    #expect(try parse(source) == value)
  }

  @Test(arguments: [
    "", " ", "x", "nan", "1__0", "_1", "1_", "007", "0x", "0b2", "1e", "--1", "9223372036854775808", "1j", "1 2", "'a",
    "'a\nb'", "\"a'", "b'x'", "f'x'", "'a' 'b'", "'''a'''", "{1}", "{1:}", "{:1}", "{[1]:2}", "{,}", "[,]", "[1 2]",
    "(",
    "[1)", #"'\N{BULLET}'"#, #"'\x4'"#, #"'\ud83d'"#, #"'\ud83d\ude00'"#, #"'\U00110000'"#, #"'\"#, "1+2", "open('x')",
    "{'a': 1}.x", "'\u{0}'",
  ])
  func `what is no literal is refused`(source: String) {
    let error = failure { () throws(KluereError) in _ = try parse(source) }
    #expect(error?.status == .badFormat)
  }

  @Test func `depth and size are limited`() {
    for text in [String(repeating: "[", count: 100_000), String(repeating: "{1:", count: 1000)] {
      #expect(failure { () throws(KluereError) in _ = try parse(text) }?.message.contains("inside one another") == true)
    }
    let long = [UInt8](repeating: 0x31, count: PythonLiteral.sizeLimit + 1)
    #expect(failure { () throws(KluereError) in _ = try parse(long) }?.status == .badFormat)
  }

  @Test func `damaged literals give errors or values but no trap`() {
    let original = Array(#"{'word': '비\x41\u00e9틀\'즈', "start_idx": -24, 'l': [1.5e3, (None, True)], 'e': 0x1F}"#.utf8)
    var refused = 0
    for bytes in mutations(original, count: 2000, seed: 3)
    where failure({ () throws(KluereError) in _ = try parse(bytes) }) != nil { refused += 1 }
    #expect(refused > 1000)
  }

  /// The right sides are Python's repr.
  @Test(
    arguments: [
      (0.1, "0.1"), (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (100, "100.0"), (1e15, "1000000000000000.0"),
      (1e16, "1e+16"),
      (1.2345678901234567e16, "1.2345678901234568e+16"), (1e-4, "0.0001"), (1e-5, "1e-05"), (1.5e-7, "1.5e-07"),
      (1e100, "1e+100"), (5e-324, "5e-324"), (123456.789, "123456.789"), (9007199254740993, "9007199254740992.0"),
      (Double(Float(0.1)), "0.10000000149011612"), (.infinity, "inf"),
    ] as [(Double, String)])
  func `floats are printed as Python prints them`(value: Double, text: String) {
    #expect(PythonFloat.repr(value) == text)
  }
}

import CKluere
import Testing

/// This thread's message; the calls before and this one must not be split over an await.
func lastError() -> String {
  var buffer = [CChar](repeating: 0, count: 1024)
  _ = kluere_last_error(&buffer, buffer.count)
  return buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}

struct LibraryTests {
  static let names: [(Int, String)] = [
    (KLUERE_OK, "KLUERE_OK"), (KLUERE_ERR_INVALID_ARGUMENT, "KLUERE_ERR_INVALID_ARGUMENT"),
    (KLUERE_ERR_BAD_HANDLE, "KLUERE_ERR_BAD_HANDLE"), (KLUERE_ERR_INVALID_UTF8, "KLUERE_ERR_INVALID_UTF8"),
    (KLUERE_ERR_STATE, "KLUERE_ERR_STATE"), (KLUERE_ERR_IO, "KLUERE_ERR_IO"),
    (KLUERE_ERR_BAD_FORMAT, "KLUERE_ERR_BAD_FORMAT"), (KLUERE_ERR_VERSION, "KLUERE_ERR_VERSION"),
    (KLUERE_ERR_OUT_OF_MEMORY, "KLUERE_ERR_OUT_OF_MEMORY"), (KLUERE_ERR_DEVICE, "KLUERE_ERR_DEVICE"),
    (KLUERE_ERR_UNSUPPORTED, "KLUERE_ERR_UNSUPPORTED"), (KLUERE_ERR_BUFFER_TOO_SMALL, "KLUERE_ERR_BUFFER_TOO_SMALL"),
    (KLUERE_ERR_CANCELLED, "KLUERE_ERR_CANCELLED"), (KLUERE_ERR_NOT_FINITE, "KLUERE_ERR_NOT_FINITE"),
    (KLUERE_ERR_BUSY, "KLUERE_ERR_BUSY"), (KLUERE_ERR_TIMEOUT, "KLUERE_ERR_TIMEOUT"),
    (KLUERE_ERR_INTERNAL, "KLUERE_ERR_INTERNAL"),
  ]

  // The names come from the Swift enum whose raw values are returned: equal names are equal values.
  @Test(arguments: names) func `every status of the header has its name`(value: Int, name: String) {
    #expect(String(cString: kluere_status_name(kluere_status(value))) == name)
  }

  @Test(arguments: [1, -5, -1000, Int32.max, Int32.min])
  func `a status that the header lacks still has a name`(value: Int32) {
    #expect(String(cString: kluere_status_name(value)) == "KLUERE_ERR_UNKNOWN")
  }

  @Test func `the versions are those of the header`() {
    #expect(kluere_abi_version() == KLUERE_ABI_VERSION)
    #expect(kluere_version_number() == KLUERE_VERSION_NUMBER)
    let number = KLUERE_VERSION_NUMBER
    let text = "\(number / 10_000).\(number / 100 % 100).\(number % 100)"
    #expect(String(cString: kluere_version_string()) == text)
  }

  @Test func `a message is cut between code points and its full size is told`() throws {
    var out = 0
    #expect(kluere_offset_convert("가", 3, 1, 0, 0, &out) == kluere_status(KLUERE_ERR_INVALID_ARGUMENT))
    let whole = lastError()
    #expect(kluere_last_error(nil, 0) == whole.utf8.count + 1)
    for capacity in 1...whole.utf8.count + 1 {
      var buffer = [CChar](repeating: 7, count: capacity)
      #expect(kluere_last_error(&buffer, capacity) == whole.utf8.count + 1)
      let part = try #require(
        String(validating: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
      #expect(whole.hasPrefix(part) && part.utf8.count <= capacity - 1)
    }
  }

  @Test func `a call that succeeds leaves the message`() {
    var out = 0
    _ = kluere_offset_convert("abc", 3, 99, 0, 0, &out)
    let message = lastError()
    #expect(message == "offset 99 is outside a text of 3 bytes")
    #expect(kluere_offset_convert("abc", 3, 2, 0, 0, &out) == kluere_status(KLUERE_OK))
    #expect(lastError() == message)
  }

  @Test func `offsets convert between bytes, code points and UTF-16 units`() {
    let text = "a가😀b"
    let table = [[0, 0, 0], [1, 1, 1], [4, 2, 2], [8, 3, 4], [9, 4, 5]]
    for row in table {
      for from in 0..<3 {
        for to in 0..<3 {
          var out = -1
          // -1: KLUERE_NUL_TERMINATED
          let status = kluere_offset_convert(text, -1, row[from], Int32(from), Int32(to), &out)
          #expect(status == kluere_status(KLUERE_OK) && out == row[to])
        }
      }
    }
  }
}

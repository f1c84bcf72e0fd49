import KluereBase
import Testing

struct GrowingBufferTests {
  @Test func `memory that is not to be had is an error, and the buffer goes on`() throws {
    var buffer = GrowingBuffer<UInt64>(for: "numbers")
    try buffer.append(7)
    for count in [Int.max, Int.max / 8, 1 << 58] {
      var status: Status?
      do throws(KluereError) { _ = try buffer.room(for: count) } catch { status = error.status }
      #expect(status == .outOfMemory, "\(count)")
    }
    let room = try buffer.room(for: 1000)
    for place in 0..<1000 { room[place] = UInt64(place) }
    #expect(try buffer.room(for: 0)[0] == 0)
    #expect(try buffer.room(for: 1000)[999] == 999)
  }
}

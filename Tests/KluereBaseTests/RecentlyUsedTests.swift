import KluereBase
import Testing

struct RecentlyUsedTests {
  @Test func `what was not asked for the longest goes first`() {
    var kept = RecentlyUsed<Int, String>(limit: 3)
    for key in 1...3 { kept.keep("\(key)", for: key) }
    #expect(kept.value(1) == "1")
    kept.keep("4", for: 4)
    #expect(kept.value(2) == nil)
    #expect([1, 3, 4].map { kept.value($0) } == ["1", "3", "4"])
    kept.keep("one", for: 1)
    #expect(kept.count == 3)
    kept.keep("5", for: 5)
    #expect(kept.value(3) == nil)
    #expect(kept.value(1) == "one")
    kept.removeAll()
    #expect(kept.count == 0)
    #expect(kept.value(1) == nil)
  }

  @Test func `one is kept at least`() {
    var kept = RecentlyUsed<Int, Int>(limit: 0)
    kept.keep(1, for: 1)
    kept.keep(2, for: 2)
    #expect(kept.value(1) == nil)
    #expect(kept.value(2) == 2)
  }
}

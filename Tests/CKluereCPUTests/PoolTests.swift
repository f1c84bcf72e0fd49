import CKluereCPU
import Glibc
import Testing

/// Counts how often each item ran.
private final class Tally: @unchecked Sendable {
  // A POSIX mutex: ThreadSanitizer does not see Synchronization.Mutex wait.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var counts: [Int]

  init(_ items: Int) {
    counts = [Int](repeating: 0, count: items)
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  func add(_ item: Int) { locked { counts[item] += 1 } }
  var all: [Int] { locked { counts } }
}

private func countItems(_ engine: OpaquePointer, _ items: Int) -> [Int] {
  let tally = Tally(items)
  kk_parallel(
    engine, items,
    { context, item in
      guard let context else { return }
      Unmanaged<Tally>.fromOpaque(context).takeUnretainedValue().add(item)
    }, Unmanaged.passUnretained(tally).toOpaque())
  return tally.all
}

private func ones(_ count: Int) -> [Int] { [Int](repeating: 1, count: count) }

@Test(arguments: 1...5)
func `each item of each of many regions runs exactly once`(threads: Int) throws {
  try withEngine(CInt(KK_ISA_AUTO), threads: CInt(threads)) { engine in
    #expect(kk_engine_threads(engine) == CInt(threads))
    for region in 0..<10_000 {
      let items = region % 13
      #expect(countItems(engine, items) == ones(items), "region \(region)")
    }
    #expect(countItems(engine, 20_000) == ones(20_000))
  }
}

@Test func `workers that went to sleep come back`() throws {
  try withEngine(CInt(KK_ISA_AUTO), threads: 3) { engine in
    for _ in 0..<20 {
      usleep(2000)
      #expect(countItems(engine, 50) == ones(50))
    }
  }
}

@Test func `a region waits for an item that takes long`() throws {
  try withEngine(CInt(KK_ISA_AUTO), threads: 3) { engine in
    let done = Tally(9)
    kk_parallel(
      engine, 9,
      { context, item in
        usleep(item % 3 == 0 ? 5000 : 1)
        guard let context else { return }
        Unmanaged<Tally>.fromOpaque(context).takeUnretainedValue().add(item)
      }, Unmanaged.passUnretained(done).toOpaque())
    #expect(done.all == ones(9))
  }
}

@Test func `engines are created and destroyed in a loop`() throws {
  for round in 0..<200 {
    try withEngine(CInt(KK_ISA_PLAIN), threads: 3) { engine in
      if round % 2 == 0 { #expect(countItems(engine, 5) == ones(5)) }
    }
  }
}

@Test func `separate engines run at the same time`() async {
  await withTaskGroup(of: Bool.self) { group in
    for lane in 0..<4 {
      group.addTask {
        for round in 0..<10 {
          guard let engine = kk_engine_create(CInt(KK_ISA_AUTO), CInt(1 + (lane + round) % 3)) else { return false }
          defer { kk_engine_destroy(engine) }
          for items in 0..<30 where countItems(engine, items) != ones(items) { return false }
        }
        return true
      }
    }
    for await correct in group { #expect(correct) }
  }
}

@Test func `an engine that cannot be is not created`() {
  #expect(kk_engine_create(CInt(KK_ISA_AUTO), 0) == nil)
  #expect(kk_engine_create(CInt(KK_ISA_AUTO), -1) == nil)
  #expect(kk_engine_create(CInt(KK_ISA_AUTO), .max) == nil)
  #expect(kk_engine_create(99, 1) == nil)
  for isa in CInt(1)...4 where kk_isa_supported(isa) == 0 {
    #expect(kk_engine_create(isa, 1) == nil, "\(isaName(isa))")
  }
}

@Test func `the best instruction set is supported and is what auto means`() throws {
  #expect(kk_isa_supported(kk_isa_best()) != 0)
  #expect(kk_isa_supported(CInt(KK_ISA_PLAIN)) != 0)
  try withEngine(CInt(KK_ISA_AUTO), threads: 1) { engine in
    #expect(kk_engine_isa(engine) == kk_isa_best())
  }
  #expect(["plain", "avx2", "avx512", "neon"].contains(isaName(kk_isa_best())))
  #expect(kk_cpu_count() >= 1)
}

@Test func `workers leave the host's signals alone`() throws {
  try withEngine(CInt(KK_ISA_AUTO), threads: 3) { engine in
    #expect(countItems(engine, 10) == ones(10))
    var workers = 0
    for thread in try taskIdentifiers() {
      guard try line("Name:", ofThread: thread) == "kluere" else { continue }
      // A worker of another test may have ended meanwhile.
      guard let blocked = UInt64(try line("SigBlk:", ofThread: thread), radix: 16) else { continue }
      // glibc keeps the signals of its own, 32 and 33, and the kernel KILL and STOP.
      let exempt: UInt64 = 1 << 31 | 1 << 32 | 1 << 8 | 1 << 18
      #expect(blocked | exempt == .max)
      workers += 1
    }
    #expect(workers >= 2)
  }
}

private func taskIdentifiers() throws -> [String] {
  let folder = try #require(opendir("/proc/self/task"))
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name.first?.isNumber == true { names.append(name) }
  }
  return names
}

/// The value of a line of a thread's status; "" if the thread has ended since.
private func line(_ key: String, ofThread thread: String) throws -> String {
  guard let file = fopen("/proc/self/task/\(thread)/status", "r") else { return "" }
  defer { fclose(file) }
  var buffer = [CChar](repeating: 0, count: 512)
  while fgets(&buffer, CInt(buffer.count), file) != nil {
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard text.hasPrefix(key) else { continue }
    return text.dropFirst(key.count).filter { !$0.isWhitespace }
  }
  return ""
}

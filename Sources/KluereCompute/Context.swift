internal import Glibc
package import KluereBase

/// Levels of log messages, as KLUERE_LOG_* in the header.
package enum LogLevel: Int32, Sendable {
  case error = 1
  case warning = 2
  case info = 3
  case debug = 4
}

/// Where log messages go: the host's callback, or nowhere.
package struct LogSink: @unchecked Sendable {
  package typealias Callback = @convention(c) (UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, Int) -> Void
  private let callback: Callback?
  private let userdata: UnsafeMutableRawPointer?
  private let level: Int32

  package init(callback: Callback?, userdata: UnsafeMutableRawPointer?, level: Int32) {
    self.callback = callback
    self.userdata = userdata
    self.level = level
  }

  package static let none = LogSink(callback: nil, userdata: nil, level: 0)

  fileprivate func write(_ level: LogLevel, _ message: () -> String) {
    guard let callback, level.rawValue <= self.level else { return }
    var line = message()
    line.withUTF8 { text in
      // One terminated copy: the callback is promised a NUL.
      let copy = Array(text.map { CChar(bitPattern: $0) }) + [0]
      copy.withUnsafeBufferPointer { callback(userdata, level.rawValue, $0.baseAddress, text.count) }
    }
  }
}

/// Device, threads and logger that everything made from it shares.
package final class Context: Sendable {
  package let backend: any Backend
  /// -1 is resolved: 0 CPU, n > 0 CUDA device n - 1.
  package let device: Int32
  package let threadCount: Int
  package let deviceName: String
  package let instructionSet: String
  private let sink: LogSink
  private let computing = Lock()

  /// `threads` 0: every core this process may use.
  package init(device: Int32, threads: Int32, log sink: LogSink) throws(KluereError) {
    guard device >= -1 else {
      throw KluereError(.invalidArgument, "device: \(device), expected -1 (automatic), 0 (CPU) or a CUDA device + 1")
    }
    // Above: no machine has more; and each thread costs a stack.
    guard (0...1024).contains(threads) else {
      throw KluereError(.invalidArgument, "thread_count: \(threads), expected 0 (every core) to 1024")
    }
    self.sink = sink
    if let cuda = try Context.cuda(device, sink) {
      backend = cuda.backend
      self.device = cuda.device
      threadCount = 1
      instructionSet = cuda.backend.architecture
      deviceName = cuda.backend.name
      return
    }
    let forced = getenv("KLUERE_CPU").map { String(cString: $0) }
    let cpu = try CPUBackend(
      threads: threads == 0 ? CPUBackend.availableCores : Int(threads),
      instructionSet: forced?.isEmpty == true ? nil : forced)
    backend = cpu
    self.device = 0
    threadCount = cpu.threadCount
    instructionSet = cpu.instructionSet
    deviceName = "CPU"
  }

  /// The CUDA device asked for; nil for the CPU, and where the choice is free and no GPU can be used.
  private static func cuda(
    _ device: Int32, _ sink: LogSink
  ) throws(KluereError) -> (backend: CUDABackend, device: Int32)? {
    if device == 0 { return nil }
    if device > 0 { return (try CUDABackend(ordinal: Int(device) - 1), device) }
    do throws(KluereError) { return (try CUDABackend(ordinal: 0), 1) } catch {
      sink.write(.info) { "device: the CPU, for no GPU can be used: \(error.message)" }
      return nil
    }
  }

  private init(threads: Int, like other: Context) throws(KluereError) {
    let cpu = try CPUBackend(threads: threads, instructionSet: other.instructionSet)
    backend = cpu
    (device, deviceName, instructionSet, sink) = (other.device, other.deviceName, other.instructionSet, other.sink)
    threadCount = cpu.threadCount
  }

  /// A context with `threads` CPU threads of its own, the caller's included, and the same code path: what the two compute
  /// at the same time does not wait for each other. It reads what this one wrote, as host memory is memory of both.
  package func sibling(threads: Int) throws(KluereError) -> Context {
    guard backend.isHost else {
      throw KluereError(
        .unsupported, "threads: \(threads) on \(deviceName), expected 0: a GPU computes one batch at a time")
    }
    return try Context(threads: threads, like: self)
  }

  package func log(_ level: LogLevel, _ message: @autoclosure () -> String) { sink.write(level, message) }

  /// Runs `body` while no other computation uses this context's backend.
  package func exclusive<Result>(_ body: () throws(KluereError) -> Result) throws(KluereError) -> Result {
    computing.lock()
    defer { computing.unlock() }
    return try body()
  }
}

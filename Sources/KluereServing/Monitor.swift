internal import Glibc
internal import KluereBase

/// A POSIX mutex that conditions wait with; what ThreadSanitizer sees, as `Lock`.
final class Monitor: @unchecked Sendable {
  fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

  init() {
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }

  func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }
}

/// What one thread waits for, inside its monitor. A wait may end without a cause: look again.
final class Signal: @unchecked Sendable {
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // The clock that nobody sets.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
  }

  func raise() { pthread_cond_signal(condition) }

  /// `time`: when to give up, by `Nanoseconds.now`; `Nanoseconds.never`: not.
  func wait(_ monitor: Monitor, until time: Int64 = Nanoseconds.never) {
    guard time != Nanoseconds.never else {
      pthread_cond_wait(condition, monitor.mutex)
      return
    }
    var end = timespec(
      tv_sec: Int(time / Nanoseconds.perSecond), tv_nsec: Int(time % Nanoseconds.perSecond))
    pthread_cond_timedwait(condition, monitor.mutex, &end)
  }
}

/// Times, in nanoseconds of the clock that conditions wait by.
enum Nanoseconds {
  static let perSecond: Int64 = 1_000_000_000
  static let never = Int64.max

  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    // A clock that counts from the machine's start: far from the end of 64 bits.
    return Int64(time.tv_sec) &* perSecond &+ Int64(time.tv_nsec)
  }

  /// `microseconds` after `time`; never where that does not fit.
  static func after(_ time: Int64, microseconds: UInt64) -> Int64 {
    guard let span = Int64(exactly: microseconds)?.product(1000), let end = time.sum(span) else { return never }
    return end
  }
}

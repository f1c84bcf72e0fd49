internal import Glibc
internal import KluereBase
internal import KluereCompute

/// What one thread waits for, with a lock that it holds. A wait may end without a cause: look again.
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
  func wait(_ lock: Lock, until time: Int64 = Nanoseconds.never) {
    guard time != Nanoseconds.never else {
      pthread_cond_wait(condition, lock.mutex)
      return
    }
    var end = timespec(
      tv_sec: Int(time / Nanoseconds.perSecond), tv_nsec: Int(time % Nanoseconds.perSecond))
    pthread_cond_timedwait(condition, lock.mutex, &end)
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

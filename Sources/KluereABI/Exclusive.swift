internal import KluereBase
internal import Synchronization

/// Lets one call at a time into a trainer or predictor: a second one is refused instead of racing with it.
final class Exclusive: Sendable {
  private let busy = Atomic(false)

  func run<Result>(_ name: String, _ body: () throws(KluereError) -> Result) throws(KluereError) -> Result {
    guard busy.exchange(true, ordering: .acquiring) == false else {
      throw KluereError(.state, "\(name) is inside another call, expected one thread at a time")
    }
    defer { busy.store(false, ordering: .releasing) }
    return try body()
  }
}

internal import KluereBase
internal import KluereCompute

/// Passes of one network as recordings of its device (CUDA graphs), by shape: a sentence's answer is then one call to the
/// driver in place of one for each operation.
struct Recordings {
  enum Kind: Hashable {
    case encode
    case classify
  }

  private struct Key: Hashable {
    var kind: Kind
    var shape: BatchShape
  }

  private enum Entry {
    /// Ran once: its kernels are loaded, which a recording must not do.
    case seen
    case recorded(any RecordedPass)
    /// The device would not record it.
    case refused
  }

  /// A server sees many shapes, and each recording holds memory of the driver's.
  private static let limit = 128

  private var entries = RecentlyUsed<Key, Entry>(limit: Recordings.limit)
  /// Of the memory and weights that the recordings name.
  private var addresses: [UInt] = []

  /// Runs `body` at the first call with a shape, records it at the second, and replays it from then on.
  mutating func run(
    _ kind: Kind, _ shape: BatchShape, _ addresses: [UInt], on backend: any Backend,
    _ body: () throws(KluereError) -> Void
  ) throws(KluereError) {
    if addresses != self.addresses {
      entries.removeAll()
      self.addresses = addresses
    }
    let key = Key(kind: kind, shape: shape)
    switch entries.value(key) {
    case nil:
      try body()
      entries.keep(.seen, for: key)
    case .seen:
      guard let pass = try backend.record(body) else {
        entries.keep(.refused, for: key)
        return try body()
      }
      entries.keep(.recorded(pass), for: key)
      try backend.replay(pass)
    case .recorded(let pass): try backend.replay(pass)
    case .refused: try body()
    }
  }
}

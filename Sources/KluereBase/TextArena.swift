internal import CKluereSupport

/// Bytes that keep their place until the arena ends or is emptied. Many short texts cost few allocations.
package final class TextArena {
  private static let smallestChunk = 1 << 14
  private static let largestChunk = 1 << 22

  /// Chunks that texts share, the newest last, and memory of texts too long for them.
  private var chunks: [UnsafeMutablePointer<UInt8>] = []
  private var large: [UnsafeMutablePointer<UInt8>] = []
  /// Size of the newest chunk and what of it is not used.
  private var chunkSize = 0
  private var left = 0

  package init() {}

  deinit { for memory in chunks + large { ks_free(memory) } }

  /// `count` bytes, undefined.
  package func allocate(_ count: Int) throws(KluereError) -> UnsafeMutablePointer<UInt8> {
    if let chunk = chunks.last, count <= left {
      left -= count
      return chunk + (chunkSize - left - count)
    }
    let newSize = min(max(chunkSize * 2, TextArena.smallestChunk), TextArena.largestChunk)
    if count > newSize / 4 {
      let memory = try TextArena.memory(max(count, 1))
      large.append(memory)
      return memory
    }
    let memory = try TextArena.memory(newSize)
    chunks.append(memory)
    chunkSize = newSize
    left = newSize - count
    return memory
  }

  private static func memory(_ size: Int) throws(KluereError) -> UnsafeMutablePointer<UInt8> {
    guard let memory = ks_allocate(size) else {
      throw KluereError(.outOfMemory, "there is no memory for \(size) bytes of text")
    }
    return memory.bindMemory(to: UInt8.self, capacity: size)
  }

  /// A copy with a NUL behind it that is not counted.
  package func copy(_ text: UnsafeBufferPointer<UInt8>) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
    guard let size = text.count.sum(1) else {
      throw KluereError(.outOfMemory, "a text of \(text.count) bytes is too long")
    }
    let copy = try allocate(size)
    if let source = text.baseAddress { copy.update(from: source, count: text.count) }
    copy[text.count] = 0
    return UnsafeBufferPointer(start: copy, count: text.count)
  }

  /// Ends all texts. The newest chunk is kept, so that texts row after row need no allocation.
  package func removeAll() {
    for memory in large { ks_free(memory) }
    large.removeAll(keepingCapacity: true)
    while chunks.count > 1 { ks_free(chunks.removeFirst()) }
    left = chunkSize
  }
}

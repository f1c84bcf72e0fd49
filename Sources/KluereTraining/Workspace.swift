internal import CKluereSupport
internal import KluereBase

/// Memory for one call's intermediate values, kept for the next call; it only grows, and its shortage is an error.
struct Workspace<Element: BitwiseCopyable>: ~Copyable {
  private var memory: UnsafeMutablePointer<Element>?
  private var capacity = 0
  private var count = 0
  private let purpose: String

  /// `purpose` names the memory in the message of an error.
  init(for purpose: String) { self.purpose = purpose }

  deinit { ks_free(memory) }

  var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: memory, count: count) }

  /// Room for `newCount` elements, all of them undefined.
  mutating func resize(_ newCount: Int) throws(KluereError) {
    if newCount > capacity {
      // The old block goes first: at its peak the process then holds one block, not two.
      ks_free(memory)
      memory = nil
      capacity = 0
      count = 0
      guard let bytes = newCount.product(MemoryLayout<Element>.stride), let fresh = ks_allocate(bytes) else {
        throw KluereError(.outOfMemory, "\(purpose): there is no memory for \(newCount) elements")
      }
      memory = fresh.bindMemory(to: Element.self, capacity: newCount)
      capacity = newCount
    }
    count = newCount
  }
}

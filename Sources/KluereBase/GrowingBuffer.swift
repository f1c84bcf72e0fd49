internal import CKluereSupport

/// Memory that grows and is kept, whose shortage is an error. For what grows with a file or with the caller's rows.
package struct GrowingBuffer<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline var memory: UnsafeMutablePointer<Element>?
  @usableFromInline var capacity = 0
  @usableFromInline var used = 0
  private let purpose: String

  /// `purpose` names the memory in the message of an error.
  package init(for purpose: String) { self.purpose = purpose }

  deinit { ks_free(memory) }

  @inlinable package var count: Int { used }

  /// Valid until the next call that may grow the memory.
  @inlinable package var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: memory, count: used)
  }

  @inlinable package mutating func removeAll() { used = 0 }

  @inlinable package mutating func append(_ value: Element) throws(KluereError) {
    if used == capacity { try makeRoom(1) }
    memory?[used] = value
    used += 1
  }

  package mutating func append(contentsOf values: UnsafeBufferPointer<Element>) throws(KluereError) {
    guard let source = values.baseAddress, values.count > 0 else { return }
    try makeRoom(values.count)
    memory?.advanced(by: used).update(from: source, count: values.count)
    used += values.count
  }

  /// Memory for that many elements, whatever is in it; valid until the next call that may grow it.
  package mutating func room(for count: Int) throws(KluereError) -> UnsafeMutablePointer<Element> {
    used = 0
    try makeRoom(max(count, 1))
    guard let memory else { throw shortage(count) }
    return memory
  }

  /// Room for `additional` more elements, without a change of `count`.
  @usableFromInline mutating func makeRoom(_ additional: Int) throws(KluereError) {
    guard additional > capacity - used else { return }
    guard let needed = used.sum(additional) else { throw shortage(additional) }
    // Grown by half, so that n appends copy no more than about 2n elements.
    let newCapacity = max(needed, capacity.sum(capacity / 2) ?? needed, 256)
    guard let bytes = newCapacity.product(MemoryLayout<Element>.stride), let fresh = ks_allocate(bytes) else {
      throw shortage(newCapacity)
    }
    let typed = fresh.bindMemory(to: Element.self, capacity: newCapacity)
    if let memory { typed.update(from: memory, count: used) }
    ks_free(memory)
    memory = typed
    capacity = newCapacity
  }

  private func shortage(_ count: Int) -> KluereError {
    KluereError(.outOfMemory, "\(purpose): there is no memory for \(count) elements")
  }
}

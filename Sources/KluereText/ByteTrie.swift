/// A set of byte strings in up to 256 groups, each string with a value: a double-array trie. A step costs one load.
///
/// The child of node n for byte b is slot base(n) XOR b if that slot's parent is n. Bases and bytes stay within one block
/// of 256 slots and there are whole blocks only, so a step needs no bounds check.
final class ByteTrie: @unchecked Sendable {  // immutable after init
  /// A string `length` bytes long at `offset` of the storage.
  struct Key {
    var group: UInt8
    var offset: Int
    var length: Int
    var value: Int32
  }

  private struct Slot {
    var parent: UInt32
    var baseAndEnd: UInt32  // base << 1 | a key ends here

    var base: UInt32 { baseAndEnd >> 1 }
    var isEnd: Bool { baseAndEnd & 1 != 0 }
  }

  private static let free: UInt32 = .max

  private let slots: UnsafeMutablePointer<Slot>
  private let values: UnsafeMutablePointer<Int32>
  let isEmpty: Bool

  /// Of equal keys the later one counts. The slots take at most about 2 times 8 bytes for each byte of the keys.
  init(_ keys: [Key], storage: UnsafeBufferPointer<UInt8>) {
    var builder = Builder(keys: keys, storage: storage)
    builder.build()
    slots = .allocate(capacity: builder.slots.count)
    slots.initialize(from: builder.slots, count: builder.slots.count)
    values = .allocate(capacity: builder.values.count)
    values.initialize(from: builder.values, count: builder.values.count)
    isEmpty = keys.isEmpty
  }

  deinit {
    slots.deallocate()
    values.deallocate()
  }

  /// The node where a group's keys start, nil if it has none.
  func root(group: UInt8) -> UInt32? {
    let child = slots[0].base ^ UInt32(group)
    return slots[Int(child)].parent == 0 ? child : nil
  }

  /// The longest key of one byte or more that `text` has at `begin`: its value and where it ends; nil value if none.
  @inline(__always)
  func longestMatch(
    _ root: UInt32, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int
  ) -> (value: Int32?, end: Int) {
    var node = root
    var base = slots[Int(root)].base
    var found: UInt32 = 0
    var foundEnd = begin
    var position = begin
    while position < end {
      let child = base ^ UInt32(text[position])
      let slot = slots[Int(child)]
      if slot.parent != node { break }
      position += 1
      node = child
      base = slot.base
      if slot.isEnd {
        found = child
        foundEnd = position
      }
    }
    return (foundEnd == begin ? nil : values[Int(found)], foundEnd)
  }

  /// Calls `body` for every key of one byte or more that `text` has at `begin`, the shortest first.
  @inline(__always)
  func forEachMatch(
    _ root: UInt32, _ text: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ body: (_ value: Int32, _ end: Int) -> Void
  ) {
    var node = root
    var base = slots[Int(root)].base
    var position = begin
    while position < end {
      let child = base ^ UInt32(text[position])
      let slot = slots[Int(child)]
      if slot.parent != node { return }
      position += 1
      node = child
      base = slot.base
      if slot.isEnd { body(values[Int(child)], position) }
    }
  }

  /// Value of exactly this key.
  func value(_ root: UInt32, _ key: UnsafeBufferPointer<UInt8>) -> Int32? {
    var node = root
    for byte in key {
      let child = slots[Int(node)].base ^ UInt32(byte)
      if slots[Int(child)].parent != node { return nil }
      node = child
    }
    return slots[Int(node)].isEnd ? values[Int(node)] : nil
  }

  private struct Builder {
    var keys: [Key]
    let storage: UnsafeBufferPointer<UInt8>
    var slots: [Slot] = []
    var values: [Int32] = []
    /// Free slots of the last few blocks, in ascending order, as a ring through slot indices.
    private var nextFree: [Int32] = []
    private var previousFree: [Int32] = []
    private var firstFree: Int32 = -1
    private var lastFree: Int32 = -1
    /// Blocks before this one are full enough: their last free slots stay empty.
    private var openBlock = 0

    init(keys: [Key], storage: UnsafeBufferPointer<UInt8>) {
      self.keys = keys
      self.storage = storage
    }

    mutating func build() {
      sort()
      addBlock()
      take(0)
      slots[0].parent = ByteTrie.free - 1  // nobody's child
      var work: [(node: UInt32, low: Int, high: Int, depth: Int)] = [(0, 0, keys.count, 0)]
      var labels: [UInt8] = []
      var bounds: [Int] = []
      while let (node, start, high, depth) = work.popLast() {
        var low = start
        while low < high, keys[low].length + 1 == depth {
          slots[Int(node)].baseAndEnd |= 1
          values[Int(node)] = keys[low].value
          low += 1
        }
        labels.removeAll(keepingCapacity: true)
        bounds.removeAll(keepingCapacity: true)
        for index in low..<high {
          let label = byte(keys[index], depth)
          if labels.last != label {
            labels.append(label)
            bounds.append(index)
          }
        }
        if labels.isEmpty { continue }
        bounds.append(high)
        let base = place(labels)
        slots[Int(node)].baseAndEnd |= base << 1
        for (index, label) in labels.enumerated() {
          let child = base ^ UInt32(label)
          take(Int(child))
          slots[Int(child)].parent = node
          work.append((child, bounds[index], bounds[index + 1], depth + 1))
        }
      }
    }

    private func byte(_ key: Key, _ depth: Int) -> UInt8 {
      depth == 0 ? key.group : storage[key.offset + depth - 1]
    }

    /// By group, then bytes; equal keys stay in order.
    private mutating func sort() {
      let unsorted = keys
      let order = unsorted.indices.sorted { first, second in
        let (a, b) = (unsorted[first], unsorted[second])
        if a.group != b.group { return a.group < b.group }
        for index in 0..<min(a.length, b.length) {
          let (x, y) = (storage[a.offset + index], storage[b.offset + index])
          if x != y { return x < y }
        }
        return a.length != b.length ? a.length < b.length : first < second
      }
      keys = order.map { unsorted[$0] }
    }

    /// A base under which every label's slot is free.
    private mutating func place(_ labels: [UInt8]) -> UInt32 {
      let first = UInt32(labels[0])
      var candidate = firstFree
      while candidate >= 0 {
        let base = UInt32(candidate) ^ first
        if labels.allSatisfy({ slots[Int(base ^ UInt32($0))].parent == ByteTrie.free }) { return base }
        candidate = nextFree[Int(candidate)]
      }
      let base = UInt32(slots.count)
      addBlock()
      return base
    }

    private mutating func addBlock() {
      let start = slots.count
      slots.append(contentsOf: repeatElement(Slot(parent: ByteTrie.free, baseAndEnd: 0), count: 256))
      values.append(contentsOf: repeatElement(-1, count: 256))
      for slot in start..<start + 256 {
        let index = Int32(truncatingIfNeeded: slot)
        previousFree.append(lastFree)
        nextFree.append(-1)
        if lastFree >= 0 { nextFree[Int(lastFree)] = index } else { firstFree = index }
        lastFree = index
      }
      // Searching only the last 16 blocks keeps placing linear.
      while slots.count / 256 - openBlock > 16 {
        openBlock += 1
        while firstFree >= 0, Int(firstFree) < openBlock * 256 { unlink(Int(firstFree)) }
      }
    }

    private mutating func take(_ slot: Int) {
      // Slots of closed blocks are no longer in the list.
      if slot >= openBlock * 256 { unlink(slot) }
      slots[slot].parent = 0
    }

    private mutating func unlink(_ slot: Int) {
      let (previous, next) = (previousFree[slot], nextFree[slot])
      if previous >= 0 { nextFree[Int(previous)] = next } else { firstFree = next }
      if next >= 0 { previousFree[Int(next)] = previous } else { lastFree = previous }
    }
  }
}

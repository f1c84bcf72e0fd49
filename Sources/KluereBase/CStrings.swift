internal import CKluereSupport

/// Strings for C: NUL-terminated UTF-8 whose addresses hold as long as this object lives.
package final class CStrings: @unchecked Sendable {
  // Never written after init: any number of threads may read.
  private let memory: UnsafeMutableRawPointer?
  private let offsets: [Int]

  /// Without memory for them every subscript is nil.
  package init(_ strings: [String]) {
    var offsets: [Int] = []
    var size = 0
    for string in strings {
      offsets.append(size)
      // Cannot overflow: all the strings are in memory.
      size += string.utf8.count + 1
    }
    memory = ks_allocate(size)
    self.offsets = memory == nil ? [] : offsets
    guard let bytes = memory?.bindMemory(to: UInt8.self, capacity: size) else { return }
    var place = bytes
    for string in strings {
      for byte in string.utf8 {
        place.pointee = byte
        place += 1
      }
      place.pointee = 0
      place += 1
    }
  }

  deinit { ks_free(memory) }

  package var count: Int { offsets.count }

  /// nil where there is none.
  package subscript(index: Int) -> UnsafePointer<CChar>? {
    guard let memory, offsets.indices.contains(index) else { return nil }
    return UnsafePointer((memory + offsets[index]).assumingMemoryBound(to: CChar.self))
  }
}

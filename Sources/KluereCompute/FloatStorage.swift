internal import CKluereSupport
package import KluereBase

/// A block of fp32 (or 32-bit integer) memory that one backend owns: 64-byte aligned, zeroed, freed with the object.
/// `pointer` is an address on the backend's device; only the CPU backend's may be read by the host.
package final class DeviceStorage<Element: BitwiseCopyable>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Element>
  package let count: Int
  private let backend: any Backend

  /// Throws `.outOfMemory` or what else the device says, naming `purpose`.
  package init(count: Int, on backend: any Backend, for purpose: String) throws(KluereError) {
    let stride = MemoryLayout<Element>.stride
    let what = "\(purpose): \(count) elements of \(stride) bytes are not to be had"
    guard count >= 0, let bytes = max(count, 1).product(stride) else { throw KluereError(.outOfMemory, what) }
    let memory: UnsafeMutableRawPointer
    do throws(KluereError) { memory = try backend.allocate(bytes: bytes) } catch {
      throw KluereError(error.status, error.message.isEmpty ? what : "\(what): \(error.message)")
    }
    pointer = memory.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
    self.backend = backend
  }

  deinit { backend.free(UnsafeMutableRawPointer(pointer)) }
}

package typealias FloatStorage = DeviceStorage<Float>
package typealias IntStorage = DeviceStorage<Int32>

/// Memory that only ever grows, so that a loop over batches of varying size stops allocating after the largest.
package struct GrowingStorage<Element: BitwiseCopyable> {
  private var storage: DeviceStorage<Element>?
  private let purpose: String

  package init(for purpose: String) { self.purpose = purpose }

  package var count: Int { storage?.count ?? 0 }

  /// Memory for at least `count` elements; its content is undefined.
  package mutating func reserve(_ count: Int, on backend: any Backend) throws(KluereError)
    -> UnsafeMutablePointer<Element>
  {
    if let storage, storage.count >= count { return storage.pointer }
    // The old block goes first: at its peak the process then holds one block, not two. An eighth of head room keeps a
    // run of slowly growing batches from allocating each time.
    storage = nil
    let fresh = try DeviceStorage<Element>(count: count + count / 8, on: backend, for: purpose)
    storage = fresh
    return fresh.pointer
  }
}

/// The values of device memory where the host can read them: in place, or a copy that is freed with the object.
package final class HostFloats {
  package let pointer: UnsafePointer<Float>
  private let storage: FloatStorage
  private let copied: UnsafeMutableRawPointer?

  package init(_ storage: FloatStorage, on backend: any Backend) throws(KluereError) {
    self.storage = storage
    guard !backend.isHost else {
      pointer = UnsafePointer(storage.pointer)
      copied = nil
      return
    }
    let bytes = storage.count * MemoryLayout<Float>.stride
    guard let memory = ks_allocate(max(bytes, 1)) else {
      throw KluereError(.outOfMemory, "copy of \(storage.count) values from the device: host memory is not to be had")
    }
    do throws(KluereError) { try backend.copyOut(memory, storage.pointer, bytes: bytes) } catch {
      ks_free(memory)
      throw error
    }
    pointer = UnsafePointer(memory.bindMemory(to: Float.self, capacity: max(storage.count, 1)))
    copied = memory
  }

  deinit { if let copied { ks_free(copied) } }
}

internal import CKluereSupport
internal import Glibc
package import KluereBase

/// "path: No such file or directory" with the status that fits. `code` is an errno value.
func fileError(_ path: String, _ code: Int32) -> KluereError {
  // strerror's texts are constants for every number there is.
  let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
  return KluereError(code == ENOMEM ? .outOfMemory : .io, "\(path): \(reason)")
}

func checkFile(_ path: String, _ code: Int32) throws(KluereError) {
  if code != 0 { throw fileError(path, code) }
}

/// A regular file's bytes. Mapped, it must not be cut short meanwhile: the host would get SIGBUS.
package final class MappedFile: @unchecked Sendable {
  // Never written after init: any number of threads may read.
  package let bytes: UnsafeRawBufferPointer
  private let token: UnsafeMutableRawPointer?
  private let isMapped: Bool
  /// A copy that this object owns.
  private let owned: UnsafeMutableRawPointer?

  package init(path: String, readIntoMemory: Bool = false) throws(KluereError) {
    var data: UnsafePointer<UInt8>?
    var size = 0
    var token: UnsafeMutableRawPointer?
    try checkFile(path, ks_map_file(path, readIntoMemory ? 1 : 0, &data, &size, &token))
    bytes = UnsafeRawBufferPointer(start: data, count: size)
    self.token = token
    isMapped = !readIntoMemory
    owned = nil
  }

  /// A copy of bytes that are no file: what reads files can then be tried on any bytes.
  package init(copying source: UnsafeRawBufferPointer) throws(KluereError) {
    guard let memory = ks_allocate(source.count) else {
      throw KluereError(.outOfMemory, "\(source.count) bytes for a copy are not to be had")
    }
    if let base = source.baseAddress { memory.copyMemory(from: base, byteCount: source.count) }
    bytes = UnsafeRawBufferPointer(start: memory, count: source.count)
    token = nil
    isMapped = false
    owned = memory
  }

  /// Memory of `count` bytes that `fill` writes before anybody reads.
  package init(
    count: Int, _ fill: (UnsafeMutableRawPointer) throws(KluereError) -> Void
  ) throws(KluereError) {
    guard count >= 0, let memory = ks_allocate(max(count, 1)) else {
      throw KluereError(.outOfMemory, "\(count) bytes of weights are not to be had")
    }
    do throws(KluereError) { try fill(memory) } catch {
      ks_free(memory)
      throw error
    }
    bytes = UnsafeRawBufferPointer(start: memory, count: count)
    token = nil
    isMapped = false
    owned = memory
  }

  /// The pages inside [begin, end) are not needed for now; they are read again when they are.
  package func release(_ begin: Int, _ end: Int) {
    guard isMapped, begin >= 0, begin <= end, end <= bytes.count, let base = bytes.baseAddress else { return }
    ks_release_pages(base + begin, end - begin)
  }

  deinit {
    ks_unmap_file(token)
    ks_free(owned)
  }
}

package enum Files {
  /// What `readAll` reads at most: configurations and vocabularies are far smaller.
  package static let sizeLimit = 1 << 28

  /// A whole file. For files that are small by their nature; more than `sizeLimit` bytes are refused.
  package static func readAll(_ path: String) throws(KluereError) -> [UInt8] {
    // Mapped first, which costs nothing, to see the size before memory is taken; then read, so that a file that is cut
    // short meanwhile does no harm.
    try checkSize(path, try MappedFile(path: path).bytes.count)
    let file = try MappedFile(path: path, readIntoMemory: true)
    try checkSize(path, file.bytes.count)
    return Array(file.bytes)
  }

  private static func checkSize(_ path: String, _ size: Int) throws(KluereError) {
    guard size <= sizeLimit else {
      throw KluereError(.badFormat, "\(path): \(size) bytes, expected at most \(sizeLimit)")
    }
  }

  /// Puts a file of these bytes, one slice after another, in the place of `path`: readers see the old or the new one.
  package static func replace(_ path: String, _ slices: [UnsafeRawBufferPointer]) throws(KluereError) {
    try checkFile(path, withSlices(slices) { ks_replace_file(path, $0, $1) })
  }

  package static func replace(_ path: String, _ bytes: [UInt8]) throws(KluereError) {
    try checkFile(path, bytes.withUnsafeBytes { raw in withSlices([raw]) { ks_replace_file(path, $0, $1) } })
  }

  /// A new file in a folder that nobody else uses.
  static func write(_ path: String, _ slices: [UnsafeRawBufferPointer]) throws(KluereError) {
    try checkFile(path, withSlices(slices) { ks_write_file(path, $0, $1) })
  }

  private static func withSlices(
    _ slices: [UnsafeRawBufferPointer], _ body: (UnsafePointer<ks_slice>?, Int) -> Int32
  ) -> Int32 {
    slices.map { ks_slice(data: $0.baseAddress, size: $0.count) }.withUnsafeBufferPointer {
      body($0.baseAddress, $0.count)
    }
  }
}

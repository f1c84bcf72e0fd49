import CKluereSupport
import Glibc
import Testing

/// A fresh folder that goes away with the test.
private final class Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/kluere-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit {
    for name in names(path) {
      let inner = "\(path)/\(name)"
      ks_remove_tree(inner)
    }
    ks_remove_tree(path)
  }
}

private func names(_ folder: String) -> [String] {
  var found: [String] = []
  withUnsafeMutablePointer(to: &found) { found in
    _ = ks_list_directory(
      folder,
      { userdata, name, _ in
        if let name { userdata?.assumingMemoryBound(to: [String].self).pointee.append(String(cString: name)) }
        return 0
      }, found)
  }
  return found.sorted()
}

private typealias Write = (UnsafePointer<CChar>?, UnsafePointer<ks_slice>?, Int) -> CInt

private func write(_ path: String, _ text: String, _ function: Write) -> CInt {
  text.utf8CString.withUnsafeBytes { bytes in
    let half = (bytes.count - 1) / 2
    let slices = [
      ks_slice(data: bytes.baseAddress, size: half),
      ks_slice(data: bytes.baseAddress?.advanced(by: half), size: bytes.count - 1 - half),
    ]
    return function(path, slices, 2)
  }
}

private func read(_ path: String, copy: CInt = 0) throws -> String {
  var data: UnsafePointer<UInt8>?
  var size = 0
  var token: UnsafeMutableRawPointer?
  try #require(ks_map_file(path, copy, &data, &size, &token) == 0)
  defer { ks_unmap_file(token) }
  return String(decoding: UnsafeBufferPointer(start: data, count: size), as: UTF8.self)
}

struct FileTests {
  @Test func `a file is written whole and read back by both ways`() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/file"
    #expect(write(path, "가나다 abc", ks_write_file) == 0)
    #expect(try read(path) == "가나다 abc")
    #expect(try read(path, copy: 1) == "가나다 abc")
    #expect(write(path, "other", ks_write_file) == EEXIST)
    #expect(try read(path) == "가나다 abc")
    #expect(write(scratch.path + "/empty", "", ks_write_file) == 0)
    #expect(try read(scratch.path + "/empty") == "")
  }

  @Test func `replacing keeps the mode, follows links and leaves nothing behind`() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/file"
    #expect(write(path, "old", ks_replace_file) == 0)
    #expect(chmod(path, 0o640) == 0)
    #expect(symlink("file", scratch.path + "/link") == 0)
    #expect(write(scratch.path + "/link", "new", ks_replace_file) == 0)
    #expect(try read(path) == "new")
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
    #expect(names(scratch.path) == ["file", "link"])
  }

  @Test func `what is no regular file is neither read nor replaced`() throws {
    let scratch = try Scratch()
    var data: UnsafePointer<UInt8>?
    var size = 0
    var token: UnsafeMutableRawPointer?
    #expect(ks_map_file(scratch.path, 0, &data, &size, &token) == EISDIR)
    #expect(ks_map_file("/dev/zero", 1, &data, &size, &token) == EINVAL)
    #expect(ks_map_file(scratch.path + "/absent", 0, &data, &size, &token) == ENOENT)
    #expect(mkfifo(scratch.path + "/pipe", 0o600) == 0)
    #expect(ks_map_file(scratch.path + "/pipe", 0, &data, &size, &token) == EINVAL)
    #expect(token == nil)
    #expect(write(scratch.path, "x", ks_replace_file) == EISDIR)
    #expect(write("/dev/full", "x", ks_replace_file) == EINVAL)
    #expect(write(scratch.path + "/pipe", "x", ks_replace_file) == EINVAL)
    #expect(names(scratch.path) == ["pipe"])
  }

  @Test func `swapping puts the new folder in place and hands the old one back`() throws {
    let scratch = try Scratch()
    let (fresh, final) = (scratch.path + "/fresh", scratch.path + "/final")
    #expect(ks_make_directory(fresh) == 0)
    #expect(write(fresh + "/file", "one", ks_write_file) == 0)
    #expect(ks_swap_directories(fresh, final) == 0)
    #expect(names(scratch.path) == ["final"])
    #expect(ks_make_directory(fresh) == 0)
    #expect(write(fresh + "/file", "two", ks_write_file) == 0)
    #expect(ks_swap_directories(fresh, final) == 0)
    #expect(try read(final + "/file") == "two")
    #expect(try read(fresh + "/file") == "one")
    #expect(ks_remove_tree(fresh) == 0)
    #expect(names(scratch.path) == ["final"])
    #expect(ks_make_directory(fresh) == 0)
    #expect(ks_swap_directories(fresh, final + "/file") == ENOTDIR)
    #expect(ks_swap_directories(fresh, scratch.path + "/absent/final") == ENOENT)
    #expect(try read(final + "/file") == "two")
  }

  @Test func `a folder with folders in it is not removed, and links are not followed`() throws {
    let scratch = try Scratch()
    let (outer, inner, other) = (scratch.path + "/outer", scratch.path + "/outer/inner", scratch.path + "/other")
    #expect(ks_make_directory(outer) == 0 && ks_make_directory(inner) == 0 && ks_make_directory(other) == 0)
    #expect(write(outer + "/file", "kept", ks_write_file) == 0)
    #expect(write(other + "/file", "kept", ks_write_file) == 0)
    #expect(ks_remove_tree(outer) == ENOTEMPTY)
    #expect(try read(outer + "/file") == "kept")
    #expect(ks_remove_tree(inner) == 0)
    #expect(symlink(other, outer + "/link") == 0)
    #expect(ks_remove_tree(outer) == 0)
    #expect(try read(other + "/file") == "kept")
    #expect(ks_path_kind(outer) == 0 && ks_path_kind(other) == 2 && ks_path_kind(other + "/file") == 1)
    #expect(ks_path_kind("/dev/null") == 3 && ks_path_kind(other + "/file/below") == 0)
    #expect(ks_remove_tree(outer) == 0)
  }

  @Test func `memory is aligned and a shortage is an answer`() throws {
    for size in [0, 1, 63, 64, 65, 1 << 20] {
      let memory = try #require(ks_allocate(size))
      #expect(UInt(bitPattern: memory) % 64 == 0)
      ks_free(memory)
    }
    #expect(ks_allocate(Int.max) == nil)
    #expect(ks_allocate(-1) == nil)
    #expect(ks_allocate(1 << 60) == nil)
  }

  @Test func `the clock does not go back`() {
    var last = ks_now_seconds()
    for _ in 0..<1000 {
      let now = ks_now_seconds()
      #expect(now >= last)
      last = now
    }
  }
}

import Glibc
import KluereBase
import KluereFormats

/// The error that `body` throws; nil if it throws none.
func failure(_ body: () throws(KluereError) -> Void) -> KluereError? {
  do throws(KluereError) {
    try body()
    return nil
  } catch { return error }
}

/// Names in a folder, sorted; none if there is no such folder.
func namesIn(_ folder: String) -> [String] {
  guard let directory = opendir(folder) else { return [] }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// A new empty folder that goes away with this object.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/kluere-test-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    guard let made else { throw KluereError(.io, "no temporary folder") }
    path = made
  }

  /// Names in it, sorted.
  func names(in folder: String = "") -> [String] { namesIn(path + "/" + folder) }

  /// Without fsync: tests write many files.
  func write(_ name: String, _ bytes: [UInt8]) throws(KluereError) {
    guard let file = fopen(path + "/" + name, "w") else { throw KluereError(.io, name) }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw KluereError(.io, name) }
  }

  deinit {
    for name in names() {
      for inner in names(in: name) { unlink("\(path)/\(name)/\(inner)") }
      unlink("\(path)/\(name)")
      rmdir("\(path)/\(name)")
    }
    rmdir(path)
  }
}

/// splitmix64: the same mutations on every run.
struct TestRandom {
  var state: UInt64

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ (z >> 31)) % UInt64(bound))
  }
}

/// `count` damaged copies of `original`: cut short, bytes changed, removed and inserted.
func mutations(_ original: [UInt8], count: Int, seed: UInt64) -> [[UInt8]] {
  var random = TestRandom(state: seed)
  return (0..<count).map { number in
    var bytes = original
    if number % 4 == 0 { return Array(bytes.prefix(random.below(bytes.count))) }
    for _ in 0...random.below(4) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      switch random.below(4) {
      case 0: bytes[place] ^= 1 << UInt8(random.below(8))
      case 1: bytes[place] = UInt8(random.below(256))
      case 2: bytes.remove(at: place)
      default: bytes.insert(Array("\"'\\{}[]:,0e-\n".utf8)[random.below(13)], at: place)
      }
    }
    return bytes
  }
}

import Glibc
import KluereBase
import KluereData
import Testing

/// The error that `body` throws; nil if it throws none.
func failure(_ body: () throws(KluereError) -> Void) -> KluereError? {
  do throws(KluereError) {
    try body()
    return nil
  } catch { return error }
}

/// A file that goes away with this object.
final class TemporaryFile {
  let path: String

  init(_ bytes: [UInt8]) throws {
    var template = Array("/tmp/kluere-test-XXXXXX".utf8CString)
    var descriptor: Int32 = -1
    path = template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return "" }
      descriptor = mkstemp(base)
      return String(cString: base)
    }
    let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    guard written == bytes.count else { throw KluereError(.io, "no temporary file") }
  }

  convenience init(_ text: String) throws { try self.init(Array(text.utf8)) }

  deinit { unlink(path) }
}

/// Reads `text` as a file.
func dataset(_ text: String, _ change: (inout DatasetOptions) -> Void = { _ in }) throws -> Dataset {
  try dataset(Array(text.utf8), change)
}

func dataset(_ bytes: [UInt8], _ change: (inout DatasetOptions) -> Void = { _ in }) throws -> Dataset {
  let file = try TemporaryFile(bytes)
  var options = DatasetOptions()
  change(&options)
  return try Dataset.read(path: file.path, options: options)
}

/// The error of reading `text`, with FILE in the place of the path.
func refusal(_ text: String, _ change: (inout DatasetOptions) -> Void = { _ in }) throws -> KluereError? {
  try refusal(Array(text.utf8), change)
}

func refusal(_ bytes: [UInt8], _ change: (inout DatasetOptions) -> Void = { _ in }) throws -> KluereError? {
  let file = try TemporaryFile(bytes)
  var options = DatasetOptions()
  change(&options)
  let error = failure { () throws(KluereError) in _ = try Dataset.read(path: file.path, options: options) }
  return error.map { KluereError($0.status, replaced($0.message, file.path)) }
}

private func replaced(_ message: String, _ path: String) -> String {
  message.hasPrefix(path) ? "FILE" + message.dropFirst(path.count) : message
}

func text(_ bytes: UnsafeBufferPointer<UInt8>?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

/// The characters of an entity in its sentence.
func word(_ entity: Entity, _ example: ExampleView) -> String {
  String(decoding: example.text[entity.begin..<entity.end], as: UTF8.self)
}

/// KLUE's files: the folder that KLUERE_DATA names, or ../shared/data beside the package. Where there are none, a test is
/// skipped, but in CI it fails.
enum RealData {
  static let folder: String? = {
    if let named = getenv("KLUERE_DATA") { return String(cString: named) }
    // Tests/KluereDataTests/Support.swift is three names below the package.
    var package = #filePath[...]
    for _ in 0..<3 { package = package[..<(package.lastIndex(of: "/") ?? package.startIndex)] }
    return [package + "/../shared/data"].map { String($0) }.first { access($0 + "/klue-re", R_OK) == 0 }
  }()

  static let isInCI = getenv("CI").map { String(cString: $0) } == "true"

  static var isMissing: Bool { folder == nil && !isInCI }

  static func path(_ name: String) throws -> String {
    try #require(folder, "set KLUERE_DATA to the folder with klue-re and boostcamp-re") + "/" + name
  }

  static let train = "klue-re/klue-re-v1.1_train.json"
  static let dev = "klue-re/klue-re-v1.1_dev.json"
  static let trainCSV = "boostcamp-re/train.csv"
  static let testCSV = "boostcamp-re/test_data.csv"
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

import KluereBase
import KluereFormats
import Testing

/// What Tests/fuzz/run.sh found worth keeping goes through the readers once more: an error or a value, nothing else.
@Suite struct FuzzCorpusTests {
  private static let corpus =
    String("\(#filePath)".dropLast("KluereFormatsTests/FuzzCorpusTests.swift".count)) + "fuzz/corpus/"

  private func inputs(_ reader: String) throws -> [[UInt8]] {
    let folder = Self.corpus + reader
    return try namesIn(folder).map { try Files.readAll(folder + "/" + $0) }
  }

  @Test func `JSON documents`() throws {
    let inputs = try inputs("json")
    #expect(!inputs.isEmpty)
    for bytes in inputs { _ = failure { () throws(KluereError) in _ = try JSON(bytes, name: "x").root.count } }
  }

  @Test func `the index of shards`() throws {
    let inputs = try inputs("index")
    #expect(!inputs.isEmpty)
    for bytes in inputs { _ = failure { () throws(KluereError) in _ = try WeightFiles.readIndex(bytes, path: "x") } }
  }

  @Test func `safetensors and files of torch`() throws {
    let inputs = try inputs("weights")
    #expect(!inputs.isEmpty)
    for bytes in inputs {
      bytes.withUnsafeBytes { raw in
        _ = failure { () throws(KluereError) in
          for tensor in try WeightFiles.read(try MappedFile(copying: raw), name: "x") where tensor.type.isFloat {
            var floats = [Float](repeating: 0, count: tensor.elementCount)
            try tensor.readFloats(into: &floats)
          }
        }
      }
    }
  }
}

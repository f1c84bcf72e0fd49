internal import CKluereSupport
package import KluereBase

/// All tensors of a model folder, whatever form its weight files have: model.safetensors, its shards, pytorch_model.bin,
/// its shards; the first that is there counts, as in transformers. Files are mapped; nothing is copied.
package final class WeightFiles: Sendable {
  /// File by file, each in the order of its bytes.
  package let tensors: [StoredTensor]
  /// The one file, or the index of several; for messages.
  package let path: String
  private let indices: [[UInt8]: Int]

  package static let safetensors = "model.safetensors"
  static let names = [
    safetensors, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
  ]

  /// only: the one file to look for.
  package init(directory: String, readIntoMemory: Bool, only: String? = nil) throws(KluereError) {
    let names = only.map { [$0] } ?? WeightFiles.names
    guard let name = names.first(where: { ks_path_kind(directory + "/" + $0) == 1 }) else {
      throw KluereError(
        .io, "\(directory): no weights: none of \(names.joined(separator: ", ")) is there")
    }
    path = directory + "/" + name
    if name.hasSuffix(".index.json") {
      let map = try WeightFiles.readIndex(try Files.readAll(path), path: path)
      var all: [StoredTensor] = []
      for shard in map.shards {
        let file = directory + "/" + shard
        let found = try WeightFiles.read(try MappedFile(path: file, readIntoMemory: readIntoMemory), name: file)
        let names = Set(found.map { Array($0.name.utf8) })
        for (tensor, place) in map.places where place == shard && !names.contains(Array(tensor.utf8)) {
          throw KluereError(.badFormat, "\(path): \(excerpt(tensor.utf8)) should stand in \(shard), but does not")
        }
        all += found
      }
      tensors = all
    } else {
      tensors = try WeightFiles.read(try MappedFile(path: path, readIntoMemory: readIntoMemory), name: path)
    }
    var indices: [[UInt8]: Int] = [:]
    for (index, tensor) in tensors.enumerated() {
      guard indices.updateValue(index, forKey: Array(tensor.name.utf8)) == nil else {
        throw KluereError(.badFormat, "\(path): two tensors named \(excerpt(tensor.name.utf8))")
      }
    }
    self.indices = indices
  }

  package func tensor(_ name: String) -> StoredTensor? { indices[Array(name.utf8)].map { tensors[$0] } }

  /// The tensors of one file of either kind, known by its first bytes.
  package static func read(_ file: MappedFile, name: String) throws(KluereError) -> [StoredTensor] {
    if TorchFile.isTorch(file.bytes) { return try TorchFile(file: file, name: name).tensors }
    return try Safetensors(file: file, name: name).tensors
  }

  /// The index of shards: which file each tensor stands in. Files are plain names in the same folder.
  package static func readIndex(
    _ bytes: [UInt8], path: String
  ) throws(KluereError) -> (shards: [String], places: [(tensor: String, shard: String)]) {
    let json = try JSON(bytes, name: path)
    guard let map = json.root["weight_map"], map.kind == .object else {
      throw KluereError(.badFormat, "\(path): weight_map is missing")
    }
    var places: [(tensor: String, shard: String)] = []
    var shards: [String] = []
    var seen: Set<[UInt8]> = []
    for member in map.members {
      guard let tensor = member.key.string, let shard = member.value.string else {
        throw KluereError(.badFormat, "\(path): weight_map holds \(member.value.kind.name), expected names of files")
      }
      let plain = !shard.isEmpty && !shard.utf8.contains(UInt8(ascii: "/")) && !shard.utf8.contains(0)
      guard plain, shard != ".", shard != ".." else {
        throw KluereError(.badFormat, "\(path): weight_map names \(excerpt(shard.utf8)), expected a file of the folder")
      }
      if seen.insert(Array(shard.utf8)).inserted { shards.append(shard) }
      places.append((tensor, shard))
    }
    guard !shards.isEmpty else { throw KluereError(.badFormat, "\(path): weight_map is empty") }
    return (shards, places)
  }
}

extension Collection where Element == UInt8 {
  /// Whether the last bytes are these.
  func ends(with bytes: [UInt8]) -> Bool { count >= bytes.count && suffix(bytes.count).elementsEqual(bytes) }
}

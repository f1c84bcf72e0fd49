package import KluereBase

/// A safetensors file: a JSON header that names tensors, and their raw bytes. Everything the header says is checked when
/// the file is opened: types, shapes, and that the tensors fill the data without gap and overlap.
package final class Safetensors: Sendable {
  /// In the order of their bytes.
  package let tensors: [StoredTensor]
  package let metadata: [String: String]
  private let indices: [[UInt8]: Int]
  private let fileName: String

  /// The library that defines the format refuses longer headers too.
  static let headerLimit = 100_000_000

  /// `name` of the file, for messages.
  package init(file: MappedFile, name: String) throws(KluereError) {
    fileName = name
    let header = try SafetensorsHeader(file, name)
    tensors = header.tensors
    metadata = header.metadata
    var indices: [[UInt8]: Int] = [:]
    for (index, tensor) in header.tensors.enumerated() {
      guard indices.updateValue(index, forKey: Array(tensor.name.utf8)) == nil else {
        throw KluereError(.badFormat, "\(name): two tensors named \"\(tensor.name)\"")
      }
    }
    self.indices = indices
  }

  package func tensor(_ name: String) -> StoredTensor? { indices[Array(name.utf8)].map { tensors[$0] } }

  /// See StoredTensor.
  package func readFloats(_ name: String, into target: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    guard let tensor = tensor(name) else { throw KluereError(.badFormat, "\(fileName): tensor \(name) is missing") }
    try tensor.readFloats(into: target)
  }

  package func readFloats(_ name: String, into target: inout [Float]) throws(KluereError) {
    guard let tensor = tensor(name) else { throw KluereError(.badFormat, "\(fileName): tensor \(name) is missing") }
    try tensor.readFloats(into: &target)
  }
}

/// The header, read and checked.
private struct SafetensorsHeader {
  let dataStart: Int
  private(set) var tensors: [StoredTensor] = []
  private(set) var metadata: [String: String] = [:]

  init(_ file: MappedFile, _ name: String) throws(KluereError) {
    let bytes = file.bytes
    guard bytes.count >= 8 else {
      throw KluereError(.badFormat, "\(name): \(bytes.count) bytes, expected at least the 8 of the header's length")
    }
    let stated = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard let length = Int(exactly: stated), length <= Safetensors.headerLimit, length <= bytes.count - 8 else {
      throw KluereError(
        .badFormat,
        "\(name): a header of \(stated) bytes, the file has \(bytes.count - 8) behind its length "
          + "and \(Safetensors.headerLimit) are allowed")
    }
    dataStart = 8 + length
    let text = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]).bindMemory(to: UInt8.self)
    guard text.first == UInt8(ascii: "{") else {
      throw KluereError(.badFormat, "\(name): the header does not begin with {")
    }
    let header = try JSON(borrowing: text, name: "\(name): header")
    for member in header.root.members {
      guard let key = member.key.string else { continue }
      if key == "__metadata__" {
        try readMetadata(member.value, name)
      } else {
        tensors.append(try tensor(key, member.value, file, name))
      }
    }
    tensors.sort { ($0.begin, $0.elementCount) < ($1.begin, $1.elementCount) }
    try checkPlaces(dataSize: bytes.count - dataStart, name)
  }

  private mutating func readMetadata(_ value: JSON.Value, _ name: String) throws(KluereError) {
    guard value.kind == .object else {
      throw KluereError(.badFormat, "\(name): __metadata__ is \(value.kind.name), expected an object of strings")
    }
    for member in value.members {
      guard let key = member.key.string, let text = member.value.string else {
        throw KluereError(.badFormat, "\(name): __metadata__ holds \(member.value.kind.name), expected strings")
      }
      metadata[key] = text
    }
  }

  private func tensor(
    _ key: String, _ value: JSON.Value, _ file: MappedFile, _ name: String
  ) throws(KluereError) -> StoredTensor {
    let shown = excerpt(key.utf8)
    guard let typeName = value["dtype"]?.string else {
      throw KluereError(.badFormat, "\(name): tensor \(shown) has no dtype")
    }
    guard let type = ElementType(rawValue: typeName) else {
      throw KluereError(.unsupported, "\(name): tensor \(shown): dtype \(excerpt(typeName.utf8)) is not known")
    }
    guard let shape = try SafetensorsHeader.numbers(value["shape"]) else {
      throw KluereError(.badFormat, "\(name): tensor \(shown): shape is no array of whole numbers")
    }
    guard let offsets = try SafetensorsHeader.numbers(value["data_offsets"]), offsets.count == 2,
      offsets[0] <= offsets[1]
    else {
      throw KluereError(.badFormat, "\(name): tensor \(shown): data_offsets are not two ascending numbers")
    }
    var count: Int? = 1
    for size in shape { count = count?.product(size) }
    guard let count, count.product(type.size) == offsets[1] - offsets[0] else {
      throw KluereError(
        .badFormat,
        "\(name): tensor \(shown): \(offsets[1] - offsets[0]) bytes, its shape \(shape.prefix(8)) of \(typeName) needs "
          + (count?.product(type.size).map(String.init) ?? "more than there can be"))
    }
    guard offsets[1] <= file.bytes.count - dataStart else {
      throw KluereError(
        .badFormat,
        "\(name): tensor \(shown) ends at byte \(offsets[1]), the data has \(file.bytes.count - dataStart)")
    }
    return StoredTensor(
      name: key, type: type, shape: shape, elementCount: count, strides: nil, begin: dataStart + offsets[0], file: file,
      path: name)
  }

  /// Whole numbers from 0 on; nil for anything else.
  private static func numbers(_ value: JSON.Value?) throws(KluereError) -> [Int]? {
    guard let value, value.kind == .array else { return nil }
    var numbers: [Int] = []
    for element in value.elements {
      guard let number = element.int, number >= 0 else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  /// The tensors, which are sorted by place, fill the data one behind the other.
  private func checkPlaces(dataSize: Int, _ name: String) throws(KluereError) {
    var place = 0
    for tensor in tensors {
      let begin = tensor.begin - dataStart
      guard begin == place else {
        throw KluereError(
          .badFormat, "\(name): tensor \"\(tensor.name)\" begins at byte \(begin) of the data, expected \(place)")
      }
      place += tensor.elementCount * tensor.type.size
    }
    guard place == dataSize else {
      throw KluereError(.badFormat, "\(name): the tensors have \(place) bytes, the file has \(dataSize) for them")
    }
  }
}

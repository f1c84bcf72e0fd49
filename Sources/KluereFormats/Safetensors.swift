package import KluereBase

/// A safetensors file: a JSON header that names tensors, and their raw bytes. Everything the header says is checked when
/// the file is opened: types, shapes, and that the tensors fill the data without gap and overlap.
package final class Safetensors: Sendable {
  package enum ElementType: String, Sendable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case u16 = "U16"
    case i16 = "I16"
    case u32 = "U32"
    case i32 = "I32"
    case u64 = "U64"
    case i64 = "I64"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case f8e8m0 = "F8_E8M0"
    case f16 = "F16"
    case bf16 = "BF16"
    case f32 = "F32"
    case f64 = "F64"
    case c64 = "C64"

    package var size: Int {
      switch self {
      case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0: 1
      case .u16, .i16, .f16, .bf16: 2
      case .u32, .i32, .f32: 4
      case .u64, .i64, .f64, .c64: 8
      }
    }
  }

  package struct Tensor: Sendable {
    package let name: String
    package let type: ElementType
    package let shape: [Int]
    package let elementCount: Int
    /// Bytes [begin, end) of the data behind the header.
    package let begin: Int
    package let end: Int
  }

  /// In the order of their bytes.
  package let tensors: [Tensor]
  package let metadata: [String: String]
  private let indices: [[UInt8]: Int]
  private let file: MappedFile
  private let fileName: String
  private let dataStart: Int

  /// The library that defines the format refuses longer headers too.
  static let headerLimit = 100_000_000

  /// `name` of the file, for messages.
  package init(file: MappedFile, name: String) throws(KluereError) {
    self.file = file
    fileName = name
    let header = try SafetensorsHeader(file, name)
    dataStart = header.dataStart
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

  package func tensor(_ name: String) -> Tensor? { indices[Array(name.utf8)].map { tensors[$0] } }

  /// The raw bytes, little-endian, not aligned; they live with this object.
  package func bytes(of tensor: Tensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: file.bytes[dataStart + tensor.begin..<dataStart + tensor.end])
  }

  /// The tensor's pages of a mapped file are not needed for now: they leave this process's memory and come back when they
  /// are asked for.
  package func release(_ name: String) {
    guard let tensor = tensor(name) else { return }
    file.release(dataStart + tensor.begin, dataStart + tensor.end)
  }

  /// The tensor's values into the first elements of `target`: F32 as they are, F16 and BF16 widened.
  package func readFloats(_ name: String, into target: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    guard let tensor = tensor(name) else { throw KluereError(.badFormat, "\(fileName): tensor \(name) is missing") }
    guard tensor.elementCount <= target.count else {
      throw KluereError(
        .internal, "\(fileName): \(name): \(tensor.elementCount) elements, room for \(target.count)")
    }
    let source = bytes(of: tensor)
    switch tensor.type {
    case .f32:
      UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
    case .f16:
      for index in 0..<tensor.elementCount {
        target[index] = HalfFloat.widened(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
      }
    case .bf16:
      for index in 0..<tensor.elementCount {
        // BF16 is the upper half of a Float.
        target[index] = Float(
          bitPattern: UInt32(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
      }
    default:
      throw KluereError(
        .unsupported, "\(fileName): \(name): type \(tensor.type.rawValue), expected F32, F16 or BF16")
    }
  }

  /// The same into an array that is large enough.
  package func readFloats(_ name: String, into target: inout [Float]) throws(KluereError) {
    // withUnsafeMutableBufferPointer cannot carry a typed error out.
    var failure: KluereError?
    target.withUnsafeMutableBufferPointer { buffer in
      do throws(KluereError) { try readFloats(name, into: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

enum HalfFloat {
  /// IEEE binary16 as a Float, which has every value of it. By hand: the compiler's own conversion would call a function
  /// that older systems' libgcc does not have.
  static func widened(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 0x1F)
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0x1F:
      // Infinity, or a NaN with its bits.
      return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    case 0:
      // Zero or a subnormal: fraction x 2^-24, exact in a Float.
      let value = Float(fraction) * 0x1p-24
      return sign == 0 ? value : -value
    default:
      // The biases of the exponents are 15 and 127.
      return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

/// The header, read and checked.
private struct SafetensorsHeader {
  let dataStart: Int
  private(set) var tensors: [Safetensors.Tensor] = []
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
        tensors.append(try SafetensorsHeader.tensor(key, member.value, name))
      }
    }
    tensors.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
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

  private static func tensor(
    _ key: String, _ value: JSON.Value, _ name: String
  ) throws(KluereError) -> Safetensors.Tensor {
    let shown = excerpt(key.utf8)
    guard let typeName = value["dtype"]?.string else {
      throw KluereError(.badFormat, "\(name): tensor \(shown) has no dtype")
    }
    guard let type = Safetensors.ElementType(rawValue: typeName) else {
      throw KluereError(.unsupported, "\(name): tensor \(shown): dtype \(excerpt(typeName.utf8)) is not known")
    }
    guard let shape = try numbers(value["shape"]) else {
      throw KluereError(.badFormat, "\(name): tensor \(shown): shape is no array of whole numbers")
    }
    guard let offsets = try numbers(value["data_offsets"]), offsets.count == 2, offsets[0] <= offsets[1] else {
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
    return Safetensors.Tensor(
      name: key, type: type, shape: shape, elementCount: count, begin: offsets[0], end: offsets[1])
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
      guard tensor.begin == place else {
        throw KluereError(
          .badFormat, "\(name): tensor \"\(tensor.name)\" begins at byte \(tensor.begin) of the data, expected \(place)"
        )
      }
      place = tensor.end
    }
    guard place == dataSize else {
      throw KluereError(.badFormat, "\(name): the tensors have \(place) bytes, the file has \(dataSize) for them")
    }
  }
}

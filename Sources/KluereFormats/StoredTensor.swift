package import KluereBase

/// Element types of weight files, by their names in safetensors.
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

  /// What `readFloats` can read.
  package var isFloat: Bool { [.f16, .bf16, .f32, .f64].contains(self) }
}

/// A named tensor where it lies in a weight file. All of it has been checked to be inside the file. A class, so that lists of
/// them are lists of pointers.
package final class StoredTensor: Sendable {
  package let name: String
  package let type: ElementType
  package let shape: [Int]
  package let elementCount: Int
  /// Elements from one index of a dimension to the next; nil: row-major without gaps.
  let strides: [Int]?
  /// First element, in bytes of the file.
  let begin: Int
  let file: MappedFile
  /// Of the file, for messages.
  package let path: String

  /// A row-major tensor in memory that is no file, inside its bytes.
  package convenience init(
    name: String, type: ElementType, shape: [Int], elementCount: Int, begin: Int, in memory: MappedFile
  ) {
    self.init(
      name: name, type: type, shape: shape, elementCount: elementCount, strides: nil, begin: begin, file: memory,
      path: "memory")
  }

  init(
    name: String, type: ElementType, shape: [Int], elementCount: Int, strides: [Int]?, begin: Int, file: MappedFile,
    path: String
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.elementCount = elementCount
    self.strides = strides
    self.begin = begin
    self.file = file
    self.path = path
  }

  /// The raw bytes, little-endian, not aligned, row-major; nil if they do not lie so in the file. They live with the file,
  /// which this value keeps.
  package var bytes: UnsafeRawBufferPointer? {
    guard strides == nil else { return nil }
    return UnsafeRawBufferPointer(rebasing: file.bytes[begin..<begin + elementCount * type.size])
  }

  /// The tensor's pages of a mapped file are not needed for now: they leave this process's memory and come back when they
  /// are asked for.
  package func release() {
    guard strides == nil else { return }
    file.release(begin, begin + elementCount * type.size)
  }

  /// The values, row-major, into the first elements of `target`: F32 as they are, F16 and BF16 widened, F64 rounded.
  package func readFloats(into target: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    guard elementCount <= target.count else {
      throw KluereError(.internal, "\(path): \(name): \(elementCount) elements, room for \(target.count)")
    }
    guard type.isFloat else {
      throw KluereError(.unsupported, "\(path): \(name): type \(type.rawValue), expected F32, F16, BF16 or F64")
    }
    guard elementCount > 0 else { return }
    if let bytes {
      if type == .f32 {
        UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
      } else {
        read(begin, step: 1, count: elementCount, into: target, at: 0)
      }
      return
    }
    // Rows of the last dimension one after another, the other dimensions counted like an odometer.
    let steps = strides ?? []
    let last = shape.count - 1
    var index = [Int](repeating: 0, count: shape.count)
    var done = 0
    while done < elementCount {
      var offset = 0
      for dimension in 0..<last { offset += index[dimension] * steps[dimension] }
      read(begin + offset * type.size, step: steps[last], count: shape[last], into: target, at: done)
      done += shape[last]
      var dimension = last - 1
      while dimension >= 0 {
        index[dimension] += 1
        if index[dimension] < shape[dimension] { break }
        index[dimension] = 0
        dimension -= 1
      }
    }
  }

  /// The same into an array that is large enough.
  package func readFloats(into target: inout [Float]) throws(KluereError) {
    // withUnsafeMutableBufferPointer cannot carry a typed error out.
    let result: Result<Void, KluereError> = target.withUnsafeMutableBufferPointer { buffer in
      do throws(KluereError) { return .success(try readFloats(into: buffer)) } catch { return .failure(error) }
    }
    try result.get()
  }

  /// `count` elements from byte `start` of the file on, `step` elements apart.
  private func read(
    _ start: Int, step: Int, count: Int, into target: UnsafeMutableBufferPointer<Float>, at place: Int
  ) {
    let bytes = file.bytes
    let stride = step * type.size
    switch type {
    case .f32:
      for index in 0..<count {
        target[place + index] = bytes.loadUnaligned(fromByteOffset: start + index * stride, as: Float.self)
      }
    case .f16:
      for index in 0..<count {
        target[place + index] = HalfFloat.widened(
          bytes.loadUnaligned(fromByteOffset: start + index * stride, as: UInt16.self))
      }
    case .bf16:
      for index in 0..<count {
        // BF16 is the upper half of a Float.
        target[place + index] = Float(
          bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: start + index * stride, as: UInt16.self)) << 16)
      }
    default:
      for index in 0..<count {
        target[place + index] = Float(
          bytes.loadUnaligned(fromByteOffset: start + index * stride, as: Double.self))
      }
    }
  }
}

package enum HalfFloat {
  /// IEEE binary16 as a Float, which has every value of it. By hand: the compiler's own conversion would call a function
  /// that older systems' libgcc does not have.
  package static func widened(_ bits: UInt16) -> Float {
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

  /// The binary16 with exactly this value (a NaN with its upper bits), nil if there is none.
  package static func exactly(_ value: Float) -> UInt16? {
    let bits = value.bitPattern
    let sign = UInt16(bits >> 16 & 0x8000)
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude >= 0x7F80_0000 {
      return magnitude & 0x1FFF == 0 ? sign | UInt16(0x7C00 | magnitude >> 13 & 0x3FF) : nil
    }
    if magnitude == 0 { return sign }
    let exponent = Int(magnitude >> 23) - 127
    if exponent >= -14 {
      guard exponent <= 15, magnitude & 0x1FFF == 0 else { return nil }
      return sign | UInt16(exponent + 15) << 10 | UInt16(magnitude >> 13 & 0x3FF)
    }
    // Subnormal: a multiple of 2^-24 below 2^-14.
    let scaled = value.magnitude * 0x1p24
    guard scaled < 1024, scaled.rounded(.towardZero) == scaled, scaled > 0 else { return nil }
    return sign | UInt16(scaled)
  }
}

internal import KluereBase

/// 64 bits over memory, to tell a damaged checkpoint from a whole one; not against intent. The words of four lanes are
/// mixed as in xxHash64's rounds, which runs at the speed of memory.
func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    let sum = lane &+ word &* prime2
    return (sum << 31 | sum >> 33) &* prime1
  }
  var lanes: (UInt64, UInt64, UInt64, UInt64) = (prime1 &+ prime2, prime2, 0, 0 &- prime1)
  var place = 0
  while place + 32 <= bytes.count {
    lanes.0 = round(lanes.0, bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    lanes.1 = round(lanes.1, bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self))
    lanes.2 = round(lanes.2, bytes.loadUnaligned(fromByteOffset: place + 16, as: UInt64.self))
    lanes.3 = round(lanes.3, bytes.loadUnaligned(fromByteOffset: place + 24, as: UInt64.self))
    place += 32
  }
  var result = mix(mix(lanes.0, lanes.1), mix(lanes.2, lanes.3)) ^ UInt64(bytes.count)
  while place < bytes.count {
    result = mix(result, UInt64(bytes[place]))
    place += 1
  }
  return result
}

/// 16 hexadecimal digits: a number of 64 bits that any JSON reader keeps.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

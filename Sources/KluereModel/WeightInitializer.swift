internal import Glibc
internal import KluereBase
internal import KluereCompute

/// Random weights as Hugging Face's `_init_weights`: normal(0, deviation) for matrices, the padding row and biases 0,
/// layer norms 1 and 0.
struct WeightInitializer {
  private var state: UInt64
  private let deviation: Double
  private var spare: Double?

  init(seed: UInt64, deviation: Float) {
    state = seed
    self.deviation = Double(deviation)
  }

  /// splitmix64 (Steele, Lea and Flood 2014).
  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Standard normal: Marsaglia's polar method.
  mutating func normal() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    while true {
      let u = Double(next() >> 11) * 0x1p-52 - 1
      let v = Double(next() >> 11) * 0x1p-52 - 1
      let s = u * u + v * v
      if s >= 1 || s == 0 { continue }
      let factor = (-2 * log(s) / s).squareRoot()
      spare = v * factor
      return u * factor
    }
  }

  mutating func fill(_ slot: TensorSlot, in weights: FloatStorage, on backend: any Backend) throws(KluereError) {
    let target = weights.pointer + slot.offset
    switch slot.kind {
    case .gain: try backend.fill(target, 1, count: slot.count)
    case .bias: try backend.fill(target, 0, count: slot.count)
    case .weight: try fillNormal(target, slot.count, on: backend)
    case .embedding(let padding):
      try fillNormal(target, slot.count, on: backend)
      if padding >= 0, Int(padding) < slot.rows {
        try backend.fill(target + Int(padding) * slot.columns, 0, count: slot.columns)
      }
    }
  }

  /// In pieces, so that a device backend needs no second copy of a large table on the host.
  private mutating func fillNormal(_ target: Floats, _ count: Int, on backend: any Backend) throws(KluereError) {
    var piece = [Float](repeating: 0, count: min(count, 65_536))
    var done = 0
    while done < count {
      let part = min(piece.count, count - done)
      for place in 0..<part { piece[place] = Float(normal() * deviation) }
      try backend.copyIn(target + done, piece, bytes: part * MemoryLayout<Float>.size)
      done += part
    }
  }
}

/// How values between layers are stored and multiplied. Sums, layer norm, softmax, loss, gradients of parameters and the
/// optimizer are fp32 in all of them. Raw values are KC_* and KLUERE_PRECISION_*.
package enum Precision: Int32, Sendable, CaseIterable {
  case float32 = 0
  /// Stored as fp32; products round their inputs to 10 bits of mantissa.
  case tf32 = 1
  case bfloat16 = 2
  /// Small gradients would round to 0: the loss is scaled.
  case float16 = 3

  package var isHalf: Bool { self == .bfloat16 || self == .float16 }
  package var bytes: Int { isHalf ? 2 : 4 }

  /// The value in files and messages.
  package var name: String {
    switch self {
    case .float32: "float32"
    case .tf32: "tf32"
    case .bfloat16: "bfloat16"
    case .float16: "float16"
    }
  }

  package init?(name: String) {
    guard let found = Precision.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// What the head computes in: fp32, of which the device may use its faster products if the encoder does.
  package var ofHead: Precision { isHalf ? .float32 : self }
}

/// A device array and how it is stored. Only the backend that allocated it may follow the pointer.
package struct Values {
  package var address: UnsafeMutableRawPointer
  package var precision: Precision

  package init(_ address: UnsafeMutableRawPointer, _ precision: Precision) {
    self.address = address
    self.precision = precision
  }

  /// fp32 values, multiplied as `precision` says; .float32 or .tf32.
  package init(_ floats: Floats, _ precision: Precision = .float32) {
    self.init(UnsafeMutableRawPointer(floats), precision)
  }

  /// Of fp32 values only.
  package var floats: Floats { address.assumingMemoryBound(to: Float.self) }

  /// Those behind the first `count`.
  package static func + (values: Values, count: Int) -> Values {
    Values(values.address + count * values.precision.bytes, values.precision)
  }
}

/// Parameters in device memory: the fp32 masters and, where products are 16-bit, the same values in that precision.
package struct Weights {
  package var floats: ConstantFloats
  package var half: Values?

  package init(_ floats: ConstantFloats, half: Values? = nil) {
    self.floats = floats
    self.half = half
  }

  package static func + (weights: Weights, offset: Int) -> Weights {
    Weights(
      weights.floats + offset,
      half: weights.half.map { Values($0.address + offset * $0.precision.bytes, $0.precision) })
  }
}

/// The numbers of one update, in device memory; laid out as kc_update_state.
package struct UpdateNumbers: BitwiseCopyable {
  /// Of the update's rows, without the loss scale.
  package var lossSum = 0.0
  /// 2-norm of all gradients, without the loss scale.
  package var gradNorm = 0.0
  /// What AdamW multiplies gradients with: clipping / loss scale.
  package var gradientScale: Float = 0
  /// 1: loss or gradients are not finite, AdamW changes nothing.
  package var skip: UInt32 = 0
  package var lossScale: Float = 1
  /// Updates without a skip since the scale last changed.
  package var goodUpdates: UInt32 = 0

  package init() {}
}

package typealias UpdateStorage = DeviceStorage<UpdateNumbers>

extension UpdateNumbers {
  /// Sets gradNorm, gradientScale and skip, as kc_update_prepare does on a GPU. `squares`: the gradients' sum of squares,
  /// loss scale included.
  package mutating func prepare(squares: Double, maxNorm: Double) {
    gradNorm = squares.squareRoot() / Double(lossScale)
    skip = lossSum.isFinite && gradNorm.isFinite ? 0 : 1
    // As torch.nn.utils.clip_grad_norm_.
    let clip = maxNorm > 0 ? min(1, maxNorm / (gradNorm + 1e-6)) : 1
    gradientScale = Float(clip / Double(lossScale))
  }
}

package import KluereBase

/// How prediction keeps the weights of the encoder's layers and the word embeddings. Raw values are KLUERE_WEIGHTS_*, and
/// those of `stored` from 2 on KK_WEIGHTS_*.
package enum WeightForm: Int32, Sendable, CaseIterable {
  case float32 = 1
  case bfloat16 = 2
  case float16 = 3
  /// A whole number for each weight, a scale for each row.
  case int8 = 4
  /// The same with scales so much larger that a processor without instructions for it multiplies it faster: how such weights
  /// are made. Once made, they are `int8`.
  case int8Reduced = 5

  /// Those that a folder may have.
  package static let allCases: [WeightForm] = [.float32, .bfloat16, .float16, .int8]

  /// The value in files and messages.
  package var name: String {
    switch self {
    case .float32: "float32"
    case .bfloat16: "bfloat16"
    case .float16: "float16"
    case .int8: "int8"
    case .int8Reduced: "int8_reduced"
    }
  }

  package var bytes: Int {
    switch self {
    case .float32: 4
    case .bfloat16, .float16: 2
    case .int8, .int8Reduced: 1
    }
  }

  /// What weights are, however they were made.
  package var stored: WeightForm { self == .int8Reduced ? .int8 : self }
}

/// A matrix in fewer bits than fp32, where it lies: row-major, aligned to its elements. scales [rows]: of int8.
package struct NarrowRows {
  package var address: UnsafeRawPointer
  package var scales: ConstantFloats?
  package var form: WeightForm

  package init(_ address: UnsafeRawPointer, scales: ConstantFloats?, _ form: WeightForm) {
    self.address = address
    self.scales = scales
    self.form = form
  }
}

/// What a backend whose device memory is the host's does with weights of fewer bits, in a forward pass alone. `form` is never
/// .float32.
package protocol NarrowProducts: AnyObject, Sendable {
  /// w [rows, width] in fewer bits into `out`, and the scales of int8. False: a value is not finite, or beyond the form's
  /// largest.
  func narrow(
    _ out: UnsafeMutableRawPointer, scales: Floats?, _ w: ConstantFloats, rows: Int, width: Int, _ form: WeightForm
  ) -> Bool
  /// Bytes that `pack` writes, 64-byte aligned; nil: the matrix is too wide.
  func packedBytes(out: Int, in width: Int, _ form: WeightForm) -> Int?
  func pack(_ packed: UnsafeMutableRawPointer, _ w: NarrowRows, out: Int, in width: Int)
  /// y [rows, out] = act(x w^T + bias), as kk_linear_narrow says.
  func linear(
    _ y: Values, _ x: Values, _ packed: UnsafeRawPointer, _ form: WeightForm, bias: ConstantFloats?, rows: Int,
    out: Int, in width: Int, _ activation: Activation) throws(KluereError)
  /// `Backend.embedding` without dropout and what training keeps; `word` in place of that of the tables.
  func embedding(
    _ y: Values, word: NarrowRows, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float)
}

extension Backend {
  /// nil: the device multiplies no such weights.
  package var narrowProducts: (any NarrowProducts)? { self as? any NarrowProducts }
}

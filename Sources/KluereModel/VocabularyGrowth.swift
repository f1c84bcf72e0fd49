internal import KluereBase
internal import KluereCompute
internal import KluereFormats

/// Rows for the tokens, or the token types, that an opened model gets beyond its file's tables. As transformers'
/// resize_token_embeddings (mean_resizing, its default since version 4.46): new rows of the embeddings and of an untied
/// decoder are the mean of the old ones plus noise of 1e-9 times their variance, column by column; so is the bias of an untied
/// decoder, while that of a tied one starts at 0. The noise only keeps rows apart.
struct VocabularyGrowth {
  private static let noise = 1e-9

  /// Rows that the file has.
  let oldRows: Int
  private let names: [String]
  private let zeroName: String?

  init(from oldRows: Int, _ names: TensorNames, tied: Bool) {
    self.oldRows = oldRows
    self.names = [names.word, names.decoderWeight, names.decoderBias]
    zeroName = tied ? names.decoderBias : nil
  }

  /// Rows of token types.
  init(fromTypes oldRows: Int, _ names: TensorNames) {
    self.oldRows = oldRows
    self.names = [names.type]
    zeroName = nil
  }

  func concerns(_ slot: TensorSlot) -> Bool { names.contains(slot.name) }

  /// The file's rows, and the new ones behind them.
  func fill(
    _ slot: TensorSlot, from source: StoredTensor, in weights: FloatStorage, on backend: any Backend,
    _ generator: inout WeightInitializer
  ) throws(KluereError) {
    var values: [Float] = []
    let width = slot.columns
    guard let old = oldRows.product(width), old <= slot.count else {
      throw KluereError(.badFormat, "\(source.path): \(slot.name): \(oldRows) rows do not fit")
    }
    values = [Float](repeating: 0, count: slot.count)
    try source.readFloats(into: &values)
    if slot.name != zeroName {
      for column in 0..<width {
        let (mean, deviation) = VocabularyGrowth.moments(values, column, oldRows, width)
        for row in oldRows..<slot.rows { values[row * width + column] = Float(mean + deviation * generator.normal()) }
      }
    }
    try backend.copyIn(weights.pointer + slot.offset, values, bytes: slot.count * MemoryLayout<Float>.size)
    source.release()
  }

  /// Mean of a column, and the noise's standard deviation.
  private static func moments(_ values: [Float], _ column: Int, _ rows: Int, _ width: Int) -> (Double, Double) {
    if rows == 0 { return (0, 0) }
    var sum = 0.0
    for row in 0..<rows { sum += Double(values[row * width + column]) }
    let mean = sum / Double(rows)
    var squares = 0.0
    for row in 0..<rows {
      let distance = Double(values[row * width + column]) - mean
      squares += distance * distance
    }
    return (mean, (noise * squares / Double(rows)).squareRoot())
  }
}

package import KluereBase
package import KluereCompute
package import KluereData
internal import KluereDecoding
package import KluereModel

package struct PredictorOptions: Sendable, Equatable {
  package var output = PredictionOutput.probabilities
  /// Tokens worked on at once; bounds memory.
  package var batchTokens = 8192
  package var precision = Precision.float32
  /// Whether probabilities are what the model's decoding makes of the logits, where it has one, or their softmax.
  package var usesDecoding = true
  package var typeMask = TypeMaskUse()
  /// nil: as the model's folder says, where the device can do that.
  package var weights: WeightForm?
  /// 0: the context's pool. Else CPU threads of the predictor's own, the caller's included; 1 starts none.
  package var threads = 0

  package init() {}

  package func validate() throws(KluereError) {
    guard (1...1 << 24).contains(batchTokens) else {
      throw KluereError(.invalidArgument, "batch_tokens: \(batchTokens), expected 1 to \(1 << 24)")
    }
    guard (0...1024).contains(threads) else {
      throw KluereError(.invalidArgument, "threads: \(threads), expected 0 (the context's) to 1024")
    }
  }
}

/// Rows that were encoded before, and where their results go.
package struct EncodedRequest {
  let rows: EncodedRows
  let out: UnsafeMutableBufferPointer<Float>

  package init(_ rows: EncodedRows, into out: UnsafeMutableBufferPointer<Float>) {
    self.rows = rows
    self.out = out
  }
}

/// Scratch memory to predict with one model; one thread at a time. Many may share a model.
package final class Predictor {
  /// A call for more waits until all weights are packed; calls before it pack some each.
  private static let fewRows = 8

  package let model: Model
  package let options: PredictorOptions
  /// Where it computes: the model's context, or one of its own threads.
  let context: Context
  private let rows: EncodedRows
  private let pass: InferencePass
  private let outputs: EncoderOutputs
  private var merged = Workspace<Float>(for: "predictions")
  /// What entity types do to the logits here; nil: nothing.
  let types: TypeRoutes?
  /// How the weights are multiplied here.
  package let form: WeightForm
  /// Kept by a predictor with threads of its own, so that only its first calls wait for the model's context.
  private var ownWeights: NetworkWeights?

  package init(model: Model, options: PredictorOptions = PredictorOptions()) throws(KluereError) {
    try options.validate()
    guard model.context.backend.supports(options.precision) else {
      throw KluereError(
        .unsupported,
        "precision: \(options.precision.name) on \(model.context.deviceName), expected one that the device can do")
    }
    form = try Predictor.form(model, options)
    self.model = model
    self.options = options
    context = options.threads == 0 ? model.context : try model.context.sibling(threads: options.threads)
    rows = EncodedRows(model)
    types = try model.routes(options.typeMask)
    pass = InferencePass(model, options.precision, batchTokens: options.batchTokens, types: types, on: context)
    outputs = EncoderOutputs(model, options.precision, batchTokens: options.batchTokens, on: context)
  }

  private static func form(_ model: Model, _ options: PredictorOptions) throws(KluereError) -> WeightForm {
    let canDo = model.context.backend.narrowProducts != nil
    guard let form = options.weights else {
      return canDo && options.precision == .float32 ? model.weightForm : .float32
    }
    guard form != .float32 else { return form }
    guard canDo else {
      throw KluereError(
        .unsupported, "weights: \(form.name) on \(model.context.deviceName), expected float32 or a context on the CPU")
    }
    guard options.precision == .float32 else {
      throw KluereError(
        .invalidArgument,
        "weights: \(form.name) with precision \(options.precision.name), expected one of the two alone")
    }
    guard model.weightForm != .int8 || form == .int8 else {
      throw KluereError(.unsupported, "weights: \(form.name), but the model's are int8, expected int8 or float32")
    }
    return form
  }

  /// `out`: at least one float per example and label; the first ones are overwritten, or none when this throws. Labels
  /// of the examples are ignored.
  package func predict(
    _ examples: [ExampleView], into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) {
    try load(examples, into: out, probabilities: options.output == .probabilities)
  }

  /// The same, probabilities whatever the options' output.
  func predictProbabilities(
    _ examples: [ExampleView], into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) { try load(examples, into: out, probabilities: true) }

  private func load(
    _ examples: [ExampleView], into out: UnsafeMutableBufferPointer<Float>, probabilities: Bool
  ) throws(KluereError) {
    let target = try target(examples.count, out)
    rows.removeAll()
    try rows.append(examples)
    try run(rows, target, probabilities: probabilities)
  }

  /// The same for rows that were encoded before, those of several callers together. Nothing is written when this throws.
  package func predict(_ requests: [EncodedRequest]) throws(KluereError) {
    let probabilities = options.output == .probabilities
    if requests.count == 1 {
      let (rows, out) = (requests[0].rows, requests[0].out)
      return try run(rows, try target(rows.count, out), probabilities: probabilities)
    }
    rows.removeAll()
    for request in requests {
      _ = try target(request.rows.count, request.out)
      try rows.append(contentsOf: request.rows)
    }
    guard let cells = rows.count.product(model.labels.count) else {
      throw KluereError(.outOfMemory, "predictions: \(rows.count) rows do not fit in memory")
    }
    try merged.resize(cells)
    try run(rows, merged.elements, probabilities: probabilities)
    var done = 0
    for request in requests {
      let count = request.rows.count * model.labels.count
      for cell in 0..<count { request.out[cell] = merged.elements[done + cell] }
      done += count
    }
  }

  /// The same for all rows of a data set.
  package func predict(_ dataset: Dataset, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    let target = try target(dataset.count, out)
    rows.removeAll()
    try rows.append(dataset)
    try run(rows, target, probabilities: options.output == .probabilities)
  }

  // MARK: Token ids in, for what needs no examples. `out` has room for the named shape.

  /// [tokens, hidden]
  package func hiddenStates(_ rows: TokenRows, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    try outputs.hiddenStates(rows, try weights(), into: out)
  }

  /// [inputs, hidden]
  package func embed(
    _ rows: TokenRows, _ pooling: Pooling, normalize: Bool, into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) { try outputs.embed(rows, pooling, normalize: normalize, try weights(), into: out) }

  /// [inputs, labels]
  package func classify(_ rows: TokenRows, into out: UnsafeMutableBufferPointer<Float>) throws(KluereError) {
    // Token ids have no types: where there is a mask these are not the logits that the decoding was fitted to.
    let decoding = options.output == .probabilities && model.extras.typeMask == nil ? decoding : nil
    try outputs.classify(
      rows, try weights(), probabilities: options.output == .probabilities && decoding == nil, into: out)
    guard let decoding, let cells = rows.count.product(model.labels.count), cells <= out.count else { return }
    decode(UnsafeMutableBufferPointer(rebasing: out[..<cells]), decoding)
  }

  /// [positions, vocabulary]
  package func maskLogits(
    _ rows: TokenRows, at positions: UnsafeBufferPointer<Int>, into out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) { try outputs.maskLogits(rows, at: positions, try weights(), into: out) }

  /// Tokens that the last call for rows computed; a text that rows share counts once.
  package var computedTokens: Int { pass.computedTokens }

  /// What passes read; not inside `exclusive`.
  func weights(fewRows: Bool = false) throws(KluereError) -> NetworkWeights {
    if let ownWeights { return ownWeights }
    // The first calls pack them, with the pool of the context that they belong to.
    let weights = try model.context.exclusive { () throws(KluereError) in
      try model.weightsForInference(options.precision, form, fewRows: fewRows)
    }
    if context !== model.context, !weights.isProvisional { ownWeights = weights }
    return weights
  }

  private func target(
    _ count: Int, _ out: UnsafeMutableBufferPointer<Float>
  ) throws(KluereError) -> UnsafeMutableBufferPointer<Float> {
    guard let needed = count.product(model.labels.count), needed <= out.count else {
      throw KluereError(
        .bufferTooSmall, "out: \(out.count) floats, expected \(count) rows of \(model.labels.count)")
    }
    return UnsafeMutableBufferPointer(rebasing: out[..<needed])
  }

  private func run(
    _ rows: EncodedRows, _ target: UnsafeMutableBufferPointer<Float>, probabilities: Bool
  ) throws(KluereError) {
    let decoding = probabilities ? decoding : nil
    let softmax = probabilities && decoding == nil
    let few = rows.count <= Predictor.fewRows
    try pass.run(
      rows, { () throws(KluereError) in try weights(fewRows: few) }, logits: softmax ? nil : target,
      probabilities: softmax ? target : nil)
    if let decoding { decode(target, decoding) }
  }

  /// What makes probabilities of logits in place of the softmax, if something does. It was fitted to logits with the type
  /// mask as it is stored.
  private var decoding: Decoding? {
    let isFitted = model.extras.typeMask == nil || options.typeMask == TypeMaskUse()
    return options.usesDecoding && isFitted ? model.extras.decoding : nil
  }

  /// Logits become probabilities where they are: nothing that could fail.
  private func decode(_ table: UnsafeMutableBufferPointer<Float>, _ decoding: Decoding) {
    decoding.apply(UnsafeBufferPointer(table), areLogits: true, into: table)
  }
}

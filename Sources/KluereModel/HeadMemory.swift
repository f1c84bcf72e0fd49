internal import KluereBase
internal import KluereCompute

/// Memory of the head. A block is [sentences, hidden].
struct HeadMemory {
  /// The plan's blocks, and in training their gradients.
  private(set) var blocks: Floats?
  private(set) var gradients: Floats?
  /// Of each step.
  private(set) var steps: [Step] = []
  /// What the output layer's dropout reads, where it is several blocks side by side.
  private(set) var joined: Floats?
  /// After dropout, once for each of its samples. [samples, sentences, width]
  private(set) var dropped: Floats?
  /// [samples, sentences, labels]
  private(set) var logits: Floats?
  private(set) var logitsGradient: Floats?

  /// Row of each sequence's first token, and its dropout coordinates.
  private(set) var firstRows: UnsafeMutablePointer<Int32>?
  private(set) var samples: UnsafeMutablePointer<Int32>?
  private(set) var zeros: UnsafeMutablePointer<Int32>?
  /// Labels, once for each dropout sample.
  private(set) var labels: UnsafeMutablePointer<Int32>?
  /// The features' rows [features, sentences, 2], and where their maxima come from [features, sentences, hidden].
  private(set) var spans: UnsafeMutablePointer<Int32>?
  private(set) var largest: UnsafeMutablePointer<Int32>?
  /// Rows of blocks in the order that puts them side by side, and its inverse. [sentences * joined]
  private(set) var order: UnsafeMutablePointer<Int32>?
  private(set) var inverse: UnsafeMutablePointer<Int32>?
  /// 0, 1, 2, ... [sentences], where dropout has several samples.
  private(set) var identity: UnsafeMutablePointer<Int32>?

  struct Step {
    /// What the layer reads, if that is not the blocks as they are.
    var input: Floats?
    /// Before the activation, in training.
    var pre: Floats?
  }

  /// What decides its size. Without a plan: room for a pooler.
  struct Shape {
    var plan: HeadPlan?
    var hidden: Int
    var labels: Int
    var sentences: Int
    /// Of the output's dropout.
    var dropoutSamples: Int
    var training: Bool

    /// Whether features are pooled, not [CLS] alone.
    var hasSpans: Bool { (plan?.features.count ?? 0) > 1 }
  }

  mutating func carve(_ carver: inout NetworkMemory.Carver<Float>, _ shape: Shape) {
    let block = shape.sentences * shape.hidden
    let plan = shape.plan
    blocks = carver.take(block * max(2, plan?.blockCount ?? 0))
    gradients = shape.training ? carver.take(block * (plan?.blockCount ?? 0)) : nil
    steps.removeAll(keepingCapacity: true)
    for step in plan?.steps ?? [] {
      let ownInput = step.isJoined || step.inputDropout != nil || step.takesTanh
      steps.append(
        Step(
          input: ownInput ? carver.take(block * step.input.count) : nil,
          pre: shape.training && step.activation != .none ? carver.take(block * step.resultCount) : nil))
    }
    let width = plan?.output.count ?? 0
    joined = width > 1 ? carver.take(block * width) : nil
    dropped = carver.take(block * width * shape.dropoutSamples)
    logits = carver.take(shape.sentences * shape.labels * shape.dropoutSamples)
    logitsGradient = shape.training ? carver.take(shape.sentences * shape.labels * shape.dropoutSamples) : nil
  }

  mutating func carveInts(_ carver: inout NetworkMemory.Carver<Int32>, _ shape: Shape) {
    firstRows = carver.take(shape.sentences)
    samples = carver.take(shape.sentences)
    zeros = carver.take(shape.sentences)
    labels = carver.take(shape.sentences * shape.dropoutSamples)
    let features = shape.plan?.features.count ?? 0
    spans = shape.hasSpans ? carver.take(2 * features * shape.sentences) : nil
    let needsLargest = shape.training && shape.hasSpans && shape.plan?.takesMaximum == true
    largest = needsLargest ? carver.take(features * shape.sentences * shape.hidden) : nil
    let joined = shape.plan?.joined ?? 1
    order = joined > 1 ? carver.take(joined * shape.sentences) : nil
    inverse = joined > 1 && shape.training ? carver.take(joined * shape.sentences) : nil
    identity = shape.dropoutSamples > 1 ? carver.take(shape.sentences) : nil
  }
}

internal import KluereBase
internal import KluereCompute

/// A classifier's head: runs its plan, forward and backward. The head is fp32 in every precision: its rows are few, and its
/// logits decide.
struct ClassificationHead {
  let plan: HeadPlan
  private let slots: ClassifierSlots

  init(_ plan: HeadPlan, _ slots: ClassifierSlots) {
    self.plan = plan
    self.slots = slots
  }

  /// One pass: its sizes, and memory that is there.
  private struct Run {
    let pass: Pass
    let memory: HeadMemory
    let blocks: Floats
    let rows: Int
    let width: Int
    /// Dropout samples of the output.
    let copies: Int

    init(_ pass: Pass, _ memory: HeadMemory, copies: Int) throws(KluereError) {
      guard let blocks = memory.blocks else { throw ClassificationHead.unprepared }
      self.pass = pass
      self.memory = memory
      self.blocks = blocks
      self.copies = copies
      rows = pass.sequences
      width = pass.configuration.hiddenSize
    }

    func values(_ floats: Floats) -> Values { Values(floats, pass.headPrecision) }
    func block(_ number: Int) -> Floats { blocks + number * rows * width }
    func gradient(_ gradients: Floats, _ number: Int) -> Floats { gradients + number * rows * width }

    /// y = dropout(x), x of `columns` columns; y may be x.
    func dropout(_ y: Floats, _ x: Floats, columns: Int, _ site: UInt32) throws(KluereError) {
      guard let samples = memory.samples, let zeros = memory.zeros else { throw ClassificationHead.unprepared }
      let mask = DropoutMask(
        seed: pass.dropout.seed, threshold: pass.dropout.classifier, site: site, sample: Network.unsigned(samples),
        position: Network.unsigned(zeros))
      try pass.backend.dropout(values(y), values(x), rows: rows, width: columns, mask)
    }

    /// Blocks side by side: y [rows, count * width].
    func join(_ y: Floats, _ first: Floats, count: Int) throws(KluereError) {
      guard let order = memory.order else { throw ClassificationHead.unprepared }
      try pass.backend.gatherRows(y, values(first), order, count: rows * count, width: width)
    }

    /// And apart again.
    func split(_ first: Floats, _ y: Floats, count: Int) throws(KluereError) {
      guard let inverse = memory.inverse else { throw ClassificationHead.unprepared }
      try pass.backend.gatherRows(first, values(y), inverse, count: rows * count, width: width)
    }
  }

  private static var unprepared: KluereError {
    KluereError(.internal, "classification head: its memory is that of another pass")
  }

  // MARK: Forward

  /// hidden [tokens, width] -> memory.logits [copies, sequences, labels].
  func forward(_ pass: Pass, _ hidden: Values, _ memory: HeadMemory, copies: Int) throws(KluereError) {
    let run = try Run(pass, memory, copies: copies)
    try takeFeatures(run, hidden)
    for (step, own) in zip(plan.steps, memory.steps) { try forward(run, step, own) }
    guard let dropped = memory.dropped, let logits = memory.logits else { throw ClassificationHead.unprepared }
    let columns = plan.output.count * run.width
    var source = run.block(plan.output.lowerBound)
    if let joined = memory.joined {
      try run.join(joined, source, count: plan.output.count)
      source = joined
    }
    for copy in 0..<copies {
      try run.dropout(
        dropped + copy * run.rows * columns, source, columns: columns, DropoutSite.output(copy: copy))
    }
    try pass.linear(run.values(logits), run.values(dropped), slots.output, rows: copies * run.rows)
  }

  private func takeFeatures(_ run: Run, _ hidden: Values) throws(KluereError) {
    let first = run.block(plan.featureBlock)
    guard plan.features.count > 1 else {
      guard let firstRows = run.memory.firstRows else { throw ClassificationHead.unprepared }
      return try run.pass.backend.gatherRows(first, hidden, firstRows, count: run.rows, width: run.width)
    }
    try run.pass.backend.poolSpans(
      first, largest: run.memory.largest, hidden, try spans(run), width: run.width, maximum: plan.takesMaximum)
  }

  private func spans(_ run: Run) throws(KluereError) -> RowSpans {
    guard let spans = run.memory.spans else { throw ClassificationHead.unprepared }
    return RowSpans(spans: spans, features: plan.features.count, count: run.rows)
  }

  private func forward(_ run: Run, _ step: HeadStep, _ own: HeadMemory.Step) throws(KluereError) {
    let count = step.input.count
    let block = run.rows * run.width
    var source = run.block(step.input.lowerBound)
    if let input = own.input {
      if step.isJoined {
        try run.join(input, source, count: count)
      } else if let site = step.inputDropout {
        for number in 0..<count {
          try run.dropout(
            input + number * block, source + number * block, columns: run.width, site + UInt32(clamping: number))
        }
      } else {
        try run.pass.backend.copy(input, source, bytes: count * block * MemoryLayout<Float>.size)
      }
      if step.takesTanh {
        try run.pass.backend.activate(run.values(input), run.values(input), count: count * block, .tanh)
      }
      source = input
    }
    let result = run.block(step.result)
    try run.pass.linear(
      run.values(result), pre: own.pre.map(run.values), run.values(source), slots.layers[step.layer],
      rows: run.rows * step.resultCount, step.activation)
    if let site = step.outputDropout { try run.dropout(result, result, columns: run.width, site) }
  }

  // MARK: Backward

  /// memory.logitsGradient -> gradient of hidden +=, which the caller has zeroed.
  func backward(
    _ pass: Pass, _ memory: HeadMemory, copies: Int, hiddenGradient: Values, parameters: Floats
  ) throws(KluereError) {
    let run = try Run(pass, memory, copies: copies)
    guard let scores = memory.logitsGradient, let gradients = memory.gradients, let dropped = memory.dropped else {
      throw KluereError(.internal, "classification head: its memory is that of inference")
    }
    let columns = plan.output.count * run.width
    let size = run.rows * columns
    try pass.linearBackwardWeight(
      parameters, run.values(scores), run.values(dropped), slots.output, rows: copies * run.rows)
    // `dropped` has been read for the last time: it takes its own gradient.
    try pass.linearBackwardInput(
      run.values(dropped), run.values(scores), slots.output, rows: copies * run.rows, accumulate: false)
    let first = run.gradient(gradients, plan.output.lowerBound)
    let target = memory.joined ?? first
    try run.dropout(target, dropped, columns: columns, DropoutSite.output(copy: 0))
    for copy in 1..<max(copies, 1) {
      let part = dropped + copy * size
      try run.dropout(part, part, columns: columns, DropoutSite.output(copy: copy))
      guard let identity = memory.identity else { throw ClassificationHead.unprepared }
      try pass.backend.scatterAddRows(run.values(target), part, identity, count: run.rows, width: columns)
    }
    if let joined = memory.joined { try run.split(first, joined, count: plan.output.count) }
    for (step, own) in zip(plan.steps, memory.steps).reversed() {
      try backward(run, step, own, gradients, parameters)
    }
    try returnFeatures(run, hiddenGradient, run.gradient(gradients, plan.featureBlock))
  }

  private func returnFeatures(_ run: Run, _ hiddenGradient: Values, _ first: Floats) throws(KluereError) {
    guard plan.features.count > 1 else {
      guard let firstRows = run.memory.firstRows else { throw ClassificationHead.unprepared }
      return try run.pass.backend.scatterAddRows(
        hiddenGradient, first, firstRows, count: run.rows, width: run.width)
    }
    try run.pass.backend.poolSpansBackward(
      hiddenGradient, first, largest: run.memory.largest.map { UnsafePointer($0) }, try spans(run), width: run.width)
  }

  private func backward(
    _ run: Run, _ step: HeadStep, _ own: HeadMemory.Step, _ gradients: Floats, _ parameters: Floats
  ) throws(KluereError) {
    let count = step.input.count
    let block = run.rows * run.width
    let layer = slots.layers[step.layer]
    let outer = run.values(run.gradient(gradients, step.result))
    if let site = step.outputDropout { try run.dropout(outer.floats, outer.floats, columns: run.width, site) }
    if step.activation != .none {
      guard let pre = own.pre else { throw ClassificationHead.unprepared }
      // tanh's slope follows from its result, which no step with tanh drops.
      let at = run.values(step.activation == .tanh ? run.block(step.result) : pre)
      try run.pass.backend.activateBackward(outer, outer, at, count: step.resultCount * block, step.activation)
    }
    let read = own.input ?? run.block(step.input.lowerBound)
    try run.pass.linearBackwardWeight(
      parameters, outer, run.values(read), layer, rows: run.rows * step.resultCount)
    let target = run.gradient(gradients, step.input.lowerBound)
    if step.isJoined {
      // The joined input has been read for the last time: it takes its own gradient.
      try run.pass.linearBackwardInput(run.values(read), outer, layer, rows: run.rows, accumulate: false)
      return try run.split(target, read, count: count)
    }
    let inner = run.values(target)
    try run.pass.linearBackwardInput(inner, outer, layer, rows: run.rows * count, accumulate: false)
    if step.takesTanh {
      try run.pass.backend.activateBackward(inner, inner, run.values(read), count: count * block, .tanh)
    }
    guard let site = step.inputDropout else { return }
    for number in 0..<count {
      let part = target + number * block
      try run.dropout(part, part, columns: run.width, site + UInt32(clamping: number))
    }
  }
}

internal import KluereBase
internal import KluereCompute

/// What comes between the last linear layer and the labels' logits where entity types matter: a row's logits are read from
/// the columns of its pair, then its pair's bias is added. Made of the backend's gathers, forward and backward, so that each
/// number is written by one row of one call: no order matters.
struct TypeStage {
  private let routes: TypeRoutes
  private var floats = GrowingStorage<Float>(for: "entity types")
  private var ints = GrowingStorage<Int32>(for: "entity types")
  /// [routes, labels] on the device.
  private var table: FloatStorage?
  /// Host memory, kept between batches.
  private var numbers: [Int32] = []
  private var memory: Memory?

  /// Device memory of the present size.
  private struct Memory {
    var rowCount: Int
    /// The last layer's result [rows, columns] and one value more, `TypeMask.hardBias`.
    var wide: Floats
    /// Gradient of the logits [rows, labels] and one value more, 0; and of `wide`.
    var gradient: Floats?
    var wideGradient: Floats?
    /// A bias for each logit.
    var biases: Floats
    /// For each row its route and its own number; for each logit its place in `wide`; for each of `wide` its place in
    /// `gradient`.
    var routes: UnsafeMutablePointer<Int32>
    var rows: UnsafeMutablePointer<Int32>
    var forward: UnsafeMutablePointer<Int32>
    var backward: UnsafeMutablePointer<Int32>?
  }

  init(_ routes: TypeRoutes) { self.routes = routes }

  private var labels: Int { routes.labelCount }
  private var columns: Int { routes.columnCount }
  private var expands: Bool { routes.columns != nil }

  /// Where the last layer writes and its gradient is read, if not the labels' own memory.
  var wide: Floats? { expands ? memory?.wide : nil }
  var wideGradient: Floats? { expands ? memory?.wideGradient : nil }
  /// Where the loss writes its gradient, if not the labels' own memory.
  var gradient: Floats? { expands ? memory?.gradient : nil }

  var addresses: [UInt] {
    [UInt(bitPattern: memory?.wide), UInt(bitPattern: memory?.routes), UInt(bitPattern: table?.pointer)]
  }

  /// `rows`: sentences, times the copies of them that the head makes.
  mutating func reserve(rows: Int, training: Bool, on backend: any Backend) throws(KluereError) {
    if table == nil, let biases = routes.biases {
      let storage = try FloatStorage(count: biases.count, on: backend, for: "type mask")
      try backend.copyIn(UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: Int32.self), biases)
      table = storage
    }
    // Lists of so many numbers are made on the host for each pass; places have 32 bits.
    guard let most = rows.product(columns), most < 1 << 25 else {
      throw KluereError(.outOfMemory, "entity types: \(rows) rows of \(columns) scores in one pass")
    }
    let small = rows * labels
    let large = expands ? most + 1 : 0
    func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
    let biasCount = routes.biases == nil ? 0 : small
    let gradientCount = training && expands ? small + 1 : 0
    let wideGradientCount = training && expands ? large : 0
    let base = try floats.reserve(
      padded(large) + padded(biasCount) + padded(gradientCount) + padded(wideGradientCount), on: backend)
    let forwardCount = expands ? small : 0
    let backwardCount = training && expands ? most : 0
    let numbers = try ints.reserve(
      2 * padded(rows) + padded(forwardCount) + padded(backwardCount), on: backend)
    let gradient = base + padded(large) + padded(biasCount)
    let forward = numbers + 2 * padded(rows)
    memory = Memory(
      rowCount: rows, wide: base, gradient: gradientCount > 0 ? gradient : nil,
      wideGradient: wideGradientCount > 0 ? gradient + padded(gradientCount) : nil, biases: base + padded(large),
      routes: numbers, rows: numbers + padded(rows), forward: forward,
      backward: backwardCount > 0 ? forward + padded(forwardCount) : nil)
  }

  /// Puts the rows' routes into device memory: the batch's sentences, padded to `sequences`, `copies` times. Rows beyond the
  /// batch take route 0.
  mutating func load(
    _ batch: TokenBatch, sequences: Int, copies: Int = 1, on backend: any Backend
  ) throws(KluereError) {
    guard let memory, sequences > 0, let rows = sequences.product(copies), rows <= memory.rowCount else {
      throw TypeStage.unprepared
    }
    func route(_ row: Int) -> Int {
      let sentence = row % sequences
      let route = sentence < batch.routes.count ? Int(batch.routes[sentence]) : 0
      return route >= 0 && route < routes.count ? route : 0
    }
    numbers.removeAll(keepingCapacity: true)
    for row in 0..<rows { numbers.append(Int32(clamping: route(row))) }
    try backend.copyIn(memory.routes, numbers)
    numbers.removeAll(keepingCapacity: true)
    for row in 0..<rows { numbers.append(Int32(clamping: row)) }
    try backend.copyIn(memory.rows, numbers)
    guard let table = routes.columns else { return }
    let none = rows * columns
    numbers.removeAll(keepingCapacity: true)
    for row in 0..<rows {
      for label in 0..<labels {
        let column = Int(table[route(row) * labels + label])
        numbers.append(Int32(clamping: column < 0 ? none : row * columns + column))
      }
    }
    try backend.copyIn(memory.forward, numbers)
    guard let backward = memory.backward else { return }
    numbers.removeAll(keepingCapacity: true)
    numbers.append(contentsOf: repeatElement(Int32(clamping: rows * labels), count: rows * columns))
    for row in 0..<rows {
      for label in 0..<labels {
        let column = Int(table[route(row) * labels + label])
        if column >= 0 { numbers[row * columns + column] = Int32(clamping: row * labels + label) }
      }
    }
    try backend.copyIn(backward, numbers)
  }

  /// logits [rows, labels]: read out of `wide` if there are heads of pairs, then += the biases.
  func forward(_ logits: Floats, rows: Int, on backend: any Backend) throws(KluereError) {
    guard let memory, rows <= memory.rowCount else { throw TypeStage.unprepared }
    if expands {
      try backend.fill(memory.wide + rows * columns, TypeMask.hardBias, count: 1)
      try backend.gatherRows(logits, Values(memory.wide), memory.forward, count: rows * labels, width: 1)
    }
    if let table {
      try backend.gatherRows(memory.biases, Values(table.pointer), memory.routes, count: rows, width: labels)
      try backend.scatterAddRows(Values(logits), memory.biases, memory.rows, count: rows, width: labels)
    }
  }

  /// Gradient of `wide` from that of the logits; biases are constants.
  func backward(rows: Int, on backend: any Backend) throws(KluereError) {
    guard expands else { return }
    guard let memory, rows <= memory.rowCount, let gradient = memory.gradient, let wide = memory.wideGradient,
      let backward = memory.backward
    else { throw TypeStage.unprepared }
    try backend.fill(gradient + rows * labels, 0, count: 1)
    try backend.gatherRows(wide, Values(gradient), backward, count: rows * columns, width: 1)
  }

  private static let unprepared = KluereError(.internal, "entity types: no batch has been loaded")
}

internal import Glibc
package import KluereBase
internal import KluereMetrics

/// How members decide together. Raw values are those of KLUERE_VOTE_*.
package enum Vote: Int32, Sendable {
  /// The weighted mean of the probabilities.
  case soft = 0
  /// The weighted share of the members whose first largest class it is.
  case hard = 1
}

/// Scores of several members for the same rows: each `rows` x `classes`, finite, at least one member.
package struct Members {
  package let scores: [UnsafeBufferPointer<Float>]
  package let rows: Int
  package let classes: Int
  package let areLogits: Bool

  /// A subset is a bit mask in 64 bits, and one bit more must fit.
  package static let limit = 62

  package init(
    _ scores: [UnsafeBufferPointer<Float>], rows: Int, classes: Int, areLogits: Bool
  ) throws(KluereError) {
    guard (1...Members.limit).contains(scores.count) else {
      throw KluereError(.invalidArgument, "\(scores.count) members, expected 1 to \(Members.limit)")
    }
    guard rows >= 1, classes >= 1, let size = rows.product(classes) else {
      throw KluereError(
        .invalidArgument, "members of \(rows) rows and \(classes) classes, expected at least one of each")
    }
    for (member, table) in scores.enumerated() {
      guard table.count == size else {
        throw KluereError(
          .invalidArgument, "members[\(member)]: \(table.count) scores, expected \(rows) rows of \(classes)")
      }
      if let place = table.firstIndex(where: { !$0.isFinite }) {
        throw KluereError(
          .invalidArgument,
          "members[\(member)]: row \(place / classes), class \(place % classes): score \(table[place]), expected a "
            + "finite number")
      }
    }
    self.scores = scores
    self.rows = rows
    self.classes = classes
    self.areLogits = areLogits
  }

  package var count: Int { scores.count }
}

/// nil: all equal.
func checkedWeights(_ weights: [Double]?, _ count: Int) throws(KluereError) -> [Double] {
  guard let weights else { return [Double](repeating: 1, count: count) }
  guard weights.count == count else {
    throw KluereError(.invalidArgument, "\(weights.count) weights, expected \(count), one for each member")
  }
  for (member, weight) in weights.enumerated() where !(weight >= 0 && weight.isFinite) {
    throw KluereError(.invalidArgument, "weights[\(member)]: \(weight), expected a finite number of at least 0")
  }
  let total = weights.reduce(0, +)
  guard total > 0, total.isFinite else {
    throw KluereError(.invalidArgument, "weights: the sum is \(total), expected more than 0")
  }
  return weights
}

/// Members' probabilities and choices, made once, and combined under one weighting after another.
struct Ballot {
  private let members: Members
  /// Probabilities where the members gave logits.
  private var own: [UnsafeMutableBufferPointer<Float>] = []
  private var choices: [UnsafeMutableBufferPointer<Int32>] = []

  /// The memory is freed by `release`.
  init(_ members: Members, _ vote: Vote) throws(KluereError) {
    self.members = members
    do throws(KluereError) {
      for scores in members.scores {
        if members.areLogits {
          let table = try allocate(Float.self, scores.count)
          own.append(table)
          softmax(scores, into: table, classes: members.classes)
        }
        guard vote == .hard else { continue }
        let chosen = try allocate(Int32.self, members.rows)
        choices.append(chosen)
        for row in 0..<members.rows {
          chosen[row] = Int32(truncatingIfNeeded: firstLargest(scores, row * members.classes, members.classes))
        }
      }
    } catch {
      release()
      throw error
    }
  }

  func release() {
    for table in own { free(table.baseAddress) }
    for table in choices { free(table.baseAddress) }
  }

  func probabilities(_ member: Int) -> UnsafeBufferPointer<Float> {
    members.areLogits ? UnsafeBufferPointer(own[member]) : members.scores[member]
  }

  /// `weights`: checked, some above 0. `sums`: rows x classes of working memory.
  func combine(
    _ vote: Vote, _ weights: [Double], into out: UnsafeMutableBufferPointer<Float>,
    _ sums: UnsafeMutableBufferPointer<Double>
  ) {
    let total = weights.reduce(0, +)
    addProbabilities(weights, into: sums)
    guard vote == .hard else {
      for place in out.indices { out[place] = Float(sums[place] / total) }
      return
    }
    var votes = [Double](repeating: 0, count: members.classes)
    for row in 0..<members.rows {
      for column in votes.indices { votes[column] = 0 }
      for (member, weight) in weights.enumerated() { votes[Int(choices[member][row])] += weight }
      let begin = row * members.classes
      for (column, vote) in votes.enumerated() { out[begin + column] = Float(vote / total) }
      settle(votes, total, begin, sums, out)
    }
  }

  private func addProbabilities(_ weights: [Double], into sums: UnsafeMutableBufferPointer<Double>) {
    sums.update(repeating: 0)
    for (member, weight) in weights.enumerated() where weight > 0 {
      let table = probabilities(member)
      for place in sums.indices { sums[place] += weight * Double(table[place]) }
    }
  }

  /// Of classes with equally many votes the one with the larger sum of weighted probabilities wins, then the first. It is
  /// lifted above the others by the smallest step that a float has, so that "the first largest score" finds it.
  private func settle(
    _ votes: [Double], _ total: Double, _ begin: Int, _ sums: UnsafeMutableBufferPointer<Double>,
    _ out: UnsafeMutableBufferPointer<Float>
  ) {
    let most = votes.reduce(0, max)
    // Weights are summed in the members' order: equal shares may differ in the last place.
    let tied = votes.indices.filter { most - votes[$0] <= 1e-9 * total }
    guard tied.count > 1 else { return }
    let winner = tied.dropFirst().reduce(tied[0]) { sums[begin + $1] > sums[begin + $0] ? $1 : $0 }
    let top = tied.reduce(Float(0)) { max($0, out[begin + $1]) }
    out[begin + winner] = top.nextUp
  }
}

/// The members' decision for every row: `out` has rows x classes entries. `weights`: nil for equal ones.
package func combine(
  _ members: Members, weights: [Double]?, vote: Vote, into out: UnsafeMutableBufferPointer<Float>
) throws(KluereError) {
  let weights = try checkedWeights(weights, members.count)
  let ballot = try Ballot(members, vote)
  defer { ballot.release() }
  let sums = try allocate(Double.self, out.count)
  defer { free(sums.baseAddress) }
  ballot.combine(vote, weights, into: out, sums)
}

private func firstLargest(_ scores: UnsafeBufferPointer<Float>, _ begin: Int, _ count: Int) -> Int {
  var best = 0
  for column in 1..<max(count, 1) where scores[begin + column] > scores[begin + best] { best = column }
  return best
}

private func softmax(
  _ logits: UnsafeBufferPointer<Float>, into out: UnsafeMutableBufferPointer<Float>, classes: Int
) {
  for begin in stride(from: 0, to: logits.count, by: classes) {
    let largest = Double(logits[begin..<begin + classes].reduce(-.infinity, max))
    var sum = 0.0
    for place in begin..<begin + classes { sum += exp(Double(logits[place]) - largest) }
    for place in begin..<begin + classes { out[place] = Float(exp(Double(logits[place]) - largest) / sum) }
  }
}

/// Memory whose size a caller decides: a shortage is an error, never the end of the process.
func allocate<T: BitwiseCopyable>(_: T.Type, _ count: Int) throws(KluereError) -> UnsafeMutableBufferPointer<T> {
  guard let bytes = count.product(MemoryLayout<T>.stride), let memory = malloc(max(bytes, 1)) else {
    throw KluereError(.outOfMemory, "ensemble: working memory for \(count) values is not to be had")
  }
  return UnsafeMutableBufferPointer(start: memory.bindMemory(to: T.self, capacity: count), count: count)
}

import Foundation
import KluereModel
import KluereTraining
import Testing

private func layout(
  _ family: ModelFamily, embedding: Int? = nil, layers: Int = 3
) throws -> ParameterLayout {
  var configuration = Fixture.configuration()
  configuration.family = family
  configuration.layerCount = layers
  configuration.vocabularySize = 50
  configuration.padTokenID = 0
  configuration.embeddingSize = embedding
  return try ParameterLayout(configuration, labelCount: 4)
}

/// By name, which the groups do not look at.
private func expected(_ name: String, _ layers: Int, _ extras: TrainingExtras) -> Double? {
  func power(_ exponent: Int) -> Double { (0..<exponent).reduce(1.0) { value, _ in value * extras.layerDecay } }
  if let place = name.range(of: ".layer.") {
    let number = Int(name[place.upperBound...].prefix { $0 != "." }) ?? -1
    return number < extras.frozenLayers ? nil : power(layers - number)
  }
  if name.contains("embeddings") { return extras.freezesEmbeddings ? nil : power(layers + 1) }
  return extras.headRateFactor
}

@Test(arguments: [ModelFamily.bert, .roberta, .electra], [false, true])
func `every tensor is in the group that its name says, or in none`(_ family: ModelFamily, _ freezes: Bool) throws {
  let layout = try layout(family, embedding: family == .electra ? 16 : nil)
  for (decay, frozenLayers) in [(1.0, 0), (0.5, 0), (0.5, 2), (1.0, 3)] {
    var extras = TrainingExtras()
    extras.layerDecay = decay
    extras.headRateFactor = 3
    extras.freezesEmbeddings = freezes
    extras.frozenLayers = frozenLayers
    let groups = ParameterGroups(layout, extras)
    for (number, slot) in layout.tensors.enumerated() {
      let found = groups.groups.filter {
        $0.range.contains(slot.offset) && $0.range.contains(slot.offset + slot.count - 1)
      }
      let factor = expected(slot.name, layout.layers.count, extras)
      #expect(found.count == (factor == nil ? 0 : 1), "\(slot.name)")
      #expect(groups.trained.contains(number) == (factor != nil), "\(slot.name)")
      guard let group = found.first, let factor else { continue }
      #expect(abs(group.factor - factor) <= 1e-15, "\(slot.name)")
      #expect(group.decays == !(slot.name.hasSuffix(".bias") || slot.name.contains("LayerNorm")), "\(slot.name)")
      #expect(slot.offset >= groups.start)
    }
    for (a, b) in zip(groups.groups, groups.groups.dropFirst()) { #expect(a.range.upperBound <= b.range.lowerBound) }
  }
}

@Test func `without options there are two groups, which are the whole arena`() throws {
  let layout = try layout(.roberta)
  let groups = ParameterGroups(layout, TrainingExtras()).groups
  #expect(groups.map(\.range) == [0..<layout.decayingCount, layout.decayingCount..<layout.count])
  #expect(groups.map(\.decays) == [true, false] && groups.allSatisfy { $0.factor == 1 })
}

@Test func `averages begin with the first weights and then weigh as they should`() {
  var extras = TrainingExtras()
  #expect(AveragingRule(extras, totalSteps: 10) == nil)
  extras.swaStart = 0.5
  extras.swaEvery = 2
  let swa = AveragingRule(extras, totalSteps: 10)
  #expect(
    (1...10).map { swa?.weight(step: $0, averaged: max(0, ($0 - 4) / 2)) ?? -1 } == [
      -1, -1, -1, -1, -1, 0.5, -1, 1 / 3, -1, 0.25,
    ])
  extras = TrainingExtras()
  extras.emaDecay = 0.75
  let ema = AveragingRule(extras, totalSteps: 10)
  #expect((0..<3).map { ema?.weight(step: $0 + 1, averaged: $0) } == [1, 0.25, 0.25])
  extras.emaWarmup = true
  let warm = AveragingRule(extras, totalSteps: 10)
  #expect((0..<3).map { warm?.weight(step: $0 + 1, averaged: $0) } == [1, Float(1 - 2.0 / 11), Float(1 - 3.0 / 12)])
}

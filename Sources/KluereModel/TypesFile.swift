internal import KluereBase
package import KluereData
internal import KluereFormats

/// Type mask and pair heads in kluere.json: counts and labels by their numbers in the file's `labels`.
extension ModelExtras {
  mutating func readTypes(_ file: JSONFields, labelCount: Int, path: String) throws(KluereError) {
    if let object = try file.object("type_mask") {
      let place = "\(path): type_mask"
      var settings = TypeMask.Settings()
      settings.smoothing = try object.double("smoothing") ?? settings.smoothing
      settings.strength = try object.double("strength") ?? settings.strength
      settings.hardCount = try object.int("hard_count") ?? settings.hardCount
      settings.inTraining = try object.bool("in_training") ?? settings.inTraining
      let (pairs, counts) = try ModelExtras.pairs(object, "counts", place)
      let table = try TypeCounts(pairs: pairs, counts: counts, labelCount: labelCount, place)
      do throws(KluereError) { typeMask = try TypeMask(table, settings) } catch {
        throw KluereError(.badFormat, "\(place): \(error.message)")
      }
    }
    if let object = try file.object("pair_heads") {
      let place = "\(path): pair_heads"
      let (pairs, labels) = try ModelExtras.pairs(object, "labels", place)
      pairHeads = try PairHeads(pairs: pairs, labels: labels, labelCount: labelCount, place)
    }
    do throws(KluereError) { try checkTypes() } catch { throw KluereError(.badFormat, "\(path): \(error.message)") }
  }

  private static func pairs(
    _ object: JSONFields, _ key: String, _ place: String
  ) throws(KluereError) -> ([TypePair], [[Int]]) {
    guard let list = try object.objects("pairs") else {
      throw KluereError(.badFormat, "\(place): pairs are missing")
    }
    var pairs: [TypePair] = []
    var numbers: [[Int]] = []
    for member in list {
      guard let subject = try member.string("subject"), let object = try member.string("object"),
        let values = try member.integers(key)
      else {
        throw KluereError(.badFormat, "\(place): pair \(pairs.count): expected subject, object and \(key)")
      }
      pairs.append(TypePair(subject: Array(subject.utf8), object: Array(object.utf8)))
      numbers.append(values)
    }
    return (pairs, numbers)
  }

  func writeTypes(_ writer: inout JSONWriter) {
    if let typeMask { typeMask.write(&writer) }
    if let pairHeads { pairHeads.write(&writer) }
  }
}

extension TypeMask {
  fileprivate func write(_ writer: inout JSONWriter) {
    writer.key("type_mask")
    writer.beginObject()
    writer.key("smoothing")
    writer.number(settings.smoothing)
    writer.key("strength")
    writer.number(settings.strength)
    writer.key("hard_count")
    writer.integer(settings.hardCount)
    writer.key("in_training")
    writer.bool(settings.inTraining)
    writer.write(counts.pairs, "counts", counts.counts)
    writer.endObject()
  }
}

extension PairHeads {
  fileprivate func write(_ writer: inout JSONWriter) {
    writer.key("pair_heads")
    writer.beginObject()
    writer.write(pairs, "labels", labels)
    writer.endObject()
  }
}

extension TypeCounts {
  /// labels, pairs with their counts, and how many rows were left out, as JSON.
  package func described(_ labels: LabelSet) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(labels)
    writer.write(pairs, "counts", counts)
    writer.key("left_out")
    writer.integer(leftOut)
    writer.endObject()
    return writer.finish()
  }
}

extension Model {
  /// labels, type_mask and pair_heads as kluere.json has them; what the model lacks is left out.
  package func describedTypes() -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(labels)
    extras.writeTypes(&writer)
    writer.endObject()
    return writer.finish()
  }
}

extension JSONWriter {
  fileprivate mutating func write(_ labels: LabelSet) {
    key("labels")
    beginArray()
    for name in labels.names { string(name) }
    endArray()
  }

  fileprivate mutating func write(_ pairs: [TypePair], _ name: String, _ numbers: [[Int]]) {
    key("pairs")
    beginArray()
    for (pair, values) in zip(pairs, numbers) {
      beginObject()
      key("subject")
      string(String(decoding: pair.subject, as: Unicode.UTF8.self))
      key("object")
      string(String(decoding: pair.object, as: Unicode.UTF8.self))
      key(name)
      beginArray()
      for value in values { integer(value) }
      endArray()
      endObject()
    }
    endArray()
  }
}

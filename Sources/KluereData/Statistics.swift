internal import KluereFormats

/// The figures of a dataset, as JSON.
package enum Statistics {
  /// `tokens`: per row how many a tokenizer makes of the sentence; nil: not counted.
  package static func describe(_ dataset: Dataset, tokens: [Int32]?) -> [UInt8] {
    var json = JSONWriter(indent: nil)
    json.beginObject()
    json.key("rows")
    json.integer(dataset.count)
    json.key("labelled")
    json.integer(dataset.labelIndices.count { $0 >= 0 })
    json.key("sentences")
    json.integer(RowIndex(dataset, by: .sentence).distinctCount)
    for (name, field) in fields {
      json.key(name)
      write(dataset.distribution(field), to: &json)
    }
    json.key("type_pair_without_no_relation")
    write(dataset.distribution(.typePair, skipping: dataset.noRelation), to: &json)
    json.key("label_types")
    write(TypeTriples(dataset), dataset.labels, to: &json)
    json.key("characters")
    write(LengthSummary(dataset.characterLengths()), to: &json)
    if let tokens {
      json.key("tokens")
      write(LengthSummary(tokens), to: &json)
    }
    json.endObject()
    return json.finish()
  }

  static let fields: [(name: String, field: RowField)] = [
    ("label", .label), ("source", .source), ("subject_type", .subjectType), ("object_type", .objectType),
    ("type_pair", .typePair),
  ]

  private static func write(_ distribution: Distribution, to json: inout JSONWriter) {
    json.beginArray()
    for (value, count) in distribution.counts {
      json.beginArray()
      if let value { json.string(value) } else { json.null() }
      json.integer(count)
      json.endArray()
    }
    json.endArray()
  }

  private static func write(_ triples: TypeTriples, _ labels: LabelSet, to json: inout JSONWriter) {
    json.beginArray()
    for (key, count) in triples.ordered() {
      json.beginArray()
      if let index = Int(exactly: key.label), labels.names.indices.contains(index) {
        json.string(labels.names[index])
      } else {
        json.null()
      }
      for type in [key.subject, key.object] {
        if let type { json.string(String(decoding: type, as: Unicode.UTF8.self)) } else { json.null() }
      }
      json.integer(count)
      json.endArray()
    }
    json.endArray()
  }

  private static func write(_ summary: LengthSummary, to json: inout JSONWriter) {
    json.beginObject()
    json.key("minimum")
    json.integer(summary.minimum)
    json.key("maximum")
    json.integer(summary.maximum)
    json.key("mean")
    json.number(summary.mean)
    json.key("standard_deviation")
    json.number(summary.standardDeviation)
    json.key("quantiles")
    json.beginArray()
    for (share, length) in summary.quantiles {
      json.beginArray()
      json.number(share)
      json.number(length)
      json.endArray()
    }
    json.endArray()
    json.key("rows_by_length")
    json.beginArray()
    for (length, rows) in summary.rowsByLength {
      json.beginArray()
      json.integer(length)
      json.integer(rows)
      json.endArray()
    }
    json.endArray()
    json.endObject()
  }
}

/// How often each label stands with each pair of types.
struct TypeTriples {
  struct Key {
    var label: Int32
    var subject: [UInt8]?
    var object: [UInt8]?
  }

  /// The different triples and the rows that have them.
  private(set) var keys: [Key] = []
  private(set) var counts: [Int] = []
  /// Per row the place of its triple.
  private(set) var places: [Int] = []

  init(_ dataset: Dataset) {
    var types = TextNumbers()
    var known: [[Int]: Int] = [:]
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      let label = dataset.labelIndex(row)
      let key = [Int(label), types.number(of: example.subject.type), types.number(of: example.object.type)]
      if let place = known[key] {
        counts[place] += 1
        places.append(place)
        continue
      }
      known[key] = keys.count
      places.append(keys.count)
      keys.append(
        Key(
          label: label, subject: example.subject.type.map { Array($0) }, object: example.object.type.map { Array($0) }))
      counts.append(1)
    }
  }

  /// Labels in their order, hidden ones last; within a label by falling count, then by the types' names.
  func ordered() -> [(key: Key, count: Int)] {
    zip(keys, counts).map { (key: $0, count: $1) }.sorted { a, b in
      if a.key.label != b.key.label { return UInt32(bitPattern: a.key.label) < UInt32(bitPattern: b.key.label) }
      if a.count != b.count { return a.count > b.count }
      let (left, right) = (a.key.subject ?? [], b.key.subject ?? [])
      if left != right { return left.lexicographicallyPrecedes(right) }
      return (a.key.object ?? []).lexicographicallyPrecedes(b.key.object ?? [])
    }
  }
}

internal import CKluere
internal import KluereBase
internal import KluereData
internal import KluereText

/// The caller's array of kluere_example, whose elements may be larger than ours.
struct ExampleArray {
  private let base: UnsafePointer<kluere_example>?
  private let stride: Int
  private let unit: OffsetUnit
  private let name: String
  let count: Int

  init(
    _ pointer: UnsafePointer<kluere_example>?, size: Int, count: Int, unit: Int32, _ name: String = "examples"
  ) throws(KluereError) {
    self.unit = try offsetUnit(unit, "offset_unit")
    self.name = name
    stride = try exampleSize(size)
    base = pointer
    if let pointer {
      self.count = try elements(pointer, count, stride: stride, name)
    } else {
      guard count == 0 else {
        throw KluereError(.invalidArgument, "\(name) is NULL with a count of \(asWritten(count))")
      }
      self.count = 0
    }
  }

  /// Views of all examples, their offsets in bytes; the texts stay the caller's.
  func views() throws(KluereError) -> [ExampleView] {
    var views: [ExampleView] = []
    views.reserveCapacity(min(count, 65_536))
    for index in 0..<count {
      do throws(KluereError) {
        views.append(try view(index))
      } catch {
        throw error.inside("\(name)[\(index)]")
      }
    }
    return views
  }

  /// `index` is below `count`.
  private func view(_ index: Int) throws(KluereError) -> ExampleView {
    guard let start = UnsafeRawPointer(base)?.advanced(by: index * stride) else {
      throw KluereError(.invalidArgument, "NULL")
    }
    let known = MemoryLayout<kluere_example>.size
    if stride > known { try requireZeros(start, from: known, to: stride, "kluere_example") }
    var example = kluere_example()
    withUnsafeMutableBytes(of: &example) { ours in
      ours.copyMemory(from: UnsafeRawBufferPointer(start: start, count: min(stride, known)))
    }
    return try exampleView(example, unit)
  }
}

/// One example that is passed alone.
func singleExample(
  _ pointer: UnsafePointer<kluere_example>?, size: Int, unit: Int32
) throws(KluereError) -> ExampleView {
  let pointer = try required(pointer, "example")
  let views = try ExampleArray(pointer, size: size, count: 1, unit: unit, "example").views()
  guard let view = views.first else { throw KluereError(.internal, "no example") }
  return view
}

/// sizeof(kluere_example) as the caller knows it: since the first version, which ended with `source_length`.
func exampleSize(_ size: Int) throws(KluereError) -> Int {
  let known = MemoryLayout<kluere_example>.size
  guard size >= 128, size <= 4096 else {
    throw KluereError(
      .invalidArgument, "example_size: \(asWritten(size)), expected sizeof(kluere_example), \(known) in this version")
  }
  return size
}

private func exampleView(_ example: kluere_example, _ unit: OffsetUnit) throws(KluereError) -> ExampleView {
  let sentence = try text(example.text, example.text_length, "text")
  return ExampleView(
    text: sentence,
    subject: try entity(example.subject, in: sentence, unit, "subject"),
    object: try entity(example.object, in: sentence, unit, "object"),
    label: try optionalText(example.label, example.label_length, "label"),
    id: try optionalText(example.id, example.id_length, "id"),
    source: try optionalText(example.source, example.source_length, "source"),
    origin: try optionalText(example.origin, example.origin_length, "origin"))
}

/// The caller's entities, their offsets in bytes.
func entities(
  _ pointer: UnsafePointer<kluere_entity>?, _ count: Int, in sentence: UnsafeBufferPointer<UInt8>, _ unit: OffsetUnit
) throws(KluereError) -> [Entity] {
  var found: [Entity] = []
  for (index, given) in try array(pointer, count, "entities").enumerated() {
    do throws(KluereError) { found.append(try entity(given, in: sentence, unit, "entity")) } catch {
      throw error.inside("entities[\(index)]")
    }
  }
  return found
}

private func entity(
  _ entity: kluere_entity, in sentence: UnsafeBufferPointer<UInt8>, _ unit: OffsetUnit, _ name: String
) throws(KluereError) -> Entity {
  do throws(KluereError) {
    return Entity(
      begin: try converted(entity.begin, in: sentence, from: unit, to: .bytes),
      end: try converted(entity.end, in: sentence, from: unit, to: .bytes),
      type: try optionalText(entity.type, entity.type_length, "type"))
  } catch {
    throw error.inside("\(name) [\(asWritten(entity.begin)), \(asWritten(entity.end)))")
  }
}

/// The caller's struct that takes one row: what this version does not know becomes zero.
struct ExampleOut {
  private let pointer: UnsafeMutableRawPointer
  private let size: Int

  init(_ pointer: UnsafeMutablePointer<kluere_example>?, size: Int) throws(KluereError) {
    self.pointer = UnsafeMutableRawPointer(try required(pointer, "out"))
    self.size = try exampleSize(size)
  }

  func store(_ example: kluere_example) {
    let known = MemoryLayout<kluere_example>.size
    withUnsafeBytes(of: example) { ours in
      UnsafeMutableRawBufferPointer(start: pointer, count: size).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: ours.prefix(size)))
    }
    guard size > known else { return }
    UnsafeMutableRawBufferPointer(start: pointer + known, count: size - known).initializeMemory(
      as: UInt8.self, repeating: 0)
  }
}

/// A view of ours as the header's struct.
func exampleStruct(_ view: ExampleView, _ unit: OffsetUnit) throws(KluereError) -> kluere_example {
  var example = kluere_example()
  example.text = characters(view.text)
  example.text_length = view.text.count
  example.subject = try entityStruct(view.subject, in: view.text, unit)
  example.object = try entityStruct(view.object, in: view.text, unit)
  example.label = view.label.flatMap(characters)
  example.label_length = view.label?.count ?? 0
  example.id = view.id.flatMap(characters)
  example.id_length = view.id?.count ?? 0
  example.source = view.source.flatMap(characters)
  example.source_length = view.source?.count ?? 0
  example.origin = view.origin.flatMap(characters)
  example.origin_length = view.origin?.count ?? 0
  return example
}

private func entityStruct(
  _ entity: Entity, in sentence: UnsafeBufferPointer<UInt8>, _ unit: OffsetUnit
) throws(KluereError) -> kluere_entity {
  kluere_entity(
    begin: try convertOffset(sentence, entity.begin, from: .bytes, to: unit),
    end: try convertOffset(sentence, entity.end, from: .bytes, to: unit),
    type: entity.type.flatMap(characters), type_length: entity.type?.count ?? 0)
}

private func characters(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafePointer<CChar>? {
  UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
}

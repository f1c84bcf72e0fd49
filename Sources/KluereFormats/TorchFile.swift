internal import KluereBase

/// A state dict that torch.save wrote: the zip form (PyTorch 1.6 and later) or the older one of bare pickles. Names and
/// places of the tensors; their values stay in the file.
struct TorchFile {
  private(set) var tensors: [StoredTensor] = []

  private let file: MappedFile
  private let path: String
  private var pickle: Pickle
  /// The bytes of each storage, by its key.
  private var storages: [[UInt8]: Range<Int>] = [:]

  static func isTorch(_ bytes: UnsafeRawBufferPointer) -> Bool {
    ZipArchive.isZip(bytes) || legacyStart(bytes) != nil
  }

  /// What the older form begins with: 0x1950a86a20f9469cfc6c as a pickle's long number, and its end.
  private static let magic: [UInt8] = [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]

  /// Where the second pickle of the older form begins: behind protocol, frame (from protocol 4 on) and magic number.
  private static func legacyStart(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) else { return nil }
    let start = bytes.count >= 11 && bytes[2] == 0x95 ? 11 : 2
    return bytes[start...].starts(with: magic) ? start + magic.count : nil
  }

  init(file: MappedFile, name path: String) throws(KluereError) {
    self.file = file
    self.path = path
    if ZipArchive.isZip(file.bytes) {
      let archive = try ZipArchive(file.bytes, name: path)
      let suffix = Array("/data.pkl".utf8)
      guard let main = archive.entries.first(where: { $0.name.ends(with: suffix) }) else {
        throw KluereError(.badFormat, "\(path): a zip archive without data.pkl: torch.save did not write it")
      }
      let folder = main.name.dropLast(suffix.count)
      if let order = archive.entries.first(where: { $0.name.elementsEqual(folder + Array("/byteorder".utf8)) }),
        !file.bytes[order.range].elementsEqual("little".utf8)
      {
        throw KluereError(.unsupported, "\(path): its byte order is not \"little\"")
      }
      let prefix = folder + Array("/data/".utf8)
      for entry in archive.entries where entry.name.starts(with: prefix) {
        storages[Array(entry.name.dropFirst(prefix.count))] = entry.range
      }
      pickle = try Pickle(file.bytes, from: main.range.lowerBound, to: main.range.upperBound, path: path)
    } else {
      guard let start = TorchFile.legacyStart(file.bytes) else {
        throw KluereError(.badFormat, "\(path): neither of the two forms that torch.save writes")
      }
      (pickle, storages) = try TorchFile.legacy(file.bytes, from: start, path)
    }
    try collect()
  }

  // MARK: The older form

  /// Five pickles (magic number, protocol, system, the object, the storages' keys), then for each storage the number of
  /// its elements in 8 bytes and its bytes.
  private static func legacy(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ path: String
  ) throws(KluereError) -> (Pickle, [[UInt8]: Range<Int>]) {
    let version = try Pickle(bytes, from: start, to: bytes.count, path: path)
    guard case .int(1001) = version.values[version.root] else {
      throw KluereError(.unsupported, "\(path): not version 1001 of torch.save's older form")
    }
    let system = try Pickle(bytes, from: version.end, to: bytes.count, path: path)
    if case .dictionary(let items) = system.values[system.root] {
      for pair in stride(from: 0, to: items.count - 1, by: 2) {
        if case .string(let key) = system.values[items[pair]], key.elementsEqual("little_endian".utf8),
          case .bool(false) = system.values[items[pair + 1]]
        {
          throw KluereError(.unsupported, "\(path): its byte order is not little-endian")
        }
      }
    }
    let object = try Pickle(bytes, from: system.end, to: bytes.count, path: path)
    let keys = try Pickle(bytes, from: object.end, to: bytes.count, path: path)
    guard case .list(let list) = keys.values[keys.root] else {
      throw KluereError(.badFormat, "\(path): the list of storages is missing")
    }
    var sizes: [[UInt8]: Int] = [:]
    for value in object.values {
      guard case .persistent(let id) = value, let storage = Storage(object, id) else { continue }
      sizes[storage.key] = storage.type.size
    }
    let reader = LittleEndian(bytes: bytes)
    var storages: [[UInt8]: Range<Int>] = [:]
    var place = keys.end
    for reference in list {
      guard case .string(let key) = keys.values[reference], let size = sizes[key] else {
        throw KluereError(.badFormat, "\(path): a storage is listed that no tensor uses")
      }
      guard let count = reader.size64(place), let length = count.product(size), let end = (place + 8).sum(length),
        end <= bytes.count
      else { throw KluereError(.badFormat, "\(path): storage \(excerpt(key)) is not inside the file") }
      storages[key] = place + 8..<end
      place = end
    }
    return (object, storages)
  }

  // MARK: Tensors

  /// ("storage", class, key, location, number of elements), and in the older form a view or None.
  private struct Storage {
    let type: ElementType
    let key: [UInt8]
    let count: Int

    init?(_ pickle: Pickle, _ reference: Pickle.Reference) {
      guard case .tuple(let parts) = pickle.values[reference], parts.count >= 5,
        case .string(let kind) = pickle.values[parts[0]], kind.elementsEqual("storage".utf8),
        case .global(.storage(let type)) = pickle.values[parts[1]], case .string(let key) = pickle.values[parts[2]],
        case .int(let count) = pickle.values[parts[4]], count >= 0
      else { return nil }
      if parts.count > 5 {
        // A view of another storage, which torch has not written since 0.4.
        guard case .none = pickle.values[parts[5]] else { return nil }
      }
      self.type = type
      self.key = key
      self.count = count
    }
  }

  /// Names under which training scripts keep the state dict.
  private static let wrappers = ["state_dict", "model_state_dict", "model"]

  private mutating func collect() throws(KluereError) {
    guard case .dictionary(let top) = pickle.values[pickle.root] else {
      throw KluereError(.badFormat, "\(path): it holds no dictionary of tensors")
    }
    var items = top
    if !hasTensor(top) {
      let nested = members(top).filter { member in
        guard case .dictionary(let inner) = pickle.values[member.value] else { return false }
        return TorchFile.wrappers.contains { $0.utf8.elementsEqual(member.name) } && hasTensor(inner)
      }
      guard nested.count <= 1 else {
        throw KluereError(
          .badFormat, "\(path): both \(excerpt(nested[0].name)) and \(excerpt(nested[1].name)) hold tensors")
      }
      guard let only = nested.first, case .dictionary(let inner) = pickle.values[only.value] else {
        throw KluereError(.badFormat, "\(path): it holds no tensors")
      }
      items = inner
    }
    var names: Set<[UInt8]> = []
    for member in members(items) {
      guard let parts = tensorParts(member.value) else { continue }
      guard names.insert(member.name).inserted else {
        throw KluereError(.badFormat, "\(path): two tensors named \(excerpt(member.name))")
      }
      guard let name = String(validating: member.name, as: Unicode.UTF8.self) else {
        throw KluereError(.badFormat, "\(path): the name of a tensor is no UTF-8: \(excerpt(member.name))")
      }
      tensors.append(try tensor(name, parts, "\(path): \(excerpt(member.name))"))
    }
    tensors.sort { ($0.begin, $0.name) < ($1.begin, $1.name) }
  }

  /// The pairs whose keys are strings.
  private func members(_ items: [Pickle.Reference]) -> [(name: [UInt8], value: Pickle.Reference)] {
    stride(from: 0, to: items.count - 1, by: 2).compactMap { place in
      guard case .string(let name) = pickle.values[items[place]] else { return nil }
      return (name, items[place + 1])
    }
  }

  private func hasTensor(_ items: [Pickle.Reference]) -> Bool {
    members(items).contains { tensorParts($0.value) != nil }
  }

  /// Arguments of _rebuild_tensor_v2, also through a Parameter; nil for what is no tensor.
  private func tensorParts(_ reference: Pickle.Reference) -> [Pickle.Reference]? {
    guard case .call(let global, let arguments) = pickle.values[reference],
      case .tuple(let parts) = pickle.values[arguments]
    else { return nil }
    if global == .rebuildTensor { return parts }
    // A Parameter of a Parameter is nothing that PyTorch writes: one step, no loop.
    guard global == .rebuildParameter, let data = parts.first,
      case .call(.rebuildTensor, let inner) = pickle.values[data], case .tuple(let tensor) = pickle.values[inner]
    else { return nil }
    return tensor
  }

  /// (storage, offset, size, stride, ...)
  private func tensor(_ name: String, _ parts: [Pickle.Reference], _ shown: String) throws(KluereError) -> StoredTensor
  {
    guard parts.count >= 4, case .persistent(let id) = pickle.values[parts[0]], let storage = Storage(pickle, id),
      case .int(let offset) = pickle.values[parts[1]], offset >= 0, let shape = numbers(parts[2]),
      let strides = numbers(parts[3]), strides.count == shape.count
    else { throw KluereError(.badFormat, "\(shown): its description is wrong") }
    guard let range = storages[storage.key], let length = storage.count.product(storage.type.size),
      length <= range.count
    else { throw KluereError(.badFormat, "\(shown): its storage \(excerpt(storage.key)) is missing or cut") }
    var count: Int? = 1
    for size in shape { count = count?.product(size) }
    var last: Int? = offset
    for (size, stride) in zip(shape, strides) where size > 0 {
      last = (size - 1).product(stride).flatMap { last?.sum($0) }
    }
    // Expanded views could claim any size; a view of each element once cannot.
    guard let count, count <= storage.count, count == 0 || last.map({ $0 < storage.count }) == true else {
      throw KluereError(
        .badFormat, "\(shown): shape \(shape.prefix(8)) at \(offset) is not inside its storage of \(storage.count)")
    }
    return StoredTensor(
      name: name, type: storage.type, shape: shape, elementCount: count,
      strides: TorchFile.isRowMajor(shape, strides) || count == 0 ? nil : strides,
      begin: count == 0 ? range.lowerBound : range.lowerBound + offset * storage.type.size, file: file, path: path)
  }

  /// Whole numbers of a tuple or a torch.Size.
  private func numbers(_ reference: Pickle.Reference) -> [Int]? {
    let parts: [Pickle.Reference]
    switch pickle.values[reference] {
    case .tuple(let items): parts = items
    case .call(.size, let arguments):
      guard case .tuple(let outer) = pickle.values[arguments], let first = outer.first,
        case .tuple(let items) = pickle.values[first]
      else { return nil }
      parts = items
    default: return nil
    }
    // Before the loop: many tensors may share one long tuple.
    guard parts.count <= 64 else { return nil }
    var numbers: [Int] = []
    for part in parts {
      guard case .int(let number) = pickle.values[part], number >= 0 else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  private static func isRowMajor(_ shape: [Int], _ strides: [Int]) -> Bool {
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() {
      if size != 1, stride != expected { return false }
      expected = expected.product(size) ?? -1
    }
    return true
  }
}

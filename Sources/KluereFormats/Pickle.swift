internal import KluereBase

/// A restricted reader of Python's pickle format (pickletools.py of CPython names the opcodes): it builds plain values and
/// the few classes that PyTorch's state dicts consist of, and refuses everything else by name. Nothing is ever imported or
/// called. Each opcode makes at most one value, so memory stays in proportion to the file.
struct Pickle {
  /// A value's number; values never change their number and are shared freely.
  typealias Reference = Int

  enum Value {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string([UInt8])
    case bytes(Range<Int>)
    case tuple([Reference])
    case list([Reference])
    /// Keys and values by turns.
    case dictionary([Reference])
    /// A class or function that has been named and is allowed.
    case global(Global)
    /// What a persistent id names: in PyTorch's files, a storage.
    case persistent(Reference)
    /// An allowed global called with a tuple.
    case call(Global, Reference)
  }

  /// What a pickle may name. PyTorch: torch/_utils.py and torch/serialization.py.
  enum Global: Equatable {
    case orderedDict
    case rebuildTensor
    case rebuildParameter
    case size
    case device
    case storage(ElementType)
    case untypedStorage
    case dtype

    init?(module: String, name: String) {
      switch (module, name) {
      case ("collections", "OrderedDict"): self = .orderedDict
      case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
      case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
      case ("torch", "Size"): self = .size
      case ("torch", "device"): self = .device
      case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"): self = .untypedStorage
      case ("torch", _):
        if let type = Global.storages[name] {
          self = .storage(type)
        } else if Global.dtypes.contains(name) {
          self = .dtype
        } else {
          return nil
        }
      default: return nil
      }
    }

    private static let storages: [String: ElementType] = [
      "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16, "DoubleStorage": .f64, "LongStorage": .i64,
      "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8, "ByteStorage": .u8, "BoolStorage": .bool,
    ]
    private static let dtypes: Set<String> = [
      "float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool",
    ]
  }

  private(set) var values: [Value] = []
  /// The value that the pickle stands for, and the byte behind it.
  private(set) var root: Reference = 0
  private(set) var end: Int

  private let reader: LittleEndian
  private let path: String
  private var place: Int
  private var stack: [Reference] = []
  /// Heights of the stack at the open marks.
  private var marks: [Int] = []
  private var memo: [Int: Reference] = [:]
  /// Items that were copied from one value into another: shared lists would let a small file make large values.
  private var copied = 0

  /// Reads from byte `start` of `bytes`, not beyond `limit`.
  init(_ bytes: UnsafeRawBufferPointer, from start: Int, to limit: Int, path: String) throws(KluereError) {
    reader = LittleEndian(bytes: UnsafeRawBufferPointer(rebasing: bytes[..<limit]))
    self.path = path
    place = start
    end = start
    while try step() {}
    end = place
  }

  // MARK: Errors

  private func bad(_ what: String) -> KluereError {
    KluereError(.badFormat, "\(path): pickle at byte \(place): \(what)")
  }

  private func refused(_ what: String) -> KluereError {
    KluereError(.unsupported, "\(path): pickle at byte \(place): \(what)")
  }

  // MARK: Reading

  private mutating func take<T>(_ count: Int, _ read: (LittleEndian, Int) -> T?) throws(KluereError) -> T {
    guard let value = read(reader, place) else { throw bad("it is cut short") }
    place += count
    return value
  }

  private mutating func u8() throws(KluereError) -> Int { try take(1) { $0.u8($1).map { Int($0) } } }
  private mutating func u16() throws(KluereError) -> Int { try take(2) { $0.size16($1) } }
  private mutating func u32() throws(KluereError) -> Int { try take(4) { $0.size32($1) } }
  private mutating func i32() throws(KluereError) -> Int { try take(4) { $0.i32($1) } }
  private mutating func size64() throws(KluereError) -> Int { try take(8) { $0.size64($1) } }

  private mutating func text(_ count: Int) throws(KluereError) -> [UInt8] {
    try take(count) { $0.slice($1, count) }
  }

  private mutating func range(_ count: Int) throws(KluereError) -> Range<Int> {
    let begin = place
    guard count >= 0, begin <= reader.bytes.count - count else { throw bad("it is cut short") }
    place += count
    return begin..<place
  }

  /// Up to a newline, which is taken too.
  private mutating func line() throws(KluereError) -> [UInt8] {
    var end = place
    while end < reader.bytes.count, reader.bytes[end] != 0x0A { end += 1 }
    guard end < reader.bytes.count else { throw bad("it is cut short") }
    let line = try text(end - place)
    place += 1
    return line
  }

  /// A little-endian number in two's complement. Those that do not fit in 64 bits stand for themselves alone: nil.
  private mutating func long(_ count: Int) throws(KluereError) -> Int? {
    let bytes = try text(count)
    guard count <= 8 else { return nil }
    var value: Int = (bytes.last ?? 0) & 0x80 == 0 ? 0 : -1
    for byte in bytes.reversed() { value = value << 8 | Int(byte) }
    return value
  }

  // MARK: The machine

  private mutating func push(_ value: Value) {
    stack.append(values.count)
    values.append(value)
  }

  private mutating func pop() throws(KluereError) -> Reference {
    guard stack.count > (marks.last ?? 0), let top = stack.popLast() else { throw bad("its stack is empty") }
    return top
  }

  private func top() throws(KluereError) -> Reference {
    guard stack.count > (marks.last ?? 0), let top = stack.last else { throw bad("its stack is empty") }
    return top
  }

  private mutating func popMark() throws(KluereError) -> [Reference] {
    guard let height = marks.popLast(), height <= stack.count else { throw bad("a mark is missing") }
    let items = Array(stack[height...])
    stack.removeSubrange(height...)
    return items
  }

  private mutating func pop(_ count: Int) throws(KluereError) -> [Reference] {
    var items: [Reference] = []
    for _ in 0..<count { items.append(try pop()) }
    return items.reversed()
  }

  /// One opcode; false after the last.
  private mutating func step() throws(KluereError) -> Bool {
    let code = try u8()
    switch UInt8(truncatingIfNeeded: code) {
    case 0x80:
      let version = try u8()
      guard (2...5).contains(version) else { throw refused("protocol \(version), expected 2 to 5") }
    case 0x95: _ = try size64()  // a frame: only its length
    case UInt8(ascii: "."):
      root = try pop()
      return false
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popMark()
    case UInt8(ascii: "2"): stack.append(try top())
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.bool(true))
    case 0x89: push(.bool(false))
    case UInt8(ascii: "J"): push(.int(try i32()))
    case UInt8(ascii: "K"): push(.int(try u8()))
    case UInt8(ascii: "M"): push(.int(try u16()))
    case 0x8A: push(try long(try u8()).map { .int($0) } ?? .none)
    case 0x8B: push(try long(try u32()).map { .int($0) } ?? .none)
    case UInt8(ascii: "G"):
      let bits = try take(8) { reader, place in reader.slice(place, 8) }
      push(.float(Double(bitPattern: bits.reduce(0) { $0 << 8 | UInt64($1) })))
    case UInt8(ascii: "X"), UInt8(ascii: "T"): push(.string(try text(try u32())))
    case UInt8(ascii: "U"), 0x8C: push(.string(try text(try u8())))
    case 0x8D: push(.string(try text(try size64())))
    case UInt8(ascii: "B"): push(.bytes(try range(try u32())))
    case UInt8(ascii: "C"): push(.bytes(try range(try u8())))
    case 0x8E: push(.bytes(try range(try size64())))
    case UInt8(ascii: "]"): push(.list([]))
    case UInt8(ascii: "l"): push(.list(try popMark()))
    case UInt8(ascii: ")"): push(.tuple([]))
    case UInt8(ascii: "t"): push(.tuple(try popMark()))
    case 0x85, 0x86, 0x87: push(.tuple(try pop(code - 0x84)))
    case UInt8(ascii: "}"): push(.dictionary([]))
    case UInt8(ascii: "d"): push(.dictionary(try pairs(try popMark())))
    case UInt8(ascii: "a"): try append([try pop()])
    case UInt8(ascii: "e"): try append(try popMark())
    case UInt8(ascii: "s"): try set(try pop(2))
    case UInt8(ascii: "u"): try set(try pairs(try popMark()))
    case UInt8(ascii: "q"): memo[try u8()] = try top()
    case UInt8(ascii: "r"): memo[try u32()] = try top()
    case 0x94: memo[memo.count] = try top()
    case UInt8(ascii: "h"): try get(try u8())
    case UInt8(ascii: "j"): try get(try u32())
    case UInt8(ascii: "c"):
      let (module, name) = (try line(), try line())
      try global(module, name)
    case 0x93:
      let names = try pop(2)
      guard case .string(let module) = values[names[0]], case .string(let name) = values[names[1]] else {
        throw bad("a global whose names are no strings")
      }
      try global(module, name)
    case UInt8(ascii: "Q"): push(.persistent(try pop()))
    case UInt8(ascii: "R"), 0x81: try call()
    case UInt8(ascii: "b"): try build()
    default:
      place -= 1
      let hex = String(code, radix: 16)
      throw refused("opcode 0x\(hex.count < 2 ? "0" : "")\(hex) has no place in a state dict")
    }
    return true
  }

  private func pairs(_ items: [Reference]) throws(KluereError) -> [Reference] {
    guard items.count % 2 == 0 else { throw bad("a key without a value") }
    return items
  }

  private mutating func append(_ items: [Reference]) throws(KluereError) {
    let target = try top()
    guard case .list(var list) = values[target] else { throw bad("items for what is no list") }
    // The old value goes first, so that the array is not copied.
    values[target] = .none
    list += items
    values[target] = .list(list)
  }

  private mutating func set(_ items: [Reference]) throws(KluereError) {
    let target = try top()
    guard case .dictionary(var dictionary) = values[target] else { throw bad("items for what is no dictionary") }
    values[target] = .none
    dictionary += items
    values[target] = .dictionary(dictionary)
  }

  private mutating func get(_ number: Int) throws(KluereError) {
    guard let value = memo[number] else { throw bad("memo \(number) has not been set") }
    stack.append(value)
  }

  private mutating func global(_ module: [UInt8], _ name: [UInt8]) throws(KluereError) {
    let (shownModule, shownName) = (excerpt(module, quoted: false), excerpt(name, quoted: false))
    guard
      let known = Global(
        module: String(decoding: module, as: Unicode.UTF8.self), name: String(decoding: name, as: Unicode.UTF8.self))
    else { throw refused("it asks for \(shownModule).\(shownName), which no state dict needs") }
    push(.global(known))
  }

  private mutating func call() throws(KluereError) {
    let items = try pop(2)
    guard case .global(let global) = values[items[0]] else { throw refused("it calls what is no class") }
    guard case .tuple(let arguments) = values[items[1]] else { throw bad("a call without a tuple of arguments") }
    switch global {
    case .orderedDict:
      // Also with a list of pairs, as older Python writes it.
      var content: [Reference] = []
      if let first = arguments.first {
        guard case .list(let list) = values[first] else { throw bad("OrderedDict of what is no list") }
        for item in list {
          switch values[item] {
          case .tuple(let pair) where pair.count == 2, .list(let pair) where pair.count == 2: content += pair
          default: throw bad("OrderedDict of what are no pairs")
          }
        }
        copied += content.count
        guard copied <= reader.bytes.count else { throw bad("its OrderedDicts are larger than the file") }
      }
      push(.dictionary(content))
    case .rebuildTensor, .rebuildParameter, .size, .device: push(.call(global, items[1]))
    case .storage, .untypedStorage, .dtype: throw refused("it calls a storage or a dtype")
    }
  }

  /// An object's attributes: those of an OrderedDict (`_metadata`) are of no use here, others have none.
  private mutating func build() throws(KluereError) {
    _ = try pop()
    switch values[try top()] {
    case .dictionary, .call: return
    default: throw refused("it sets attributes")
    }
  }
}

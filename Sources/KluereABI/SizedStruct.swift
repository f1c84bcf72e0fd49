internal import CKluere
internal import Glibc
internal import KluereBase

/// The rules for structs that begin with `uint32_t struct_size`. The caller's size may be smaller than ours (an older
/// header: the fields it lacks have their defaults) down to the first version's, or larger (a newer header) while all
/// that we do not know is zero.
enum SizedStruct<Struct: BitwiseCopyable> {
  /// A size that no version will have: the field was never set.
  private static var absurdSize: Int { 4096 }
  private static var knownSize: Int { MemoryLayout<Struct>.size }

  /// The size with which the struct first appeared: smaller ones are no struct of any version.
  static var firstSize: Int {
    if Struct.self == kluere_model_config.self { return 64 }
    if Struct.self == kluere_model_open_options.self { return 40 }
    if Struct.self == kluere_train_options.self { return 160 }
    if Struct.self == kluere_predictor_options.self { return 16 }
    if Struct.self == kluere_step_info.self { return 80 }
    return knownSize
  }

  /// `*_init`: writes the defaults and the caller's size, and zeroes what this version does not know.
  static func initialize(
    _ pointer: UnsafeMutablePointer<Struct>?, _ structSize: Int, firstSize: Int = SizedStruct.firstSize,
    defaults: Struct
  ) throws(KluereError) {
    let pointer = UnsafeMutableRawPointer(try required(pointer, "options"))
    let size = try checked(structSize, firstSize, "struct_size")
    write(defaults, to: pointer, size: size)
  }

  /// A copy of the caller's struct in ours; NULL gives `defaults`.
  static func read(
    _ pointer: UnsafePointer<Struct>?, _ name: String, firstSize: Int = SizedStruct.firstSize, defaults: Struct
  ) throws(KluereError) -> Struct {
    guard let pointer = UnsafeRawPointer(pointer) else { return defaults }
    let size = try sizeField(pointer, firstSize, name)
    if size > knownSize {
      try requireZeros(pointer, from: knownSize, to: size, name)
    }
    var copy = defaults
    withUnsafeMutableBytes(of: &copy) { ours in
      ours.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(size, knownSize)))
    }
    return copy
  }

  /// A struct of the caller's to be filled: at most its struct_size bytes are written, what we do not know becomes
  /// zero, and struct_size stays.
  struct Out {
    private let pointer: UnsafeMutableRawPointer
    private let size: Int

    init(
      _ pointer: UnsafeMutablePointer<Struct>?, _ name: String, firstSize: Int = SizedStruct.firstSize
    ) throws(KluereError) {
      self.pointer = UnsafeMutableRawPointer(try required(pointer, name))
      size = try sizeField(UnsafeRawPointer(self.pointer), firstSize, name)
    }

    func store(_ value: Struct) { write(value, to: pointer, size: size) }
  }

  /// Replaces what `read` gave from `pointer`. A caller with an older, shorter struct cannot be given what it has no field for.
  static func update(
    _ pointer: UnsafeMutablePointer<Struct>, _ name: String, firstSize: Int = SizedStruct.firstSize,
    from old: Struct, to new: Struct
  ) throws(KluereError) {
    let size = min(try sizeField(UnsafeRawPointer(pointer), firstSize, name), knownSize)
    let fits = withUnsafeBytes(of: old) { old in
      withUnsafeBytes(of: new) { new in old[size...].elementsEqual(new[size...]) }
    }
    guard fits else {
      throw KluereError(.version, "\(name): \(size) bytes, expected \(knownSize), as options beyond them are to be set")
    }
    withUnsafeBytes(of: new) { new in
      guard let base = new.baseAddress else { return }
      // Behind struct_size, which stays.
      let start = MemoryLayout<UInt32>.size
      (UnsafeMutableRawPointer(pointer) + start).copyMemory(from: base + start, byteCount: size - start)
    }
  }

  private static func write(_ value: Struct, to pointer: UnsafeMutableRawPointer, size: Int) {
    withUnsafeBytes(of: value) { ours in
      if let base = ours.baseAddress { pointer.copyMemory(from: base, byteCount: min(size, knownSize)) }
    }
    if size > knownSize { memset(pointer + knownSize, 0, size - knownSize) }
    // checked() keeps the size far below UInt32.max.
    pointer.storeBytes(of: UInt32(truncatingIfNeeded: size), as: UInt32.self)
  }

  private static func sizeField(_ pointer: UnsafeRawPointer, _ firstSize: Int, _ name: String) throws(KluereError)
    -> Int
  {
    try checked(Int(pointer.loadUnaligned(as: UInt32.self)), firstSize, "\(name)->struct_size")
  }

  private static func checked(_ size: Int, _ firstSize: Int, _ name: String) throws(KluereError) -> Int {
    guard size >= firstSize, size <= absurdSize else {
      throw KluereError(
        .invalidArgument, "\(name): \(asWritten(size)), expected the sizeof, \(knownSize) in this version")
    }
    return size
  }
}

/// Zero is the one value that every later version lets an older library ignore.
func requireZeros(_ pointer: UnsafeRawPointer, from begin: Int, to end: Int, _ name: String) throws(KluereError) {
  for offset in begin..<end where pointer.load(fromByteOffset: offset, as: UInt8.self) != 0 {
    throw KluereError(
      .version, "\(name): the byte at offset \(offset) is set, but this version knows only \(begin) bytes of the struct"
    )
  }
}

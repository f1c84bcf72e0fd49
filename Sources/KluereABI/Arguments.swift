internal import CKluere
internal import Glibc
internal import KluereBase
internal import KluereText

/// The pointer, or an error that names the argument.
func required<Pointer>(_ pointer: Pointer?, _ name: String) throws(KluereError) -> Pointer {
  guard let pointer else { throw KluereError(.invalidArgument, "\(name) is NULL") }
  return pointer
}

/// The number as the caller wrote it: size_t arrives as Int.
func asWritten(_ size: Int) -> UInt { UInt(bitPattern: size) }

// MARK: - Text

/// The length that means "up to the NUL".
let nulTerminated = Int(truncatingIfNeeded: KLUERE_NUL_TERMINATED)

/// A text of the caller's: not NULL, valid UTF-8, borrowed for the call.
func text(_ pointer: UnsafePointer<CChar>?, _ length: Int, _ name: String) throws(KluereError) -> UnsafeBufferPointer<
  UInt8
> {
  guard let text = try optionalText(pointer, length, name) else {
    throw KluereError(.invalidArgument, "\(name) is NULL")
  }
  return text
}

/// The same, where NULL (with the length 0 or KLUERE_NUL_TERMINATED) means none.
func optionalText(
  _ pointer: UnsafePointer<CChar>?, _ length: Int, _ name: String
) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
  guard let text = try optionalBytes(pointer, length, name) else { return nil }
  if let place = UTF8.firstInvalid(text) {
    throw KluereError(.invalidUTF8, "\(name): byte \(place) of \(text.count) is not valid UTF-8")
  }
  return text
}

/// A text whose UTF-8 somebody else looks at.
func uncheckedText(
  _ pointer: UnsafePointer<CChar>?, _ length: Int, _ name: String
) throws(KluereError) -> UnsafeBufferPointer<UInt8> {
  guard let bytes = try optionalBytes(pointer, length, name) else {
    throw KluereError(.invalidArgument, "\(name) is NULL")
  }
  return bytes
}

private func optionalBytes(
  _ pointer: UnsafePointer<CChar>?, _ length: Int, _ name: String
) throws(KluereError) -> UnsafeBufferPointer<UInt8>? {
  let terminated = length == nulTerminated
  guard let pointer else {
    guard length == 0 || terminated else {
      throw KluereError(.invalidArgument, "\(name) is NULL with a length of \(asWritten(length)) bytes")
    }
    return nil
  }
  let bytes = UnsafeRawPointer(pointer).assumingMemoryBound(to: UInt8.self)
  let count: Int
  if terminated {
    guard let found = Int(exactly: strlen(pointer)) else {
      throw KluereError(.invalidArgument, "\(name) is longer than memory")
    }
    count = found
  } else {
    count = try elements(bytes, length, name, unit: "bytes")
  }
  return UnsafeBufferPointer(start: bytes, count: count)
}

/// A NUL-terminated path.
func path(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(KluereError) -> String {
  let bytes = try text(pointer, nulTerminated, name)
  guard !bytes.isEmpty else { throw KluereError(.invalidArgument, "\(name) is empty, expected a path") }
  return String(decoding: bytes, as: Unicode.UTF8.self)
}

/// An array of NUL-terminated texts; nil for NULL with a count of 0.
func texts(
  _ pointer: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int, _ name: String
) throws(KluereError) -> [String]? {
  guard let pointer else {
    guard count == 0 else {
      throw KluereError(.invalidArgument, "\(name) is NULL with a count of \(asWritten(count))")
    }
    return nil
  }
  let count = try elements(pointer, count, name)
  var found: [String] = []
  for index in 0..<count {
    let bytes = try text(pointer[index], nulTerminated, "\(name)[\(index)]")
    found.append(String(decoding: bytes, as: Unicode.UTF8.self))
  }
  return found
}

func offsetUnit(_ value: Int32, _ name: String) throws(KluereError) -> OffsetUnit {
  try choice(value, name, "0 (bytes), 1 (code points) or 2 (UTF-16 units)")
}

/// Converts an offset of the caller's.
func converted(
  _ offset: Int, in text: UnsafeBufferPointer<UInt8>, from: OffsetUnit, to: OffsetUnit
) throws(KluereError) -> Int {
  guard offset >= 0 else {
    throw KluereError(.invalidArgument, "offset \(asWritten(offset)) is outside a text of \(text.count) bytes")
  }
  return try convertOffset(text, offset, from: from, to: to)
}

// MARK: - Arrays

/// Checks that `count` elements of `stride` bytes from `pointer` on can lie in memory at all.
func elements<Element>(
  _ pointer: UnsafePointer<Element>, _ count: Int, stride: Int = MemoryLayout<Element>.stride, _ name: String,
  unit: String = "elements"
) throws(KluereError) -> Int {
  guard count >= 0, let bytes = count.product(stride), Int(bitPattern: pointer).sum(bytes) != nil else {
    throw KluereError(.invalidArgument, "\(name): \(asWritten(count)) \(unit) do not fit in memory")
  }
  return count
}

/// An array that is only read. NULL is an empty array if the count says so.
func array<Element>(
  _ pointer: UnsafePointer<Element>?, _ count: Int, _ name: String
) throws(KluereError) -> UnsafeBufferPointer<Element> {
  guard let pointer else {
    guard count == 0 else {
      throw KluereError(.invalidArgument, "\(name) is NULL with a count of \(asWritten(count))")
    }
    return UnsafeBufferPointer(start: nil, count: 0)
  }
  return UnsafeBufferPointer(start: pointer, count: try elements(pointer, count, name))
}

/// The first `needed` elements of an array of the caller's.
func output<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, capacity: Int, needed: Int, _ name: String = "out"
) throws(KluereError) -> UnsafeMutableBufferPointer<Element> {
  guard let pointer else {
    guard capacity == 0 else {
      throw KluereError(.invalidArgument, "\(name) is NULL with a capacity of \(asWritten(capacity))")
    }
    guard needed == 0 else { throw tooSmall(capacity, needed, name) }
    return UnsafeMutableBufferPointer(start: nil, count: 0)
  }
  // Where the caller says how much: a size_t of more than Int.max is no size of an array.
  guard needed >= 0 else {
    throw KluereError(.invalidArgument, "\(name): \(asWritten(needed)) elements, expected an array that fits in memory")
  }
  // Compared as unsigned: a capacity of more than Int.max is large, not negative.
  guard UInt(bitPattern: capacity) >= UInt(bitPattern: needed) else { throw tooSmall(capacity, needed, name) }
  return UnsafeMutableBufferPointer(start: pointer, count: needed)
}

private func tooSmall(_ capacity: Int, _ needed: Int, _ name: String) -> KluereError {
  KluereError(.bufferTooSmall, "\(name) has room for \(asWritten(capacity)) elements, \(needed) are needed")
}

/// rows x columns as a count of elements.
func tableSize(_ rows: Int, _ columns: Int, _ name: String) throws(KluereError) -> Int {
  guard rows >= 0, columns >= 0, let count = rows.product(columns) else {
    throw KluereError(.invalidArgument, "\(name): \(asWritten(rows)) x \(asWritten(columns)) does not fit in memory")
  }
  return count
}

/// An index into `count` things.
func index(_ index: Int, below count: Int, _ name: String) throws(KluereError) -> Int {
  guard (0..<count).contains(index) else {
    throw KluereError(.invalidArgument, "\(name) \(asWritten(index)), but there are \(count)")
  }
  return index
}

/// A count in the caller's struct as Int; this library runs where Int has 64 bits.
func integer(_ value: UInt64, _ name: String) throws(KluereError) -> Int {
  guard let converted = Int(exactly: value) else {
    throw KluereError(.invalidArgument, "\(name): \(value), expected at most \(Int.max)")
  }
  return converted
}

/// One of the values of an anonymous enum of the header.
func choice<Choice: RawRepresentable<Int32>>(
  _ value: Int32, _ name: String, _ expected: String
) throws(KluereError) -> Choice {
  guard let choice = Choice(rawValue: value) else {
    throw KluereError(.invalidArgument, "\(name): \(value), expected \(expected)")
  }
  return choice
}

/// A field that says yes or no.
func truth(_ value: UInt32, _ name: String) throws(KluereError) -> Bool {
  guard value <= 1 else { throw KluereError(.invalidArgument, "\(name): \(value), expected 0 or 1") }
  return value == 1
}

/// Flags of which only `known` exist.
func flags(_ value: UInt32, known: UInt32, _ name: String) throws(KluereError) -> UInt32 {
  guard value & ~known == 0 else {
    throw KluereError(.invalidArgument, "\(name): \(value), expected a sum of flags up to \(known)")
  }
  return value
}

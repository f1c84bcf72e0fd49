public import CKluere
internal import CKluereSupport
internal import KluereBase
internal import KluereText

@_cdecl("kluere_abi_version")
public func abiVersion() -> UInt32 { KLUERE_ABI_VERSION }

@_cdecl("kluere_version_number")
public func versionNumber() -> UInt32 { KLUERE_VERSION_NUMBER }

/// Also written into the files of a model folder.
let libraryVersion: StaticString = "0.1.0"

@_cdecl("kluere_version_string")
public func versionString() -> UnsafePointer<CChar>? { characters(libraryVersion) }

@_cdecl("kluere_status_name")
public func statusName(_ status: kluere_status) -> UnsafePointer<CChar>? {
  if status == kluere_status(KLUERE_OK) { return characters("KLUERE_OK") }
  return switch Status(rawValue: status) {
  case .invalidArgument: characters("KLUERE_ERR_INVALID_ARGUMENT")
  case .badHandle: characters("KLUERE_ERR_BAD_HANDLE")
  case .invalidUTF8: characters("KLUERE_ERR_INVALID_UTF8")
  case .state: characters("KLUERE_ERR_STATE")
  case .io: characters("KLUERE_ERR_IO")
  case .badFormat: characters("KLUERE_ERR_BAD_FORMAT")
  case .version: characters("KLUERE_ERR_VERSION")
  case .outOfMemory: characters("KLUERE_ERR_OUT_OF_MEMORY")
  case .device: characters("KLUERE_ERR_DEVICE")
  case .unsupported: characters("KLUERE_ERR_UNSUPPORTED")
  case .bufferTooSmall: characters("KLUERE_ERR_BUFFER_TOO_SMALL")
  case .cancelled: characters("KLUERE_ERR_CANCELLED")
  case .notFinite: characters("KLUERE_ERR_NOT_FINITE")
  case .busy: characters("KLUERE_ERR_BUSY")
  case .timeout: characters("KLUERE_ERR_TIMEOUT")
  case .internal: characters("KLUERE_ERR_INTERNAL")
  case nil: characters("KLUERE_ERR_UNKNOWN")
  }
}

@_cdecl("kluere_last_error")
public func lastError(_ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int) -> Int {
  ks_error_copy(buffer, capacity)
}

@_cdecl("kluere_offset_convert")
public func offsetConvert(
  _ textPointer: UnsafePointer<CChar>?, _ textLength: Int, _ offset: Int, _ fromUnit: Int32, _ toUnit: Int32,
  _ out: UnsafeMutablePointer<Int>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try required(out, "out")
    let from = try offsetUnit(fromUnit, "from_unit")
    let to = try offsetUnit(toUnit, "to_unit")
    out.pointee = try converted(
      offset, in: try text(textPointer, textLength, "text"), from: from, to: to)
  }
}

/// Static storage: a StaticString ends in NUL and is never freed.
private func characters(_ string: StaticString) -> UnsafePointer<CChar>? {
  UnsafeRawPointer(string.utf8Start).assumingMemoryBound(to: CChar.self)
}

internal import CKluere
internal import CKluereSupport
internal import KluereBase

/// Runs the body of one exported function. An error becomes this thread's message and the status; nothing else leaves.
func boundary(_ body: () throws(KluereError) -> Void) -> kluere_status {
  do throws(KluereError) {
    try body()
    return kluere_status(KLUERE_OK)
  } catch {
    record(error.message)
    return error.status.rawValue
  }
}

/// For functions that return a plain value: what they return for a bad handle, with the message kept all the same.
func value<Value>(otherwise fallback: Value, _ body: () throws(KluereError) -> Value) -> Value {
  do throws(KluereError) {
    return try body()
  } catch {
    record(error.message)
    return fallback
  }
}

private func record(_ message: String) {
  var message = message
  message.withUTF8 { utf8 in
    utf8.withMemoryRebound(to: CChar.self) { ks_error_set($0.baseAddress, $0.count) }
  }
}

extension KluereError {
  /// The same error, found in a part of something: "examples[3]: text is NULL".
  func inside(_ place: String) -> KluereError { KluereError(status, "\(place): \(message)") }
}

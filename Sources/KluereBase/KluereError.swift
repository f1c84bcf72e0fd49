/// Why a call failed. Raw values are those of include/kluere.h (checked by KluereABITests).
package enum Status: Int32, Sendable {
  case invalidArgument = -1
  case badHandle = -2
  case invalidUTF8 = -3
  case state = -4
  case io = -10
  case badFormat = -11
  case version = -12
  case outOfMemory = -20
  case device = -21
  case unsupported = -22
  case bufferTooSmall = -30
  case cancelled = -31
  case notFinite = -32
  case busy = -33
  case timeout = -34
  case `internal` = -99
}

/// The one error type of the library. `message` is one line: what, where, found, expected; no "failed to", no function
/// name, no newline.
package struct KluereError: Error, Equatable, Sendable {
  package let status: Status
  package let message: String

  package init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }
}

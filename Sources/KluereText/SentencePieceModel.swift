package import KluereBase

/// A SentencePiece model file (sentencepiece_model.proto) with a unigram model, checked.
package struct SentencePieceModel: Sendable {
  enum PieceType: UInt64, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  /// 12 bytes: a file may have many.
  struct Piece: Sendable {
    private var begin: UInt32
    var score: Float = 0
    private var length: UInt16 = 0
    var type = PieceType.normal

    init(at begin: Int) { self.begin = UInt32(clamping: begin) }

    /// A range of the file's bytes.
    var text: Range<Int> {
      get { Int(begin)..<Int(begin) + Int(length) }
      set { (begin, length) = (UInt32(clamping: newValue.lowerBound), UInt16(clamping: newValue.count)) }
    }

    /// In text.
    var matches: Bool { type == .normal || type == .userDefined }
  }

  static let maximumBytes = 64 << 20
  static let maximumPieces = 1 << 21
  /// They are in a second trie.
  static let maximumUserDefined = 1 << 16
  /// Longer pieces make every byte of a text that many steps. Also of the trainer's strings.
  static let maximumPieceBytes = 1 << 10

  private(set) var bytes: [UInt8]
  private(set) var pieces: [Piece] = []
  private(set) var characterMap: PrecompiledCharacterMap?
  private(set) var addsDummyPrefix = true
  private(set) var removesExtraSpaces = true
  private(set) var escapesSpaces = true
  private(set) var spaceIsSuffix = false
  private(set) var hasByteFallback = false
  private(set) var unknownID: Int32 = -1
  private(set) var eosPiece = Array("</s>".utf8)
  private(set) var padPiece = Array("<pad>".utf8)
  /// What decoding writes for the unknown piece.
  private(set) var unknownSurface = Array(" \u{2047} ".utf8)

  package init(_ bytes: [UInt8]) throws(KluereError) {
    guard bytes.count <= SentencePieceModel.maximumBytes else {
      throw KluereError(
        .unsupported,
        "SentencePiece model: \(bytes.count) bytes, expected at most \(SentencePieceModel.maximumBytes)")
    }
    self.bytes = bytes
    // withUnsafeBufferPointer rethrows untyped errors; a Result carries ours out.
    var parsed = self
    let result: Result<Void, KluereError> = bytes.withUnsafeBufferPointer { buffer in
      do throws(KluereError) { return .success(try parsed.parse(buffer)) } catch { return .failure(error) }
    }
    try result.get()
    self = parsed
  }

  // MARK: What a reader of folders wants to know

  /// Text of the first piece.
  package var first: String { string(text(0)) }
  package var unknown: String { string(text(Int(unknownID))) }
  package var eos: String { string(eosPiece) }
  package var pad: String { string(padPiece) }

  /// Looks at every piece: a reader asks for a few.
  package func has(_ text: String) -> Bool {
    pieces.contains { $0.type != .byte && bytes[$0.text].elementsEqual(text.utf8) }
  }

  private func string(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Array(bytes), as: Unicode.UTF8.self)
  }

  // MARK: Reading

  func text(_ id: Int) -> ArraySlice<UInt8> { bytes[pieces[id].text] }

  private mutating func parse(_ buffer: UnsafeBufferPointer<UInt8>) throws(KluereError) {
    // An array that grows is there twice.
    var counter = ProtobufReader(buffer, 0..<buffer.count)
    var count = 0
    while let (field, _) = try counter.next() { count += field == 1 ? 1 : 0 }
    guard count <= SentencePieceModel.maximumPieces else {
      throw KluereError(
        .unsupported, "SentencePiece model: \(count) pieces, expected at most \(SentencePieceModel.maximumPieces)")
    }
    pieces.reserveCapacity(count)
    var reader = ProtobufReader(buffer, 0..<buffer.count)
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let range)): try readPiece(buffer, range)
      case (2, .bytes(let range)): try readTrainer(buffer, range)
      case (3, .bytes(let range)): try readNormalizer(buffer, range)
      case (5, .bytes(let range)): try readDenormalizer(buffer, range)
      default: break
      }
    }
    let userDefined = pieces.count { $0.type == .userDefined }
    guard userDefined <= SentencePieceModel.maximumUserDefined else {
      throw KluereError(
        .unsupported,
        "SentencePiece model: \(userDefined) user-defined pieces, expected at most \(SentencePieceModel.maximumUserDefined)"
      )
    }
    guard !pieces.isEmpty else { throw KluereError(.badFormat, "SentencePiece model: no pieces in the file") }
    guard unknownID >= 0 else { throw KluereError(.badFormat, "SentencePiece model: no piece of type UNKNOWN") }
    if hasByteFallback {
      let count = pieces.filter { $0.type == .byte }.count
      guard count == 256 else {
        throw KluereError(.badFormat, "SentencePiece model: byte fallback with \(count) byte pieces, expected 256")
      }
    }
  }

  private mutating func readPiece(
    _ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) throws(KluereError) {
    let id = pieces.count
    var piece = Piece(at: range.lowerBound)
    var text = range.lowerBound..<range.lowerBound
    var reader = ProtobufReader(buffer, range)
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let found)): text = found
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .varint(let number)):
        guard let type = PieceType(rawValue: number) else {
          throw KluereError(.unsupported, "SentencePiece model: piece \(id) has type \(number), expected 1 to 6")
        }
        piece.type = type
      default: break
      }
    }
    let length = text.count
    guard length > 0, length <= SentencePieceModel.maximumPieceBytes else {
      throw KluereError(
        .badFormat,
        "SentencePiece model: piece \(id) has \(length) bytes, expected 1 to \(SentencePieceModel.maximumPieceBytes)")
    }
    guard UTF8.firstInvalid(UnsafeBufferPointer(rebasing: buffer[text])) == nil else {
      throw KluereError(.badFormat, "SentencePiece model: piece \(id) is not UTF-8")
    }
    piece.text = text
    guard piece.score.isFinite else {
      throw KluereError(.badFormat, "SentencePiece model: piece \(id) has score \(piece.score)")
    }
    if piece.type == .unknown {
      guard unknownID < 0 else {
        throw KluereError(.badFormat, "SentencePiece model: pieces \(unknownID) and \(id) are both UNKNOWN")
      }
      unknownID = Int32(truncatingIfNeeded: id)
    }
    pieces.append(piece)
  }

  private mutating func readTrainer(
    _ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) throws(KluereError) {
    var reader = ProtobufReader(buffer, range)
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (3, .varint(let type)) where type != 1:
        let name = type == 2 ? "BPE" : type == 3 ? "WORD" : type == 4 ? "CHAR" : "\(type)"
        throw KluereError(.unsupported, "SentencePiece model: type \(name) is not supported, expected UNIGRAM")
      case (24, .varint(let flag)): spaceIsSuffix = flag != 0
      case (35, .varint(let flag)): hasByteFallback = flag != 0
      case (44, .bytes(let text)): unknownSurface = try short(buffer, text, "unk_surface")
      case (47, .bytes(let text)): eosPiece = try short(buffer, text, "eos_piece")
      case (48, .bytes(let text)): padPiece = try short(buffer, text, "pad_piece")
      default: break
      }
    }
  }

  private func short(
    _ buffer: UnsafeBufferPointer<UInt8>, _ text: Range<Int>, _ name: String
  ) throws(KluereError) -> [UInt8] {
    guard text.count <= SentencePieceModel.maximumPieceBytes else {
      throw KluereError(
        .unsupported,
        "SentencePiece model: \(name) has \(text.count) bytes, expected at most \(SentencePieceModel.maximumPieceBytes)"
      )
    }
    return Array(buffer[text])
  }

  private mutating func readNormalizer(
    _ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) throws(KluereError) {
    var reader = ProtobufReader(buffer, range)
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (2, .bytes(let blob)):
        characterMap = try PrecompiledCharacterMap(UnsafeBufferPointer(rebasing: buffer[blob]))
      case (3, .varint(let flag)): addsDummyPrefix = flag != 0
      case (4, .varint(let flag)): removesExtraSpaces = flag != 0
      case (5, .varint(let flag)): escapesSpaces = flag != 0
      default: break
      }
    }
  }

  private func readDenormalizer(
    _ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>
  ) throws(KluereError) {
    var reader = ProtobufReader(buffer, range)
    while let (field, value) = try reader.next() {
      if field == 2, case .bytes(let blob) = value, !blob.isEmpty {
        throw KluereError(.unsupported, "SentencePiece model: a denormalizer with rules is not supported")
      }
    }
  }
}

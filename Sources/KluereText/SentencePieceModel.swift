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

  struct Piece: Sendable {
    /// A range of the file's bytes.
    var text: Range<Int>
    var score: Float = 0
    var type = PieceType.normal
  }

  static let maximumBytes = 64 << 20
  static let maximumPieces = 1 << 21
  /// Longer pieces make every byte of a text that many steps.
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
  private(set) var bosPiece = Array("<s>".utf8)
  private(set) var eosPiece = Array("</s>".utf8)
  private(set) var padPiece = Array("<pad>".utf8)
  /// What decoding writes for the unknown piece.
  private(set) var unknownSurface = Array(" \u{2047} ".utf8)

  init(_ bytes: [UInt8]) throws(KluereError) {
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

  /// What a reader of folders wants to know before it makes a tokenizer.
  package struct Summary {
    /// Texts of the first four pieces.
    package let first: [String]
    package let unknown: String
    package let eos: String
    package let pad: String
    private let model: SentencePieceModel

    init(_ model: SentencePieceModel) {
      func string(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: Unicode.UTF8.self) }
      first = (0..<min(4, model.pieces.count)).map { string(model.text($0)) }
      unknown = string(model.text(Int(model.unknownID)))
      (eos, pad) = (string(model.eosPiece), string(model.padPiece))
      self.model = model
    }

    /// Looks at every piece: a reader asks for a few.
    package func has(_ text: String) -> Bool {
      model.pieces.contains { $0.type != .byte && model.bytes[$0.text].elementsEqual(text.utf8) }
    }
  }

  package static func summary(_ bytes: [UInt8]) throws(KluereError) -> Summary {
    Summary(try SentencePieceModel(bytes))
  }

  func text(_ id: Int) -> ArraySlice<UInt8> { bytes[pieces[id].text] }

  private mutating func parse(_ buffer: UnsafeBufferPointer<UInt8>) throws(KluereError) {
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
    guard id < SentencePieceModel.maximumPieces else {
      throw KluereError(.unsupported, "SentencePiece model: more than \(SentencePieceModel.maximumPieces) pieces")
    }
    var piece = Piece(text: range.lowerBound..<range.lowerBound)
    var reader = ProtobufReader(buffer, range)
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let text)): piece.text = text
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .varint(let number)):
        guard let type = PieceType(rawValue: number) else {
          throw KluereError(.unsupported, "SentencePiece model: piece \(id) has type \(number), expected 1 to 6")
        }
        piece.type = type
      default: break
      }
    }
    let length = piece.text.count
    guard length > 0, length <= SentencePieceModel.maximumPieceBytes else {
      throw KluereError(
        .badFormat,
        "SentencePiece model: piece \(id) has \(length) bytes, expected 1 to \(SentencePieceModel.maximumPieceBytes)")
    }
    guard UTF8.firstInvalid(UnsafeBufferPointer(rebasing: buffer[piece.text])) == nil else {
      throw KluereError(.badFormat, "SentencePiece model: piece \(id) is not UTF-8")
    }
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
      case (44, .bytes(let text)): unknownSurface = Array(buffer[text])
      case (46, .bytes(let text)): bosPiece = Array(buffer[text])
      case (47, .bytes(let text)): eosPiece = Array(buffer[text])
      case (48, .bytes(let text)): padPiece = Array(buffer[text])
      default: break
      }
    }
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

package import KluereBase
internal import KluereFormats

extension Dataset {
  /// Reads and validates a file. What is broken as JSON or CSV fails the whole file with the place; what is wrong with
  /// one row fails it or leaves the row out, as `options.badRows` says.
  package static func read(path: String, options: DatasetOptions = DatasetOptions()) throws(KluereError) -> Dataset {
    // Read and not mapped: a dataset that somebody cuts short meanwhile must not end the host.
    let file = try MappedFile(path: path, readIntoMemory: true)
    var builder = try DatasetBuilder(options, fileName: path)
    let bytes = file.bytes.bindMemory(to: UInt8.self)
    defer { withExtendedLifetime(file) {} }
    switch options.format == .auto ? try format(of: bytes, path) : options.format {
    case .klueJSON: try KlueJSONReader.read(file, path, into: &builder)
    case .jsonLines: try JSONLinesReader.read(bytes, into: &builder)
    case .flatCSV: try FlatCSVReader.read(bytes, path, into: &builder)
    case .competitionCSV, .auto: try CompetitionCSVReader.read(bytes, path, into: &builder)
    }
    return try builder.finish()
  }

  /// By the first character: an array is KLUE's JSON, an object JSON Lines, all else CSV, whose header says which.
  private static func format(
    of bytes: UnsafeBufferPointer<UInt8>, _ path: String
  ) throws(KluereError) -> DatasetOptions.Format {
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    guard let first = text.first(where: { $0 != 0x20 && !(0x09...0x0D).contains($0) }) else {
      throw KluereError(.badFormat, "\(path): the file is empty")
    }
    switch first {
    case UInt8(ascii: "["): return .klueJSON
    case UInt8(ascii: "{"): return .jsonLines
    default: return try FlatCSVReader.isFlat(bytes, path) ? .flatCSV : .competitionCSV
    }
  }
}

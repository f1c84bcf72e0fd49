package import KluereBase

/// A dataset as columns that lie in memory as Arrow has them: the flat table's 13, and the origins where a row has one.
package final class FlatColumns {
  package final class Column {
    package let name: StaticString
    /// Texts, or whole numbers of 64 bits.
    package let isText: Bool
    package private(set) var nullCount = 0
    private var validity = GrowingBuffer<UInt8>(for: "columns")
    private var offsets = GrowingBuffer<Int32>(for: "columns")
    private var bytes = GrowingBuffer<UInt8>(for: "columns")
    private var numbers = GrowingBuffer<Int64>(for: "columns")
    private var count = 0

    fileprivate init(_ name: StaticString, isText: Bool) throws(KluereError) {
      self.name = name
      self.isText = isText
      if isText { try offsets.append(0) }
    }

    fileprivate func append(_ text: UnsafeBufferPointer<UInt8>?) throws(KluereError) {
      if let text { try bytes.append(contentsOf: text) }
      try endText(isNull: text == nil)
    }

    fileprivate func append(
      _ first: UnsafeBufferPointer<UInt8>?, _ separator: UInt8, _ second: UnsafeBufferPointer<UInt8>?
    ) throws(KluereError) {
      if let first { try bytes.append(contentsOf: first) }
      try bytes.append(separator)
      if let second { try bytes.append(contentsOf: second) }
      try endText(isNull: false)
    }

    private func endText(isNull: Bool) throws(KluereError) {
      guard let end = Int32(exactly: bytes.count) else {
        throw KluereError(.unsupported, "column \(name): more than \(Int32.max) bytes of text")
      }
      try offsets.append(end)
      try setValid(!isNull)
    }

    fileprivate func append(_ number: Int) throws(KluereError) {
      try numbers.append(Int64(number))
      try setValid(true)
    }

    private func setValid(_ isValid: Bool) throws(KluereError) {
      if count % 8 == 0 { try validity.append(0) }
      // In two statements: the compiler (6.3.1) fails on an assignment through `elements` under ThreadSanitizer.
      let bits = validity.elements
      if isValid { bits[count / 8] = bits[count / 8] | 1 << UInt8(count % 8) } else { nullCount += 1 }
      count += 1
    }

    /// Validity bits, then offsets and bytes of texts, or the numbers.
    package var buffers: [UnsafeRawPointer?] {
      let bits = nullCount > 0 ? UnsafeRawPointer(validity.elements.baseAddress) : nil
      guard isText else { return [bits, UnsafeRawPointer(numbers.elements.baseAddress)] }
      return [bits, UnsafeRawPointer(offsets.elements.baseAddress), UnsafeRawPointer(bytes.elements.baseAddress)]
    }
  }

  package let columns: [Column]
  package let rowCount: Int

  package init(_ dataset: Dataset) throws(KluereError) {
    func text(_ name: StaticString) throws(KluereError) -> Column { try Column(name, isText: true) }
    func number(_ name: StaticString) throws(KluereError) -> Column { try Column(name, isText: false) }
    let (id, sentence, label, source) = (
      try text("id"), try text("sentence"), try text("label"), try text("source")
    )
    let subject = [
      try text("subject_word"), try number("subject_start_idx"), try number("subject_end_idx"),
      try text("subject_type"),
    ]
    let object = [
      try text("object_word"), try number("object_start_idx"), try number("object_end_idx"), try text("object_type"),
    ]
    let (pair, origin) = (try text("entity_pair"), try text("origin"))
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      try id.append(example.id)
      try sentence.append(example.text)
      try label.append(example.label)
      try source.append(example.source)
      for (entity, columns) in [(example.subject, subject), (example.object, object)] {
        let written = try WrittenEntity(entity, example)
        try columns[0].append(written.word)
        try columns[1].append(written.first)
        try columns[2].append(written.last)
        try columns[3].append(written.type)
      }
      try pair.append(example.subject.type, UInt8(ascii: "-"), example.object.type)
      try origin.append(example.origin)
    }
    rowCount = dataset.count
    let all = [id, sentence, label, source] + subject + object + [pair]
    columns = all + (origin.nullCount < dataset.count ? [origin] : [])
  }
}

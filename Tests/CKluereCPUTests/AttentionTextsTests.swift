import CKluereCPU
import Testing

// Markers beside a text: they read it and each other, it reads itself alone.

private let lengths = [13, 1, 70, 5, 0, 33, 134]

@Test(arguments: [[4, 0, 6, 4, 0, 1, 4], [0, 1, 62, 1, 0, 32, 70]], [UInt32(0), 13_000])
func `a text does not read the markers beside it`(markers: [Int], threshold: UInt32) throws {
  for width in [7, 32, 64] {
    try AttentionCase(lengths, heads: 2, width: width, threshold: threshold, markers: markers).check()
  }
}

@Test func `a text with markers beside it has the bits that it has alone`() throws {
  let markers = [4, 0, 6, 4, 0, 1, 4]
  let c = AttentionCase(lengths, heads: 2, width: 24, threshold: 6554, markers: markers)
  let alone = zip(lengths, markers).map { $0 - $1 }
  let rows = lengths.indices.flatMap { s in (0..<alone[s]).map { Int(c.offsets[s]) + $0 } }
  let (all, across) = (c.heads * c.width, 3 * c.heads * c.width)
  var mask = c.mask
  mask.samples = rows.map { mask.samples[$0] }
  mask.positions = rows.map { mask.positions[$0] }
  for isa in instructionSets {
    try withEngine(isa, threads: 2) { engine in
      let whole = c.run(engine)
      let text = c.run(
        engine, qkv: columns(c.qkv, rows, 0..<across, of: across), dout: columns(c.dout, rows, 0..<all, of: all),
        offsets: alone.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) }, mask: mask)
      #expect(sameBits(columns(whole[0], rows, 0..<all, of: all), text[0]), "\(isaName(isa)), out")
      #expect(sameBits(columns(whole[2], rows, 0..<all, of: across), text[2].queries(all)), "\(isaName(isa)), queries")
    }
  }
}

extension [Float] {
  /// The first third of rows of 3 * all.
  fileprivate func queries(_ all: Int) -> [Float] {
    columns(self, Array<Int>(0..<count / (3 * all)), 0..<all, of: 3 * all)
  }
}

@Test(arguments: [UInt32(0), 13_000])
func `markers that ask alone give what they give among all`(threshold: UInt32) throws {
  let markers = [4, 0, 6, 4, 0, 1, 4]
  let c = AttentionCase(lengths, heads: 2, width: 24, threshold: threshold, markers: markers)
  let all = c.heads * c.width
  // The first token and the markers; of the third sequence the markers alone, of the sixth nothing.
  var (chosen, asked, ofTexts): ([Int], [Int32], [Int]) = ([], [], [])
  for (s, length) in lengths.enumerated() {
    let text = length - markers[s]
    let rows = s == 5 ? [] : (0..<length).filter { $0 >= text || ($0 == 0 && s != 2) }
    chosen += rows.map { Int(c.offsets[s]) + $0 }
    asked.append(Int32(rows.count))
    ofTexts.append(rows.count { $0 < text })
  }
  var gradients = [Float](repeating: 0, count: c.dout.count)
  for row in chosen {
    let range = row * all..<(row + 1) * all
    gradients.replaceSubrange(range, with: c.dout[range])
  }
  try onEveryEngine { engine in
    let whole = c.run(
      engine, qkv: c.qkv, dout: gradients, offsets: c.offsets, mask: c.mask, texts: c.texts())
    let some = c.run(engine, asking: chosen, asked, ofTexts: ofTexts)
    #expect(sameBits(some[0], columns(whole[0], chosen, 0..<all, of: all)), "out")
    #expect(sameBits(some[2], columns(whole[2], chosen, 0..<all, of: 3 * all)), "dqueries")
    let keys = columns(whole[2], Array(0..<c.rows), all..<3 * all, of: 3 * all)
    expectClose(some[3], doubles(keys), 2e-6, "dkeys")
    return some
  } check: { _, _ in
  }
}

/// Sequences of markers alone that read the text of one before: the bits that they have with a text of their own.
@Test(arguments: [1, 13, 64, 65]) func `markers read the text of an earlier sequence`(text: Int) throws {
  let counts = [4, 0, 5, 1, 40]
  let (heads, width) = (2, 24)
  let (all, across) = (heads * width, 3 * heads * width)
  // All with the same text, each on its own.
  let whole = AttentionCase(counts.map { text + $0 }, heads: heads, width: width, threshold: 0, markers: counts)
  var numbers = whole.qkv
  for s in counts.indices {
    let row = Int(whole.offsets[s]) * across
    numbers.replaceSubrange(row..<row + text * across, with: whole.qkv[0..<text * across])
  }
  // The first with the text, the others without; one between them has a text of its own and another none.
  let own = Array(0..<text + counts[0])
  let rows = counts.indices.flatMap { s in
    s == 0 ? own : (0..<counts[s]).map { Int(whole.offsets[s]) + text + $0 } + (s == 2 ? own : [])
  }
  var offsets: [Int32] = [0]
  var texts: [Int32] = []
  for (s, count) in counts.enumerated() {
    let start = offsets[offsets.count - 1]
    texts += [0, Int32(text), s == 0 ? Int32(text) : 0]
    offsets.append(start + Int32(s == 0 ? text + count : count))
    guard s == 2 else { continue }
    texts += [offsets[offsets.count - 1], Int32(text), Int32(text), 0, 0, 0]
    offsets += [offsets[offsets.count - 1] + Int32(own.count), offsets[offsets.count - 1] + Int32(own.count)]
  }
  let packed = columns(numbers, rows, 0..<across, of: across)
  try onEveryEngine { engine in
    let expected = whole.run(
      engine, qkv: numbers, dout: whole.dout, offsets: whole.offsets, mask: whole.mask, texts: whole.texts())
    var out = [Float](repeating: .nan, count: rows.count * all)
    packed.withUnsafeBufferPointer { packed in
      offsets.withUnsafeBufferPointer { offsets in
        texts.withUnsafeBufferPointer { texts in
          var input = kk_attention_input(
            queries: packed.baseAddress, keys: packed.baseAddress.map { $0 + all }, query_stride: across,
            key_stride: across, query_offsets: offsets.baseAddress, key_offsets: offsets.baseAddress,
            sequences: offsets.count - 1, heads: heads, head_width: width, texts: texts.baseAddress)
          #expect(kk_attention(engine, &out, nil, &input, nil) == 0)
        }
      }
    }
    #expect(sameBits(out, columns(expected[0], rows, 0..<all, of: all)))
    return [out]
  } check: { _, _ in
  }
}

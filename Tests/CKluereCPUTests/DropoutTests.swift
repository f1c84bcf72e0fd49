import CKluereCPU
import Testing

@Test func `the test's Philox is the published one`() {
  // Known answers for philox4x32, 7 rounds, from the authors' Random123.
  #expect(philox([0, 0, 0, 0], key: [0, 0]) == [0x5F6F_B709, 0x0D89_3F64, 0x4F12_1F81, 0x4F73_0A48])
  let ones = UInt32.max
  #expect(
    philox([ones, ones, ones, ones], key: [ones, ones]) == [0x5207_DDC2, 0x4516_5E59, 0x4D8E_E751, 0x8C52_F662])
  #expect(
    philox([0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], key: [0xA409_3822, 0x299F_31D0])
      == [0x4DFC_CABA, 0x190A_87F0, 0xC473_62BA, 0xB6B5_242A])
}

@Test(arguments: [1, 7, 8, 24, 128, 129, 300]) func `dropout keeps and scales what Philox says`(width: Int) throws {
  let rows = 400
  var numbers = Numbers(3)
  let x = numbers.floats(rows * width)
  let mask = Mask(rows: rows, threshold: 20_000)
  let expected = (0..<rows).flatMap { row in
    zip(x[row * width..<(row + 1) * width], mask.factors(row: row, width: width)).map { Double($0) * $1 }
  }
  try onEveryEngine { engine in
    var y = x
    mask.withUnsafe { dropout in
      y.withUnsafeMutableBufferPointer {
        kk_dropout_apply(engine, $0.baseAddress, $0.baseAddress, rows, width, dropout)
      }
    }
    return [y]
  } check: { isa, result in
    expectClose(result[0], expected, 1e-6, "dropout, \(isa)")
    #expect(zip(result[0], expected).allSatisfy { ($0 == 0) == ($1 == 0) }, "\(isa): the mask")
  }
}

@Test func `the same bits on every instruction set, and nothing dropped at threshold 0`() throws {
  var numbers = Numbers(4)
  let x = numbers.floats(40 * 100)
  var all: [[Float]] = []
  for isa in instructionSets {
    var dropped = [Float](repeating: .nan, count: x.count)
    var whole = dropped
    try withEngine(isa, threads: 2) { engine in
      Mask(rows: 40, threshold: 6554).withUnsafe { kk_dropout_apply(engine, &dropped, x, 40, 100, $0) }
      Mask(rows: 40, threshold: 0).withUnsafe { kk_dropout_apply(engine, &whole, x, 40, 100, $0) }
    }
    #expect(sameBits(whole, x), "\(isaName(isa))")
    all.append(dropped)
  }
  #expect(all.allSatisfy { sameBits($0, all[0]) })
}

@Test(arguments: [UInt32(6554), 32_768, 58_982]) func `the share kept is the one asked for`(threshold: UInt32) throws {
  let (rows, width) = (600, 256)
  let x = [Float](repeating: 1, count: rows * width)
  var y = x
  try withEngine(kk_isa_best(), threads: 2) { engine in
    Mask(rows: rows, threshold: threshold).withUnsafe { kk_dropout_apply(engine, &y, x, rows, width, $0) }
  }
  let keep = 1 - Double(threshold) / 65536
  let count = Double(rows * width)
  let share = Double(y.filter { $0 != 0 }.count) / count
  let deviation = (keep * (1 - keep) / count).squareRoot()
  #expect(abs(share - keep) < 5 * deviation)
  // No column and no row stands out.
  for column in 0..<width {
    let kept = (0..<rows).filter { y[$0 * width + column] != 0 }.count
    #expect(abs(Double(kept) / Double(rows) - keep) < 5.5 * deviation * Double(width).squareRoot())
  }
  for row in 0..<rows {
    let kept = (0..<width).filter { y[row * width + $0] != 0 }.count
    #expect(abs(Double(kept) / Double(width) - keep) < 5.5 * deviation * Double(rows).squareRoot())
  }
}

@Test func `seed, site, sample and position each change the mask`() throws {
  let x = [Float](repeating: 1, count: 256)
  var masks: [[Float]] = []
  try withEngine(kk_isa_best(), threads: 1) { engine in
    for change in 0..<5 {
      var mask = Mask(rows: 1, threshold: 32_768)
      switch change {
      case 1: mask.seed ^= 1 << 40
      case 2: mask.site += 1
      case 3: mask.samples[0] += 1
      case 4: mask.positions[0] += 1
      default: break
      }
      var y = x
      mask.withUnsafe { kk_dropout_apply(engine, &y, x, 1, 256, $0) }
      masks.append(y)
    }
  }
  for a in 0..<5 {
    for b in 0..<a {
      let equal = zip(masks[a], masks[b]).filter { $0 == $1 }.count
      #expect((80...176).contains(equal), "masks \(a) and \(b) agree in \(equal) of 256 places")
    }
  }
}

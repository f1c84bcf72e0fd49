internal import CKluereCPU
package import KluereBase

extension CPUBackend: NarrowProducts {
  package func narrow(
    _ out: UnsafeMutableRawPointer, scales: Floats?, _ w: ConstantFloats, rows: Int, width: Int, _ form: WeightForm
  ) -> Bool {
    if form.stored == .int8 {
      let q = out.assumingMemoryBound(to: Int8.self)
      return kk_quantize_rows(engine, q, scales, w, rows, width, form == .int8Reduced ? 1 : 0) == 0
    }
    return kk_narrow(engine, out.assumingMemoryBound(to: UInt16.self), w, rows * width, form.stored.rawValue) == 0
  }

  package func packedBytes(out: Int, in width: Int, _ form: WeightForm) -> Int? {
    Int(exactly: kk_packed_narrow_size(engine, out, width, form.stored.rawValue))
  }

  package func pack(_ packed: UnsafeMutableRawPointer, _ w: NarrowRows, out: Int, in width: Int) {
    kk_pack_narrow(engine, packed, w.address, w.scales, out, width, w.form.stored.rawValue)
  }

  package func linear(
    _ y: Values, _ x: Values, _ packed: UnsafeRawPointer, _ form: WeightForm, bias: ConstantFloats?, rows: Int,
    out: Int, in width: Int, _ activation: Activation
  ) throws(KluereError) {
    try check(
      kk_linear_narrow(
        engine, y.floats, x.floats, packed, bias, rows, out, width, code(activation), form.stored.rawValue), "linear")
  }

  package func embedding(
    _ y: Values, word: NarrowRows, _ tables: EmbeddingTables, _ tokens: EmbeddingTokens, gain: ConstantFloats,
    bias: ConstantFloats, rows: Int, width: Int, epsilon: Float
  ) {
    kk_embedding_narrow(
      engine, y.floats, word.address, word.scales, word.form.stored.rawValue, tables.position, tables.type, tokens.ids,
      tokens.positions, tokens.types, gain, bias, rows, width, epsilon)
  }
}

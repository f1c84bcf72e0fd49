public import CKluere
internal import KluereBase
internal import KluereCompute
internal import KluereModel
internal import KluereTraining

@_cdecl("kluere_model_quantize")
public func modelQuantize(
  _ model: OpaquePointer?, _ weights: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ModelObject>(out)
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let form: WeightForm = try choice(weights, "weights", "2 (bf16), 3 (fp16), 4 (int8) or 5 (int8_reduced)")
    try out.store(ModelObject(try model.quantized(form)))
  }
}

@_cdecl("kluere_quantization_measure")
public func quantizationMeasure(
  _ model: OpaquePointer?, _ quantized: OpaquePointer?, _ dataset: OpaquePointer?,
  _ out: UnsafeMutablePointer<kluere_quantization_report>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try SizedStruct.Out(out, "out")
    let model = try Handle<ModelObject>.borrow(model, "model").model
    let quantized = try Handle<ModelObject>.borrow(quantized, "quantized").model
    let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
    let found = try WeightComparison(model, quantized, dataset)
    out.store(
      kluere_quantization_report(
        struct_size: 0, weights: quantized.weightForm.rawValue, rows: UInt64(clamping: found.rows),
        bytes: UInt64(clamping: found.bytes), quantized_bytes: UInt64(clamping: found.otherBytes),
        micro_f1: found.microF1, quantized_micro_f1: found.otherMicroF1, auprc: found.auprc,
        quantized_auprc: found.otherAuprc, equal_answers: found.equalAnswers,
        largest_difference: found.largestDifference, mean_difference: found.meanDifference))
  }
}

internal import KluereBase
internal import KluereFormats
internal import KluereModel

/// A checkpoint's soft targets: resuming has no options to give them again.
extension Trainer {
  static let softTargetsName = "soft_targets.safetensors"
  private static let tensorName = "soft_targets"

  /// nil: there are none.
  var softTargetsChecksum: UInt64? {
    guard let loss, !loss.softTargets.isEmpty else { return nil }
    return loss.softTargets.withUnsafeBytes { checksum($0) }
  }

  /// Named also where there are none: another run's may stand in the folder that is replaced.
  var softTargetsFile: [Model.ExtraFile] {
    let (values, rows) = (loss?.softTargets ?? [], objective.train.count)
    let file = Model.ExtraFile(Trainer.softTargetsName) { (target) throws(KluereError) in
      if values.isEmpty { return }
      // withUnsafeBufferPointer cannot carry a typed error out.
      var failure: KluereError?
      values.withUnsafeBufferPointer { values in
        let tensor = Safetensors.OutputTensor(
          name: Trainer.tensorName, shape: [rows, values.count / max(rows, 1)], values: values)
        do throws(KluereError) {
          try Safetensors.write(Trainer.softTargetsName, to: target, tensors: [tensor])
        } catch { failure = error }
      }
      if let failure { throw failure }
    }
    return [file]
  }

  static func readSoftTargets(
    _ checkpoint: String, _ state: CheckpointState, rows: Int, classes: Int
  ) throws(KluereError) -> [Float] {
    guard let expected = state.softTargets else { return [] }
    let path = checkpoint + "/" + softTargetsName
    let file = try Safetensors(file: try MappedFile(path: path, readIntoMemory: false), name: path)
    guard let tensor = file.tensor(tensorName), tensor.shape == [rows, classes], let count = rows.product(classes)
    else {
      throw KluereError(.badFormat, "\(path): expected the tensor \(tensorName) of \(rows) x \(classes) numbers")
    }
    var values = [Float](repeating: 0, count: count)
    var failure: KluereError?
    values.withUnsafeMutableBufferPointer { values in
      do throws(KluereError) { try file.readFloats(tensorName, into: values) } catch { failure = error }
    }
    if let failure { throw failure }
    guard values.withUnsafeBytes({ KluereTraining.checksum($0) }) == expected else {
      throw KluereError(.badFormat, "\(path): its numbers are not those that \(stateName) was written with")
    }
    return values
  }
}

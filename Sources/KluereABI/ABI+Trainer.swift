public import CKluere
internal import CKluereSupport
internal import KluereBase
internal import KluereData
internal import KluereModel
internal import KluereTraining

/// A computed constant: a stored static would be initialised under a lock at first use, also in a signal handler.
private var trainerKind: UInt32 { 0x4B54_5241 }

/// kluere_trainer
final class TrainerObject: Handled {
  static var kind: UInt32 { trainerKind }
  static let typeName = "kluere_trainer"
  let trainer: Trainer
  let exclusive = Exclusive()
  let stopFlag: UnsafeMutablePointer<ks_flag>?

  init(_ trainer: Trainer) {
    self.trainer = trainer
    stopFlag = trainer.stopFlag
  }
}

/// Borrows the trainer and keeps other calls out of it.
func withTrainer(
  _ handle: OpaquePointer?, _ body: (Trainer) throws(KluereError) -> Void
) throws(KluereError) {
  let object = try Handle<TrainerObject>.borrow(handle, "trainer")
  try object.exclusive.run("trainer") { () throws(KluereError) in try body(object.trainer) }
}

@_cdecl("kluere_train_options_init")
public func trainOptionsInit(
  _ options: UnsafeMutablePointer<kluere_train_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaultTrainOptions())
  }
}

@_cdecl("kluere_trainer_create")
public func trainerCreate(
  _ initial: OpaquePointer?, _ train: OpaquePointer?, _ evaluation: OpaquePointer?,
  _ options: UnsafePointer<kluere_train_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TrainerObject>(out)
    let model = try Handle<ModelObject>.borrow(initial, "initial").model
    let train = try Handle<DatasetObject>.borrow(train, "train").dataset
    let evaluation = try Handle<DatasetObject>.borrowOptional(evaluation, "evaluation")?.dataset
    let options = try SizedStruct.read(options, "options", defaults: defaultTrainOptions())
    var configuration = try trainingConfiguration(options, on: model.context)
    let softTargets = try readLoss(options.loss, into: &configuration)
    try out.store(
      TrainerObject(
        try Trainer(
          model: model, train: train, evaluation: evaluation, configuration: configuration,
          softTargets: softTargets, libraryVersion: libraryVersion.description)))
  }
}

@_cdecl("kluere_trainer_resume")
public func trainerResume(
  _ context: OpaquePointer?, _ directory: UnsafePointer<CChar>?, _ train: OpaquePointer?,
  _ evaluation: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<TrainerObject>(out)
    let context = try Handle<ContextObject>.borrow(context, "context").context
    let directory = try path(directory, "directory")
    let train = try Handle<DatasetObject>.borrow(train, "train").dataset
    let evaluation = try Handle<DatasetObject>.borrowOptional(evaluation, "evaluation")?.dataset
    try out.store(
      TrainerObject(
        try Trainer.resume(
          context: context, directory: directory, train: train, evaluation: evaluation,
          libraryVersion: libraryVersion.description)))
  }
}

@_cdecl("kluere_trainer_destroy")
public func trainerDestroy(_ trainer: OpaquePointer?) { Handle<TrainerObject>.destroy(trainer) }

@_cdecl("kluere_trainer_step")
public func trainerStep(_ trainer: OpaquePointer?, _ info: UnsafeMutablePointer<kluere_step_info>?) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      guard let info else {
        _ = try trainer.step()
        return
      }
      let out = try SizedStruct.Out(info, "info")
      out.store(stepStruct(try trainer.step()))
    }
  }
}

@_cdecl("kluere_trainer_run")
public func trainerRun(
  _ trainer: OpaquePointer?, _ onEvent: kluere_train_fn?, _ userdata: UnsafeMutableRawPointer?
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      try trainer.run { event in
        guard let onEvent else { return false }
        return withEventStruct(event) { onEvent(userdata, $0) } != 0
      }
    }
  }
}

@_cdecl("kluere_trainer_request_stop")
public func trainerRequestStop(_ trainer: OpaquePointer?) {
  // No lock, no reference count, no message: this may run in a signal handler.
  _ = ks_box_raise(UnsafeRawPointer(trainer), trainerKind)
}

@_cdecl("kluere_trainer_evaluate")
public func trainerEvaluate(
  _ trainer: OpaquePointer?, _ dataset: OpaquePointer?, _ out: UnsafeMutablePointer<kluere_metrics>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      let dataset = try Handle<DatasetObject>.borrow(dataset, "dataset").dataset
      let out = try SizedStruct.Out(out, "out")
      out.store(metricsStruct(try trainer.evaluate(dataset)))
    }
  }
}

@_cdecl("kluere_trainer_export_model")
public func trainerExportModel(
  _ trainer: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      try HandleOut<ModelObject>(out).store(ModelObject(try trainer.exportModel()))
    }
  }
}

@_cdecl("kluere_trainer_save_checkpoint")
public func trainerSaveCheckpoint(_ trainer: OpaquePointer?, _ directory: UnsafePointer<CChar>?) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      try trainer.saveCheckpoint(try path(directory, "directory"))
    }
  }
}

@_cdecl("kluere_trainer_gradient_read")
public func trainerGradientRead(
  _ trainer: OpaquePointer?, _ tensor: Int, _ out: UnsafeMutablePointer<Float>?, _ capacity: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try withTrainer(trainer) { trainer throws(KluereError) in
      let given = try array(UnsafePointer(out), capacity, "out")
      try trainer.readGradient(tensor: tensor, into: UnsafeMutableBufferPointer(mutating: given))
    }
  }
}

public import CKluere
internal import KluereBase
internal import KluereCompute

/// kluere_context
final class ContextObject: Handled {
  static let kind: UInt32 = 0x4B43_5458
  static let typeName = "kluere_context"
  let context: Context
  /// Device name and instruction set, which C borrows.
  let names: CStrings

  init(_ context: Context) {
    self.context = context
    names = CStrings([context.deviceName, context.instructionSet])
  }
}

private func defaults() -> kluere_context_options {
  kluere_context_options(
    struct_size: UInt32(MemoryLayout<kluere_context_options>.size), device: Int32(KLUERE_DEVICE_CPU), thread_count: 0,
    log_level: Int32(KLUERE_LOG_WARNING), log: nil, log_userdata: nil)
}

@_cdecl("kluere_context_options_init")
public func contextOptionsInit(
  _ options: UnsafeMutablePointer<kluere_context_options>?, _ structSize: Int
) -> kluere_status {
  boundary { () throws(KluereError) in
    try SizedStruct.initialize(options, structSize, defaults: defaults())
  }
}

@_cdecl("kluere_context_create")
public func contextCreate(
  _ options: UnsafePointer<kluere_context_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let out = try HandleOut<ContextObject>(out)
    let options = try SizedStruct.read(options, "options", defaults: defaults())
    guard (Int32(KLUERE_LOG_OFF)...Int32(KLUERE_LOG_DEBUG)).contains(options.log_level) else {
      throw KluereError(.invalidArgument, "log_level: \(options.log_level), expected 0 (off) to 4 (debug)")
    }
    let sink = LogSink(callback: options.log, userdata: options.log_userdata, level: options.log_level)
    try out.store(
      ContextObject(try Context(device: options.device, threads: options.thread_count, log: sink)))
  }
}

@_cdecl("kluere_context_destroy")
public func contextDestroy(_ context: OpaquePointer?) { Handle<ContextObject>.destroy(context) }

@_cdecl("kluere_context_describe")
public func contextDescribe(
  _ context: OpaquePointer?, _ info: UnsafeMutablePointer<kluere_context_info>?
) -> kluere_status {
  boundary { () throws(KluereError) in
    let object = try Handle<ContextObject>.borrow(context, "context")
    let out = try SizedStruct.Out(info, "info")
    out.store(
      kluere_context_info(
        struct_size: 0, device: object.context.device, thread_count: Int32(clamping: object.context.threadCount),
        reserved: 0, device_name: object.names[0], instruction_set: object.names[1]))
  }
}

@_cdecl("kluere_context_selftest")
public func contextSelftest(_ context: OpaquePointer?) -> kluere_status {
  boundary { () throws(KluereError) in
    let context = try Handle<ContextObject>.borrow(context, "context").context
    try context.exclusive { () throws(KluereError) in try context.backend.selfTest() }
  }
}

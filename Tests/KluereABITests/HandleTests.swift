import CKluere
import CKluereSupport
import Testing

private let badHandle = kluere_status(KLUERE_ERR_BAD_HANDLE)

private func makeContext() throws -> OpaquePointer {
  var context: OpaquePointer?
  #expect(kluere_context_create(nil, &context) == kluere_status(KLUERE_OK))
  return try #require(context)
}

private func describe(_ handle: OpaquePointer?) -> kluere_status {
  var info = kluere_context_info()
  info.struct_size = UInt32(MemoryLayout<kluere_context_info>.size)
  return kluere_context_describe(handle, &info)
}

struct HandleTests {
  @Test func `NULL is refused by name`() {
    #expect(describe(nil) == badHandle)
    #expect(lastError() == "context is NULL, expected a kluere_context")
  }

  @Test func `a destroyed handle is refused, also after many others came and went`() throws {
    let stale = try makeContext()
    kluere_context_destroy(stale)
    #expect(describe(stale) == badHandle)
    #expect(lastError() == "context is destroyed or not a kluere_context")
    for _ in 0..<200 { kluere_context_destroy(try makeContext()) }
    #expect(describe(stale) == badHandle)
    kluere_context_destroy(stale)
  }

  @Test func `a handle of another kind is refused`() throws {
    let context = try makeContext()
    #expect(kluere_dataset_count(context) == 0)
    #expect(lastError() == "dataset is destroyed or not a kluere_dataset")
    #expect(kluere_trainer_step(context, nil) == badHandle)
    #expect(describe(context) == kluere_status(KLUERE_OK))
    kluere_model_destroy(context)
    #expect(describe(context) == kluere_status(KLUERE_OK))
    kluere_context_destroy(context)
  }

  @Test(arguments: [UInt(1), 7, 8, 4096, 0x4B43_5458, UInt.max, UInt.max - 7, 1 << 63, 1 << 46])
  func `an address that is no handle is refused without being read`(address: UInt) {
    #expect(describe(OpaquePointer(bitPattern: address)) == badHandle)
    kluere_context_destroy(OpaquePointer(bitPattern: address))
    kluere_trainer_request_stop(OpaquePointer(bitPattern: address))
  }

  @Test(arguments: [-64, -1, 1, 4, 8, 24, 31]) func `an address inside a handle is refused`(offset: Int) throws {
    let context = try makeContext()
    let inside = OpaquePointer(bitPattern: Int(bitPattern: context) + offset)
    if inside != context { #expect(describe(inside) == badHandle || offset % 32 == 0) }
    kluere_context_destroy(context)
  }

  @Test func `a context describes itself and its strings live with it`() throws {
    let context = try makeContext()
    var info = kluere_context_info()
    info.struct_size = UInt32(MemoryLayout<kluere_context_info>.size)
    #expect(kluere_context_describe(context, &info) == kluere_status(KLUERE_OK))
    #expect(info.device == 0 && info.thread_count >= 1)
    let known = ["avx512", "avx2", "neon", "plain"]
    #expect(known.contains(String(cString: info.instruction_set)))
    #expect(String(cString: info.device_name).isEmpty == false)
    var again = info
    _ = kluere_context_describe(context, &again)
    #expect(again.device_name == info.device_name)
    kluere_context_destroy(context)
  }
}

/// The boxes themselves.
struct BoxTests {
  private static let ignore: @convention(c) (UnsafeMutableRawPointer?) -> Void = { _ in }

  @Test func `a destroyed box is not used again before the quarantine is over`() throws {
    var object = 0
    try withUnsafeMutablePointer(to: &object) { place in
      let first = try #require(ks_box_create(0x7E57, place, nil))
      #expect(ks_box_destroy(first, 0x7E57) == UnsafeMutableRawPointer(place))
      #expect(ks_box_destroy(first, 0x7E57) == nil)
      for _ in 0..<KS_BOX_QUARANTINE / 2 {
        let other = try #require(ks_box_create(0x7E57, place, nil))
        #expect(other != first)
        #expect(ks_box_object(first, 0x7E57, BoxTests.ignore) == nil)
        _ = ks_box_destroy(other, 0x7E57)
      }
    }
  }

  @Test func `a box answers to its own kind only`() throws {
    var object = 0
    try withUnsafeMutablePointer(to: &object) { place in
      let box = try #require(ks_box_create(0x7E58, place, nil))
      #expect(ks_box_object(box, 0x7E58, BoxTests.ignore) == UnsafeMutableRawPointer(place))
      #expect(ks_box_object(box, 0x7E59, BoxTests.ignore) == nil)
      #expect(ks_box_object(box, 0, BoxTests.ignore) == nil)
      #expect(ks_box_destroy(box, 0x7E59) == nil)
      #expect(ks_box_destroy(box, 0x7E58) != nil)
    }
  }

  @Test func `raising sets the flag of a living box`() throws {
    let flag = UnsafeMutablePointer<ks_flag>.allocate(capacity: 1)
    flag.initialize(to: ks_flag())
    defer { flag.deallocate() }
    let box = try #require(ks_box_create(0x7E5A, flag, flag))
    #expect(ks_box_raise(box, 0x7E5B) == 0 && ks_flag_get(flag) == 0)
    #expect(ks_box_raise(box, 0x7E5A) == 1 && ks_flag_take(flag) == 1 && ks_flag_get(flag) == 0)
    _ = ks_box_destroy(box, 0x7E5A)
    #expect(ks_box_raise(box, 0x7E5A) == 0 && ks_flag_get(flag) == 0)
  }
}

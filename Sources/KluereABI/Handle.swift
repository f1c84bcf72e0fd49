internal import CKluereSupport
internal import KluereBase

/// An object that C holds by a handle.
protocol Handled: AnyObject {
  /// Distinguishes the kinds of handle at run time; not 0.
  static var kind: UInt32 { get }
  /// The header's name of the type.
  static var typeName: String { get }
  /// What kluere_trainer_request_stop sets, where the kind has it; lives as long as the object.
  var stopFlag: UnsafeMutablePointer<ks_flag>? { get }
}

extension Handled {
  var stopFlag: UnsafeMutablePointer<ks_flag>? { nil }
}

/// The way from objects to handles and back. A handle is the address of a box in CKluereSupport, which owns one strong
/// reference to the object; nothing is read through a pointer that is no living box.
enum Handle<Object: Handled> {
  /// The object, held by the caller from here on: another thread may destroy the handle meanwhile.
  static func borrow(_ handle: OpaquePointer?, _ name: String) throws(KluereError) -> Object {
    guard let handle else {
      throw KluereError(.badHandle, "\(name) is NULL, expected a \(Object.typeName)")
    }
    let retain: @convention(c) (UnsafeMutableRawPointer?) -> Void = { object in
      if let object { _ = Unmanaged<AnyObject>.fromOpaque(object).retain() }
    }
    guard let object = ks_box_object(UnsafeRawPointer(handle), Object.kind, retain) else {
      throw KluereError(.badHandle, "\(name) is destroyed or not a \(Object.typeName)")
    }
    return Unmanaged<Object>.fromOpaque(object).takeRetainedValue()
  }

  /// The same, where NULL means none.
  static func borrowOptional(_ handle: OpaquePointer?, _ name: String) throws(KluereError) -> Object? {
    handle == nil ? nil : try borrow(handle, name)
  }

  static func create(_ object: Object) throws(KluereError) -> OpaquePointer {
    let reference = Unmanaged.passRetained(object)
    guard let box = ks_box_create(Object.kind, reference.toOpaque(), object.stopFlag) else {
      reference.release()
      throw KluereError(.outOfMemory, "no memory for one more handle")
    }
    return OpaquePointer(box)
  }

  /// NULL, and handles that are no more, are left alone.
  static func destroy(_ handle: OpaquePointer?) {
    guard let handle, let object = ks_box_destroy(UnsafeMutableRawPointer(handle), Object.kind) else { return }
    Unmanaged<Object>.fromOpaque(object).release()
  }
}

/// Where a new handle goes. Checked first, so that no work is done that could not be handed over.
struct HandleOut<Object: Handled> {
  private let place: UnsafeMutablePointer<OpaquePointer?>

  init(_ place: UnsafeMutablePointer<OpaquePointer?>?, _ name: String = "out") throws(KluereError) {
    self.place = try required(place, name)
  }

  func store(_ object: Object) throws(KluereError) { place.pointee = try Handle.create(object) }
}

internal import CKluereSupport
internal import Glibc
internal import KluereBase

/// The lock file of one writer of a folder; see `AtomicDirectory`.
struct WriterLock {
  /// The writer's folder; the lock file has the same name and ".lock".
  let temporary: String
  private let descriptor: Int32

  private static let suffix = ".lock"

  /// Makes and locks a lock file with a number that is free.
  static func new(for place: FolderPlace) throws(KluereError) -> WriterLock {
    for number in 0..<10_000 {
      let temporary = "\(place.parent)/\(place.temporaryPrefix)\(ks_process_id())-\(number)"
      let path = temporary + suffix
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor < 0 {
        if errno == EEXIST { continue }
        throw fileError(place.path, errno)
      }
      // Between open and flock another process may take the file for a dead writer's and remove it: take the next number.
      let locked = flock(descriptor, LOCK_EX | LOCK_NB) == 0
      let code = locked ? 0 : errno
      if (locked && isStill(descriptor, path)) || isUnsupported(code) {
        return WriterLock(temporary: temporary, descriptor: descriptor)
      }
      close(descriptor)
      guard locked || code == EWOULDBLOCK else {
        unlink(path)
        throw fileError(place.path, code)
      }
    }
    throw KluereError(.io, "\(place.path): 10000 unfinished folders stand beside it")
  }

  func release() {
    // Removed while it is locked: nobody can mistake it for a dead writer's.
    unlink(temporary + WriterLock.suffix)
    close(descriptor)
  }

  /// Takes over the lock file `name` in `parent` if its writer is dead.
  static func ofDeadWriter(_ name: String, in parent: String) -> WriterLock? {
    guard name.hasSuffix(suffix) else { return nil }
    let path = parent + "/" + name
    let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(descriptor, path) else {
      close(descriptor)
      return nil
    }
    return WriterLock(temporary: String(path.dropLast(suffix.count)), descriptor: descriptor)
  }

  /// Whether the file that is open is the one at `path`.
  private static func isStill(_ descriptor: Int32, _ path: String) -> Bool {
    var opened = stat()
    var there = stat()
    return fstat(descriptor, &opened) == 0 && lstat(path, &there) == 0 && opened.st_ino == there.st_ino
      && opened.st_dev == there.st_dev
  }

  /// File systems without locks: nothing is ever taken for a dead writer's there.
  private static func isUnsupported(_ code: Int32) -> Bool {
    code == ENOLCK || code == EOPNOTSUPP || code == ENOSYS || code == EINVAL
  }
}

/// What writers left that were killed.
enum DeadWriters {
  /// Best effort: what cannot be listed or removed stays, and does no harm.
  static func tidyUp(after place: FolderPlace) {
    guard let entries = try? FolderContent.list(place.parent, shown: place.parent) else { return }
    for entry in entries where entry.name.hasPrefix(place.temporaryPrefix) && !entry.isFolder {
      guard let lock = WriterLock.ofDeadWriter(entry.name, in: place.parent) else { continue }
      // "<pid>-<n>.lock" is left of the name; the two-step exchange of ks_swap_directories names the old content so.
      let process = entry.name.dropFirst(place.temporaryPrefix.count).prefix { $0 != "-" }
      let old = "\(place.path).old-\(process)"
      let hasOld = isFolder(old)
      let hasFinal = isFolder(place.path)
      if hasOld, !hasFinal {
        // Died between the two renames.
        _ = rename(old, place.path)
      } else if hasOld, !isFolder(lock.temporary) {
        // Died after the second: the new content is in its place and no longer under the temporary's name.
        FolderContent.remove(old)
      }
      FolderContent.remove(lock.temporary)
      lock.release()
    }
  }

  private static func isFolder(_ path: String) -> Bool { Int(ks_path_kind(path)) == KS_PATH_DIRECTORY }
}

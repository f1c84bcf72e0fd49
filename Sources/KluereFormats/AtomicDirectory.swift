internal import CKluereSupport
internal import Glibc
package import KluereBase

/// A folder that is written beside its place and then put there whole: readers see the old content or the new one, and
/// after a kill at any moment one of the two is there.
///
/// Beside the folder `model` stand, while it is written, `.model.tmp-<pid>-<n>` with the new content (after the exchange
/// with the old) and `.model.tmp-<pid>-<n>.lock`, a file locked (flock) by the writer. The system gives up the lock when
/// the writer dies, however it dies; a lock file that can be locked is what a dead writer left, and the next writer
/// tidies up after it. That holds for writers in containers too, where process numbers say nothing.
package final class AtomicDirectory {
  /// The folder to be made or replaced, links resolved.
  package let path: String
  private let parent: String
  private let allowedNames: Set<String>
  /// What folders inside the folder may hold; nil: there are none.
  private let allowedInFolders: Set<String>?
  private let temporary: String
  private let lock: WriterLock
  private var isOpen = true

  /// Begins to write the folder `path`. If it exists it may hold only files named in `replacing`: files of others are
  /// refused rather than lost. `foldersOf`: it may also hold folders, and these such files.
  package init(
    _ path: String, replacing names: Set<String>, foldersOf inside: Set<String>? = nil
  ) throws(KluereError) {
    let place = try FolderPlace(path)
    self.path = place.path
    parent = place.parent
    allowedNames = names
    allowedInFolders = inside
    DeadWriters.tidyUp(after: place)
    try FolderContent.check(place.path, shown: path, holdsOnly: names, foldersOf: inside)
    lock = try WriterLock.new(for: place)
    temporary = lock.temporary
    let code = ks_make_directory(temporary)
    if code != 0 {
      lock.release()
      throw fileError(temporary, code)
    }
  }

  deinit { abort() }

  /// Where a folder of that name is to be made inside the new folder.
  package func folder(_ name: String) -> String { temporary + "/" + name }

  /// A file of the new folder, its slices one after another. `name` is one of those the folder may hold.
  package func add(_ name: String, slices: [UnsafeRawBufferPointer]) throws(KluereError) {
    guard isOpen, allowedNames.contains(name), !name.contains("/") else {
      throw KluereError(.internal, "\(path): \(name) is no file of this folder")
    }
    do throws(KluereError) {
      try Files.write(temporary + "/" + name, slices)
    } catch {
      // The temporary's name says nothing to the reader of the message.
      let reason = error.message.hasPrefix(temporary) ? String(error.message.dropFirst(temporary.count)) : ""
      throw KluereError(error.status, reason.isEmpty ? error.message : path + reason)
    }
  }

  package func add(_ name: String, _ bytes: [UInt8]) throws(KluereError) {
    // withUnsafeBytes cannot carry a typed error out.
    var failure: KluereError?
    bytes.withUnsafeBytes { raw in
      do throws(KluereError) { try add(name, slices: [raw]) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Puts the folder in its place and removes the old content.
  package func commit() throws(KluereError) {
    guard isOpen else { throw KluereError(.internal, "\(path): the folder is already written or given up") }
    try checkFile(path, ks_sync_directory(temporary))
    try checkFile(path, ks_swap_directories(temporary, path))
    do throws(KluereError) {
      // A file that somebody put into the old folder meanwhile.
      try FolderContent.check(temporary, shown: path, holdsOnly: allowedNames, foldersOf: allowedInFolders)
    } catch {
      _ = ks_swap_directories(temporary, path)
      throw error
    }
    // What cannot be removed now is left to the next writer: the new content is in its place.
    close()
  }

  /// Removes what was written. Does nothing after `commit`.
  package func abort() { close() }

  private func close() {
    guard isOpen else { return }
    isOpen = false
    FolderContent.remove(temporary)
    lock.release()
  }

  /// If a writer died in the moment in which `path` stood under another name (only on file systems that cannot exchange
  /// names), gives it its name back. Does nothing where the folder is there.
  package static func recover(_ path: String) throws(KluereError) {
    guard Int(ks_path_kind(path)) == KS_PATH_ABSENT else { return }
    DeadWriters.tidyUp(after: try FolderPlace(path))
  }
}

/// A folder's parent and name.
struct FolderPlace {
  let parent: String
  let name: String

  var path: String { parent == "/" ? "/" + name : parent + "/" + name }
  /// What the names of a writer's own files begin with.
  var temporaryPrefix: String { ".\(name).tmp-" }

  /// A link is resolved, so that what is written beside the folder is on its file system.
  init(_ path: String) throws(KluereError) {
    var resolved = path
    if let real = realpath(path, nil) {
      resolved = String(cString: real)
      free(real)
    }
    while resolved.utf8.count > 1, resolved.hasSuffix("/") { resolved.removeLast() }
    let slash = resolved.utf8.lastIndex(of: UInt8(ascii: "/"))
    name = slash.map { String(resolved[resolved.index(after: $0)...]) } ?? resolved
    guard !["", ".", ".."].contains(name) else {
      throw KluereError(.invalidArgument, "\(path.isEmpty ? "\"\"" : path): expected the name of a folder")
    }
    guard let slash else {
      parent = "."
      return
    }
    parent = slash == resolved.startIndex ? "/" : String(resolved[..<slash])
  }
}

enum FolderContent {
  /// Throws .state if the folder has something in it that is not a file with one of `names`, or a folder with only files
  /// of `inside`. Absent is fine.
  static func check(
    _ path: String, shown: String, holdsOnly names: Set<String>, foldersOf inside: Set<String>? = nil
  ) throws(KluereError) {
    let kind = ks_path_kind(path)
    if Int(kind) == KS_PATH_ABSENT { return }
    guard kind >= 0 else { throw fileError(shown, -kind) }
    guard Int(kind) == KS_PATH_DIRECTORY else {
      throw KluereError(.state, "\(shown): is not a folder, and is not replaced by one")
    }
    for entry in try list(path, shown: shown) where entry.isFolder || !names.contains(entry.name) {
      if entry.isFolder, let inside {
        try check("\(path)/\(entry.name)", shown: "\(shown)/\(entry.name)", holdsOnly: inside)
        continue
      }
      throw KluereError(
        .state, "\(shown): has \"\(entry.name)\" in it, which is not of this library and would be lost")
    }
  }

  /// Best effort: a folder with its files and those of the folders in it, no deeper.
  static func remove(_ path: String) {
    for entry in (try? list(path, shown: path)) ?? [] where entry.isFolder {
      _ = ks_remove_tree("\(path)/\(entry.name)")
    }
    _ = ks_remove_tree(path)
  }

  static func list(_ path: String, shown: String) throws(KluereError) -> [(name: String, isFolder: Bool)] {
    let entries = Entries()
    let code = withExtendedLifetime(entries) {
      ks_list_directory(
        path,
        { userdata, name, kind in
          guard let userdata, let name else { return 0 }
          Unmanaged<Entries>.fromOpaque(userdata).takeUnretainedValue().found.append(
            (String(cString: name), Int(kind) == KS_PATH_DIRECTORY))
          return 0
        }, Unmanaged.passUnretained(entries).toOpaque())
    }
    try checkFile(shown, code)
    return entries.found
  }

  private final class Entries {
    var found: [(name: String, isFolder: Bool)] = []
  }
}

import Glibc
import KluereBase
import KluereFormats
import Testing

private func save(_ path: String, _ content: String, names: Set<String> = ["a.txt", "b.txt"]) throws(KluereError) {
  let target = try AtomicDirectory(path, replacing: names)
  try target.add("a.txt", Array(content.utf8))
  try target.commit()
}

private func read(_ path: String) throws -> String { String(decoding: try Files.readAll(path), as: UTF8.self) }

@Suite struct AtomicDirectoryTests {
  @Test func `a folder is made and replaced, and nothing is left beside it`() throws {
    let folder = try TemporaryFolder()
    for content in ["one", "two"] {
      try save(folder.path + "/m", content)
      #expect(try read(folder.path + "/m/a.txt") == content)
      #expect(folder.names() == ["m"])
    }
  }

  @Test func `until commit the old content is there, and abort leaves it`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/m", "old")
    let target = try AtomicDirectory(folder.path + "/m/", replacing: ["a.txt", "b.txt"])
    try target.add("a.txt", Array("new".utf8))
    #expect(try read(folder.path + "/m/a.txt") == "old")
    target.abort()
    #expect(folder.names() == ["m"])
    #expect(failure { () throws(KluereError) in try target.commit() }?.status == .internal)
    #expect(try read(folder.path + "/m/a.txt") == "old")
  }

  @Test func `a writer that is given up without abort removes its folder`() throws {
    let folder = try TemporaryFolder()
    do { _ = try AtomicDirectory(folder.path + "/m", replacing: ["a.txt"]) }
    #expect(folder.names() == [])
  }

  @Test func `files of others are refused rather than lost`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/m", "old")
    try folder.write("m/thesis.txt", [1])
    let error = failure { () throws(KluereError) in try save(folder.path + "/m", "new") }
    #expect(error?.status == .state)
    #expect(error?.message.contains("thesis.txt") == true)
    #expect(try read(folder.path + "/m/a.txt") == "old")
    #expect(folder.names() == ["m"])
  }

  @Test func `a file that somebody adds before commit is not lost`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/m", "old")
    let target = try AtomicDirectory(folder.path + "/m", replacing: ["a.txt"])
    try target.add("a.txt", Array("new".utf8))
    try folder.write("m/thesis.txt", [1])
    #expect(failure { () throws(KluereError) in try target.commit() }?.status == .state)
    target.abort()
    #expect(folder.names(in: "m") == ["a.txt", "thesis.txt"])
    #expect(try read(folder.path + "/m/a.txt") == "old")
  }

  @Test func `a folder in the folder, a file in its place and a missing parent are refused`() throws {
    let folder = try TemporaryFolder()
    mkdir(folder.path + "/m", 0o777)
    mkdir(folder.path + "/m/a.txt", 0o777)
    #expect(failure { () throws(KluereError) in try save(folder.path + "/m", "x") }?.status == .state)
    rmdir(folder.path + "/m/a.txt")
    try folder.write("file", [1])
    #expect(failure { () throws(KluereError) in try save(folder.path + "/file", "x") }?.status == .state)
    #expect(failure { () throws(KluereError) in try save(folder.path + "/no/m", "x") }?.status == .io)
    for path in ["", "/", ".", "..", "/tmp/.."] {
      #expect(failure { () throws(KluereError) in try save(path, "x") } != nil)
    }
    #expect(folder.names() == ["file", "m"])
  }

  @Test func `a link to a folder stays a link`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/real", "old")
    symlink("real", folder.path + "/link")
    try save(folder.path + "/link", "new")
    #expect(try read(folder.path + "/real/a.txt") == "new")
    #expect(folder.names() == ["link", "real"])
  }

  @Test func `what a killed writer left is removed by the next one, what a living one has is not`() throws {
    let folder = try TemporaryFolder()
    let living = try AtomicDirectory(folder.path + "/m", replacing: ["a.txt"])
    mkdir(folder.path + "/.m.tmp-7-0", 0o777)
    try folder.write(".m.tmp-7-0/a.txt", [1])
    try folder.write(".m.tmp-7-0.lock", [])
    try save(folder.path + "/m", "new")
    #expect(folder.names().filter { $0.hasPrefix(".m.tmp-7-") } == [])
    try living.add("a.txt", Array("living".utf8))
    try living.commit()
    #expect(try read(folder.path + "/m/a.txt") == "living")
    #expect(folder.names() == ["m"])
  }

  @Test func `a folder that a killed writer had renamed gets its name back`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/m", "old")
    // As on a file system that cannot exchange names, between the two renames.
    rename(folder.path + "/m", folder.path + "/m.old-7")
    mkdir(folder.path + "/.m.tmp-7-0", 0o777)
    try folder.write(".m.tmp-7-0.lock", [])
    try AtomicDirectory.recover(folder.path + "/m")
    #expect(try read(folder.path + "/m/a.txt") == "old")
    #expect(folder.names() == ["m"])
    // After the second rename: the new content is in its place.
    mkdir(folder.path + "/m.old-7", 0o777)
    try folder.write(".m.tmp-7-0.lock", [])
    try save(folder.path + "/m", "new")
    #expect(folder.names() == ["m"])
  }

  @Test func `a folder of the user's that is only named like a leftover is not touched`() throws {
    let folder = try TemporaryFolder()
    try save(folder.path + "/m.old-7", "backup")
    try AtomicDirectory.recover(folder.path + "/m")
    try save(folder.path + "/m", "new")
    #expect(folder.names() == ["m", "m.old-7"])
  }

  @Test func `folders in the folder come and go with it, and files of others in them are refused`() throws {
    let folder = try TemporaryFolder()
    func saveBoth(_ content: String) throws(KluereError) {
      let target = try AtomicDirectory(folder.path + "/m", replacing: ["index"], foldersOf: ["a.txt", "b.txt"])
      try save(target.folder("one"), content)
      try target.add("index", Array(content.utf8))
      try target.commit()
    }
    // A writer that was killed while it wrote the folder inside.
    mkdir(folder.path + "/.m.tmp-7-0", 0o777)
    mkdir(folder.path + "/.m.tmp-7-0/.one.tmp-7-0", 0o777)
    try folder.write(".m.tmp-7-0/.one.tmp-7-0/a.txt", [1])
    try folder.write(".m.tmp-7-0/.one.tmp-7-0.lock", [])
    try folder.write(".m.tmp-7-0.lock", [])
    for content in ["one", "two"] {
      try saveBoth(content)
      #expect(try read(folder.path + "/m/one/a.txt") == content)
      #expect(folder.names() == ["m"])
      #expect(folder.names(in: "m") == ["index", "one"])
    }
    try folder.write("m/one/thesis.txt", [1])
    #expect(failure { () throws(KluereError) in try saveBoth("three") }?.message.contains("thesis.txt") == true)
    #expect(failure { () throws(KluereError) in try save(folder.path + "/m", "x", names: ["index"]) }?.status == .state)
    #expect(try read(folder.path + "/m/one/a.txt") == "two")
    #expect(folder.names() == ["m"])
  }

  @Test func `a file that is not one of the folder's is refused`() throws {
    let folder = try TemporaryFolder()
    let target = try AtomicDirectory(folder.path + "/m", replacing: ["a.txt"])
    for name in ["b.txt", "../a.txt", ""] {
      #expect(failure { () throws(KluereError) in try target.add(name, [1]) }?.status == .internal)
    }
  }
}

@Suite struct FilesTests {
  @Test func `a missing file, a folder and a device are refused with the path`() throws {
    let folder = try TemporaryFolder()
    for path in [folder.path + "/none", folder.path, "/dev/null"] {
      let error = failure { () throws(KluereError) in _ = try Files.readAll(path) }
      #expect(error?.status == .io)
      #expect(error?.message.hasPrefix(path + ": ") == true)
    }
  }

  @Test func `a file is replaced and its bytes read back`() throws {
    let folder = try TemporaryFolder()
    for bytes in [[1, 2, 3], [], [UInt8](repeating: 9, count: 100_000)] as [[UInt8]] {
      try Files.replace(folder.path + "/x", bytes)
      #expect(try Files.readAll(folder.path + "/x") == bytes)
    }
    #expect(folder.names() == ["x"])
  }
}

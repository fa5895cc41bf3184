import Crypto
import Dispatch
package import Foundation

/// Where the bytes lie whose rows name them: each file by its SHA-256, below one folder that all gateways and workers of a deployment share. The same bytes are
/// kept once. Nothing is overwritten; what no row names any more is swept.
package struct FileFolder: Sendable {
  package let folder: URL
  /// The most bytes of one file.
  package let sizeLimit: Int

  /// Files are read and written here, never on Swift's cooperative pool.
  private static let queue = DispatchQueue(label: "muhatap.files", qos: .userInitiated, attributes: .concurrent)
  private static let pieceSize = 128 << 10

  package init(_ folder: URL = FileManager.default.temporaryDirectory.appending(path: "muhatap-files"), sizeLimit: Int = 25 << 20) {
    self.folder = folder
    self.sizeLimit = sizeLimit
  }

  /// What was stored.
  package struct Stored: Sendable, Hashable {
    /// SHA-256 of the bytes, as 64 hexadecimal digits.
    package let sha256: String
    package let size: Int
    /// What the bytes are, found from the bytes.
    package let mediaType: String
  }

  /// Takes a file in, piece by piece; it is there under its name only when it is whole.
  /// - Throws: 413 beyond `sizeLimit`; whatever the source throws.
  package func store<Pieces: AsyncSequence & Sendable>(_ pieces: Pieces) async throws -> Stored where Pieces.Element == [UInt8] {
    let draft = try await Self.run { try Draft(in: folder) }
    do {
      var hash = SHA256()
      var size = 0
      var head: [UInt8] = []
      for try await piece in pieces {
        size += piece.count
        guard size <= sizeLimit else {
          throw Problem(
            413, "file-too-large", Phrase("A file has at most \(sizeLimit >> 20) MiB.", tr: "Bir dosya en çok \(sizeLimit >> 20) MiB olabilir."))
        }
        hash.update(data: piece)
        if head.count < MediaType.headLength { head += piece.prefix(MediaType.headLength - head.count) }
        try await Self.run { try draft.handle.write(contentsOf: piece) }
      }
      let name = hash.finalize().hexadecimal
      try await Self.run { try draft.keep(as: path(of: name)) }
      return Stored(sha256: name, size: size, mediaType: MediaType.of(head))
    } catch {
      try? await Self.run { try draft.discard() }
      throw error
    }
  }

  package func store(_ bytes: [UInt8]) async throws -> Stored {
    try await store(
      AsyncStream<[UInt8]> { stream in
        stream.yield(bytes)
        stream.finish()
      })
  }

  /// A file's bytes, piece by piece; nil if it is not here.
  package func open(_ sha256: String) async throws -> Response.Stream? {
    guard Self.isName(sha256) else { return nil }
    let path = path(of: sha256)
    guard try await Self.run({ FileManager.default.fileExists(atPath: path.path) }) else { return nil }
    return { write in
      let handle = try await Self.run { try FileHandle(forReadingFrom: path) }
      while let piece = try await Self.run({ try handle.read(upToCount: Self.pieceSize) }), !piece.isEmpty { try await write(Array(piece)) }
      try await Self.run { try handle.close() }
    }
  }

  /// A file's bytes, whole: for a message that carries it; nil if it is not here.
  package func bytes(_ sha256: String) async throws -> [UInt8]? {
    guard Self.isName(sha256) else { return nil }
    let path = path(of: sha256)
    return try await Self.run { FileManager.default.fileExists(atPath: path.path) ? Array(try Data(contentsOf: path)) : nil }
  }

  /// Removes files that have lain here since before `instant` and that no row names.
  /// - Parameter named: those of some hashes that rows name.
  /// - Returns: how many were removed.
  package func sweep(before instant: Date, named: @Sendable ([String]) async throws -> Set<String>) async throws -> Int {
    let old = try await Self.run { try files(before: instant) }
    var removed = 0
    for start in stride(from: 0, to: old.count, by: 1_000) {
      let some = Array(old[start..<min(start + 1_000, old.count)])
      let kept = try await named(some)
      let unnamed = some.filter { !kept.contains($0) }
      try await Self.run {
        for name in unnamed where try Self.modified(path(of: name)).map({ $0 < instant }) ?? false { try FileManager.default.removeItem(at: path(of: name)) }
      }
      removed += unnamed.count
    }
    return removed
  }

  // Two folders deep, so that none has more than a few thousand entries.
  private func path(of name: String) -> URL {
    folder.appending(path: String(name.prefix(2))).appending(path: String(name.dropFirst(2).prefix(2))).appending(path: name)
  }

  private static func isName(_ text: String) -> Bool { text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) } }

  private static func modified(_ path: URL) throws -> Date? {
    guard FileManager.default.fileExists(atPath: path.path) else { return nil }
    return try FileManager.default.attributesOfItem(atPath: path.path)[.modificationDate] as? Date
  }

  private func files(before instant: Date) throws -> [String] {
    guard let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.contentModificationDateKey]) else { return [] }
    var names: [String] = []
    for case let file as URL in all where Self.isName(file.lastPathComponent) {
      if let date = try file.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate, date < instant {
        names.append(file.lastPathComponent)
      }
    }
    return names
  }

  private static func run<Value: Sendable>(_ work: @Sendable @escaping () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in queue.async { continuation.resume(with: Result { try work() }) } }
  }

  /// A file that is being written, under a name that nobody looks for.
  private struct Draft: Sendable {
    let path: URL
    let handle: FileHandle

    init(in folder: URL) throws {
      let incoming = folder.appending(path: "incoming")
      try FileManager.default.createDirectory(at: incoming, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      path = incoming.appending(path: UUID().uuidString)
      guard FileManager.default.createFile(atPath: path.path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
        throw CocoaError(.fileWriteUnknown)
      }
      handle = try FileHandle(forWritingTo: path)
    }

    func keep(as target: URL) throws {
      try handle.synchronize()
      try handle.close()
      try FileManager.default.createDirectory(
        at: target.deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      if FileManager.default.fileExists(atPath: target.path) {
        // A sweep that is under way shall see that somebody wants it again.
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: target.path)
        try FileManager.default.removeItem(at: path)
      } else {
        try FileManager.default.moveItem(at: path, to: target)
      }
    }

    func discard() throws {
      try handle.close()
      try FileManager.default.removeItem(at: path)
    }
  }
}

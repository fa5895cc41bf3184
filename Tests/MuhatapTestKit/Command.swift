package import Foundation

/// A program run by a test, without blocking a thread while it runs.
package struct Command: Sendable {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  package struct Output: Sendable {
    package let exitCode: Int32
    package let standardOutput: String
    package let standardError: String
  }

  /// The repository's folder.
  package static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  package let path: String
  package let arguments: [String]
  package let environment: [String: String]

  /// - Parameters:
  ///   - path: an absolute path, one relative to the repository (`scripts/cluster`), or a plain name that is looked up in PATH.
  ///   - environment: added to this process's.
  package init(_ path: String, _ arguments: [String], environment: [String: String] = [:]) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
  }

  /// Runs to the end and returns what was printed, whatever the exit code.
  package func output() async throws -> Output {
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files rather than pipes: a child that leaves a server behind would keep a pipe open for ever.
    let files = ["out", "err"].map { folder.appending(path: $0) }
    for file in files { try Data().write(to: file) }

    let process = Process()
    if path.contains("/") {
      process.executableURL = path.hasPrefix("/") ? URL(filePath: path) : Self.repository.appending(path: path)
      process.arguments = arguments
    } else {
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = [path] + arguments
    }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.currentDirectoryURL = Self.repository
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try FileHandle(forWritingTo: files[1])
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in continuation.resume() }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    return Output(
      exitCode: process.terminationStatus, standardOutput: try String(contentsOf: files[0], encoding: .utf8),
      standardError: try String(contentsOf: files[1], encoding: .utf8))
  }

  /// Runs to the end and returns the standard output; an exit code other than 0 is an error that holds what was printed.
  @discardableResult
  package func run() async throws -> String {
    let output = try await output()
    guard output.exitCode == 0 else {
      throw Failure(description: "\(path) ended with \(output.exitCode): \(output.standardError)\(output.standardOutput)")
    }
    return output.standardOutput
  }
}

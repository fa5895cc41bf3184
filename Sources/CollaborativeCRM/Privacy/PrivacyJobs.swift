import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  static let privacyExecutionKind = "privacy.execute"

  /// Carries out a granted request to erase. Either all of it happens, with the certificate and the request's new state, or nothing.
  static let privacyExecution = JobHandler(privacyExecutionKind) { lease in
    guard let request = lease.job.payload["request"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("request is not an id") }
    do {
      try await lease.complete(as: .system("privacy request"), deadline: .after(.seconds(1_800))) { tx in
        _ = try await tx.value(UUID.self, "SELECT crm.erase_request(\(request), now())")
      }
    } catch let error as PostgresError {
      guard let problem = Problem.privacy(error) else { throw error }
      // It does not go away by trying again: whoever asked is told.
      try await lease.transaction(as: .system("privacy request"), deadline: .after(.seconds(10))) { tx in
        try await tx.run(
          "UPDATE crm.privacy_request SET state = 'decided', problem = \(problem.title.english) WHERE id = \(request) AND state = 'executing'")
      }
      throw HopelessJob(problem.title.english)
    }
    try await removeFiles(lease)
  }

  /// Removes what could not be removed at once.
  static let privacyFiles = JobHandler("privacy.files") { lease in try await removeFiles(lease) }

  /// Files of attachments that lost their row go at once; one that came within the last minutes goes an hour later, because the same bytes may be on their way into
  /// another row.
  private static func removeFiles(_ lease: JobLease) async throws {
    let database = lease.database
    let asked = try await database.read(
      as: .system("remove files"), areas: [.admin], lane: .jobs, deadline: .after(.seconds(60)),
      "SELECT r.digest FROM crm.file_removal r WHERE r.removed_at IS NULL")
    let digests = Set(try asked.rows.map { try $0.decode(String.self, at: 0) })
    if digests.isEmpty { return }
    _ = try await database.files.sweep(before: Date().addingTimeInterval(-600)) { names in
      let wanted = names.filter(digests.contains)
      let named = try await database.read(
        as: .system("remove files"), areas: [.customers], lane: .jobs, deadline: .after(.seconds(60)),
        "SELECT DISTINCT a.sha256 FROM crm.attachment AS a WHERE a.sha256 = ANY (\(wanted))")
      return Set(names).subtracting(wanted).union(try named.rows.map { try $0.decode(String.self, at: 0) })
    }
    var gone: [String] = []
    for digest in digests {
      let isNamed =
        try await database.read(
          as: .system("remove files"), areas: [.customers], lane: .jobs, deadline: .after(.seconds(10)),
          "SELECT 1 FROM crm.attachment AS a WHERE a.sha256 = \(digest) LIMIT 1"
        ).count > 0
      if isNamed { gone.append(digest) } else if try await database.files.open(digest) == nil { gone.append(digest) }
    }
    let removed = gone
    if !removed.isEmpty {
      try await database.transaction(as: .system("remove files"), lane: .jobs) { tx in
        _ = try await tx.run("UPDATE crm.file_removal SET removed_at = now() WHERE removed_at IS NULL AND digest = ANY (\(removed))")
      }
    }
  }

  /// Reminds of deadlines that come near. The payload may name the instant (`at`); else it is now.
  static let privacyDeadlines = JobHandler("privacy.deadlines") { lease in
    let at = lease.job.payload["at"]?.string
    try await lease.complete(as: .system("privacy deadlines"), deadline: .after(.seconds(60))) { tx in
      _ = try await tx.value(Int.self, "SELECT crm.watch_privacy_deadlines(coalesce(\(at)::timestamptz, now()))")
    }
  }
}

extension Schedule {
  static let privacyFiles = Schedule("privacy_files", kind: "privacy.files", .every(.seconds(3_600)))
  static let privacyDeadlines = Schedule("privacy_deadlines", kind: "privacy.deadlines", .every(.seconds(3_600)))
}

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
  static let privacyDeadlines = Schedule("privacy_deadlines", kind: "privacy.deadlines", .every(.seconds(3_600)))
}

package import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  static let refreshSegments = "segments.refresh"

  /// What workers do of segments: hold everybody against one (`segment_id`), or ask for that of every dynamic one, because windows move with time.
  package static func segments(of resources: [Resource]) -> [JobHandler] {
    [
      JobHandler(refreshSegments) { lease in
        let caller = Caller.system("evaluate segments")
        guard let id = lease.job.payload["segment_id"]?.string.flatMap(UUID.init(uuidString:)) else {
          try await lease.complete(as: caller, deadline: .after(.seconds(60))) { tx in
            try await tx.run(
              """
              SELECT crm.enqueue(\(refreshSegments), jsonb_build_object('segment_id', s.id), key => 'segments.refresh:' || s.id || ':' || \(lease.job.id.lowercase)::text)
                FROM crm.segment s WHERE s.active AND s.kind = 'dynamic'
              """)
          }
          return
        }
        let reason = lease.job.payload["reason"]?.string ?? "refreshed"
        let model = try Model(resources: resources, catalogue: try await Catalogue.read(from: lease.database.pool))
        let fields = CustomFieldCache()
        try await fields.reload(from: lease.database)
        let compiler = QueryCompiler(model: model, customFields: fields.current)
        try await lease.complete(as: caller, deadline: .after(.seconds(600))) { tx in
          try await SegmentMembership.refresh(id, reason: reason, compiler, in: tx)
        }
      }
    ]
  }
}

extension Schedule {
  /// Before people come to work.
  static let segmentRefresh = Schedule("segments.refresh", kind: JobHandler.refreshSegments, .every(.seconds(86_400)))
}

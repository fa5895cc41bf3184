import CRMCore
import PostgresClient

/// Every month of interactions has a partition before it begins.
extension JobHandler {
  static let interactionPartitions = JobHandler("interactions.partitions") { lease in
    try await lease.complete(as: .system("interaction partitions"), deadline: .after(.seconds(600))) { tx in
      _ = try await tx.run("SELECT crm.make_interaction_partitions()")
    }
  }
}

extension Schedule {
  static let interactionPartitions = Schedule("months of interactions", kind: "interactions.partitions", .every(.seconds(86_400)))
}

package import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  /// The exchange with the registry of consents and holding addresses against it. Without a connection people are told of deadlines all the same.
  package static func registry(_ connection: RegistryConnection?) -> [JobHandler] {
    [
      JobHandler("registry.exchange") { lease in
        guard let connection else { return try await RegistryExchange.tellOfDeadlines(lease.database, now: Date()) }
        try await RegistryExchange(database: lease.database, client: connection.client).run(now: Date())
      },
      JobHandler("registry.reconcile_all") { lease in
        try await lease.complete(as: RegistryExchange.caller, deadline: .after(.seconds(60))) { tx in
          let brands = try await tx.result("SELECT b.id FROM crm.brand b WHERE b.iys_code IS NOT NULL AND b.is_active ORDER BY b.id")
          for row in brands.rows { _ = try await RegistryReconciliation.request(brand: try row.decode(UUID.self, "id"), in: tx) }
        }
      },
      JobHandler("registry.reconcile") { lease in
        guard let id = lease.job.payload["reconciliation_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("no reconciliation_id") }
        try await RegistryReconciliation(lease: lease, id: id, client: connection?.client).run()
      },
    ]
  }
}

extension Schedule {
  /// Often enough that a refusal said to the registry stops messages within the hour.
  static let registryExchange = Schedule("exchange with the registry of consents", kind: "registry.exchange", .every(.seconds(900)))
  static let registryReconciliation = Schedule("every address held against the registry", kind: "registry.reconcile_all", .every(.seconds(7 * 86_400)))
}

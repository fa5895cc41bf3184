import CRMCore
import PostgresClient

extension Concept {
  /// Programs elsewhere that are told of changes.
  static let webhooks = Concept(
    resources: [.webhooks], operations: [.createWebhook, .rotateWebhookSecret, .replayWebhook], reads: [.webhookDeliveries], jobs: [.forgetWebhookDeliveries],
    schedules: [Schedule("forget old messages to webhooks", kind: JobHandler.forgetWebhookDeliveries.kind, .every(.seconds(86_400)))])
}

extension Resource {
  /// An address elsewhere that is told of changes, as far as its owner may see them.
  static let webhooks = Resource(
    "webhooks", singular: "webhook", table: "crm.webhook", area: .admin, change: ["name", "url", "resources", "is_active"], deletable: true,
    expand: ["owner", "department"], search: ["name", "url"])
}

extension JobHandler {
  /// Forgets what became of messages a month ago; the changes themselves stay in the change log.
  static let forgetWebhookDeliveries = JobHandler("webhooks.forget") { lease in
    try await lease.complete(as: .system("forget old messages to webhooks"), deadline: .after(.seconds(120))) { tx in
      _ = try await tx.run("DELETE FROM crm.webhook_delivery WHERE state <> 'pending' AND created_at < now() - interval '30 days'")
    }
  }
}

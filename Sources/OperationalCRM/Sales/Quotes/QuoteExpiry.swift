import CRMCore
import PostgresClient

/// Quotes whose last day is over expire. Until the job comes by, they already refuse to be accepted.
extension JobHandler {
  static let quoteExpiry = JobHandler("quotes.expire") { lease in
    try await lease.complete(as: .system("quote expiry"), deadline: .after(.seconds(60))) { tx in
      _ = try await tx.run(
        """
        UPDATE crm.quote SET status = 'expired'
         WHERE id IN (SELECT q.id FROM crm.quote q WHERE q.status = 'sent' AND q.valid_until < crm.business_day(now()) FOR UPDATE SKIP LOCKED)
        """)
    }
  }
}

extension Schedule {
  static let quoteExpiry = Schedule("quotes.expire", kind: "quotes.expire", .every(.seconds(3600)))
}

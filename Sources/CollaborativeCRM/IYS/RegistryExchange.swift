package import CRMCore
package import Foundation
import PostgresClient

/// Keeps what was said here and what the registry holds the same: passes on what is due, takes over what people said to it, and tells of deadlines.
package struct RegistryExchange: Sendable {
  let database: Database
  let client: RegistryClient

  package init(database: Database, client: RegistryClient) {
    self.database = database
    self.client = client
  }

  private static let caller = Caller.system("registry of consents")

  private struct Brand: RowDecodable {
    let id: UUID
    let sender, code: String

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      sender = try row.decode("iys_code")
      code = try row.decode("iys_brand_code")
    }
  }

  private struct Item: RowDecodable {
    let transfer: UUID
    let record: RegistryRecord

    init(row: PostgresRow) throws {
      transfer = try row.decode("transfer_id")
      record = RegistryRecord(
        recipient: try row.decode("recipient"), recipientType: try row.decode("recipient_type"), type: try row.decode("type"), status: try row.decode("status"),
        source: try row.decode("source"), consentDate: try row.decode("consent_date"))
    }
  }

  /// One round for every brand that is in the registry.
  package func run(now: Date) async throws {
    let brands = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.all(Brand.self, "SELECT b.id, b.iys_code, b.iys_brand_code FROM crm.brand b WHERE b.iys_code IS NOT NULL AND b.is_active ORDER BY b.code")
    }
    for brand in brands {
      do {
        // What was said to the registry comes first, so that nothing older is passed on.
        try await pull(brand, now: now)
        try await push(brand, now: now)
      } catch is RegistryUnreachable {
        continue  // What was not settled is sent again; deadlines are told of below.
      }
    }
    _ = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.value(Int.self, "SELECT crm.escalate_registry(\(now))")
    }
  }

  private func push(_ brand: Brand, now: Date) async throws {
    while true {
      let items = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        try await tx.all(
          Item.self,
          "SELECT i.transfer_id, i.recipient, i.recipient_type, i.type, i.status, i.source, i.consent_date FROM crm.next_registry_items(\(brand.id), \(now), 500) i"
        )
      }
      if items.isEmpty { return }
      var settled: [JSON] = []
      var outage: RegistryUnreachable?
      for item in items {
        do {
          switch try await client.put(item.record, sender: brand.sender, brand: brand.code) {
          case .success(let transaction): settled.append(["id": .string(item.transfer.lowercase), "transaction": .string(transaction)])
          case .failure(let error): settled.append(["id": .string(item.transfer.lowercase), "code": .string(error.codes.joined(separator: " "))])
          }
        } catch let error as RegistryUnreachable {
          outage = error  // What it answered until then is kept.
          break
        }
      }
      let json = String(decoding: try JSON.array(settled).encoded(), as: UTF8.self)
      _ = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        try await tx.run(
          """
          SELECT crm.settle_registry_item(g.id, \(now), g.transaction, g.code)
            FROM jsonb_to_recordset(\(json)::jsonb) AS g (id uuid, transaction text, code text)
          """)
      }
      if let outage { throw outage }
    }
  }

  private func pull(_ brand: Brand, now: Date) async throws {
    var after = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.result("SELECT c.\"after\" AS mark FROM crm.registry_cursor c WHERE c.brand_id = \(brand.id)").rows.first?.decode(String?.self, "mark")
    }
    while true {
      let page = try await client.changes(sender: brand.sender, brand: brand.code, after: after)
      let mark = page.after
      try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        for change in page.changes {
          let record = change.record
          // The registry tells whole seconds. A refusal counts from the end of its second, so that none is lost to a consent within it.
          let said = record.status == "RET" ? record.consentDate.addingTimeInterval(0.999) : record.consentDate
          try await tx.run(
            """
            SELECT crm.take_registry_change(\(brand.id), \(change.transaction), \(record.recipient), \(record.recipientType), \(record.type), \(record.status),
                   \(record.source), least(\(said)::timestamptz, crm.consent_clock()), \(now))
            """)
        }
        try await tx.run(
          """
          INSERT INTO crm.registry_cursor (brand_id, "after", pulled_at) VALUES (\(brand.id), \(mark), \(now))
          ON CONFLICT ON CONSTRAINT registry_cursor_brand_id_once DO UPDATE SET "after" = excluded."after", pulled_at = excluded.pulled_at
          """)
      }
      if mark == after || mark == nil { return }
      after = mark
    }
  }
}

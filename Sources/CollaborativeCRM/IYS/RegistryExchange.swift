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

  static let caller = Caller.system("registry of consents")

  struct Brand: RowDecodable, Sendable {
    let id: UUID
    let sender, code: String

    static let columns: SQL = "b.id, b.iys_code, b.iys_brand_code"

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      sender = try row.decode("iys_code")
      code = try row.decode("iys_brand_code")
    }
  }

  private struct Item: RowDecodable {
    let transfer: UUID
    let record: RegistryRecord

    /// - Parameter outcome: what the registry answered, as `crm.settle_registry_item` takes it.
    func settled(_ outcome: Result<String, RegistryError>) -> JSON {
      switch outcome {
      case .success(let transaction): ["id": .string(transfer.lowercase), "transaction": .string(transaction)]
      case .failure(let error): ["id": .string(transfer.lowercase), "code": .string(error.codes.joined(separator: " "))]
      }
    }

    init(row: PostgresRow) throws {
      transfer = try row.decode("transfer_id")
      record = RegistryRecord(
        recipient: try row.decode("recipient"), recipientType: try row.decode("recipient_type"), type: try row.decode("type"), status: try row.decode("status"),
        source: try row.decode("source"), consentDate: try row.decode("consent_date"))
    }
  }

  /// From so many on, consents are passed on together, which the registry answers later.
  static let batchFrom = 50
  private static let batchLimit = 500

  /// One round for every brand that is in the registry. A brand for which it cannot be reached says so, and keeps no other waiting.
  package func run(now: Date) async throws {
    let brands = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.all(Brand.self, "SELECT \(Brand.columns) FROM crm.brand b WHERE b.iys_code IS NOT NULL AND b.is_active ORDER BY b.code")
    }
    for brand in brands {
      do {
        // What was said to the registry comes first, so that nothing older is passed on.
        try await pull(brand, now: now)
        try await collect(brand, now: now)
        try await push(brand, now: now)
        try await note(nil, of: brand, now: now)
      } catch let outage as RegistryUnreachable {
        // What was not settled is sent again; deadlines are told of below.
        try await note(outage.description, of: brand, now: now)
      }
    }
    try await Self.tellOfDeadlines(database, now: now)
  }

  /// Tells people of what has to be in the registry soon.
  package static func tellOfDeadlines(_ database: Database, now: Date) async throws {
    _ = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.value(Int.self, "SELECT crm.escalate_registry(\(now))")
    }
  }

  private func note(_ problem: String?, of brand: Brand, now: Date) async throws {
    try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      _ = try await tx.run(
        """
        INSERT INTO crm.registry_cursor (brand_id, pulled_at, problem, problem_at)
        VALUES (\(brand.id), \(now), left(\(problem), 500), CASE WHEN \(problem)::text IS NOT NULL THEN \(now)::timestamptz END)
        ON CONFLICT ON CONSTRAINT registry_cursor_brand_id_once DO UPDATE SET problem = excluded.problem,
          problem_at = CASE WHEN excluded.problem IS NOT NULL THEN coalesce(registry_cursor.problem_at, excluded.problem_at) END
        """)
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
      if items.count >= Self.batchFrom, let batch = try await client.putTogether(items.map(\.record), sender: brand.sender, brand: brand.code) {
        try await handOver(items, batch, brand, now: now)
      } else {
        try await pushOneByOne(items, brand, now: now)
      }
    }
  }

  private func handOver(_ items: [Item], _ batch: RegistryClient.Batch, _ brand: Brand, now: Date) async throws {
    let handed = zip(items, batch.names).compactMap { item, name -> JSON? in name.map { ["id": .string(item.transfer.lowercase), "sub": .string($0)] } }
    if !handed.isEmpty {
      let json = String(decoding: try JSON.array(handed).encoded(), as: UTF8.self)
      try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        _ = try await tx.run("SELECT crm.hand_over_registry_batch(\(brand.id), \(batch.request), \(json)::jsonb, \(now))")
      }
    }
    // What the registry did not name could never be asked about.
    let nameless = zip(items, batch.names).filter { $1 == nil }.map(\.0)
    if !nameless.isEmpty { try await pushOneByOne(nameless, brand, now: now) }
  }

  private func pushOneByOne(_ items: [Item], _ brand: Brand, now: Date) async throws {
    var settled: [JSON] = []
    var outage: RegistryUnreachable?
    for item in items {
      do {
        settled.append(item.settled(try await client.put(item.record, sender: brand.sender, brand: brand.code)))
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

  private struct OpenItem: RowDecodable {
    let request: String
    let name: String?
    let record: RegistryRecord?

    init(row: PostgresRow) throws {
      request = try row.decode("request_id")
      name = try row.decode("sub_request")
      guard name != nil, let recipient = try row.decode(String?.self, "recipient"), let date = try row.decode(Date?.self, "passed_date") else {
        record = nil
        return
      }
      record = RegistryRecord(
        recipient: recipient, recipientType: try row.decode("recipient_type"), type: try row.decode("type"), status: try row.decode("status"),
        source: try row.decode("source"), consentDate: date)
    }
  }

  /// Asks what came of the batches that are not settled.
  private func collect(_ brand: Brand, now: Date) async throws {
    let open = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.all(
        OpenItem.self,
        """
        SELECT b.request_id, t.sub_request, e.address AS recipient, e.recipient_type, e.status, e.source, t.passed_date,
               CASE e.channel WHEN 'email' THEN 'EPOSTA' WHEN 'sms' THEN 'MESAJ' ELSE 'ARAMA' END AS type
          FROM crm.registry_batch b
          LEFT JOIN crm.registry_transfer t ON t.batch_id = b.id AND t.state = 'sending'
          LEFT JOIN crm.consent_event e ON e.id = t.event_id
         WHERE b.brand_id = \(brand.id) AND b.settled_at IS NULL ORDER BY b.sent_at, b.id
        """)
    }
    for (request, items) in Dictionary(grouping: open, by: \.request) {
      let records = Dictionary(items.compactMap { item in item.name.flatMap { name in item.record.map { (name, $0) } } }, uniquingKeysWith: { $1 })
      var answers: [JSON] = []
      for answer in try await client.results(of: request, sender: brand.sender, brand: brand.code) {
        var outcome = answer.outcome
        if case .failure(let error) = outcome, let record = records[answer.name] {
          outcome = try await client.settled(record, refusedBy: error.codes, sender: brand.sender, brand: brand.code)
        }
        switch outcome {
        case .success(let transaction): answers.append(["sub": .string(answer.name), "transaction": .string(transaction)])
        case .failure(let error): answers.append(["sub": .string(answer.name), "code": .string(error.codes.joined(separator: " "))])
        }
      }
      let json = String(decoding: try JSON.array(answers).encoded(), as: UTF8.self)
      try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        _ = try await tx.run("SELECT crm.settle_registry_batch(\(brand.id), \(request), \(json)::jsonb, \(now))")
      }
    }
  }

  /// Takes over what people said to the registry itself since it was last asked.
  func pull(_ brand: Brand, now: Date) async throws {
    var after = try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
      try await tx.result("SELECT c.\"after\" AS mark FROM crm.registry_cursor c WHERE c.brand_id = \(brand.id)").rows.first?.decode(String?.self, "mark")
    }
    while true {
      let page = try await client.changes(sender: brand.sender, brand: brand.code, after: after)
      let mark = page.after
      try await database.transaction(as: Self.caller, lane: .jobs, deadline: .after(.seconds(60))) { tx in
        for change in page.changes {
          let record = change.record
          let said = record.saidAt
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

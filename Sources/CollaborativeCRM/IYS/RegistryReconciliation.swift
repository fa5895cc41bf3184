package import CRMCore
import Foundation
import PostgresClient

extension Resource {
  /// Holding every address of a brand against the registry, and what came of it.
  package static let registryReconciliations = Resource(
    "registry_reconciliations", singular: "registry_reconciliation", table: "crm.registry_reconciliation", area: .marketing, expand: ["brand"],
    order: "-created_at", dated: "created_at")
}

private struct ReconciliationQuestion: OperationInput {
  let brandID: UUID

  init(_ fields: inout InputReader) { brandID = fields.id("brand_id", "The brand, which is in the registry.") }
}

extension BusinessOperation {
  /// Has a worker hold every address of a brand against the registry.
  static let reconcileRegistry = BusinessOperation(
    "reconcile_registry", .post, "/v1/registry_reconciliations", of: "registry_reconciliations", access: .write(.marketing),
    "Hold every address of a brand against the registry (İYS)",
    description:
      "A worker asks the registry how it has each address. What somebody said to the registry becomes a consent event, what the registry lost is passed on "
      + "again, what was known wrongly of it is put right; get_registry_differences then shows what is left. Of one that is under way there is no second.",
    input: ReconciliationQuestion.self, answer: .record("registry_reconciliations", status: 202)
  ) { run, input in
    let brand = try await run.tx.result("SELECT b.iys_code IS NOT NULL AND b.is_active AS registered FROM crm.brand b WHERE b.id = \(input.brandID)").rows.first
    guard let brand else {
      throw Problem.invalid([.init("/brand_id", code: "not-found", Phrase("There is no such brand.", tr: "Böyle bir marka yok."))])
    }
    guard try brand.decode(Bool.self, "registered") else {
      throw Problem(
        409, "brand-not-registered", Phrase("This brand is not in the registry.", tr: "Bu marka İYS'de kayıtlı değil."),
        detail: Phrase("Give it iys_code and iys_brand_code.", tr: "Markaya iys_code ve iys_brand_code verin."))
    }
    return .record(try await RegistryReconciliation.request(brand: input.brandID, in: run.tx))
  }
}

/// Asks the registry about every address of a brand, a hundred at a time; whoever takes over goes on where this one was.
struct RegistryReconciliation {
  let lease: JobLease
  let id: UUID
  /// Nil when no registry is configured.
  let client: RegistryClient?

  private static let pageSize = 100
  private var deadline: Deadline { .after(.seconds(60)) }

  /// - Returns: the reconciliation that is under way for the brand, or a new one.
  static func request(brand: UUID, in tx: PostgresTransaction) async throws -> UUID {
    let made = try await tx.result(
      "INSERT INTO crm.registry_reconciliation (brand_id) VALUES (\(brand)) ON CONFLICT (brand_id) WHERE state IN ('queued', 'running') DO NOTHING RETURNING id"
    ).rows.first
    guard let made else {
      return try await tx.value(UUID.self, "SELECT r.id FROM crm.registry_reconciliation r WHERE r.brand_id = \(brand) AND r.state IN ('queued', 'running')")
    }
    let id = try made.decode(UUID.self, "id")
    try await tx.run("SELECT crm.enqueue('registry.reconcile', jsonb_build_object('reconciliation_id', \(id)::uuid), \("registry.reconcile:\(id)"))")
    return id
  }

  private struct Address: RowDecodable {
    let token: [UInt8]
    let address, channel, recipientType: String

    init(row: PostgresRow) throws {
      token = try row.decode("address_token")
      address = try row.decode("address")
      channel = try row.decode("channel")
      recipientType = try row.decode("recipient_type")
    }

    /// What the registry is asked; only recipient, recipient type and type count.
    var question: RegistryRecord {
      let types = ["email": "EPOSTA", "sms": "MESAJ"]
      return RegistryRecord(
        recipient: address, recipientType: recipientType, type: types[channel] ?? "ARAMA", status: "ONAY", source: "HS_WEB", consentDate: Date())
    }
  }

  func run() async throws {
    do {
      try await reconcile()
    } catch let outage as RegistryUnreachable {
      if lease.job.attempt >= lease.job.attemptLimit { return try await fail(outage.description) }
      throw outage
    }
  }

  private func reconcile() async throws {
    let begun = try await lease.transaction(as: RegistryExchange.caller, deadline: deadline) { tx in
      try await tx.run(
        """
        UPDATE crm.registry_reconciliation SET state = 'running', started_at = coalesce(started_at, clock_timestamp())
         WHERE id = \(id) AND state IN ('queued', 'running')
        """)
      return try await tx.first(
        RegistryExchange.Brand.self,
        """
        SELECT \(RegistryExchange.Brand.columns) FROM crm.registry_reconciliation r JOIN crm.brand b ON b.id = r.brand_id AND b.iys_code IS NOT NULL
         WHERE r.id = \(id) AND r.state = 'running'
        """)
    }
    guard let brand = begun else { return try await fail("the brand is not in the registry any more") }
    guard let client else { return try await fail("no registry is configured (registry.address)") }
    try await RegistryExchange(database: lease.database, client: client).pull(brand, now: Date())
    while try await page(of: brand, client) {}
    try await lease.complete(as: RegistryExchange.caller, deadline: deadline) { tx in
      try await tx.run("UPDATE crm.registry_reconciliation SET state = 'done', finished_at = clock_timestamp() WHERE id = \(id) AND state = 'running'")
    }
  }

  /// - Returns: whether there was anything left to ask.
  private func page(of brand: RegistryExchange.Brand, _ client: RegistryClient) async throws -> Bool {
    let addresses = try await lease.transaction(as: RegistryExchange.caller, deadline: deadline) { tx in
      try await tx.all(
        Address.self,
        """
        SELECT a.address_token, a.address, a.channel, a.recipient_type
          FROM crm.registry_reconciliation r, crm.registry_addresses(\(brand.id), r.place, \(Self.pageSize)) a WHERE r.id = \(id)
        """)
    }
    guard let last = addresses.last else { return false }
    var answers: [(address: Address, there: RegistryClient.Change?)] = []
    for address in addresses { answers.append((address, try await client.status(of: address.question, sender: brand.sender, brand: brand.code))) }
    let told = answers
    try await lease.transaction(as: RegistryExchange.caller, deadline: deadline) { tx in
      var counts: [String: Int] = [:]
      for (address, there) in told {
        let verdict = try await tx.value(
          String.self,
          """
          SELECT crm.reconcile_registry_record(\(brand.id), \(address.address), \(address.recipientType), \(address.channel), \(there?.record.status),
                 \(there?.record.source), \(there?.record.saidAt), \(there?.transaction), now())
          """)
        counts[verdict, default: 0] += 1
      }
      try await tx.run(
        """
        UPDATE crm.registry_reconciliation SET checked = checked + \(told.count), corrected = corrected + \(counts["corrected", default: 0]),
          taken = taken + \(counts["taken", default: 0]), missing = missing + \(counts["missing", default: 0]), place = \(last.token) WHERE id = \(id)
        """)
    }
    return true
  }

  private func fail(_ problem: String) async throws {
    try await lease.complete(as: RegistryExchange.caller, deadline: deadline) { tx in
      try await tx.run(
        """
        UPDATE crm.registry_reconciliation SET state = 'failed', problem = left(\(problem), 500), finished_at = clock_timestamp()
         WHERE id = \(id) AND state IN ('queued', 'running')
        """)
    }
  }
}

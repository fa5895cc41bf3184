import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// One series, many clients, and everything killed that can be: no number is lost, none is given twice, and turnover is what the invoices say.
@Suite(.serialized) struct InvoiceEnduranceTests {
  /// Drafts of the fixture's customer, priced, made without the API.
  private func drafts(_ count: Int, _ finance: InvoiceFixture, series: String) async throws -> [String] {
    let made = try await finance.behind(
      """
      INSERT INTO crm.invoice (customer_id, company_id, series, exchange_rate, department_id, owner_id)
      SELECT c.id, p.id, \(series), 1, c.department_id, c.owner_id FROM crm.customer c CROSS JOIN crm.company_profile p CROSS JOIN generate_series(1, \(count))
       WHERE c.id = \(UUID(uuidString: finance.customer)) AND p.code = 'main'
      RETURNING id
      """)
    try await finance.behind(
      """
      INSERT INTO crm.invoice_line (customer_id, invoice_id, line_number, product_id, description, quantity, unit_price, vat_rate)
      SELECT i.customer_id, i.id, k, CASE k WHEN 1 THEN \(UUID(uuidString: finance.product))::uuid END, 'x', k, 10, 20
        FROM crm.invoice i CROSS JOIN generate_series(1, 3) k WHERE i.series = \(series)
      """)
    try await finance.behind("SELECT crm.price_invoice(i.customer_id, i.id) FROM crm.invoice i WHERE i.series = \(series)")
    return try made.rows.map { try $0.decode(UUID.self, at: 0).lowercase }
  }

  /// Issues every draft, each with an idempotency key and again until it is answered; gives the numbers by draft.
  private func issueAll(_ drafts: [String], _ finance: InvoiceFixture, clients: Int) async throws -> [String: String] {
    try await withThrowingTaskGroup(of: [String: String].self) { group in
      for client in 0..<clients {
        group.addTask {
          var numbers: [String: String] = [:]
          for draft in stride(from: client, to: drafts.count, by: clients).map({ drafts[$0] }) {
            for attempt in 1... {
              let answer = try? await finance.send(.post, "/v1/invoices/\(draft)/issue", headers: ["idempotency-key": "issue-\(draft)"])
              if let answer, answer.status == 200 {
                numbers[draft] = try answer.json()["number"]?.string
                break
              }
              try #require(answer.map { $0.status >= 500 || $0.status == 409 } ?? true, "\(answer?.text ?? "")")
              try #require(attempt < 200, "\(answer?.text ?? "no answer")")
              try await Task.sleep(for: .milliseconds(.random(in: 20...100)))
            }
          }
          return numbers
        }
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }
  }

  private func expectAll(_ numbers: [String: String], of drafts: [String], _ finance: InvoiceFixture, series: String) async throws {
    #expect(numbers.count == drafts.count)
    let stored = try await finance.behind("SELECT id, number, sequence FROM crm.invoice WHERE series = \(series) AND status = 'issued' ORDER BY sequence")
    #expect(try stored.rows.map { try $0.decode(Int.self, "sequence") } == Array(1...drafts.count))
    for row in stored.rows { #expect(try numbers[row.decode(UUID.self, "id").lowercase] == row.decode(String.self, "number")) }
    let parts = try await finance.behind(
      "SELECT count(*) AS instalments, sum(amount) AS due FROM crm.instalment i JOIN crm.invoice v ON v.id = i.invoice_id WHERE v.series = \(series)")
    #expect(try parts[0].decode(Int.self, "instalments") == drafts.count)
    #expect(try parts[0].decode(Decimal.self, "due") == Decimal(72 * drafts.count))
    try await finance.expectInvariants()
  }

  @Test(.timeLimit(.minutes(15)))
  func `connections killed at random leave no gap, no double and no wrong turnover, and every acknowledged number stands`() async throws {
    let finance = try await InvoiceFixture(server: TestServer.start())
    let series = try await finance.series()
    let drafts = try await drafts(400, finance, series: series)
    let killer = Task {
      var known = 0
      while !Task.isCancelled {
        try await Task.sleep(for: .milliseconds(60))
        // Only while something gets done: a slow machine shall not be kept from issuing anything at all.
        guard
          let issued = try? await finance.behind("SELECT count(*) FROM crm.invoice WHERE series = \(series) AND status = 'issued'")[0].decode(Int.self, at: 0),
          issued > known || known == 0
        else { continue }
        known = max(issued, 1)
        _ = try? await finance.behind(
          """
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND usename = 'crm_app' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1
          """)
      }
    }
    let numbers = try await issueAll(drafts, finance, clients: 16)
    killer.cancel()
    _ = await killer.result
    try await expectAll(numbers, of: drafts, finance, series: series)
  }

  @Test(.timeLimit(.minutes(15)))
  func `a postmaster killed while invoices are issued loses no number that was given`() async throws {
    // Without --fast: an acknowledged invoice must be on disk.
    let directory = "/tmp/muhatap-invoices-\(ProcessInfo.processInfo.processIdentifier)"
    let address = try await Command("scripts/cluster", ["start", directory]).run().split(whereSeparator: \.isWhitespace).map(String.init)
    try await Command("scripts/cluster", ["guard", directory, "\(ProcessInfo.processInfo.processIdentifier)"]).run()
    let finance = try await InvoiceFixture(server: TestServer.start(on: TestDatabase.migrated("invoices", host: address[0], port: address[1])))
    let series = try await finance.series()
    let drafts = try await drafts(250, finance, series: series)
    let killer = Task {
      for _ in 1...2 {
        try await Task.sleep(for: .milliseconds(1_500))
        let pid = try #require(String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8).split(separator: "\n").first)
        try await Command("kill", ["-9", String(pid)]).run()
        while Self.isUsed(directory + "/data") { try await Task.sleep(for: .milliseconds(20)) }
        for file in ["\(directory)/data/postmaster.pid", "\(address[0])/.s.PGSQL.\(address[1]).lock"] { try FileManager.default.removeItem(atPath: file) }
        try await Command("scripts/cluster", ["start", directory]).run()
      }
    }
    let numbers = try await issueAll(drafts, finance, clients: 8)
    // Not cancelled: in the middle of it the server would stay dead.
    try await killer.value
    try await expectAll(numbers, of: drafts, finance, series: series)
    try await Command("scripts/cluster", ["remove", directory, "immediate"]).run()
  }

  /// Whether a process works in the directory, as all of PostgreSQL's do.
  private static func isUsed(_ directory: String) -> Bool {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return processes.contains { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")) == directory }
  }
}

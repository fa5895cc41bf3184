import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import OperationalCRM

@Suite("e-Invoices on their way")
struct EInvoiceTests {
  typealias Behaviour = SimulatedIntegrator.Behaviour

  private struct Sent {
    let id: String
    let ettn: UUID
  }

  private func database(_ fixture: InvoiceFixture) -> Database { Database(pool: fixture.server.database.worker) }

  /// An issued invoice handed over for sending, to an integrator that behaves in a certain way.
  private func send(_ fixture: InvoiceFixture, _ behaviour: Behaviour, profile: String = "TICARIFATURA") async throws -> Sent {
    let invoice = try await fixture.issued([fixture.line("100")], ["profile": .string(profile)])
    let ettn = try #require(invoice["ettn"]?.string.flatMap(UUID.init(uuidString:)))
    try await SimulatedIntegrator(database: database(fixture)).behave(behaviour, with: ettn)
    let sent = try await fixture.done(.post, "/v1/invoices/\(invoice.id)/e-invoice")
    #expect(sent["state"] == "queued" && sent["invoice_id"]?.string == invoice.id)
    return Sent(id: sent.id, ettn: ettn)
  }

  private func state(_ fixture: InvoiceFixture, _ sent: Sent) async throws -> String? {
    try await fixture.get("/v1/e_invoices/\(sent.id)")["state"]?.string
  }

  /// Does the job of sending once, as a worker would after it took it (again).
  private func deliver(_ fixture: InvoiceFixture, _ sent: Sent) async throws {
    try await fixture.behind(
      "UPDATE crm.job SET status = 'queued', run_at = '2000-01-01', leased_until = NULL WHERE kind = 'e_invoice.deliver' AND payload ->> 'e_invoice_id' = \(sent.id) AND status <> 'done'"
    )
    let job = try #require(try await JobQueue(database: database(fixture)).take(["e_invoice.deliver"], worker: "test", lease: .seconds(1_800)))
    try await JobHandler.deliverEInvoice().run(JobLease(job: job, database: database(fixture)))
  }

  private func follow(_ fixture: InvoiceFixture) async throws {
    try await fixture.behind(
      "SELECT crm.enqueue('e_invoice.follow', '{}') FROM (SELECT set_config('muhatap.read_admin', '*', true), set_config('muhatap.via', 'test', true), set_config('muhatap.caller', '', true)) AS as_system"
    )
    let job = try #require(try await JobQueue(database: database(fixture)).take(["e_invoice.follow"], worker: "test", lease: .seconds(1_800)))
    try await JobHandler.followEInvoices().run(JobLease(job: job, database: database(fixture)))
  }

  @Test(
    "whatever the integrator does, a document arrives at most once and its state says where it is",
    arguments: [
      (.accept, "TICARIFATURA", ["sent", "delivered", "delivered"]), (.delay, "TEMELFATURA", ["sent", "sent", "sent", "sent", "delivered"]),
      (.refuse, "TICARIFATURA", ["refused", "refused"]), (.timeoutAfter, "EARSIVFATURA", ["sending", "delivered"]),
      (.timeoutBefore, "TICARIFATURA", ["sending", "sent", "delivered"]), (.buyerAccepts, "TICARIFATURA", ["sent", "accepted"]),
      (.buyerRejects, "TICARIFATURA", ["sent", "rejected"]), (.buyerAnswersTwice, "TICARIFATURA", ["sent", "accepted", "accepted"]),
    ] as [(Behaviour, String, [String])])
  func ways(behaviour: Behaviour, profile: String, states: [String]) async throws {
    let fixture = try await InvoiceFixture(server: TestServer.start())
    let sent = try await send(fixture, behaviour, profile: profile)
    var seen: [String] = []
    for number in 0..<states.count {
      let isUnderWay = ["queued", "sending"].contains(try await state(fixture, sent))
      do {
        if isUnderWay { try await deliver(fixture, sent) } else { try await follow(fixture) }
      } catch is SimulatedIntegrator.LineBroken {
        #expect(number == 0, "the line breaks once")
      }
      seen.append(try await state(fixture, sent) ?? "")
    }
    #expect(seen == states)
    let received = try await SimulatedIntegrator(database: database(fixture)).received(sent.ettn)
    #expect(received == (behaviour == .refuse ? 0 : 1))
    let record = try await fixture.get("/v1/e_invoices/\(sent.id)")
    #expect((record["reason"]?.string != nil) == ["refused", "rejected"].contains(states.last))
    let history = try await fixture.get("/v1/e_invoices/\(sent.id)/history")
    #expect((history["data"]?.array?.count ?? 0) > Set(states).count - 1, "every change of state is in the history")
  }

  @Test("a TICARIFATURA that nobody answers for eight days counts as accepted, and not a day earlier")
  func silence() async throws {
    let fixture = try await InvoiceFixture(server: TestServer.start())
    let sent = try await send(fixture, .accept)
    try await deliver(fixture, sent)
    try await follow(fixture)
    let wait = try await fixture.behind("SELECT answer_due_at - delivered_at = interval '8 days' FROM crm.e_invoice WHERE ettn = \(sent.ettn)")
    #expect(try wait[0].decode(Bool.self, at: 0))
    try await follow(fixture)
    #expect(try await state(fixture, sent) == "delivered")
    try await fixture.behind("UPDATE crm.e_invoice SET answer_due_at = now() - interval '1 second' WHERE ettn = \(sent.ettn)")
    try await follow(fixture)
    #expect(try await state(fixture, sent) == "deemed_accepted")
  }

  @Test("an e-Arşiv invoice can be taken back, a TICARIFATURA cannot")
  func cancellation() async throws {
    let fixture = try await InvoiceFixture(server: TestServer.start())
    let archived = try await send(fixture, .accept, profile: "EARSIVFATURA")
    #expect(try await fixture.send(.post, "/v1/e_invoices/\(archived.id)/cancel", json: ["reason": "Yanlış alıcı"]).problem == "cannot-cancel")
    try await deliver(fixture, archived)
    #expect(try await fixture.send(.post, "/v1/e_invoices/\(archived.id)/cancel", json: [:]).status == 422)
    #expect(try await fixture.done(.post, "/v1/e_invoices/\(archived.id)/cancel", json: ["reason": "Yanlış alıcı"])["state"] == "cancelling")
    try await follow(fixture)
    #expect(try await state(fixture, archived) == "cancelled")
    let commercial = try await send(fixture, .accept)
    try await deliver(fixture, commercial)
    let refused = try await fixture.send(.post, "/v1/e_invoices/\(commercial.id)/cancel", json: ["reason": "x"])
    #expect(refused.status == 409 && refused.problem == "cannot-cancel")
  }

  @Test("asked to send by many at once, it is sent once")
  func once() async throws {
    let fixture = try await InvoiceFixture(server: TestServer.start())
    let invoice = try await fixture.issued([fixture.line("100")], ["profile": "TICARIFATURA"])
    let answers = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<16 { group.addTask { try await fixture.done(.post, "/v1/invoices/\(invoice.id)/e-invoice").id } }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(answers.count == 1)
    let jobs = try await fixture.behind("SELECT count(*) FROM crm.job WHERE kind = 'e_invoice.deliver'")
    #expect(try jobs[0].decode(Int.self, at: 0) == 1)
  }

  @Test("what the administration would refuse is told before the invoice is issued, in the reader's language, and keeps it from being issued")
  func checkedBefore() async throws {
    let fixture = try await InvoiceFixture.suite()
    let bare = try await InvoiceFixture.customer(fixture.server, ["tax_office": nil], address: nil)
    let draft = try await fixture.done(
      .post, "/v1/invoices", json: ["customer_id": .string(bare), "profile": "TICARIFATURA", "lines": [fixture.line("100", vat: "18")]])
    let check = try await fixture.get("/v1/invoices/\(draft.id)/check")
    #expect(
      check["data"]?.array?.compactMap { $0["pointer"]?.string } == ["/customer/tax_office", "/customer/district", "/customer/city", "/lines/0/vat_rate"],
      "\(check)")
    let turkish = try await fixture.send(.get, "/v1/invoices/\(draft.id)/check", headers: ["accept-language": "tr"])
    #expect(turkish.text.contains("Vergi dairesini yazın."))
    let refused = try await fixture.send(.post, "/v1/invoices/\(draft.id)/issue")
    #expect(refused.status == 422 && refused.text.contains("/lines/0/vat_rate") && refused.text.contains("/buyer_tax_office"), "\(refused.text)")
    #expect(try await fixture.get("/v1/invoices/\(draft.id)")["status"] == "draft")
    let good = try await fixture.draft([fixture.line("100")], ["profile": "TICARIFATURA"])
    #expect(try await fixture.get("/v1/invoices/\(good.id)/check")["data"] == [])
    #expect(try await fixture.send(.get, "/v1/invoices/\(good.id)/ubl").problem == "not-issued")
    #expect(try await fixture.send(.post, "/v1/invoices/\(good.id)/e-invoice").problem == "not-issued")
    #expect(try await fixture.send(.get, "/v1/invoices/\(good.id)/check", as: "emre").status == 403)
    #expect(try await fixture.send(.post, "/v1/invoices/\(good.id)/e-invoice", as: "emre").status == 403)
    #expect(try await fixture.send(.get, "/v1/invoices/\(UUID.v7().lowercase)/ubl").status == 404)
  }

  @Test("the document of an issued invoice carries its numbers and satisfies the administration's checker")
  func document() async throws {
    let fixture = try await InvoiceFixture.suite()
    let lines = [
      fixture.line("100.01", vat: "20", ["discount_percent": "7.5", "quantity": "3"]), fixture.line("0.07", vat: "20"), fixture.line("19.99", vat: "10"),
      fixture.line("55", vat: "0", ["exemption_code": "351"]),
    ]
    let invoice = try await fixture.issued(lines, ["profile": "TEMELFATURA"])
    let ubl = try await fixture.send(.get, "/v1/invoices/\(invoice.id)/ubl")
    #expect(ubl.status == 200 && ubl.headers["content-type"] == "application/xml; charset=utf-8")
    let number = try #require(invoice["number"]?.string)
    #expect(ubl.text.contains("<cbc:ID>\(number)</cbc:ID>") && ubl.text.contains(invoice["ettn"]?.string ?? "none"))
    let payable = try #require(invoice["payable_amount"]?.string)
    #expect(ubl.text.contains("<cbc:PayableAmount currencyID=\"TRY\">\(payable)</cbc:PayableAmount>"), "\(payable)")
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-ubl-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(ubl.bytes).write(to: folder.appending(path: "\(number).xml"))
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let checked = try await Command(python, ["Tests/clients/einvoice.py", folder.path()]).output()
    #expect(checked.exitCode == 0, "\(checked.standardOutput)\(checked.standardError.suffix(2_000))")
  }
}

import CRMCore
import Foundation
import PostgresClient

extension JobHandler {
  /// Sends one e-invoice. Before it sends again it asks whether the last attempt arrived, so that nothing is ever sent twice.
  static func deliverEInvoice(
    through integrator: @Sendable @escaping (Database) -> any EInvoiceIntegrator = { SimulatedIntegrator(database: $0) }
  ) -> JobHandler {
    JobHandler("e_invoice.deliver") { lease in
      guard let id = lease.job.payload["e_invoice_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("no e_invoice_id") }
      try await EInvoiceDelivery(integrator: integrator(lease.database), lease: lease).deliver(id)
    }
  }

  /// Asks about every e-invoice that is not at its end, and lets a TICARIFATURA count as accepted after its eight days.
  static func followEInvoices(
    through integrator: @Sendable @escaping (Database) -> any EInvoiceIntegrator = { SimulatedIntegrator(database: $0) }
  ) -> JobHandler {
    JobHandler("e_invoice.follow") { lease in
      try await EInvoiceDelivery(integrator: integrator(lease.database), lease: lease).followAll()
    }
  }
}

private struct EInvoiceDelivery {
  let integrator: any EInvoiceIntegrator
  let lease: JobLease

  private static let caller = Caller.system("deliver e-invoices")
  private var deadline: Deadline { .after(.seconds(30)) }

  private struct Row: RowDecodable {
    let id: UUID
    let invoiceID: UUID
    let ettn: UUID
    let profile: EInvoiceDocument.Profile
    let state: String
    let cancelReason: String?

    init(row: PostgresRow) throws {
      id = try row.decode("id")
      invoiceID = try row.decode("invoice_id")
      ettn = try row.decode("ettn")
      profile = try row.decode("profile")
      state = try row.decode("state")
      cancelReason = try row.decode("cancel_reason")
    }
  }

  private static let columns: SQL = "id, invoice_id, ettn, profile, state, cancel_reason"

  func deliver(_ id: UUID) async throws {
    // "sending" is written before anything leaves the house: whoever comes after a crash knows that it may have arrived.
    let begun = try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      let row = try await tx.first(Row.self, "SELECT \(Self.columns) FROM crm.e_invoice WHERE id = \(id) FOR UPDATE")
      guard let row, ["queued", "sending"].contains(row.state), let record = try await EInvoiceRecord.load(row.invoiceID, tx) else { return (Row, Data)?.none }
      try await tx.run("SELECT crm.move_e_invoice(\(id), 'sending')")
      return (row, try record.document.ubl())
    }
    guard let (row, document) = begun else { return }
    var status = EInvoiceStatus.unknown
    if row.state == "sending" { status = try await integrator.status(of: row.ettn) }
    if status == .unknown {
      do {
        status = .sent(reference: try await integrator.send(document, uuid: row.ettn, profile: row.profile))
      } catch let refusal as EInvoiceRefusal {
        status = .refused(reason: refusal.reason)
      }
    }
    let outcome = status
    try await lease.complete(as: Self.caller, deadline: deadline) { tx in try await Self.record(outcome, of: id, tx) }
  }

  /// One document that the integrator cannot speak of does not keep the others waiting: its error is thrown when all have been asked about.
  func followAll() async throws {
    var failure: (any Error)?
    var last: UUID?
    while let rows = try await underWay(after: last), let end = rows.last {
      for row in rows {
        do { try await follow(row) } catch { failure = failure ?? error }
      }
      last = end.id
    }
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.run("SELECT crm.move_e_invoice(id, 'deemed_accepted') FROM crm.e_invoice WHERE state = 'delivered' AND answer_due_at < now()")
    }
    if let failure { throw failure }
  }

  /// A page of those that are not at their end; nil after the last.
  private func underWay(after last: UUID?) async throws -> [Row]? {
    let rows = try await lease.transaction(as: Self.caller, deadline: deadline) { tx in
      try await tx.all(
        Row.self,
        """
        SELECT \(Self.columns) FROM crm.e_invoice
         WHERE (state IN ('sent', 'cancelling') OR state = 'delivered' AND profile = 'TICARIFATURA') AND (\(last)::uuid IS NULL OR id > \(last))
         ORDER BY id LIMIT 500
        """)
    }
    return rows.isEmpty ? nil : rows
  }

  private func follow(_ row: Row) async throws {
    if row.state == "cancelling" { return try await cancel(row) }
    let status = try await integrator.status(of: row.ettn)
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in try await Self.record(status, of: row.id, tx) }
  }

  private func cancel(_ row: Row) async throws {
    let next: String
    do {
      try await integrator.cancel(row.ettn, reason: row.cancelReason ?? "")
      next = "cancelled"
    } catch is EInvoiceRefusal {
      next = "delivered"
    }
    let state = next
    try await lease.transaction(as: Self.caller, deadline: deadline) { tx in try await tx.run("SELECT crm.move_e_invoice(\(row.id), \(state))") }
  }

  /// Writes down what the integrator said; an answer that cannot follow the present state changes nothing.
  private static func record(_ status: EInvoiceStatus, of id: UUID, _ tx: PostgresTransaction) async throws {
    let move: SQL? =
      switch status {
      case .unknown: nil
      case .sent(let reference): "SELECT crm.move_e_invoice(\(id), 'sent', now(), \(reference))"
      case .delivered(let at): "SELECT crm.move_e_invoice(\(id), 'delivered', \(at))"
      case .refused(let reason): "SELECT crm.move_e_invoice(\(id), 'refused', now(), \(reason))"
      case .accepted(let at): "SELECT crm.move_e_invoice(\(id), 'accepted', \(at))"
      case .rejected(let at, let reason): "SELECT crm.move_e_invoice(\(id), 'rejected', \(at), \(reason))"
      case .cancelled: "SELECT crm.move_e_invoice(\(id), 'cancelled')"
      }
    if let move { try await tx.run(move) }
  }
}

import CRMCore
import Foundation
import PostgresClient

/// A contract whose state is judged: nobody else moves it until the transaction ends.
struct LockedContract: RowDecodable {
  enum Status: String, Sendable { case draft, active, cancelled, expired }

  let id: UUID
  let customerID: UUID
  let status: Status?
  let startsOn: CalendarDate
  let termNumber: Int
  let termStartsOn: CalendarDate
  let termEndsOn: CalendarDate
  let noticeDays: Int
  let hasLines: Bool
  /// The company's day.
  let today: CalendarDate

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    customerID = try row.decode(UUID.self, "customer_id")
    status = Status(rawValue: try row.decode(String.self, "status"))
    startsOn = try row.decode(CalendarDate.self, "starts_on")
    termNumber = try row.decode(Int.self, "term_number")
    termStartsOn = try row.decode(CalendarDate.self, "term_starts_on")
    termEndsOn = try row.decode(CalendarDate.self, "term_ends_on")
    noticeDays = try row.decode(Int.self, "renewal_notice_days")
    hasLines = try row.decode(Bool.self, "has_lines")
    today = try row.decode(CalendarDate.self, "today")
  }

  /// - Throws: a problem when the caller does not see the contract, or sees it and may not change it.
  static func lock(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedContract {
    let locked = try await tx.first(
      LockedContract.self,
      """
      SELECT c.id, c.customer_id, c.status, c.starts_on, c.term_number, c.term_starts_on, c.term_ends_on, c.renewal_notice_days,
             EXISTS (SELECT FROM crm.contract_line l WHERE l.customer_id = c.customer_id AND l.contract_id = c.id) AS has_lines,
             crm.business_day(now()) AS today
        FROM crm.contract c WHERE c.id = \(id) FOR UPDATE
      """)
    if let locked { return locked }
    // A lock asks for the right to change: whoever only reads the row finds none.
    guard try await tx.result("SELECT 1 FROM crm.contract WHERE id = \(id)").count > 0 else { throw Problem.notFound }
    throw Problem.forbidden(
      Phrase("Your role lets you read this contract, not change it.", tr: "Rolünüz bu sözleşmeyi okumanıza izin verir, değiştirmenize değil."))
  }

  func mustBe(_ wanted: Status...) throws(Problem) {
    if let status, wanted.contains(status) { return }
    let list = wanted.map(\.rawValue).joined(separator: ", ")
    throw Problem(
      409, "wrong-status", Phrase("The contract's status does not allow this.", tr: "Sözleşmenin durumu buna izin vermiyor."),
      detail: Phrase("It must be: \(list).", tr: "Şu durumda olmalı: \(list)."))
  }
}

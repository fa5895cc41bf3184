import CRMCore
import Foundation
import PostgresClient

private struct Identification: OperationInput {
  let visitor: String
  let contactID: UUID

  init(_ fields: inout InputReader) {
    visitor = fields.text("visitor", "The visitor's token, from the page the person is signed in to.")
    contactID = fields.id("contact_id", "Who it is.")
  }
}

extension BusinessOperation {
  static let identifyVisitor = BusinessOperation(
    "identify_visitor", .post, "/v1/web_visitors/identify", of: "contacts", access: .write(.customers), "Say who a visitor is",
    description: """
      For the program behind a page that people sign in to: it knows for certain who they are. Their visits then appear in the timeline, earlier ones too. A \
      visitor who is somebody else already stays who they are (409).
      """,
    input: Identification.self, answer: .empty, extending: [.customers, .marketing, .admin]
  ) { run, input in
    let token: VisitorToken
    do { token = try VisitorToken(sealed: input.visitor, site: nil, signer: run.signer, now: .now) } catch {
      throw Problem.invalid([.init("/visitor", code: "token", Phrase("This is not a visitor's token.", tr: "Bu bir ziyaretçi jetonu değil."))])
    }
    // Only whom the asker may see can be vouched for.
    let audiences = Array(run.asker.reach[.customers]?.readable ?? [])
    let found = try await run.tx.result(
      "SELECT k.customer_id FROM crm.contact AS k WHERE k.id = \(input.contactID) AND (k.audience = ANY(\(audiences)) OR k.owner_id = ANY(\(audiences)))")
    guard found.count == 1 else {
      throw Problem.invalid([.init("/contact_id", code: "missing-reference", Phrase("There is no such contact.", tr: "Böyle bir kişi yok."))])
    }
    let isDone = try await run.tx.value(
      Bool.self, "SELECT crm.know_visitor(\(token.visitor), \(try found[0].decode(UUID.self, at: 0)), \(input.contactID), \(run.caller.userID))")
    guard isDone else {
      throw Problem(
        409, "visitor-known",
        Phrase("This visitor is somebody else, or did not agree to be recognised.", tr: "Bu ziyaretçi başka biri ya da tanınmayı kabul etmedi."))
    }
    return .empty
  }
}

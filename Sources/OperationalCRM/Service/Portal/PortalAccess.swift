import CRMCore
import Foundation
import PostgresClient

private struct PortalInvitation: OperationInput {
  let contactID: UUID?
  let wholeOrganisation: Bool
  let validDays: Int

  init(_ fields: inout InputReader) {
    contactID = fields.optionalID("contact_id", "The person to let in; the customer as a whole when it is left out.")
    wholeOrganisation =
      fields.optionalFlag(
        "whole_organisation", "Whether this person sees the tickets and conversations of everybody at the organisation; only their own when left out.") ?? false
    validDays = fields.optionalInteger("valid_days", "Days for which the link works; 7 when left out.", in: 1...30) ?? 7
  }
}

extension BusinessOperation {
  static let inviteToPortal = BusinessOperation(
    "invite_to_portal", .post, "/v1/customers/{id}/portal_invitations", of: "portal_accesses", access: .write(.customers), "Let a customer into the portal",
    description: """
      The invitation is shown once, stored only as a hash and works once; with it the customer gets a token from POST /v1/portal/sessions. Whoever was invited \
      before gets a new invitation, which ends the one before; tokens that are out go on working. A person sees their own tickets and conversations, and \
      everybody's where `whole_organisation` says so (inviting again changes it, also for tokens that are out); orders and invoices are the organisation's.
      """,
    input: PortalInvitation.self,
    answer: .json(
      [
        "type": "object", "required": ["id", "invitation", "expires_at"],
        "properties": ["id": AnswerField.id, "invitation": AnswerField.text, "expires_at": AnswerField.instant],
      ], status: 201)
  ) { run, input in
    let customer = try run.id()
    let invitation = LinkToken()
    guard try await run.tx.result("SELECT 1 FROM crm.customer c WHERE c.id = \(customer)").count == 1 else { throw Problem.notFound }
    // Two who invite the same person at once make one access.
    try await run.tx.run("SELECT pg_advisory_xact_lock(hashtext('crm.portal_access'), hashtext(\(customer.lowercase)))")
    // Two people who were merged have an access each; the mark holds for both, the invitation is one.
    try await run.tx.run(
      """
      UPDATE crm.portal_access SET invitation_hash = NULL, invitation_expires_at = NULL, whole_organisation = \(input.wholeOrganisation)
       WHERE customer_id = \(customer) AND contact_id IS NOT DISTINCT FROM \(input.contactID)::uuid AND revoked_at IS NULL
      """)
    let renewed = try await run.tx.result(
      """
      UPDATE crm.portal_access SET invitation_hash = \(invitation.hash), invitation_expires_at = now() + make_interval(days => \(input.validDays))
       WHERE customer_id = \(customer) AND id = (
         SELECT a.id FROM crm.portal_access a
          WHERE a.customer_id = \(customer) AND a.contact_id IS NOT DISTINCT FROM \(input.contactID)::uuid AND a.revoked_at IS NULL ORDER BY a.created_at DESC, a.id DESC LIMIT 1)
      RETURNING id, invitation_expires_at
      """)
    let made =
      renewed.count > 0
      ? renewed
      : try await run.tx.result(
        """
        INSERT INTO crm.portal_access (customer_id, contact_id, whole_organisation, invitation_hash, invitation_expires_at)
        VALUES (\(customer), \(input.contactID), \(input.wholeOrganisation), \(invitation.hash), now() + make_interval(days => \(input.validDays)))
        RETURNING id, invitation_expires_at
        """)
    guard let row = made.rows.first else { throw Problem.notFound }
    return .json([
      "id": .string(try row.decode(UUID.self, "id").lowercase), "invitation": .string(invitation.token),
      "expires_at": .string(try row.decode(Date.self, "invitation_expires_at").ISO8601Format()),
    ])
  }

  static let revokePortalAccess = BusinessOperation(
    "revoke_portal_access", .post, "/v1/portal_accesses/{id}/revoke", of: "portal_accesses", access: .write(.customers), "Shut a customer out of the portal",
    description: "Its invitation and all its tokens stop working at once. Revoking again changes nothing.", input: NoInput.self,
    answer: .record("portal_accesses")
  ) { run, _ in
    let id = try run.id()
    let revoked = try await run.tx.run(
      """
      UPDATE crm.portal_access SET revoked_at = coalesce(revoked_at, now()), invitation_hash = NULL, invitation_expires_at = NULL WHERE id = \(id)
      """)
    if revoked == 0 {
      guard try await run.tx.result("SELECT 1 FROM crm.portal_access a WHERE a.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this customer but not change it.", tr: "Bu müşteriyi görebilirsiniz ama değiştiremezsiniz."))
    }
    return .record(id)
  }
}

import CRMCore
import Foundation
import PostgresClient

/// Coming into the portal with an invitation, and leaving it.
struct PortalSessions {
  let database: Database

  /// Days for which a token works.
  static let days = 30

  struct Invitation: OperationInput {
    let invitation: String
    init(_ fields: inout InputReader) { invitation = fields.text("invitation", "The invitation, as the colleague got it.", maximum: 200) }
  }

  var endpoints: [Endpoint] {
    [
      Endpoint(
        .post, "/v1/portal/sessions", access: .open, body: .collected,
        documentation: .init(
          "create_portal_session", tag: "portal", "Come in with an invitation, once",
          description: "The token is shown once and works for \(Self.days) days. Send it as `Authorization: Bearer <token>`.",
          input: ("application/json", InputReader.schema(of: Invitation.self)),
          answers: [
            (
              201, "Welcome.", "application/json",
              ["type": "object", "required": ["token", "expires_at"], "properties": ["token": AnswerField.text, "expires_at": AnswerField.instant]]
            )
          ], refusals: [401]),
        handler: .operation { request in try await enter(request) }),
      Endpoint(
        .delete, "/v1/portal/sessions/current", access: .portal,
        documentation: .init("delete_portal_session", tag: "portal", "Leave: the token no longer works", answers: [(204, "Left.", nil, nil)]),
        handler: .operation { request in try await leave(request) }),
    ]
  }

  private func enter(_ request: Request) async throws -> Response {
    let input = try InputReader.read(Invitation.self, from: request.json())
    // The first letters say what kind of credential it is.
    let credential = LinkToken(token: "mhc_\(LinkToken().token)")
    let hash = LinkToken(token: input.invitation).hash
    let made = try await database.transaction(as: .system("portal session"), request: request.id, deadline: request.deadline) { tx in
      try await tx.result(
        """
        WITH used AS (
          UPDATE crm.portal_access SET redeemed_at = now(), invitation_hash = NULL, invitation_expires_at = NULL
           WHERE invitation_hash = \(hash) AND invitation_expires_at > now() AND revoked_at IS NULL RETURNING customer_id, id)
        INSERT INTO crm.portal_session (customer_id, access_id, token_hash, expires_at)
        SELECT used.customer_id, used.id, \(credential.hash), now() + make_interval(days => \(Self.days)) FROM used
        RETURNING expires_at
        """)
    }
    guard let row = made.rows.first else {
      throw Problem(
        401, "unknown-invitation",
        Phrase("This invitation does not work any more. Ask us for a new one.", tr: "Bu davet artık geçerli değil. Bizden yenisini isteyin."))
    }
    return .json(
      try JSON.object(["token": .string(credential.token), "expires_at": .string(try row.decode(Date.self, "expires_at").ISO8601Format())]).encoded(),
      status: 201)
  }

  private func leave(_ request: Request) async throws -> Response {
    let token = (request.headers["authorization"] ?? "").split(separator: " ").last.map(String.init) ?? ""
    let hash = LinkToken(token: token).hash
    try await database.transaction(as: .system("portal session"), request: request.id, deadline: request.deadline) { tx in
      _ = try await tx.run("UPDATE crm.portal_session SET revoked_at = now() WHERE token_hash = \(hash) AND revoked_at IS NULL")
    }
    return Response(status: 204)
  }
}

import CRMCore
import Crypto
import Foundation
import PostgresClient

/// Signing in with e-mail and password, and out again.
struct SessionEndpoints: Sendable {
  let database: Database
  let passwords: Passwords
  let sessionFor: Duration

  var endpoints: [Endpoint] { [signIn, signOut] }

  private var signIn: Endpoint {
    Endpoint(
      .post, "/v1/sessions", access: .open, body: .collected,
      documentation: .init(
        "create_session", tag: "access", "Sign in with e-mail and password",
        description: "The token is shown once. Send it as `Authorization: Bearer <token>`.",
        input: (
          "application/json",
          [
            "type": "object", "required": ["email", "password"], "additionalProperties": false,
            "properties": [
              "email": ["type": "string", "format": "email", "maxLength": 320],
              "password": ["type": "string", "format": "password", "minLength": 1, "maxLength": 1024, "pattern": "^[^\\u0000]*$"],
            ],
          ]
        ),
        answers: [
          (
            201, "Signed in.", "application/json",
            [
              "type": "object", "required": ["token", "expires_at", "user_id"],
              "properties": [
                "token": ["type": "string"], "expires_at": ["type": "string", "format": "date-time"],
                "user_id": ["type": "string", "format": "uuid"],
              ],
            ]
          )
        ], refusals: [401]),
      handler: .operation { request in try await signIn(request) })
  }

  private var signOut: Endpoint {
    Endpoint(
      .delete, "/v1/sessions/current", access: .signedIn,
      documentation: .init(
        "delete_current_session", tag: "access", "Sign out: the token no longer works",
        answers: [(204, "Signed out.", nil, nil)]),
      handler: .operation { request in
        guard let token = bearerToken(request.headers["authorization"]), Credential.kind(of: token) == .session else {
          throw Problem(
            409, "no-session",
            Phrase("You did not sign in with a session, so there is none to end.", tr: "Oturum ile giriş yapmadınız; kapatılacak oturum yok."))
        }
        let hash = Credential.hash(of: token)
        try await database.transaction(as: request.caller, request: request.id, deadline: request.deadline) { tx in
          _ = try await tx.run("UPDATE crm.session SET revoked_at = now() WHERE token_hash = \(hash) AND revoked_at IS NULL")
        }
        return Response(status: 204)
      })
  }

  private func signIn(_ request: Request) async throws -> Response {
    let body = try request.json()
    var errors = body.unknownMembers(besides: ["email", "password"])
    func text(_ name: String, limit: Int) -> String {
      guard let value = body[name]?.string, !value.isEmpty, value.unicodeScalars.count <= limit, !value.utf8.contains(0) else {
        errors.append(
          .init(
            "/\(name)", code: "required",
            Phrase("Give \(name) as text of at most \(limit) characters.", tr: "\(name) alanını en çok \(limit) karakterlik metin olarak verin.")))
        return ""
      }
      return value
    }
    let email = text("email", limit: 320)
    let password = text("password", limit: 1024)
    guard errors.isEmpty else { throw Problem.invalid(errors) }

    let attempts = SignInAttempts(database: database)
    let account = try await attempts.begin(email: email, deadline: request.deadline)
    let isRight = try await passwords.verify(password, against: account.passwordHash)
    guard isRight, let user = account.userID else {
      throw Problem(
        401, "wrong-credentials", Phrase("E-mail or password is wrong.", tr: "E-posta ya da parola yanlış."))
    }
    let credential = Credential(.session)
    let agent = request.headers["user-agent"].map { String($0.prefix(300)) }
    let seconds = Double(sessionFor.components.seconds)
    let result = try await database.transaction(as: .system("authentication"), request: request.id, deadline: request.deadline) { tx in
      try await attempts.forget(account, tx)
      return try await tx.result(
        """
        INSERT INTO crm.session (user_id, token_hash, user_agent, expires_at)
        VALUES (\(user), \(credential.hash), \(agent), now() + make_interval(secs => \(seconds)))
        RETURNING user_id, expires_at
        """)
    }
    var writer = JSONWriter(capacity: 256)
    writer.beginObject()
    writer.key("token")
    writer.string(credential.token)
    writer.writeMembers(result, 0)
    writer.endObject()
    return .json(writer.take(), status: 201)
  }
}

import CRMCore
import Foundation
import PostgresClient

/// `POST /v1/me/password`: a new password for oneself, given the old one. Guessing is slowed down as it is when signing in.
struct PasswordEndpoint: Sendable {
  private static let minimumLength = 12
  private static let maximumLength = 1024

  let database: Database
  let passwords: Passwords

  var endpoint: Endpoint {
    @Sendable func password(_ description: String, from minimum: Int) -> JSON {
      [
        "type": "string", "format": "password", "minLength": .number(.init(minimum)), "maxLength": .number(.init(Self.maximumLength)),
        "pattern": "^[^\\u0000]*$", "description": .string(description),
      ]
    }
    return Endpoint(
      .post, "/v1/me/password", access: .signedIn, body: .collected,
      documentation: .init(
        "change_password", tag: "access", "Change your password",
        description: "Your other sessions end; the one you call with and your API keys stay.",
        input: (
          "application/json",
          [
            "type": "object", "required": ["old_password", "new_password"], "additionalProperties": false,
            "properties": [
              "old_password": password("The password as it is.", from: 1),
              "new_password": password("The password as it shall be, in characters.", from: Self.minimumLength),
            ],
          ]
        ),
        answers: [(204, "The new password counts from now on.", nil, nil)]),
      handler: .operation { request in try await change(request) })
  }

  private func change(_ request: Request) async throws -> Response {
    let (old, new) = try Self.read(try request.json())
    let caller = Caller.system("a user changes the own password")
    let user = try await database.read(
      as: caller, areas: [.admin], deadline: request.deadline,
      "SELECT u.email FROM crm.app_user AS u WHERE u.id = \(request.caller.userID) AND u.kind = 'person' AND u.password_hash IS NOT NULL")
    guard user.count == 1 else {
      throw Problem(
        409, "no-password",
        Phrase("You do not sign in with a password, so there is none to change.", tr: "Parola ile oturum açmıyorsunuz; değiştirilecek parola yok."))
    }
    let attempts = SignInAttempts(database: database)
    let account = try await attempts.begin(email: try user[0].decode(String.self, "email"), deadline: request.deadline)
    guard try await passwords.verify(old, against: account.passwordHash) else {
      throw Problem(403, "wrong-password", Phrase("The old password is wrong.", tr: "Eski parola yanlış."))
    }
    let hash = try await passwords.hash(new)
    let session = bearerToken(request.headers["authorization"]).map(Credential.hash(of:))
    try await database.transaction(as: caller, request: request.id, deadline: request.deadline) { tx in
      try await attempts.forget(account, tx)
      try await tx.run("UPDATE crm.app_user SET password_hash = \(hash) WHERE id = \(account.userID)")
      try await tx.run(
        """
        UPDATE crm.session SET revoked_at = now()
        WHERE user_id = \(account.userID) AND revoked_at IS NULL AND token_hash IS DISTINCT FROM \(session)
        """)
    }
    return Response(status: 204)
  }

  private static func read(_ body: JSON) throws(Problem) -> (old: String, new: String) {
    guard let members = body.object else {
      throw .invalid([.init("", code: "type", Phrase("Send a JSON object.", tr: "Bir JSON nesnesi gönderin."))])
    }
    var errors = body.unknownMembers(besides: ["old_password", "new_password"])
    func text(_ name: String, from minimum: Int) -> String {
      guard let value = members[name]?.string, (minimum...maximumLength).contains(value.unicodeScalars.count), !value.utf8.contains(0) else {
        errors.append(
          .init(
            "/\(name)", code: "length",
            Phrase(
              "Give \(name) as text of \(minimum) to \(maximumLength) characters.",
              tr: "\(name) alanını \(minimum) ile \(maximumLength) karakter arasında metin olarak verin.")))
        return ""
      }
      return value
    }
    let old = text("old_password", from: 1)
    let new = text("new_password", from: minimumLength)
    guard errors.isEmpty else { throw .invalid(errors) }
    return (old, new)
  }
}

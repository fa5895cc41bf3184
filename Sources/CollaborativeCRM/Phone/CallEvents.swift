import CRMCore
import Foundation
import PostgresClient

/// What a telephone exchange (PBX) reports: a call that rings is answered with who calls, and whoever sits at the extension is told; a call that ended
/// is noted.
struct CallEvents {
  let database: Database
  let catalogue: Catalogue
  private static let caller = Caller.system("calls")

  var endpoint: Endpoint {
    Endpoint(
      .post, "/channels/{code}/calls", access: .open, body: .collected,
      documentation: .init(
        "receive_call_event", tag: "channel_accounts", "What a telephone exchange reports",
        description:
          "Signed as Standard Webhooks has it, with the account's webhook_secret. Types: call.ringing (data: id, from, extension), answered with the callers it may "
          + "be, whom the user at the extension is told of too; call.ended (data: id, from, to, direction (in if left out, or out), started_at, seconds, outcome), which "
          + "notes the call, once. A number that is withheld is left out, or is no number.",
        parameters: [.init("code", in: .path, required: true, "The account's code.")] + ChannelEvents.signature,
        input: (
          "application/json",
          ["type": "object", "required": ["type", "data"], "properties": ["type": ["type": "string"], "data": ["type": "object"]]]
        ),
        answers: [
          (
            200, "Who is calling; empty for a number that nobody has.", "application/json",
            [
              "type": "object", "required": ["data"],
              "properties": ["data": ["type": "array", "items": ["type": "object", "properties": .object(ScreenPop.row)]]],
            ]
          )
        ], refusals: [401, 404, 409, 422]),
      handler: .operation { request in
        do {
          return try await take(request)
        } catch let error as PostgresError {
          throw WriteProblem(catalogue: catalogue).problem(for: error, pointer: "/data") ?? error
        }
      })
  }

  private struct Found: RowDecodable {
    let customerID: UUID
    let customerName: String
    let contactName: String?

    init(row: PostgresRow) throws {
      customerID = try row.decode("customer_id")
      customerName = try row.decode("customer_name")
      contactName = try row.decode("contact_name")
    }
  }

  private func take(_ request: Request) async throws -> Response {
    try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
      let (account, event) = try await ChannelEvents.verified(request, tx, database.secrets)
      let data = event.body["data"] ?? .null
      guard account.channel == "phone" else { throw Problem.notFound }
      switch event.body["type"]?.string {
      case "call.ringing": return try await ring(data, account, tx)
      case "call.ended":
        try await end(data, account, tx)
        return .json(Array(#"{"data":[]}"#.utf8))
      default: throw Problem.invalid([.init("/type", code: "option", Phrase("This type of event is not known.", tr: "Bu olay türü bilinmiyor."))])
      }
    }
  }

  private static func needed(_ name: String, _ data: JSON) throws -> String {
    guard let text = data[name]?.string, !text.isEmpty, text.utf8.count <= 200, !text.utf8.contains(0) else {
      throw Problem.invalid([.init("/data/\(name)", code: "required", Phrase("\(name) is required.", tr: "\(name) zorunludur."))])
    }
    return text
  }

  private func ring(_ data: JSON, _ account: AccountSettings, _ tx: PostgresTransaction) async throws -> Response {
    // Of a number that is withheld nobody can say whose it is.
    guard let number = data["from"]?.string, number.contains(where: \.isNumber) else { return .json(Array(#"{"data":[]}"#.utf8)) }
    let result = try await tx.result(ScreenPop.statement(number))
    if let extensionNumber = data["extension"]?.string, let person = account.extensions[extensionNumber], let first = result.rows.first {
      let found = try Found(row: first)
      let name = found.contactName.map { "\($0) (\(found.customerName))" } ?? found.customerName
      try await tx.run(
        """
        SELECT crm.notify(u.id, 'call', 'customers', \(found.customerID), \("\(name) is calling"), \("\(name) arıyor"))
          FROM crm.app_user AS u WHERE u.email_key = crm.search_key(\(person)) AND u.active
        """)
    }
    var writer = JSONWriter(capacity: 1_024)
    writer.beginObject()
    writer.key("data")
    writer.writeRows(result)
    writer.endObject()
    return .json(writer.take())
  }

  private static func refused(_ name: String, _ code: String, _ message: Phrase) -> Problem { .invalid([.init("/data/\(name)", code: code, message)]) }

  private func end(_ data: JSON, _ account: AccountSettings, _ tx: PostgresTransaction) async throws {
    let id = try Self.needed("id", data)
    guard let direction = CallDirection(rawValue: data["direction"]?.string ?? "in") else {
      throw Self.refused("direction", "option", Phrase("Use one of: in, out.", tr: "Şunlardan biri olmalı: in, out."))
    }
    guard let outcome = CallOutcome(rawValue: data["outcome"]?.string ?? "") else {
      throw Self.refused(
        "outcome", "option", Phrase("Use one of: answered, missed, busy, voicemail.", tr: "Şunlardan biri olmalı: answered, missed, busy, voicemail."))
    }
    guard let line = account.address else {
      throw Problem(
        409, "no-line", Phrase("The account has no telephone number; give it as its address.", tr: "Hesabın telefon numarası yok; adresi olarak verin."))
    }
    let given = data[direction == .out ? "to" : "from"]?.string ?? ""
    // Callers who withhold their number are not each other: each call is somebody's of its own.
    let other = try given.contains(where: \.isNumber) ? Self.needed(direction == .out ? "to" : "from", data) : "unknown:\(id)"
    var seconds: Int?
    if case .number(let number) = data["seconds"] { seconds = min(max(Int(exactly: NSDecimalNumber(decimal: number).doubleValue.rounded()) ?? 0, 0), 86_400) }
    let started = min(HTTPMessaging.instant(data["started_at"]) ?? Date(), Date())
    let name = data["name"]?.string.map { String($0.withoutNUL.prefix(200)) }
    try await tx.run(
      """
      SELECT r.interaction_id FROM crm.receive_interaction(\(account.id), \(id), NULL, '{}', \(direction == .out ? line : other), \(name),
        \([direction == .out ? other : line]), NULL, \(outcome.text(seconds: seconds)), NULL, \(started), \(outcome == .voicemail ? "voicemail" : "call")) AS r
      """)
  }
}

extension AccountSettings {
  /// Whose telephone it is: the e-mail address of a user by the extension, out of the account's settings.
  fileprivate var extensions: [String: String] { (object("extensions") ?? [:]).compactMapValues(\.string) }
}

import CRMCore
import Foundation
import PostgresClient

/// What providers post to an account: delivery reports and messages that came in. Each counts once, however often and in whatever order it comes.
struct ChannelEvents {
  let database: Database
  let catalogue: Catalogue
  private static let caller = Caller.system("events of providers")

  var endpoint: Endpoint {
    Endpoint(
      .post, "/channels/{code}/events", access: .open, body: .collected,
      documentation: .init(
        "receive_channel_event", tag: "channel_accounts", "What a provider of messages reports",
        description:
          "Signed as Standard Webhooks has it, with the account's secret: webhook-id, webhook-timestamp (within five minutes), webhook-signature. Types: "
          + "message.delivered, message.failed (data: id, reference, at, reason, cause), message.complained and message.received (data: id, from, to, name, text, at, in_reply_to).",
        parameters: [.init("code", in: .path, required: true, "The account's code.")] + Self.signature, input: ("application/json", Self.schema),
        answers: [(204, "It is taken in, or was already.", nil, nil)], refusals: [401, 404, 422]),
      handler: .operation { request in
        do {
          return try await take(request)
        } catch let error as PostgresError {
          throw WriteProblem(catalogue: catalogue).problem(for: error, pointer: "/data") ?? error
        }
      })
  }

  static let signature: [Endpoint.Documentation.Parameter] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map {
    .init($0, in: .header, required: true, "Of Standard Webhooks.")
  }

  private static let schema: JSON = [
    "type": "object", "required": ["type", "data"],
    "properties": ["type": ["type": "string"], "data": ["type": "object"]],
  ]

  private func take(_ request: Request) async throws -> Response {
    try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
      let (account, event) = try await Self.verified(request, tx, database.secrets)
      let data = event.body["data"] ?? .null
      let intake = MessageIntake(accountID: account.id)
      switch event.body["type"]?.string {
      case "message.delivered": try await intake.take(Self.report(event, data, "delivered"), tx)
      case "message.failed": try await intake.take(Self.report(event, data, "failed"), tx)
      case "message.complained": try await intake.take(Self.report(event, data, "complained"), tx)
      case "message.received":
        guard account.channel == "sms" || account.channel == "social", let message = HTTPMessaging.message(data) else {
          throw Problem.invalid([.init("/data", code: "required", Phrase("A message needs id and from.", tr: "Bir mesajda id ve from gerekir."))])
        }
        try await intake.take(message, [], tx)
      default:
        throw Problem.invalid([.init("/type", code: "option", Phrase("This type of event is not known.", tr: "Bu olay türü bilinmiyor."))])
      }
      return Response(status: 204)
    }
  }

  /// The account and what was posted to it, once the signature holds. An account that does not exist answers as one whose secret is another.
  static func verified(_ request: Request, _ tx: PostgresTransaction, _ secrets: ChannelSecrets) async throws -> (AccountSettings, SignedEvent) {
    let account = try await AccountSettings.find(code: request.parameters["code"] ?? "", tx, secrets)
    let secret = secrets.secret("webhook_secret", ofAccount: account?.code ?? "")
    let event = try SignedEvent(request, secret: secret ?? "", now: Date())
    guard let account else { throw Problem.notFound }
    return (account, event)
  }

  private static func report(_ event: SignedEvent, _ data: JSON, _ outcome: String) throws -> DeliveryReportOfOurs {
    let reference = data["reference"]?.string.flatMap(UUID.init(uuidString:))
    guard reference != nil || data["id"]?.string != nil else {
      throw Problem.invalid([.init("/data", code: "required", Phrase("Say which message: id or reference.", tr: "Hangi mesaj: id ya da reference verin."))])
    }
    return DeliveryReportOfOurs(
      eventID: event.id, messageID: reference, providerID: data["id"]?.string.map { String($0.withoutNUL.prefix(200)) },
      outcome: outcome,
      reason: data["reason"]?.string.map { String($0.withoutNUL.prefix(1_000)) }, at: HTTPMessaging.instant(data["at"]) ?? Date(),
      cause: HTTPMessaging.cause(data))
  }
}

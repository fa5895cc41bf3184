import CRMCore
import Foundation
import PostgresClient

extension Endpoint {
  /// What a file is uploaded to.
  enum AttachmentTarget: String {
    case conversation, interaction

    var visible: @Sendable (UUID) -> SQL {
      switch self {
      case .conversation: { "SELECT c.customer_id FROM crm.conversation AS c WHERE c.id = \($0)" }
      case .interaction: { "SELECT i.customer_id FROM crm.interaction AS i WHERE i.id = \($0)" }
      }
    }

    var meaning: String {
      switch self {
      case .conversation: "Upload a file that will go with an answer"
      case .interaction: "Upload a file that belongs to an interaction"
      }
    }
  }

  /// `POST /v1/conversations/{id}/attachments` and `POST /v1/interactions/{id}/attachments`
  static func uploadAttachment(to target: AttachmentTarget, _ database: Database, _ model: Model) -> Endpoint {
    Endpoint(
      .post, "/v1/\(target.rawValue)s/{id}/attachments", access: .write(.customers), body: .streamed,
      documentation: .init(
        "attach_to_\(target.rawValue)", tag: "attachments", target.meaning,
        description: "The body is the file, streamed. What it is is found from its bytes; programs are refused. It is seen by whoever sees what it belongs to.",
        parameters: [
          .id, .init("name", in: .query, required: true, "What the file is called.", schema: ["type": "string", "minLength": 1, "maxLength": 255]),
        ],
        input: ("application/octet-stream", ["type": "string", "format": "binary"]),
        answers: [(201, "What was stored.", "application/json", uploadedSchema)], refusals: [413, 415, 422]),
      handler: .operation { request in
        guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
        guard request.query.count == 1, let name = request.query.first, name.name == "name", !name.value.isEmpty, name.value.count <= 255 else {
          throw Problem.badParameter("name", Phrase("Give the file's name, and nothing else.", tr: "Yalnızca dosyanın adını verin."))
        }
        // Asked before a byte is taken in.
        guard try await database.read(as: request.caller, areas: [.customers], deadline: request.deadline, target.visible(id)).count == 1 else {
          throw Problem.notFound
        }
        let stored: FileFolder.Stored
        switch request.body {
        case .stream(let pieces): stored = try await database.files.store(pieces)
        case .bytes(let bytes): stored = try await database.files.store(bytes)
        case .empty: throw Problem.badRequest("missing-body", Phrase("Send the file as the body.", tr: "Dosyayı gövde olarak gönderin."))
        }
        guard !MediaType.executables.contains(stored.mediaType) else {
          throw Problem(415, "program", Phrase("Programs are not taken.", tr: "Programlar kabul edilmez."))
        }
        let file = NewAttachment(name: name.value, stored: stored)
        return try await database.write(request, model: model) { tx in
          guard let customer = try await tx.result(target.visible(id)).rows.first?.decode(UUID.self, at: 0) else { throw Problem.notFound }
          let attachment = try await file.insert(
            customer: customer, conversation: target == .conversation ? id : nil, interaction: target == .interaction ? id : nil, tx)
          let answer: JSON = [
            "id": .string(attachment.lowercase), "name": .string(file.name), "media_type": .string(stored.mediaType),
            "size": .number(Decimal(stored.size)), "sha256": .string(stored.sha256),
          ]
          return .json(try answer.encoded(), status: 201, headers: [("location", "/v1/attachments/\(attachment.lowercase)")])
        }
      })
  }

  private static let uploadedSchema: JSON = [
    "type": "object", "required": ["id", "name", "media_type", "size", "sha256"],
    "properties": [
      "id": AnswerField.id, "name": AnswerField.text, "media_type": AnswerField.text, "size": AnswerField.count,
      "sha256": ["type": "string", "pattern": "^[0-9a-f]{64}$"],
    ],
  ]

  /// `GET /v1/attachments/{id}/content`
  static func downloadAttachment(_ database: Database) -> Endpoint {
    Endpoint(
      .get, "/v1/attachments/{id}/content", access: .read(.customers),
      documentation: .init(
        "attachment_content", tag: "attachments", "The bytes of a file",
        description: "Always as a download: a file of a stranger's is not shown within this address.", parameters: [.id],
        answers: [(200, "The file.", "application/octet-stream", nil)]),
      handler: .operation { request in
        guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)),
          let row = try await database.read(
            as: request.caller, areas: [.customers], deadline: request.deadline,
            "SELECT a.name, a.media_type, a.sha256 FROM crm.attachment AS a WHERE a.id = \(id)"
          ).rows.first
        else { throw Problem.notFound }
        let hash = try row.decode(String.self, "sha256")
        guard let content = try await database.files.open(hash) else {
          throw Problem(410, "content-gone", Phrase("The content of this file is no longer kept.", tr: "Bu dosyanın içeriği artık saklanmıyor."))
        }
        let name = try row.decode(String.self, "name")
        return Response(
          status: 200,
          headers: [
            ("content-type", "application/octet-stream"), ("etag", "\"\(hash)\""), ("x-media-type", try row.decode("media_type")),
            ("content-disposition", "attachment; filename=\"\(plain(name))\"; filename*=UTF-8''\(name.percentEncoded)"),
          ], body: .stream(content))
      })
  }

  /// The name for clients that know ASCII alone (RFC 6266).
  private static func plain(_ name: String) -> String {
    String(name.unicodeScalars.map { $0.isASCII && $0.value >= 0x20 && $0 != "\"" && $0 != "\\" ? Character($0) : "_" })
  }
}

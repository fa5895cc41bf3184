import Foundation
import PostgresClient

extension ResourceAPI {
  private static let maximumBatch = 1_000
  private static let maximumMistakes = 100

  /// `POST /v1/{resource}/batch`: up to 1,000 creations, changes and deletions; all or nothing, or each by itself.
  func batchEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .post, "/v1/\(entity.name)/batch", access: .write(entity.resource.area), body: .collected,
      documentation: .init(
        "batch_\(entity.name)", tag: entity.name, "Create, change and delete up to 1,000 \(entity.name)",
        description: "With atomic (the default) one mistake undoes all; without it every item stands by itself and the answer says how each went.",
        parameters: [.idempotencyKey, .prefer], input: ("application/json", Self.batchSchema(entity)),
        answers: [(200, "One result an item, in their order.", "application/json", Self.batchAnswerSchema)]),
      handler: .operation { request in
        let batch = try Batch(try request.json(), deletable: entity.resource.deletable)
        let writer = writer(entity, for: request)
        if batch.isAtomic { try Self.refuseMistakes(in: batch, writer) }
        return try await database.write(request, model: model) { tx in
          var results: [BatchResult] = []
          for (index, item) in batch.items.enumerated() {
            let pointer = "/items/\(index)/data"
            if batch.isAtomic {
              do {
                results.append(.done(try await item.run(writer, tx, caller: request.caller, pointer: pointer)))
              } catch var problem as Problem where problem.errors.isEmpty {
                // Of a thousand items, which one?
                problem.errors = [.init("/items/\(index)", code: problem.code, problem.title)]
                throw problem
              }
            } else {
              results.append(try await separately(item, writer, tx, request, pointer: pointer))
            }
          }
          return Self.answer(results, language: request.language)
        }
      })
  }

  /// Tells the mistakes of all items that can be seen without the database, as far as they fit in an answer.
  private static func refuseMistakes(in batch: Batch, _ writer: RowWriter) throws(Problem) {
    var errors: [Problem.FieldError] = []
    for (index, item) in batch.items.enumerated() where errors.count < maximumMistakes {
      switch item {
      case .create(let json): errors += writer.mistakes(in: json, purpose: .create, pointer: "/items/\(index)/data")
      case .change(_, _, let json): errors += writer.mistakes(in: json, purpose: .change, pointer: "/items/\(index)/data")
      case .delete: continue
      }
    }
    guard !errors.isEmpty else { return }
    var problem = Problem.invalid(Array(errors.prefix(maximumMistakes)))
    if errors.count >= maximumMistakes {
      problem = Problem(
        problem.status, problem.code, problem.title,
        detail: Phrase("The first \(maximumMistakes) mistakes; there may be more.", tr: "İlk \(maximumMistakes) hata; devamı olabilir."), errors: problem.errors
      )
    }
    throw problem
  }

  /// Runs an item in a savepoint: what goes wrong with it is undone and reported, and the others go on.
  private func separately(_ item: Batch.Item, _ writer: RowWriter, _ tx: PostgresTransaction, _ request: Request, pointer: String) async throws
    -> BatchResult
  {
    do {
      return .done(try await tx.savepoint { try await item.run(writer, tx, caller: request.caller, pointer: pointer) })
    } catch let problem as Problem {
      return .refused(problem)
    } catch let refusal as RowRefusal {
      return .refused(try await refusal.problem(model) { try await tx.result($0) })
    }
  }

  private static func answer(_ results: [BatchResult], language: Language) -> Response {
    var writer = JSONWriter(capacity: results.count * 256)
    writer.beginObject()
    writer.key("results")
    writer.beginArray()
    for result in results {
      writer.beginObject()
      switch result {
      case .done(let written):
        writer.key("status")
        writer.integer(written.status)
        writer.key("id")
        writer.string(written.id.lowercase)
        if !written.json.isEmpty {
          writer.key("data")
          writer.raw(written.json)
        }
      case .refused(let problem):
        writer.key("status")
        writer.integer(problem.status)
        writer.key("problem")
        problem.write(to: &writer, language: language)
      }
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return .json(writer.bytes)
  }

  private static func batchSchema(_ entity: Model.Entity) -> JSON {
    [
      "type": "object", "required": ["items"], "additionalProperties": false,
      "properties": [
        "atomic": ["type": "boolean", "default": true],
        "items": [
          "type": "array", "minItems": 1, "maxItems": .number(.init(maximumBatch)),
          "items": InputSchema.batchItem(entity),
        ],
      ],
    ]
  }

  private static let batchAnswerSchema: JSON = [
    "type": "object", "required": ["results"],
    "properties": [
      "results": [
        "type": "array",
        "items": [
          "type": "object", "required": ["status"],
          "properties": ["status": ["type": "integer"], "id": ["type": "string"], "data": ["type": "object"], "problem": ["type": "object"]],
        ],
      ]
    ],
  ]

  private enum BatchResult: Sendable {
    case done(RowWriter.Written)
    case refused(Problem)
  }

  /// The body of a batch, read and checked as far as that goes without the database.
  private struct Batch: Sendable {
    enum Item: Sendable {
      case create(JSON)
      case change(UUID, version: Int?, JSON)
      case delete(UUID, version: Int?)

      func run(_ writer: RowWriter, _ tx: PostgresTransaction, caller: Caller, pointer: String) async throws -> RowWriter.Written {
        switch self {
        case .create(let json): try await writer.create(json, caller: caller, pointer: pointer) { try await tx.result($0) }
        case .change(let id, let version, let json): try await writer.change(json, id: id, version: version, pointer: pointer) { try await tx.result($0) }
        case .delete(let id, let version): try await writer.delete(id: id, version: version) { try await tx.result($0) }
        }
      }
    }

    let isAtomic: Bool
    let items: [Item]

    init(_ json: JSON, deletable: Bool) throws(Problem) {
      try Self.refuseUnknown(json, "", ["atomic", "items"])
      guard let list = json["items"]?.array, (1...maximumBatch).contains(list.count) else {
        throw .invalid([.init("/items", code: "items", Phrase("Send 1 to \(maximumBatch) items.", tr: "1 ile \(maximumBatch) arası öğe gönderin."))])
      }
      switch json["atomic"] {
      case nil: isAtomic = true
      case .bool(let flag): isAtomic = flag
      default: throw .invalid([.init("/atomic", code: "type", ColumnType.boolean.expectation)])
      }
      var items: [Item] = []
      var errors: [Problem.FieldError] = []
      for (index, item) in list.enumerated() {
        do { items.append(try Self.item(item, "/items/\(index)", deletable)) } catch { errors += error.errors }
      }
      if !errors.isEmpty { throw .invalid(errors) }
      self.items = items
    }

    private static func refuseUnknown(_ json: JSON, _ pointer: String, _ known: [String]) throws(Problem) {
      guard json.object != nil else {
        throw .invalid([.init(pointer, code: "type", Phrase("Send a JSON object.", tr: "Bir JSON nesnesi gönderin."))])
      }
      let unknown = json.unknownMembers(besides: known, at: pointer)
      if !unknown.isEmpty { throw .invalid(unknown) }
    }

    private static func item(_ json: JSON, _ pointer: String, _ deletable: Bool) throws(Problem) -> Item {
      try refuseUnknown(json, pointer, ["op", "id", "version", "data"])
      switch json["op"]?.string {
      case "create": return .create(json["data"] ?? .object([:]))
      case "change": return .change(try id(json, pointer), version: try version(json, pointer), json["data"] ?? .object([:]))
      case "delete" where deletable: return .delete(try id(json, pointer), version: try version(json, pointer))
      default:
        let verbs = deletable ? "create, change, delete" : "create, change"
        throw .invalid([.init("\(pointer)/op", code: "option", Phrase("Use one of: \(verbs).", tr: "Şunlardan biri olmalı: \(verbs)."))])
      }
    }

    private static func id(_ json: JSON, _ pointer: String) throws(Problem) -> UUID {
      guard let id = json["id"]?.string.flatMap(UUID.init(text:)) else {
        throw .invalid([.init("\(pointer)/id", code: "type", ColumnType.uuid.expectation)])
      }
      return id
    }

    private static func version(_ json: JSON, _ pointer: String) throws(Problem) -> Int? {
      switch json["version"] {
      case nil, .null: return nil
      case .number(let number):
        if let version = Int("\(number)") { return version }
        fallthrough
      default: throw .invalid([.init("\(pointer)/version", code: "type", ColumnType.integer(bits: 32).expectation)])
      }
    }
  }
}

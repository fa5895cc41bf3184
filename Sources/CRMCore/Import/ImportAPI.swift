import Foundation
import PostgresClient

/// The addresses of imports. A file is taken in here; checking, merging and taking back are the workers' jobs.
package struct ImportAPI: Sendable {
  private let importer: Importer
  private let model: Model
  private var database: Database { importer.database }

  package init(database: Database, model: Model) {
    importer = Importer(database: database, model: model)
    self.model = model
  }

  package var endpoints: [Endpoint] { [list, create, read, upload, run, undo, errors] }

  private static let columns: SQL = """
    i.id, i.user_id, i.department_id, i.resource, i.file_name, i.status, i.step, i.bytes_read, i.rows_read, i.rows_staged, i.rows_new, i.rows_changed, i.rows_unchanged,
      i.rows_refused, i.problem, i.created_at, i.updated_at, i.finished_at
    """

  private var list: Endpoint {
    Endpoint(
      .get, "/v1/imports", access: .signedIn,
      documentation: .init(
        "list_imports", tag: "imports", "Your imports, newest first",
        description: "The latest hundred. Whoever reads the administration of a department also sees what its people import.",
        answers: [(200, "The imports.", "application/json", ["type": "object", "properties": ["data": ["type": "array", "items": Self.reference]]])]),
      handler: .read { request in
        let statement: SQL = "SELECT \(Self.columns) FROM crm.import i ORDER BY i.id DESC LIMIT 100"
        return Endpoint.Read([statement], context: request.caller.context(reading: [.admin])) { results in
          var writer = JSONWriter(capacity: 4_096)
          writer.beginObject()
          writer.key("data")
          writer.writeRows(results[0])
          writer.endObject()
          return .json(writer.bytes)
        }
      })
  }

  private var read: Endpoint {
    Endpoint(
      .get, "/v1/imports/{id}", access: .signedIn,
      documentation: .init(
        "read_import", tag: "imports", "How far an import is, and what came of it", parameters: [.id],
        answers: [(200, "The import.", "application/json", Self.reference)], components: [("import", Self.schema)]),
      handler: .read { request in
        let id = try request.recordID()
        return Endpoint.Read([Self.one(id)], context: request.caller.context(reading: [.admin])) { results in try Self.answer(results[0]) }
      })
  }

  private var create: Endpoint {
    Endpoint(
      .post, "/v1/imports", access: .signedIn, body: .collected,
      documentation: .init(
        "create_import", tag: "imports", "Begin an import: what the file is and how its columns map to fields",
        description: "Then send the file to /v1/imports/{id}/file and run it. Mistakes in the mapping are answered at once, all of them.",
        parameters: [.idempotencyKey],
        input: (
          "application/json",
          [
            "type": "object", "required": ["resource", "mapping"], "additionalProperties": false,
            "properties": [
              "resource": [
                "type": "string", "description": "What a row becomes, such as customers; orders with lines in the mapping for a file of order lines.",
              ],
              "mapping": ["type": "object", "description": "How columns become fields; see the examples in demo/mappings."],
              "file_name": ["type": ["string", "null"], "maxLength": 255],
            ],
          ]
        ),
        answers: [(201, "The import.", "application/json", Self.reference)]),
      handler: .operation { request in
        let json = try request.json()
        let unknown = json.unknownMembers(besides: ["resource", "mapping", "file_name"])
        if !unknown.isEmpty { throw Problem.invalid(unknown) }
        guard let resource = json["resource"]?.string, let mapping = json["mapping"], mapping.object != nil else {
          throw Problem.invalid([
            .init("", code: "required", Phrase("Give resource (text) and mapping (an object).", tr: "resource (metin) ve mapping (nesne) verin."))
          ])
        }
        let fileName = json["file_name"]?.string
        guard (fileName?.count ?? 0) <= 255 else {
          throw Problem.invalid([.init("/file_name", code: "too-long", Phrase("At most 255 characters.", tr: "En fazla 255 karakter."))])
        }
        let id = UUID.v7()
        try await importer.validate(id, resource: resource, mapping: mapping, as: request.caller)
        return try await database.write(request, model: model) { tx in
          try await importer.insert(id, resource: resource, mapping: mapping, fileName: fileName, as: request.caller, tx)
          var response = try Self.answer(try await tx.result(Self.one(id)), status: 201)
          response.headers.append(("location", "/v1/imports/\(id.lowercase)"))
          return response
        }
      })
  }

  private var upload: Endpoint {
    Endpoint(
      .put, "/v1/imports/{id}/file", access: .signedIn, body: .streamed,
      documentation: .init(
        "upload_import_file", tag: "imports", "Send the file: CSV or NDJSON, plain or gzip",
        description: "It is streamed into staging. Rows that cannot be taken apart go to the error file. Sending again replaces what came before.",
        parameters: [.id], input: ("application/octet-stream", ["type": "string", "format": "binary"]),
        answers: [(200, "The import, with the number of rows read.", "application/json", Self.reference)]),
      handler: .operation { request in
        let id = try request.recordID()
        guard case .stream(let pieces) = request.body else {
          throw Problem.badRequest("missing-body", Phrase("Send the file as the body.", tr: "Dosyayı gövde olarak gönderin."))
        }
        try await importer.upload(id, pieces, as: request.caller)
        return try Self.answer(try await database.read(as: request.caller, Self.one(id)))
      })
  }

  private var run: Endpoint {
    Endpoint(
      .post, "/v1/imports/{id}/run", access: .signedIn, body: .collected,
      documentation: .init(
        "run_import", tag: "imports", "Check the file, and merge it unless dry_run",
        description: "A dry run changes nothing: it counts what would be new, changed, unchanged and refused, and shows samples.",
        parameters: [.id, .idempotencyKey],
        input: ("application/json", ["type": "object", "additionalProperties": false, "properties": ["dry_run": ["type": "boolean", "default": false]]]),
        inputIsOptional: true,
        answers: [(202, "A worker will do it; follow the import's status.", "application/json", Self.reference)]),
      handler: .operation { request in
        let id = try request.recordID()
        var dryRun = false
        if case .bytes(let bytes) = request.body, !bytes.isEmpty {
          let json = try request.json()
          let unknown = json.unknownMembers(besides: ["dry_run"])
          if !unknown.isEmpty { throw Problem.invalid(unknown) }
          switch json["dry_run"] {
          case nil: break
          case .bool(let given): dryRun = given
          default: throw Problem.invalid([.init("/dry_run", code: "type", Phrase("true or false", tr: "true ya da false"))])
          }
        }
        let isDryRun = dryRun
        let job = try await importer.findOwn(id, as: request.caller)
        try await importer.validate(id, resource: job.resource, mapping: job.mapping, as: request.caller)
        return try await database.write(request, model: model) { tx in
          try await importer.enqueueRun(id, dryRun: isDryRun, tx)
          return try Self.answer(try await tx.result(Self.one(id)), status: 202)
        }
      })
  }

  private var undo: Endpoint {
    Endpoint(
      .post, "/v1/imports/{id}/undo", access: .signedIn,
      documentation: .init(
        "undo_import", tag: "imports", "Take back what an import wrote",
        description: "What somebody has changed since, and what other records refer to, stays; summary.undo counts it.",
        parameters: [.id, .idempotencyKey],
        answers: [(202, "A worker will do it; follow the import's status.", "application/json", Self.reference)]),
      handler: .operation { request in
        let id = try request.recordID()
        _ = try await importer.findOwn(id, as: request.caller)
        return try await database.write(request, model: model) { tx in
          try await importer.enqueueUndo(id, tx)
          return try Self.answer(try await tx.result(Self.one(id)), status: 202)
        }
      })
  }

  private var errors: Endpoint {
    Endpoint(
      .get, "/v1/imports/{id}/errors", access: .signedIn,
      documentation: .init(
        "read_import_errors", tag: "imports", "The rows that were not taken, as CSV with row number, column, value and reason", parameters: [.id],
        answers: [(200, "One line a fault, in the order of the file.", "text/csv", ["type": "string"])]),
      handler: .operation { request in
        let id = try request.recordID()
        _ = try await importer.find(id, as: request.caller)
        let errorFile = ImportErrorFile(database: database, id: id, language: request.language)
        return Response(
          status: 200, headers: [("content-type", "text/csv; charset=utf-8"), ("content-disposition", "attachment; filename=\"errors.csv\"")],
          body: .stream { write in try await errorFile.write(to: write) })
      })
  }

  private static func one(_ id: UUID) -> SQL { "SELECT \(columns), i.mapping, i.file_columns, i.summary FROM crm.import i WHERE i.id = \(id)" }

  private static func answer(_ result: PostgresResult, status: Int = 200) throws -> Response {
    guard result.count == 1 else { throw Problem.notFound }
    var writer = JSONWriter(capacity: 4_096)
    writer.writeRow(result, 0)
    return .json(writer.bytes, status: status)
  }

  private static let reference: JSON = ["$ref": "#/components/schemas/import"]

  private static let schema: JSON = [
    "type": "object", "description": "A file that was or is being imported.",
    "properties": [
      "id": ["type": "string", "format": "uuid"], "user_id": ["type": ["string", "null"]],
      "department_id": ["type": ["string", "null"]], "resource": ["type": "string"],
      "file_name": ["type": ["string", "null"]],
      "status": ["type": "string", "description": "created, uploading, staged, checking, checked, merging, done, failed, undoing or undone."],
      "step": ["type": ["string", "null"], "description": "What is being done right now."], "bytes_read": ["type": "integer"],
      "rows_read": ["type": "integer"], "rows_staged": ["type": "integer"], "rows_new": ["type": "integer"], "rows_changed": ["type": "integer"],
      "rows_unchanged": ["type": "integer"], "rows_refused": ["type": "integer"], "problem": ["type": ["object", "null"]],
      "created_at": ["type": "string"], "updated_at": ["type": "string"], "finished_at": ["type": ["string", "null"]], "mapping": ["type": "object"],
      "file_columns": ["type": ["array", "null"], "items": ["type": "string"]], "summary": ["type": ["object", "null"]],
    ],
  ]
}

import CRMCore
import Foundation
import PostgresClient

/// Everything about one person, streamed: what the catalogue finds, table by table, without holding it in memory.
struct PersonExport: Sendable {
  let database: Database

  /// Few enough to hold in memory, enough to make the round trips cheap.
  static let rowsAPiece = 1_000

  enum Format: String {
    case json, csv, zip
    var mediaType: String {
      switch self {
      case .json: "application/json"
      case .csv: "text/csv; charset=utf-8"
      case .zip: "application/zip"
      }
    }
  }

  struct Table: RowDecodable, Sendable {
    let relation, meaning: String
    let columns: JSONText
    let ids: [UUID]?

    init(row: PostgresRow) throws {
      relation = try row.decode(String.self, "relation")
      meaning = try row.decode(String.self, "meaning")
      columns = try row.decode(JSONText.self, "columns")
      ids = try row.decode([UUID]?.self, "ids")
    }
  }

  var endpoint: Endpoint {
    Endpoint(
      .get, "/v1/privacy_requests/{id}/export", access: .write(.admin),
      documentation: .init(
        "export_person", tag: "privacy_requests", "Everything about the person of a request",
        description:
          "Every table that leads to the person, with the meaning of its columns; also what is kept by law, and earlier values. JSON: one document. CSV: one line a value. ZIP: both, and the attached files with their bytes. Only after the person's identity was checked; each export is a step of the request.",
        parameters: [
          .id, .init("format", in: .query, "The form of the file.", schema: ["type": "string", "enum": ["json", "csv", "zip"], "default": "json"]),
        ],
        answers: [
          (200, "The person's data.", "application/json", ["type": "object"]), (200, "The person's data.", "text/csv", ["type": "string"]),
          (200, "The person's data and files.", "application/zip", ["type": "string", "format": "binary"]),
        ], refusals: [409]),
      handler: .operation { request in try await respond(to: request) })
  }

  private func respond(to request: Request) async throws -> Response {
    guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
    guard let format = Format(rawValue: request.query.first { $0.name == "format" }?.value ?? "json") else {
      throw Problem.badParameter("format", Phrase("format is json, csv or zip.", tr: "format, json, csv ya da zip olabilir."))
    }
    let caller = request.caller
    let tables = try await begin(id, format, as: caller, requestID: request.id)
    return Response(
      status: 200,
      headers: [
        ("content-type", format.mediaType), ("content-disposition", "attachment; filename=\"person-\(id.uuidString.lowercased()).\(format.rawValue)\""),
        ("cache-control", "no-store"),
      ],
      body: .stream { write in
        switch format {
        case .json: try await writeJSON(id, tables, as: caller, write)
        case .csv: try await writeCSV(id, tables, as: caller, write)
        case .zip: try await PersonArchive(export: self, request: id, tables: tables, caller: caller).write(write)
        }
      })
  }

  /// Finds the tables and notes the step, before anything is answered: an export that is not in the log does not happen.
  private func begin(_ id: UUID, _ format: Format, as caller: Caller, requestID: UUID?) async throws -> [Table] {
    do {
      return try await database.transaction(as: caller, request: requestID, deadline: .after(.seconds(30))) { tx in
        guard try await tx.value(Bool.self, "SELECT EXISTS (SELECT FROM crm.privacy_request q WHERE q.id = \(id))") else { throw Problem.notFound }
        let tables = try await tx.all(Table.self, "SELECT t.relation, t.meaning, t.columns, t.ids FROM crm.export_tables(\(id)) t")
        try await tx.run(
          "INSERT INTO crm.privacy_step (request_id, step, detail) VALUES (\(id), 'exported', jsonb_build_object('format', \(format.rawValue)::text))")
        return tables
      }
    } catch let error as PostgresError {
      throw Problem.privacy(error) ?? error
    }
  }

  private func piece(_ id: UUID, _ table: Table, _ ids: [UUID], skip: Int, as caller: Caller) async throws -> PostgresResult {
    try await database.read(
      as: caller, lane: .reports, deadline: .after(.seconds(60)),
      "SELECT r.r AS row FROM crm.export_rows(\(id), \(table.relation), \(ids), \(skip), \(Self.rowsAPiece)) AS r (r)")
  }

  func writeJSON(_ id: UUID, _ tables: [Table], as caller: Caller, _ write: (_ piece: [UInt8]) async throws -> Void) async throws {
    let ids = tables.first?.ids ?? []
    try await write(Array(#"{"request":"\#(id.uuidString.lowercased())","tables":["#.utf8))
    var isFirstTable = true
    for table in tables {
      var skip = 0
      while true {
        let rows = try await piece(id, table, ids, skip: skip, as: caller)
        if rows.count == 0, skip == 0 { break }
        var text = ""
        if skip == 0 {
          let name = String(decoding: try JSON.string(table.relation).encoded(), as: UTF8.self)
          let meaning = String(decoding: try JSON.string(table.meaning).encoded(), as: UTF8.self)
          text += "\(isFirstTable ? "" : ",")\n{\"table\":\(name),\"meaning\":\(meaning),\"columns\":\(table.columns.text),\"rows\":["
          isFirstTable = false
        }
        for (index, row) in rows.rows.enumerated() {
          text += "\(skip == 0 && index == 0 ? "" : ",")\n\(try row.decode(JSONText.self, "row").text)"
        }
        skip += rows.count
        let isLast = rows.count < Self.rowsAPiece
        if isLast { text += "]}" }
        try await write(Array(text.utf8))
        if isLast { break }
      }
    }
    try await write(Array("\n]}\n".utf8))
  }

  func writeCSV(_ id: UUID, _ tables: [Table], as caller: Caller, _ write: (_ piece: [UInt8]) async throws -> Void) async throws {
    let ids = tables.first?.ids ?? []
    var header = CSVWriter()
    header.header(["table", "row", "column", "value"])
    try await write(header.bytes)
    for table in tables {
      var skip = 0
      while true {
        let result = try await database.read(
          as: caller, lane: .reports, deadline: .after(.seconds(60)),
          """
          SELECT \(table.relation)::text AS "table", n.number, v.key AS "column", v.value
          FROM crm.export_rows(\(id), \(table.relation), \(ids), \(skip), \(Self.rowsAPiece)) WITH ORDINALITY AS r (r, place)
          CROSS JOIN LATERAL (SELECT \(skip) + r.place AS number) AS n (number)
          CROSS JOIN LATERAL jsonb_each_text(r.r) AS v WHERE v.value IS NOT NULL ORDER BY n.number, v.key
          """)
        var csv = CSVWriter()
        for row in 0..<result.count { csv.row(result, row, columns: 4) }
        if result.count > 0 { try await write(csv.bytes) }
        let rows = try result.count == 0 ? skip : result[result.count - 1].decode(Int.self, "number")
        guard rows - skip == Self.rowsAPiece else { break }
        skip = rows
      }
    }
  }
}

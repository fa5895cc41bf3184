package import Foundation
import PostgresClient

extension ResourceAPI {
  /// `GET /v1/{resource}/export`: every row that fits, streamed as NDJSON or CSV. Each piece is a read of its own that starts after the last id,
  /// so that no connection waits for a slow client.
  func exportEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .get, "/v1/\(entity.name)/export", access: .read(entity.resource.area),
      documentation: .init(
        "export_\(entity.name)", tag: entity.name, "Export \(entity.name) as NDJSON or CSV",
        parameters: [
          .init("format", in: .query, "The form of the file.", schema: ["type": "string", "enum": ["ndjson", "csv"], "default": "ndjson"])
        ] + ResourceSchema.listParameters(entity).filter { !["limit", "cursor", "count", "order", "expand"].contains($0.name) },
        answers: [
          (200, "The rows, in the order of their ids.", "application/x-ndjson", ["type": "string"]),
          (200, "The rows, in the order of their ids.", "text/csv", ["type": "string"]),
        ]),
      handler: .operation { request in
        let format = try ExportFormat(request.query.first { $0.name == "format" }?.value)
        let query = try Query(parameters: request.query, also: ["format"])
        if let unfit = request.query.first(where: { ["limit", "cursor", "count", "order", "expand"].contains($0.name) }) {
          throw Problem.badParameter(
            unfit.name, Phrase("An export takes filters, search and select.", tr: "Dışa aktarma; süzgeç, search ve select alır."))
        }
        // Compiled once before the answer starts, so that a wrong filter is a problem and not a broken file.
        var first = compiler()
        _ = try first.piece(query, of: entity, after: nil, limit: 1)
        let (caller, id) = (request.caller, request.id)
        return Response(
          status: 200,
          headers: [
            ("content-type", format.mediaType),
            ("content-disposition", "attachment; filename=\"\(entity.name).\(format.rawValue)\""),
          ],
          body: .stream { write in
            try await export(query, entity, format, as: caller, request: id, write: write)
          })
      })
  }
}

extension ResourceAPI {
  /// Few enough to hold in memory, enough to make the round trips cheap.
  private static let rowsAPiece = 2_000

  /// Writes every row that fits, piece by piece, and tells how many there were.
  /// - Parameter request: by what name the log of sensitive reads knows it.
  @discardableResult
  package func export(
    _ query: Query, _ entity: Model.Entity, _ format: ExportFormat, as caller: Caller, request: UUID, write: (_ piece: [UInt8]) async throws -> Void
  ) async throws -> Int {
    var after: String?
    var total = 0
    while true {
      var compiler = compiler()
      let piece = try compiler.piece(query, of: entity, after: after, limit: Self.rowsAPiece)
      let result = try await database.read(
        as: caller, areas: piece.areas, lane: .reports, deadline: .after(.seconds(60)), piece.statement)
      try reads.note(piece.layout, result, rows: 0..<result.count, caller: caller, request: request)
      let isFirst = after == nil
      if result.count > 0 || isFirst { try await write(format.bytes(of: result, layout: piece.layout, withHeader: isFirst)) }
      total += result.count
      guard result.count == Self.rowsAPiece else { return total }
      after = result.text(result.count - 1, piece.idColumn)
    }
  }
}

/// The forms an export can take.
package enum ExportFormat: String, Sendable {
  case ndjson, csv

  init(_ text: String?) throws(Problem) {
    guard let format = ExportFormat(rawValue: text ?? "ndjson") else {
      throw .badParameter("format", Phrase("format is ndjson or csv.", tr: "format, ndjson ya da csv olabilir."))
    }
    self = format
  }

  /// Rows as lines of the file; `withHeader` puts a CSV's header before them.
  func bytes(of result: PostgresResult, layout: RowLayout, withHeader: Bool) -> [UInt8] {
    switch self {
    case .ndjson:
      var writer = JSONWriter(capacity: result.count * 512)
      for row in 0..<result.count {
        layout.write(result, row: row, to: &writer)
        writer.separator(UInt8(ascii: "\n"))
      }
      return writer.bytes
    case .csv:
      var csv = CSVWriter()
      if withHeader { csv.header(layout.names) }
      for row in 0..<result.count { csv.row(result, row, columns: layout.names.count) }
      return csv.bytes
    }
  }

  package var mediaType: String {
    switch self {
    case .ndjson: "application/x-ndjson"
    case .csv: "text/csv; charset=utf-8"
    }
  }
}

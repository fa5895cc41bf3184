package import PostgresClient

/// A question with an answer of its own: availability of a product, a forecast, the value of a metric. One pipeline, read-only.
package struct ReadOperation: Sendable {
  let endpoint: @Sendable (ResourceAPI) throws -> Endpoint

  /// Answered as `{"data":[…]}` with the statement's rows.
  /// - Parameters:
  ///   - mustExist: a statement that finds nothing when there is no such record, or the caller may not see it; then the answer is 404.
  ///   - row: JSON Schema of the properties of one row, by the names of the statement's columns.
  ///   - reading: the areas whose rows the statement reads, as far as the caller reaches.
  ///   - extending: areas read beyond the caller's own reach.
  package init<Input: OperationInput>(
    _ name: String, _ path: String, tag: String, access: Endpoint.Access, _ summary: String, description: String? = nil, input: Input.Type,
    row: @autoclosure @escaping @Sendable () -> [String: JSON], reading: Set<Area>, extending: Set<Area> = [], lane: PostgresPool.Lane = .interactive,
    mustExist: (@Sendable (Request) throws -> SQL)? = nil,
    statement: @Sendable @escaping (Request, Input) throws -> SQL
  ) {
    self.init(
      name, path, tag: tag, access: access, summary, description: description, input: input, answer: ("application/json", Self.list(of: row())),
      reading: reading,
      extending: extending, lane: lane, statements: { request, input in [try statement(request, input)] + (try mustExist.map { [try $0(request)] } ?? []) },
      respond: { _, results in
        if results.count == 2, results[1].count == 0 { throw Problem.notFound }
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.key("data")
        writer.writeRows(results[0])
        writer.endObject()
        return .json(writer.take())
      })
  }

  /// Answered in a form of its own.
  /// - Parameter showing: the resource whose record, named by the path, is in the first row of the first result: its sensitive fields are written down as shown.
  package init<Input: OperationInput>(
    _ name: String, _ path: String, tag: String, access: Endpoint.Access, _ summary: String, description: String? = nil, input: Input.Type,
    answer: @autoclosure @escaping @Sendable () -> (mediaType: String, schema: JSON?), refusals: [Int] = [], reading: Set<Area>, extending: Set<Area> = [],
    showing: String? = nil, lane: PostgresPool.Lane = .interactive, statements: @Sendable @escaping (Request, Input) throws -> [SQL],
    respond: @Sendable @escaping (Request, [PostgresResult]) throws -> Response
  ) {
    endpoint = { api in
      let shown = try showing.map { shown in
        guard let entity = api.model.entities[shown] else { throw UnknownResource(name: shown, user: name) }
        return entity
      }
      let reads = api.reads
      return Endpoint(
        .get, path, access: access,
        documentation: .init(
          name, tag: tag, summary, description: description,
          parameters: Endpoint.Documentation.Parameter.path(path)
            + InputReader.fields(of: Input.self).map { .init($0.name, in: .query, required: $0.required, $0.meaning, schema: .object($0.schema)) },
          answers: [(200, "The answer.", answer().mediaType, answer().schema)], refusals: refusals),
        handler: .read { request in
          let input = try InputReader.read(Input.self, from: request.query)
          let caller = request.caller.extended(to: extending)
          return Endpoint.Read(try statements(request, input), context: caller.context(reading: reading.union(extending)), lane: lane) { results in
            let response = try respond(request, results)
            if let shown, let first = results.first {
              try reads.note(shown, record: try request.recordID(), in: first, caller: request.caller, request: request.id)
            }
            return response
          }
        })
    }
  }

  private static func list(of row: [String: JSON]) -> JSON {
    [
      "type": "object", "required": ["data"],
      "properties": [
        "data": ["type": "array", "items": ["type": "object", "required": .array(row.keys.sorted().map(JSON.string)), "properties": .object(row)]]
      ],
    ]
  }
}

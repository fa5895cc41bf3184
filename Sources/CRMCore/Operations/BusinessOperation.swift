package import Foundation
package import PostgresClient

/// Something people do that is more than storing a row: accept a quote, ship an order, resolve a ticket. One transaction on the caller's behalf;
/// its SQL stands beside its rule. Idempotency keys, dry runs, problems and documentation come with it.
package struct BusinessOperation: Sendable {
  /// What the answer is, for OpenAPI.
  package enum Answer: Sendable {
    /// The record of a resource as reading it would show it, with some neighbours.
    case record(String, status: Int = 200, expand: [String] = [])
    /// A JSON object of its own.
    case json(JSON, status: Int = 200)
    /// 204
    case empty
  }

  /// What the operation came to.
  package enum Outcome: Sendable {
    /// The id of the record that `Answer.record` promises.
    case record(UUID)
    case json(JSON)
    case empty
  }

  /// What an operation works with.
  package struct Run: Sendable {
    package let request: Request
    package let tx: PostgresTransaction
    /// The custom fields of the operation's resource.
    let customFields: [CustomField]
    /// Makes conditions on any resource, with the custom fields as they stand now.
    package let compiler: QueryCompiler
    /// Opens cursors that clients were given.
    package let signer: CursorSigner
    /// Who asked, with no more reach than their own: what the operation is extended by is not theirs to use.
    package let asker: Caller

    package var caller: Caller { request.caller }

    /// The id in the path. Whatever is not a UUID names no record.
    package func id(_ name: String = "id") throws(Problem) -> UUID {
      guard let id = request.parameters[name].flatMap(UUID.init(uuidString:)) else { throw .notFound }
      return id
    }

    /// The department a new record belongs to when nobody says otherwise: the caller's own.
    package func department() throws(Problem) -> UUID {
      guard let id = request.caller.departmentID else {
        throw .invalid([.init("/department_id", code: "required", Phrase("department_id is required.", tr: "department_id zorunludur."))])
      }
      return id
    }

    /// The values of a new record's custom fields, checked against their definitions.
    package func custom(_ values: JSON?, pointer: String = "/custom") throws(Problem) -> JSON {
      let errors = CustomFieldCheck.errors(in: values ?? [:], customFields, purpose: .create, pointer: pointer)
      guard errors.isEmpty else { throw .invalid(errors) }
      return values ?? [:]
    }
  }

  let name: String
  let method: Request.Method
  let path: String
  /// The resource it belongs to: its tag in the documentation, and the table whose words explain refusals.
  let resource: String
  let access: Endpoint.Access
  let summary: String
  let description: String?
  let answer: @Sendable () -> Answer
  let extending: Set<Area>
  let takesBody: Bool
  /// Whether a request without a body is as good as one with an empty object.
  let bodyIsOptional: Bool
  let inputSchema: @Sendable () -> JSON
  let perform: @Sendable (Run, JSON) async throws -> Outcome

  /// - Parameters:
  ///   - name: the `operationId`, such as `accept_quote`.
  ///   - extending: areas in which the operation, once the caller was let in, works beyond the caller's own reach: a seller's order reserves
  ///     stock that only purchasing may write. The change log still names the caller.
  ///   - perform: throws `Problem` for what a rule refuses; violated constraints are put into words by their comments.
  package init<Input: OperationInput>(
    _ name: String, _ method: Request.Method = .post, _ path: String, of resource: String, access: Endpoint.Access,
    _ summary: String, description: String? = nil, input: Input.Type, answer: @autoclosure @escaping @Sendable () -> Answer, extending: Set<Area> = [],
    perform: @Sendable @escaping (Run, Input) async throws -> Outcome
  ) {
    self.name = name
    self.method = method
    self.path = path
    self.resource = resource
    self.access = access
    self.summary = summary
    self.description = description
    self.answer = answer
    self.extending = extending
    let fields = InputReader.fields(of: Input.self)
    takesBody = !fields.isEmpty
    bodyIsOptional = !fields.contains(where: \.required)
    inputSchema = { InputReader.schema(of: Input.self) }
    self.perform = { run, body in
      try await perform(run, InputReader.read(Input.self, from: body))
    }
  }
}

extension ResourceAPI {
  package func endpoint(_ operation: BusinessOperation) throws -> Endpoint {
    guard let entity = model.entities[operation.resource] else { throw UnknownResource(name: operation.resource, user: operation.name) }
    let respond = try respond(operation)
    return Endpoint(
      operation.method, operation.path, access: operation.access, body: operation.takesBody ? .collected : .none,
      documentation: .init(
        operation.name, tag: entity.name, operation.summary, description: operation.description,
        parameters: Endpoint.Documentation.Parameter.path(operation.path) + [.idempotencyKey, .prefer],
        input: operation.takesBody ? ("application/json", operation.inputSchema()) : nil, inputIsOptional: operation.bodyIsOptional,
        answers: [answerDocumentation(operation)]),
      handler: .operation { request in
        let body: JSON
        if case .bytes(let bytes) = request.body, !bytes.isEmpty || !operation.bodyIsOptional {
          body = try request.json()
        } else if operation.bodyIsOptional {
          body = [:]
        } else {
          body = try request.json()
        }
        var acting = request
        acting.caller = request.caller.extended(to: operation.extending)
        let asked = acting
        return try await database.write(asked, model: model) { tx in
          let run = BusinessOperation.Run(
            request: asked, tx: tx, customFields: customFields.current[entity.name], compiler: compiler(), signer: signer, asker: request.caller)
          let outcome = try await operation.perform(run, body)
          return try await respond(outcome, tx, request)
        }
      })
  }

  /// An operation's outcome does not fit the answer it declares.
  private struct WrongOutcome: Error { let operation: String }

  private func answerDocumentation(_ operation: BusinessOperation) -> (status: Int, description: String, mediaType: String?, schema: JSON?) {
    switch operation.answer() {
    case .record(let name, let status, _):
      let shown = model.entities[name]
      return (status, "The \(shown?.resource.singular ?? name).", "application/json", shown.map(ResourceSchema.reference))
    case .json(let schema, let status): return (status, "Done.", "application/json", schema)
    case .empty: return (204, "Done.", nil, nil)
    }
  }

  private func respond(_ operation: BusinessOperation) throws
    -> @Sendable (BusinessOperation.Outcome, PostgresTransaction, Request) async throws -> Response
  {
    let operationName = operation.name
    switch operation.answer() {
    case .record(let name, let status, let expand):
      guard let shown = model.entities[name] else { throw UnknownResource(name: name, user: operationName) }
      return { outcome, tx, request in
        guard case .record(let id) = outcome else { throw WrongOutcome(operation: operationName) }
        let bytes = try await record(shown, id, expand: expand, tx, for: request)
        let location = status == 201 ? [(name: "location", value: "/v1/\(name)/\(id.lowercase)")] : []
        return Response(status: status, headers: location + bytes.headers, body: bytes.body)
      }
    case .json(_, let status):
      return { outcome, _, _ in
        guard case .json(let json) = outcome else { throw WrongOutcome(operation: operationName) }
        return .json(try json.encoded(), status: status)
      }
    case .empty:
      return { _, _, _ in Response(status: 204) }
    }
  }

  /// A record as `GET /v1/<resource>/<id>` shows it, read within a transaction.
  private func record(_ entity: Model.Entity, _ id: UUID, expand: [String], _ tx: PostgresTransaction, for request: Request) async throws -> Response {
    var compiler = compiler()
    let query = expand.isEmpty ? Query() : try Query(parameters: [("expand", expand.joined(separator: ","))])
    let one = try compiler.one(query, of: entity, id: id.lowercase)
    let result = try await tx.result(one.statement)
    let answer = try one.answer([result], ifNoneMatch: nil)
    try reads.note(one.layout, result, rows: 0..<1, caller: request.caller, request: request.id)
    return answer
  }
}

/// An operation names a resource that is not declared; the program does not start.
package struct UnknownResource: Error, CustomStringConvertible {
  let name: String
  let user: String
  package var description: String { "\(user): there is no resource \"\(name)\"" }
}

extension Endpoint.Documentation.Parameter {
  /// The parameters in a path such as `/v1/quotes/{id}/accept`.
  static func path(_ path: String) -> [Self] {
    path.split(separator: "/").filter { $0.hasPrefix("{") }.map { segment in
      let name = String(segment.dropFirst().dropLast())
      return name == "id" ? .id : .init(name, in: .path, required: true, "Part of the address.")
    }
  }
}

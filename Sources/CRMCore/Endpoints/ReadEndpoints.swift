import PostgresClient

extension ResourceAPI {
  func readEndpoints(_ entity: Model.Entity) -> [Endpoint] {
    [listEndpoint(entity), queryEndpoint(entity), oneEndpoint(entity)]
  }

  private func listEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .get, "/v1/\(entity.name)", access: .read(entity.resource.area),
      documentation: .init(
        "list_\(entity.name)", tag: entity.name, "List \(entity.name)",
        description:
          """
          Any field may be used as a filter: `?<field>=<operator>.<value>`, also of a neighbour (`customer.name`), up to three relations deep, and a custom field \
          (`custom.<name>`). Operators: \(Comparison.allCases.map(\.rawValue).joined(separator: ", ")); `not.` before one turns it around. Lists are `in.(a,b)`, with \
          quotes around what holds a comma; `is` takes null, not_null, true and false; `contains` does not mind case and accents, `starts` does. In the address \
          letters beyond ASCII are %XX escapes (`curl -G --data-urlencode` writes them).
          """,
        parameters: ResourceSchema.listParameters(entity),
        answers: [(200, "A page.", "application/json", ResourceSchema.page(entity))],
        components: ResourceSchema.components(entity, customFields.current[entity.name])),
      handler: .read { request in
        try pageRead(try Query(parameters: request.query), entity, request)
      })
  }

  private func queryEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .post, "/v1/\(entity.name)/query", access: .read(entity.resource.area), body: .collected,
      documentation: .init(
        "query_\(entity.name)", tag: entity.name, "List \(entity.name) by a JSON query", input: ("application/json", ResourceSchema.query),
        answers: [(200, "A page.", "application/json", ResourceSchema.page(entity))]),
      handler: .read { request in
        try pageRead(try Query(json: try request.json()), entity, request)
      })
  }

  private func pageRead(_ query: Query, _ entity: Model.Entity, _ request: Request) throws -> Endpoint.Read {
    var compiler = compiler()
    let page = try compiler.page(query, of: entity, signer: signer)
    let (caller, id) = (request.caller, request.id)
    return Endpoint.Read(page.statements, context: caller.context(reading: page.areas)) { [reads] results in
      let results = try page.answering(results)
      try reads.note(page.layout, results[0], rows: 0..<min(results[0].count, page.limit), caller: caller, request: id)
      return try page.answer(results, signer: signer)
    }
  }

  private func oneEndpoint(_ entity: Model.Entity) -> Endpoint {
    let isMergeable = entity.resource.mergeable
    return Endpoint(
      .get, "/v1/\(entity.name)/{id}", access: .read(entity.resource.area), documentation: oneDocumentation(entity),
      handler: .read { request in
        let query = try Query.shape(request.query)
        var compiler = compiler()
        let id = try request.recordID()
        let one = try compiler.one(query, of: entity, id: id.lowercase)
        let ifNoneMatch = request.headers["if-none-match"]
        let context = request.caller.context(reading: one.areas)
        let caller = request.caller
        let requestID = request.id
        var read = Endpoint.Read([one.statement], context: context) { [reads] results in
          let answer = try one.answer(results, ifNoneMatch: ifNoneMatch)
          if answer.status == 200 { try reads.note(one.layout, results[0], rows: 0..<1, caller: caller, request: requestID) }
          return answer
        }
        if isMergeable {
          read.otherwise = { Endpoint.Read([entity.survivor(of: id)], context: context) { results in throw try entity.merged(301, results[0]) } }
        }
        return read
      })
  }
  private func oneDocumentation(_ entity: Model.Entity) -> Endpoint.Documentation {
    var documentation = Endpoint.Documentation(
      "get_\(entity.resource.singular)", tag: entity.name, "Read one \(entity.resource.singular)",
      parameters: [.id, .ifNoneMatch] + ResourceSchema.shapeParameters(entity),
      answers: [
        (200, "The record; its version is the ETag.", "application/json", ResourceSchema.reference(entity)),
        (304, "The record still has the version of If-None-Match.", nil, nil),
      ])
    if entity.resource.mergeable {
      documentation.answers.append((301, "It was merged into the record at Location.", "application/problem+json", ["type": "object"]))
    }
    return documentation
  }
}

extension Query {
  /// The parameters of a single record: what to show, not which.
  static func shape(_ parameters: [(name: String, value: String)]) throws(Problem) -> Query {
    if parameters.isEmpty { return Query() }
    let allowed = ["select", "expand"]
    for (name, _) in parameters where !allowed.contains(name) {
      throw .badParameter(
        name,
        Phrase("This address takes only select and expand.", tr: "Bu adres yalnızca select ve expand parametrelerini alır."))
    }
    return try Query(parameters: parameters)
  }
}

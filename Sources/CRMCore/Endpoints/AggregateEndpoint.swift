import PostgresClient

extension ResourceAPI {
  /// `POST /v1/{resource}/aggregate`: counts, sums and averages by groups.
  func aggregateEndpoint(_ entity: Model.Entity) -> Endpoint {
    Endpoint(
      .post, "/v1/\(entity.name)/aggregate", access: .read(entity.resource.area), body: .collected,
      documentation: .init(
        "aggregate_\(entity.name)", tag: entity.name, "Count and add up \(entity.name) by groups", input: ("application/json", Self.aggregateSchema),
        answers: [(200, "One object a group.", "application/json", Self.aggregateAnswerSchema)]),
      handler: .read { request in
        var compiler = compiler()
        let aggregation = try compiler.aggregate(try Aggregate(json: try request.json()), of: entity)
        let (caller, id) = (request.caller, request.id)
        return Endpoint.Read([aggregation.statement], context: caller.context(reading: aggregation.areas), lane: .reports) { [reads] results in
          let answer = try aggregation.answer(results[0])
          try reads.note(aggregation.layout, results[0], rows: 0..<results[0].count, caller: caller, request: id)
          return answer
        }
      })
  }

  private static let aggregateSchema: JSON = [
    "type": "object", "required": ["measures"], "additionalProperties": false,
    "properties": [
      "filter": ["type": "object", "description": "As in query."],
      "group": [
        "type": "array", "description": "Fields, or objects that cut an instant or a date into units in a time zone.",
        "items": ["type": ["string", "object"]], "examples": [["channel", ["field": "ordered_at", "by": "month", "zone": "Europe/Istanbul", "as": "month"]]],
      ],
      "measures": [
        "type": "array", "minItems": 1, "items": ["type": ["string", "object"]],
        "examples": [["count", ["sum": "amount", "as": "sales"]]],
      ],
      "having": ["type": "object", "examples": [["sales": ["gt": 1000]]]],
      "order": ["type": "array", "items": ["type": "string"]],
      "convert_to": [
        "type": "string", "pattern": "^[A-Z]{3}$", "examples": ["TRY"],
        "description": "Convert every amount to this currency at the rate of its own day; refused when a rate is missing.",
      ],
      "limit": ["type": "integer", "minimum": 1, "maximum": 1000],
    ],
  ]

  private static let aggregateAnswerSchema: JSON = [
    "type": "object", "required": ["data"], "properties": ["data": ["type": "array", "items": ["type": "object"]]],
  ]
}

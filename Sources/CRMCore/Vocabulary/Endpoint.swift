package import PostgresClient

/// One address of the API: what it is called, who may call it and how it answers. The gateway routes to it; OpenAPI describes it.
package struct Endpoint: Sendable {
  /// Who may call it, checked before anything else is looked at.
  package enum Access: Sendable, Hashable {
    /// Anyone, signed in or not.
    case open
    /// Any colleague signed in; not a customer with a token of the portal.
    case signedIn
    /// A customer with a token of the portal, and nobody else.
    case portal
    case read(Area)
    case write(Area)
  }

  /// How the body is taken.
  package enum BodyMode: Sendable {
    case none
    /// Collected whole, up to the limit for JSON.
    case collected
    /// Handed over piece by piece, up to the limit for uploads.
    case streamed
  }

  /// A read that is known before it runs: one pipeline, answered on the event loop without a task.
  package struct Read: Sendable {
    package var statements: [SQL]
    package var context: PostgresPool.Context
    package var lane: PostgresPool.Lane
    /// Turns the results of `statements` into the answer; called once, off the connection loop.
    package var answer: @Sendable ([PostgresResult]) throws -> Response
    /// What to ask when the answer is 404, and only then.
    package var otherwise: (@Sendable () -> Read)?

    package init(
      _ statements: [SQL], context: PostgresPool.Context, lane: PostgresPool.Lane = .interactive,
      otherwise: (@Sendable () -> Read)? = nil, answer: @escaping @Sendable ([PostgresResult]) throws -> Response
    ) {
      self.statements = statements
      self.context = context
      self.lane = lane
      self.otherwise = otherwise
      self.answer = answer
    }
  }

  package enum Handler: Sendable {
    /// Answers from memory, at once, on the event loop: it must not block or take long.
    case immediate(@Sendable (Request) throws -> Response)
    case read(@Sendable (Request) throws -> Read)
    case operation(@Sendable (Request) async throws -> Response)
    /// Tells of changes as they happen, until one of the two sides ends it: as server-sent events, or on a WebSocket if the client asks for one.
    case live(@Sendable (Request) async throws -> LiveWish)
  }

  package let method: Request.Method
  /// Segments joined by "/", `{name}` for a parameter: `/v1/customers/{id}`.
  package let path: String
  package let access: Access
  package let body: BodyMode
  package let handler: Handler
  private let described: @Sendable () -> Documentation

  /// What OpenAPI says of it; made anew each time, because some hundreds of schemas are megabytes that serving has no use for.
  package var documentation: Documentation { described() }

  package init(
    _ method: Request.Method, _ path: String, access: Access, body: BodyMode = .none, documentation: @autoclosure @escaping @Sendable () -> Documentation,
    handler: Handler
  ) {
    self.method = method
    self.path = path
    self.access = access
    self.body = body
    described = documentation
    self.handler = handler
  }

  /// What the OpenAPI document says of an endpoint. Schemas are JSON Schema (2020-12) as JSON text.
  package struct Documentation: Sendable {
    package struct Parameter: Sendable {
      package enum Place: String, Sendable { case path, query, header }
      package let name: String
      package let place: Place
      package let required: Bool
      package let description: String
      package let schema: JSON

      package init(_ name: String, in place: Place, required: Bool = false, _ description: String, schema: JSON = ["type": "string"]) {
        self.name = name
        self.place = place
        self.required = required
        self.description = description
        self.schema = schema
      }
    }

    /// Names the operation in generated clients: `listCustomers`.
    package var operationID: String
    /// Groups endpoints: the resource's name.
    package var tag: String
    package var summary: String
    package var description: String?
    package var parameters: [Parameter]
    /// Media type and schema of the request body.
    package var input: (mediaType: String, schema: JSON)?
    /// Whether a request without a body is as good as one with an empty object.
    package var inputIsOptional: Bool
    /// By status: description, media type and schema. Problems (4xx, 5xx) are added by the generator.
    package var answers: [(status: Int, description: String, mediaType: String?, schema: JSON?)]
    /// Statuses of problems beyond those that every endpoint of its kind may answer with.
    package var refusals: [Int]
    /// Reusable schemas this endpoint refers to as `#/components/schemas/<name>`.
    package var components: [(name: String, schema: JSON)]

    package init(
      _ operationID: String, tag: String, _ summary: String, description: String? = nil, parameters: [Parameter] = [],
      input: (mediaType: String, schema: JSON)? = nil, inputIsOptional: Bool = false,
      answers: [(status: Int, description: String, mediaType: String?, schema: JSON?)],
      refusals: [Int] = [], components: [(name: String, schema: JSON)] = []
    ) {
      self.operationID = operationID
      self.tag = tag
      self.summary = summary
      self.description = description
      self.parameters = parameters
      self.input = input
      self.inputIsOptional = inputIsOptional
      self.answers = answers
      self.refusals = refusals
      self.components = components
    }
  }
}

package import CRMCore
import Foundation

/// The OpenAPI 3.1 document of a set of endpoints, made from what they say of themselves.
package struct OpenAPIDocument: Sendable {
  package let json: JSON

  package init(_ endpoints: [Endpoint], server: String? = nil) {
    var paths: [String: JSON] = [:]
    var components = Self.problemSchemas
    var tags: [String] = []
    let described = endpoints.map { (endpoint: $0, documentation: $0.documentation) }
    for (endpoint, documentation) in described {
      var operations = paths[endpoint.path]?.object ?? [:]
      operations[endpoint.method.rawValue.lowercased()] = Self.operation(endpoint, documentation, among: described)
      paths[endpoint.path] = .object(operations)
      for component in documentation.components { components[component.name] = component.schema }
      if !tags.contains(documentation.tag) { tags.append(documentation.tag) }
    }
    var members: [String: JSON] = [
      "openapi": "3.1.0",
      "info": [
        "title": "Muhatap", "version": "1",
        "summary": "A CRM on PostgreSQL: customers, contacts, sales, marketing and service, shared by the departments of a company.",
        "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
      ],
      "paths": .object(paths),
      "components": [
        "schemas": .object(components), "responses": .object(Self.problemResponses),
        "securitySchemes": [
          "bearer": [
            "type": "http", "scheme": "bearer",
            "description": "An API key (`mhp_…`), a session's token from `POST /v1/sessions` (`mhs_…`), or a token of the configured OpenID Connect issuer.",
          ]
        ],
      ],
      "tags": .array(tags.map { ["name": .string($0)] }),
    ]
    if let server { members["servers"] = [["url": .string(server)]] }
    json = .object(members)
  }

  private typealias Described = (endpoint: Endpoint, documentation: Endpoint.Documentation)

  private static func operation(_ endpoint: Endpoint, _ documentation: Endpoint.Documentation, among all: [Described]) -> JSON {
    var members: [String: JSON] = [
      "operationId": .string(documentation.operationID), "tags": [.string(documentation.tag)], "summary": .string(documentation.summary),
      "responses": .object(responses(endpoint, documentation, among: all)),
    ]
    if let description = documentation.description { members["description"] = .string(description) }
    let parameters = parameters(endpoint, documentation)
    if !parameters.isEmpty { members["parameters"] = .array(parameters) }
    if let input = documentation.input {
      members["requestBody"] = ["required": .bool(!documentation.inputIsOptional), "content": .object([input.mediaType: ["schema": input.schema]])]
    }
    members["security"] = endpoint.access == .open ? [] : [["bearer": []]]
    return .object(members)
  }

  /// What is declared, and each parameter of the path that is not.
  private static func parameters(_ endpoint: Endpoint, _ documentation: Endpoint.Documentation) -> [JSON] {
    var parameters = documentation.parameters.map { parameter -> JSON in
      var members: [String: JSON] = [
        "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
        "required": .bool(parameter.required || parameter.place == .path), "description": .string(parameter.description),
        "schema": parameter.schema,
      ]
      // Lists are one parameter with commas.
      if parameter.schema["type"] == "array" { members["style"] = "form"; members["explode"] = false }
      return .object(members)
    }
    for segment in endpoint.path.split(separator: "/") where segment.hasPrefix("{") && segment.hasSuffix("}") {
      let name = String(segment.dropFirst().dropLast())
      if documentation.parameters.contains(where: { $0.name == name && $0.place == .path }) { continue }
      parameters.append(["name": .string(name), "in": "path", "required": true, "schema": ["type": "string"]])
    }
    return parameters
  }

  private static func responses(_ endpoint: Endpoint, _ documentation: Endpoint.Documentation, among all: [Described]) -> [String: JSON] {
    var responses: [String: JSON] = [:]
    for answer in documentation.answers {
      var members: [String: JSON] = ["description": .string(answer.description)]
      if let mediaType = answer.mediaType {
        // One status may have several forms.
        var content = responses["\(answer.status)"]?["content"]?.object ?? [:]
        content[mediaType] = answer.schema.map { ["schema": $0] } ?? [:]
        members["content"] = .object(content)
      }
      if answer.status == 201 { members["links"] = links(from: endpoint, to: all) }
      responses["\(answer.status)"] = .object(members)
    }
    for status in possibleProblems(endpoint, documentation) {
      guard var own = responses["\(status)"]?.object else {
        responses["\(status)"] = ["$ref": .string("#/components/responses/problem_\(status)")]
        continue
      }
      // An endpoint may refuse in a form of its own, such as a page; the gateway refuses by a problem all the same.
      var content = own["content"]?.object ?? [:]
      content["application/problem+json"] = ["schema": ["$ref": "#/components/schemas/problem"]]
      own["content"] = .object(content)
      responses["\(status)"] = .object(own)
    }
    return responses
  }

  /// What can be done next with the record that an answer holds: every operation on `…/{id}` of the same resource.
  private static func links(from endpoint: Endpoint, to all: [Described]) -> JSON? {
    let collection = endpoint.path.components(separatedBy: "/external/")[0]
    let record = "\(collection)/{id}"
    let next = all.filter { other in
      let path = other.endpoint.path
      return path == record || (path.hasPrefix(record + "/") && !path.dropFirst(record.count).contains("{"))
    }
    if next.isEmpty { return nil }
    return .object(
      Dictionary(
        next.map { operation -> (String, JSON) in
          let name = operation.documentation.operationID
          return (name, ["operationId": .string(name), "parameters": ["id": "$response.body#/id"]])
        }, uniquingKeysWith: { first, _ in first }))
  }

  /// The statuses with which an endpoint may refuse.
  private static func possibleProblems(_ endpoint: Endpoint, _ documentation: Endpoint.Documentation) -> [Int] {
    var statuses = [400, 404, 408, 414, 417, 429, 431, 500, 503]
    if endpoint.access != .open { statuses += [401, 403] }
    if endpoint.method != .get { statuses += [409, 412, 422, 428] }
    if endpoint.body != .none { statuses += [413, 415] }
    return statuses + documentation.refusals
  }

  private static let problemTitles: [(status: Int, meaning: String)] = [
    (400, "The request cannot be understood."), (401, "Nobody is signed in, or the credential is not valid."),
    (403, "The caller may not do this."), (404, "There is no such record or address, or the caller may not see it."),
    (408, "The request came too slowly."), (409, "It conflicts with what is stored."), (412, "The record has changed since it was read."),
    (413, "The body is too large."), (414, "The address is too long."), (415, "The body's media type is not understood."),
    (417, "The expectation cannot be met."), (422, "Some fields need attention; all are listed."),
    (428, "The request must name the version it changes."), (429, "Too many attempts; wait."), (431, "The header fields are too large."),
    (500, "Something went wrong in the server."), (503, "The server or the database is busy or going down; try again later."),
  ]

  private static let problemResponses = Dictionary(
    uniqueKeysWithValues: problemTitles.map { status, meaning -> (String, JSON) in
      (
        "problem_\(status)",
        [
          "description": .string(meaning),
          "content": ["application/problem+json": ["schema": ["$ref": "#/components/schemas/problem"]]],
        ]
      )
    })

  private static let problemSchemas: [String: JSON] = [
    "problem": [
      "type": "object", "description": "What went wrong, for people and programs (RFC 9457).",
      "required": ["type", "title", "status", "code", "instance", "request_id"],
      "properties": [
        "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"], "detail": ["type": "string"],
        "code": ["type": "string", "description": "A stable name for programs."], "instance": ["type": "string"],
        "request_id": ["type": "string", "format": "uuid"],
        "errors": ["type": "array", "items": ["$ref": "#/components/schemas/field_error"]],
      ],
    ],
    "field_error": [
      "type": "object", "required": ["code", "detail"],
      "properties": [
        "pointer": ["type": "string", "description": "A JSON pointer into the body."],
        "parameter": ["type": "string", "description": "The name of a query parameter."], "code": ["type": "string"],
        "detail": ["type": "string"],
      ],
    ],
  ]
}

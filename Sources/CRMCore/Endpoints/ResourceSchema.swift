import Foundation

/// JSON Schema (2020-12) of resources, made from the catalogue: the API's documentation is the tables' own comments.
enum ResourceSchema {
  static func reference(_ entity: Model.Entity) -> JSON { ["$ref": .string("#/components/schemas/\(entity.resource.singular)")] }
  static func createReference(_ entity: Model.Entity) -> JSON { ["$ref": .string("#/components/schemas/\(entity.resource.singular)_create")] }
  static func changeReference(_ entity: Model.Entity) -> JSON { ["$ref": .string("#/components/schemas/\(entity.resource.singular)_change")] }

  static func page(_ entity: Model.Entity) -> JSON {
    [
      "type": "object", "required": ["data", "next_cursor"],
      "properties": [
        "data": ["type": "array", "items": reference(entity)],
        "next_cursor": ["type": ["string", "null"], "description": "Give it as cursor to read the next page; null on the last."],
        "count": ["type": "integer", "description": "How many rows fit the filter, when count was asked for."],
      ],
    ]
  }

  static func components(_ entity: Model.Entity, _ customFields: [CustomField]) -> [(name: String, schema: JSON)] {
    // No field is required: `select` chooses.
    var properties: [String: JSON] = [:]
    for column in entity.columns { properties[column.name] = property(column) }
    if entity.resource.customFields { properties["custom"] = custom(customFields, isInput: false) }
    for expansion in entity.resource.expand {
      switch expansion {
      case .one(let name):
        guard let target = entity.one[name]?.target else { continue }
        properties[name] = ["type": ["object", "null"], "description": .string("The record of \(target) behind \(name)_id, when expanded.")]
      case .many(let name, let target, _):
        properties[name] = ["type": "array", "items": ["type": "object"], "description": .string("The \(target) of this record, when expanded.")]
      }
    }
    return [(entity.resource.singular, ["type": "object", "description": .string(entity.table.comment), "properties": .object(properties)])]
  }

  static func inputComponents(_ entity: Model.Entity, _ customFields: [CustomField]) -> [(name: String, schema: JSON)] {
    [
      ("\(entity.resource.singular)_create", input(entity, names: entity.resource.create, customFields, requiring: true)),
      ("\(entity.resource.singular)_change", input(entity, names: entity.resource.change, customFields, requiring: false)),
    ]
  }

  private static func input(_ entity: Model.Entity, names: [String], _ customFields: [CustomField], requiring: Bool) -> JSON {
    var properties: [String: JSON] = [:]
    var required: [JSON] = []
    for column in entity.table.columns where names.contains(column.name) {
      properties[column.name] = InputSchema.property(column)
      let isFilledIn = column.name == "department_id" || column.name == "owner_id"
      if requiring, !column.isNullable, !column.hasDefault, !isFilledIn { required.append(.string(column.name)) }
    }
    if entity.resource.customFields {
      properties["custom"] = custom(customFields, isInput: true, requiring: requiring)
      if requiring, customFields.contains(where: \.isRequired) { required.append("custom") }
    }
    var schema: [String: JSON] = ["type": "object", "properties": .object(properties), "additionalProperties": false]
    if !required.isEmpty { schema["required"] = .array(required) }
    return .object(schema)
  }

  /// The fields that people added, as they stand now.
  private static func custom(_ fields: [CustomField], isInput: Bool, requiring: Bool = false) -> JSON {
    var schema: [String: JSON] = ["type": "object", "description": "Custom fields by name; see /v1/custom_fields."]
    schema["properties"] = .object(Dictionary(fields.map { ($0.name, $0.schema) }, uniquingKeysWith: { first, _ in first }))
    if isInput { schema["additionalProperties"] = false }
    let required = requiring ? fields.filter(\.isRequired).map { JSON.string($0.name) } : []
    if !required.isEmpty { schema["required"] = .array(required) }
    return .object(schema)
  }

  static func property(_ column: Catalogue.Column) -> JSON {
    var schema = column.type.schema
    if !column.comment.isEmpty { schema["description"] = .string(column.comment) }
    if let limit = column.maximumLength { schema["maxLength"] = .number(.init(limit)) }
    if let options = column.options { schema["enum"] = .array(options.map(JSON.string) + (column.isNullable ? [.null] : [])) }
    if column.type == .json, !column.isObject { schema["type"] = ["object", "array"] }
    if column.isNullable, let type = schema["type"] { schema["type"] = .array((type.array ?? [type]) + ["null"]) }
    return .object(schema)
  }

  /// The body of `POST …/query`.
  static let query: JSON = [
    "type": "object", "additionalProperties": false,
    "properties": [
      "filter": [
        "type": "object",
        "description": "Field to value, list or {operator: value}; and, or (lists of filters) and not (a filter).",
        "examples": [["amount": ["gte": 1000], "or": [["channel": "web"], ["channel": "store"]]]],
      ],
      "order": ["type": "array", "items": ["type": "string"], "maxItems": 5, "description": "Fields; a minus sign turns the direction around."],
      "select": ["type": "array", "items": ["type": "string"], "minItems": 1],
      "expand": ["type": "array", "items": ["type": "string"]],
      "search": ["type": "string", "minLength": 1, "maxLength": 200],
      "limit": ["type": "integer", "minimum": 1, "maximum": 1000],
      "cursor": ["type": ["string", "null"]],
      "count": ["type": "string", "enum": ["exact", "estimated"]],
    ],
  ]

  static func listParameters(_ entity: Model.Entity) -> [Endpoint.Documentation.Parameter] {
    var parameters: [Endpoint.Documentation.Parameter] = [
      .init(
        "order", in: .query, "Fields to sort by, separated by commas, also of neighbours (customer.name); a minus sign turns the direction around.",
        schema: [
          "type": "array", "minItems": 1, "maxItems": 5,
          "items": ["enum": .array(entity.columns.filter(\.type.isOrdered).flatMap { [.string($0.name), .string("-\($0.name)")] })],
        ]),
      .init("limit", in: .query, "Rows a page.", schema: ["type": "integer", "minimum": 1, "maximum": 1000, "default": 50]),
      .init("cursor", in: .query, "next_cursor of the page before."),
      .init("count", in: .query, "Also count the rows that fit.", schema: ["type": "string", "enum": ["exact", "estimated"]]),
      .init("or", in: .query, "Alternatives: (field.operator.value,…); and(…), or(…), not(…) may stand within."),
      .init("and", in: .query, "Conditions that all hold, in the spelling of or."),
      .init("not", in: .query, "Conditions that do not all hold, in the spelling of or."),
    ]
    if !entity.resource.search.isEmpty {
      parameters.append(
        .init(
          "search", in: .query, "Text anywhere in \(entity.resource.search.joined(separator: ", ")), without regard to case and accents.",
          schema: ["type": "string", "minLength": 1, "maxLength": 200, "pattern": .string(InputSchema.storable)]))
    }
    parameters += entity.columns.map { column in
      .init(column.name, in: .query, "Filter: operator, point and value, such as eq.…; \(column.comment)")
    }
    return parameters + shapeParameters(entity)
  }

  static func shapeParameters(_ entity: Model.Entity) -> [Endpoint.Documentation.Parameter] {
    var parameters: [Endpoint.Documentation.Parameter] = [
      .init(
        "select", in: .query, "Fields to show, separated by commas, also of neighbours (customer.name).",
        schema: ["type": "array", "minItems": 1, "items": ["enum": .array(entity.columns.map { .string($0.name) })]])
    ]
    if !entity.resource.expand.isEmpty {
      let names = entity.resource.expand.map(\.name).joined(separator: ", ")
      parameters.append(
        .init(
          "expand", in: .query, "Neighbours to show within, separated by commas: \(names).",
          schema: ["type": "array", "items": ["enum": .array(entity.resource.expand.map { .string($0.name) })]]))
    }
    return parameters
  }
}

extension Endpoint.Documentation.Parameter {
  package static let id = Self("id", in: .path, required: true, "The record's id.", schema: ["type": "string", "format": "uuid"])
  static let ifMatch = Self(
    "If-Match", in: .header, "The ETag you read; the change is refused (412) if the record was changed since.",
    schema: ["type": "string", "pattern": #"^(\*|"[0-9]{1,9}")$"#])
  static let ifNoneMatch = Self("If-None-Match", in: .header, "The ETag you have; 304 if the record still has it.")
  static let idempotencyKey = Self(
    "Idempotency-Key", in: .header, "A key of yours; the same request sent again with it has its effect once and the same answer.",
    schema: ["type": "string", "pattern": "^[!-~]{1,255}$"])
  static let prefer = Self("Prefer", in: .header, "`tx=rollback` tries the change and undoes it.")
}

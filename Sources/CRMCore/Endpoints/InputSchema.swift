import Foundation

/// JSON Schema of a field as a client may send it: what its column's type and its CHECK constraints ask for, as far as JSON Schema can say it.
/// What it cannot (a checksum, a reference, two fields together) is told by the constraint's own words when it is broken.
enum InputSchema {
  /// Text that PostgreSQL can store.
  static let storable = "^[^\\u0000]*$"
  private static let moreThanSpaces = "^[^\\u0000]*[^\\u0000 ][^\\u0000]*$"

  static func property(_ column: Catalogue.Column) -> JSON {
    guard var schema = ResourceSchema.property(column).object else { return [:] }
    let null: [JSON] = column.isNullable ? ["null"] : []
    switch column.type {
    case .text where column.options == nil:
      if column.isFilled { schema["minLength"] = 1 }
      schema["pattern"] = .string(column.pattern ?? (column.isMoreThanSpaces ? moreThanSpaces : storable))
      if column.isEmail { schema["format"] = "email" }
    case .numeric(_, let scale):
      // A decimal may come as a number too; text keeps its digits in every client.
      schema["type"] = .array(["string", "number"] + null)
      schema["format"] = nil
      if let scale { schema["pattern"] = .string(scale == 0 ? "^-?[0-9]+(\\.0+)?$" : "^-?[0-9]+(\\.[0-9]{1,\(scale)}0*)?$") }
    case .integer:
      if let minimum = column.exclusiveMinimum { schema["minimum"] = .number(Decimal(minimum + 1)) }
    case .array(.text):
      schema["items"] = ["type": "string", "pattern": .string(storable)]
    default: break
    }
    return .object(schema)
  }

  /// One item of a batch: what each verb needs.
  static func batchItem(_ entity: Model.Entity) -> JSON {
    let id: JSON = ["type": "string", "format": "uuid"]
    let version: JSON = ["type": ["integer", "null"], "description": "The row version that must still stand."]
    var forms: [JSON] = [
      [
        "type": "object", "required": ["op", "data"], "additionalProperties": false,
        "properties": ["op": ["const": "create"], "data": ResourceSchema.createReference(entity)],
      ],
      [
        "type": "object", "required": ["op", "id", "data"], "additionalProperties": false,
        "properties": ["op": ["const": "change"], "id": id, "version": version, "data": ResourceSchema.changeReference(entity)],
      ],
    ]
    if entity.resource.deletable {
      forms.append([
        "type": "object", "required": ["op", "id"], "additionalProperties": false,
        "properties": ["op": ["const": "delete"], "id": id, "version": version],
      ])
    }
    return ["oneOf": .array(forms)]
  }
}

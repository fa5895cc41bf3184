import PostgresClient

/// The values of a mapping as SQL over a row `f` of the staged file.
struct SourceExpression {
  /// The staging table's columns by the names they have in the file.
  let columns: [String: Identifier]
  let timeZone: String?
  let decimalComma: Bool

  func column(_ name: String) -> SQL {
    // Names were checked when the mapping was held against the file.
    guard let identifier = columns[name] else { return "NULL::text" }
    return "f.\(identifier)"
  }

  /// The columns' values joined by `/`; null when one of them is empty.
  func key(_ names: [String]) -> SQL {
    names.map { column($0) }.joined(separator: " || '/' || ")
  }

  /// The value as text.
  func text(_ value: ImportMapping.Value) throws -> SQL {
    switch value {
    case .column(let name, let values, let otherwise):
      let source = column(name)
      if values.isEmpty, otherwise == nil { return source }
      let object = JSON.object(values.mapValues { .string($0) })
      let map = JSONText(String(decoding: try object.encoded(), as: UTF8.self))
      if let otherwise { return "(CASE WHEN \(source) IS NOT NULL THEN coalesce(\(map)::jsonb ->> \(source), \(otherwise)::text) END)" }
      return "coalesce(\(map)::jsonb ->> \(source), \(source))"
    case .constant(let text): return "\(text)::text"
    case .template(let pieces):
      let parts: [SQL] = pieces.map { piece in
        switch piece {
        case .text(let text): "\(text)::text"
        case .column(let name): column(name)
        }
      }
      return parts.isEmpty ? "NULL::text" : "(\(parts.joined(separator: " || ")))"
    case .first(let values): return "coalesce(NULL::text, \(try values.map { try text($0) }.joined(separator: ", ")))"
    case .object: return "(\(try object(value)))::text"
    }
  }

  private func object(_ value: ImportMapping.Value) throws -> SQL {
    guard case .object(let members) = value else { return try text(value) }
    if members.isEmpty { return "'{}'::jsonb" }
    let pairs: [SQL] = try members.map { "\($0.name)::text, \(try object($0.value))" }
    return "jsonb_strip_nulls(jsonb_build_object(\(pairs.joined(separator: ", "))))"
  }

  /// The value as a column of this type takes it. Raises an SQLSTATE of class 22 for text that does not read as one.
  func typed(_ value: ImportMapping.Value, as type: ColumnType) throws -> SQL {
    if case .json = type, case .object = value { return try object(value) }
    let text = try text(value)
    switch type {
    case .text, .other, .bytes: return text
    case .boolean: return "(\(text))::boolean"
    case .integer(let bits):
      switch bits {
      case 16: return "(\(text))::smallint"
      case 32: return "(\(text))::integer"
      default: return "(\(text))::bigint"
      }
    case .double: return "(\(number(text)))::float8"
    case .numeric: return "(\(number(text)))::numeric"
    case .uuid: return "(\(text))::uuid"
    case .date: return "(\(text))::date"
    case .time: return "(\(text))::time"
    case .json: return "(\(text))::jsonb"
    case .array: return "(\(text))::text[]"
    case .timestamp:
      guard let timeZone else { return "(\(text))::timestamptz" }
      return """
        (CASE WHEN \(text) ~ '[0-9]:[0-9]{2}(:[0-9.]+)? ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$' THEN (\(text))::timestamptz
          ELSE (\(text))::timestamp AT TIME ZONE \(timeZone) END)
        """
    }
  }

  /// Whether a text reads as a value of this type, without raising; nil where every text does.
  func reads(_ value: ImportMapping.Value, as type: ColumnType) throws -> SQL? {
    if case .json = type, case .object = value { return nil }
    if value.columns.isEmpty { return nil }
    let text = try text(value)
    let none: Int? = nil
    switch type {
    case .text, .other, .bytes, .array: return nil
    case .boolean: return check(text, "boolean", none)
    case .integer(let bits): return check(text, bits == 64 ? "bigint" : "integer", none)
    case .double: return check(number(text), "float8", none)
    case .numeric(_, let scale): return check(number(text), "numeric", scale)
    case .uuid: return check(text, "uuid", none)
    case .date: return check(text, "date", none)
    case .time: return check(text, "time", none)
    case .json: return check(text, "jsonb", none)
    case .timestamp: return check(text, timeZone == nil ? "timestamptz" : "timestamp", none)
    }
  }

  /// A custom field's value as JSON, and whether a text is one. Several choices are separated by semicolons.
  func custom(_ text: SQL, _ field: CustomField) -> (typed: SQL, reads: SQL) {
    let none: Int? = nil
    switch field.kind {
    case .text: return ("to_jsonb(\(text))", "true")
    case .number: return ("to_jsonb((\(number(text)))::numeric)", check(number(text), "numeric", none))
    case .boolean: return ("to_jsonb((\(text))::boolean)", check(text, "boolean", none))
    case .date: return ("to_jsonb((\(text))::date)", check(text, "date", none))
    case .choice: return ("to_jsonb(\(text))", "\(text) = ANY(\(field.options)::text[])")
    case .choices: return ("to_jsonb(string_to_array(\(text), ';'))", "string_to_array(\(text), ';') <@ \(field.options)::text[]")
    }
  }

  private func check(_ text: SQL, _ type: String, _ scale: Int?) -> SQL { "crm.reads_as(\(text), \(type), \(scale))" }

  private func number(_ text: SQL) -> SQL {
    decimalComma ? "replace(replace(\(text), '.', ''), ',', '.')" : text
  }
}

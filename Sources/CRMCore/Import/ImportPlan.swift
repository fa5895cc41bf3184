import Foundation
import PostgresClient

/// A mapping held against the tables and the file: every name found, every value an expression over the staged rows.
struct ImportPlan {
  struct Field {
    let column: Catalogue.Column
    let source: ImportMapping.Value
    /// The value, cast to the column's type.
    let sql: SQL
    /// Whether its text reads as the column's type, without raising; nil where every text does.
    let reads: SQL?
  }

  struct Reference {
    /// Its number among the import's references, from 0.
    let number: Int
    /// The column that refers, such as `customer_id`.
    let column: Catalogue.Column
    let target: Model.Entity
    let source: ImportMapping.Reference
    let key: SQL
    /// The levels of a path, from the top.
    let levels: [SQL]
    /// The target's own column that holds the key.
    let keyColumn: Catalogue.Column?
    let create: [Field]
  }

  /// A custom field: one member of the column `custom`.
  struct CustomMember {
    let field: CustomField
    let column: String?
    let text: SQL
    /// Whether the text is a value of the field, without raising.
    let reads: SQL
  }

  /// What becomes rows of one table.
  struct Part {
    let entity: Model.Entity
    var fields: [Field]
    var references: [Reference]
    var custom: [CustomMember] = []
  }

  let id: UUID
  var record: Part
  /// Lines in the same file: then several rows make a record.
  var lines: Part?
  let duplicates: ImportMapping.Duplicates
  /// The record's key over a row of the file.
  let key: SQL?
  /// The system in which `key` is an external id; nil where the key is a field of the record itself.
  let system: String?
  /// Columns of the record by which an existing one is recognised, when there is no external id.
  let matched: [Catalogue.Column]
  /// All staged columns, in their order.
  let columns: [Identifier]
  /// The staged columns that say something of the record, when several rows make one.
  let recordColumns: [Identifier]
  let department: UUID?

  /// Every area that the import writes in.
  var areas: Set<Area> {
    let parts = [record] + (lines.map { [$0] } ?? [])
    return Set(parts.map(\.entity.resource.area) + references.filter { $0.source.absence == .create }.map(\.target.resource.area))
  }

  var references: [Reference] { record.references + (lines?.references ?? []) }
}

/// Builds a plan and collects what does not fit.
struct ImportPlanner {
  let model: Model
  let mapping: ImportMapping
  let expression: SourceExpression
  /// The names of the file's columns; nil while the file has not come.
  let fileColumns: [String]?
  private let customFields: CustomFields
  private(set) var errors: [Problem.FieldError] = []
  private var references = 0

  init(model: Model, mapping: ImportMapping, customFields: CustomFields, fileColumns: [String]?, identifiers: [Identifier]) {
    self.model = model
    self.mapping = mapping
    self.customFields = customFields
    self.fileColumns = fileColumns
    expression = SourceExpression(
      columns: Dictionary(zip(fileColumns ?? [], identifiers), uniquingKeysWith: { first, _ in first }), timeZone: mapping.timeZone,
      decimalComma: mapping.decimalComma)
  }

  /// - Parameter department: the id of the department that records go to, for tables that have one.
  mutating func plan(_ id: UUID, resource: String, department: UUID?, identifiers: [Identifier]) throws -> ImportPlan {
    let name = resource == "order_lines" ? "orders" : resource
    guard let entity = model[name], !entity.resource.create.isEmpty else {
      let valid = model.entities.values.filter { !$0.resource.create.isEmpty }.map(\.name).sorted()
      let hint = nearestName(to: resource, in: valid) ?? valid.joined(separator: ", ")
      throw Problem.invalid([
        .init(
          "/resource", code: "unknown-resource",
          Phrase(
            "There is nothing of this name to import. Use: \(hint).", tr: "Bu adda içe aktarılacak bir kaynak yok. Şunu kullanın: \(hint).")
        )
      ])
    }
    var record = try part(entity, mapping.fields, "/fields")
    let system: String?
    var matched = mapping.match.compactMap { column($0, of: entity, "/match") }
    if let number = entity.table.column("external_number"), let source = entity.table.column("source_system"), !mapping.key.isEmpty {
      // An order carries its key itself.
      system = nil
      record.fields.removeAll { [number.name, source.name].contains($0.column.name) }
      record.fields.append(.init(column: number, source: .constant(""), sql: expression.key(mapping.key), reads: nil))
      record.fields.append(try field(source, .constant(mapping.system ?? ""), "/source_system"))
      // In the order of the constraint that keeps them apart.
      matched = ["external_number", "source_system", "customer_id"].compactMap { entity.table.column($0) }
    } else {
      system = mapping.key.isEmpty ? nil : mapping.system
    }
    if let column = entity.table.column("department_id"), entity.table.column("visibility") != nil,
      !record.fields.contains(where: { $0.column.name == column.name })
    {
      record.fields.append(try field(column, .constant(department?.lowercase ?? ""), "/department"))
    }
    check(mapping.key, "/key")
    var lines: ImportPlan.Part?
    if let given = mapping.lines {
      if entity.name == "orders", let lineEntity = model["order_lines"] {
        lines = try part(lineEntity, given.fields, "/lines/fields")
      } else {
        refuse("/lines", Phrase("Only orders have lines.", tr: "Yalnızca siparişlerin satırları olur."))
      }
    } else if resource == "order_lines" {
      refuse(
        "/lines",
        Phrase(
          "Say in lines how columns become the fields of order lines.",
          tr: "Sütunların sipariş satırı alanlarına nasıl dönüşeceğini lines içinde belirtin."))
    }
    checkRequired(record, "/fields", isLine: false)
    if let lines { checkRequired(lines, "/lines/fields", isLine: true) }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    return ImportPlan(
      id: id, record: record, lines: lines, duplicates: mapping.lines?.duplicates ?? .refuse,
      key: mapping.key.isEmpty ? nil : expression.key(mapping.key), system: system, matched: matched, columns: identifiers,
      recordColumns: recordColumns(), department: department)
  }

  private mutating func part(_ entity: Model.Entity, _ given: [(field: String, source: ImportMapping.Source)], _ pointer: String) throws
    -> ImportPlan.Part
  {
    var part = ImportPlan.Part(entity: entity, fields: [], references: [])
    for (name, source) in given {
      let here = "\(pointer)/\(name)"
      guard let column = column(name, of: entity, here) else { continue }
      switch source {
      case .value(.object(let members)) where name == "custom" && entity.resource.customFields:
        part.fields.append(try custom(members, column, entity, here, &part.custom))
      case .value(let value): part.fields.append(try field(column, value, here))
      case .reference(let reference):
        if let resolved = try resolve(reference, column, entity, here) { part.references.append(resolved) }
      }
    }
    return part
  }

  /// Columns that PostgreSQL or the program looks after.
  private static let kept: Set<String> = [
    "id", "created_at", "updated_at", "version", "created_by", "audience", "placeholder", "search_key",
  ]

  private mutating func column(_ name: String, of entity: Model.Entity, _ pointer: String) -> Catalogue.Column? {
    let valid = entity.table.columns.filter { !$0.isGenerated && !$0.isSecret && !Self.kept.contains($0.name) }
    if let column = valid.first(where: { $0.name == name }) { return column }
    let hint = nearestName(to: name, in: valid.map(\.name)).map { Phrase(" Did you mean \"\($0)\"?", tr: " \"\($0)\" mı demek istediniz?") }
    refuse(
      pointer,
      Phrase(
        "\(entity.name) has no field \"\(Problem.clipped(name))\" to import.\(hint?.english ?? "")",
        tr: "\(entity.name) kaynağında içe aktarılacak \"\(Problem.clipped(name))\" alanı yok.\(hint?.turkish ?? "")"),
      code: "unknown-field")
    return nil
  }

  private mutating func field(_ column: Catalogue.Column, _ value: ImportMapping.Value, _ pointer: String) throws -> ImportPlan.Field {
    check(value.columns, pointer)
    if case .timestamp = column.type, mapping.timeZone == nil, !value.columns.isEmpty {
      refuse(
        "/time_zone",
        Phrase(
          "Say in which time zone \(column.name) is, such as UTC or Europe/Istanbul.",
          tr: "\(column.name) alanının saat dilimini belirtin; örneğin UTC ya da Europe/Istanbul."))
    }
    if case .constant(let text) = value, let options = column.options, !options.contains(text) {
      let list = options.joined(separator: ", ")
      refuse(pointer, Phrase("Use one of: \(list).", tr: "Şunlardan biri olmalı: \(list)."))
    }
    return .init(
      column: column, source: value, sql: try expression.typed(value, as: column.type), reads: try expression.reads(value, as: column.type))
  }

  /// The column `custom`, of the fields that were defined for the resource.
  private mutating func custom(
    _ members: [(name: String, value: ImportMapping.Value)], _ column: Catalogue.Column, _ entity: Model.Entity, _ pointer: String,
    _ checked: inout [ImportPlan.CustomMember]
  ) throws -> ImportPlan.Field {
    let known = customFields[entity.name]
    var pairs: [SQL] = []
    for (name, value) in members {
      check(value.columns, "\(pointer)/object/\(name)")
      guard let field = known.first(where: { $0.name == name }) else {
        let hint = nearestName(to: name, in: known.map(\.name)).map { Phrase("Did you mean \"\($0)\"?", tr: "\"\($0)\" mı demek istediniz?") }
        refuse(
          "\(pointer)/object/\(name)",
          Phrase(
            "\(entity.name) has no custom field \"\(Problem.clipped(name))\". \(hint?.english ?? "")",
            tr: "\(entity.name) kaynağında \"\(Problem.clipped(name))\" özel alanı yok. \(hint?.turkish ?? "")"), code: "unknown-field")
        continue
      }
      let text = try expression.text(value)
      let (typed, reads) = expression.custom(text, field)
      pairs.append("\(name)::text, \(typed)")
      checked.append(.init(field: field, column: value.columns.first, text: text, reads: reads))
    }
    for field in known where field.isRequired && !members.contains(where: { $0.name == field.name }) {
      refuse("\(pointer)/object/\(field.name)", Phrase("\(field.name) is required.", tr: "\(field.name) zorunludur."), code: "required")
    }
    let sql: SQL = pairs.isEmpty ? "'{}'::jsonb" : "jsonb_strip_nulls(jsonb_build_object(\(pairs.joined(separator: ", "))))"
    return .init(column: column, source: .object(members), sql: sql, reads: nil)
  }

  private mutating func resolve(_ source: ImportMapping.Reference, _ column: Catalogue.Column, _ entity: Model.Entity, _ pointer: String)
    throws
    -> ImportPlan.Reference?
  {
    guard let one = entity.one.values.first(where: { $0.column.name == column.name }), let target = model[one.target] else {
      refuse(pointer, Phrase("\(column.name) does not refer to other records.", tr: "\(column.name) başka kayıtlara bağlanmaz."))
      return nil
    }
    if target.name != source.resource {
      refuse(
        "\(pointer)/reference",
        Phrase("\(column.name) refers to \(target.name).", tr: "\(column.name) alanı \(target.name) kaynağına bağlanır."))
    }
    check(source.columns, pointer)
    var keyColumn: Catalogue.Column?
    switch source.recognition {
    case .externalID: break
    case .field(let name): keyColumn = self.column(name, of: target, "\(pointer)/by")
    case .path:
      keyColumn = target.table.column("code")
      if keyColumn == nil || target.table.column("parent_id") == nil {
        refuse("\(pointer)/path", Phrase("\(target.name) form no tree.", tr: "\(target.name) bir ağaç oluşturmaz."))
      }
    }
    var create: [ImportPlan.Field] = []
    for (name, value) in source.create {
      if let column = self.column(name, of: target, "\(pointer)/create/\(name)") {
        create.append(try field(column, value, "\(pointer)/create/\(name)"))
      }
    }
    if source.absence == .create, source.recognition != .path {
      let set = Set(create.map(\.column.name) + [keyColumn?.name, "department_id", "id"].compactMap(\.self))
      for needed in target.table.columns where !needed.isNullable && !needed.hasDefault && !needed.isGenerated && !set.contains(needed.name) {
        refuse(
          "\(pointer)/create/\(needed.name)",
          Phrase(
            "A new \(target.resource.singular) needs \(needed.name).",
            tr: "Yeni bir \(target.resource.singular) için \(needed.name) gerekir."))
      }
    }
    guard references < ImportRecords.aliases.count else {
      refuse(
        pointer,
        Phrase(
          "An import looks up at most \(ImportRecords.aliases.count) references.", tr: "Bir içe aktarma en çok \(ImportRecords.aliases.count) başvuru arar."))
      return nil
    }
    defer { references += 1 }
    return .init(
      number: references, column: column, target: target, source: source, key: expression.key(source.columns),
      levels: source.recognition == .path ? source.columns.map { expression.column($0) } : [], keyColumn: keyColumn, create: create)
  }

  /// Names of the file's columns that the mapping uses.
  private mutating func check(_ names: [String], _ pointer: String) {
    guard let fileColumns else { return }
    for name in names where !fileColumns.contains(name) {
      let hint =
        nearestName(to: name, in: fileColumns).map { Phrase("Did you mean \"\($0)\"?", tr: "\"\($0)\" mı demek istediniz?") }
        ?? Phrase("It has: \(fileColumns.joined(separator: ", ")).", tr: "Sütunları: \(fileColumns.joined(separator: ", ")).")
      refuse(
        pointer,
        Phrase(
          "The file has no column \"\(Problem.clipped(name))\". \(hint.english)",
          tr: "Dosyada \"\(Problem.clipped(name))\" sütunu yok. \(hint.turkish)"),
        code: "unknown-column")
    }
  }

  private mutating func checkRequired(_ part: ImportPlan.Part, _ pointer: String, isLine: Bool) {
    let set = Set(part.fields.map(\.column.name) + part.references.map(\.column.name))
    let filled: Set<String> = isLine ? ["customer_id", "order_id", "department_id", "line_number", "id"] : ["department_id", "id"]
    for column in part.entity.table.columns
    where !column.isNullable && !column.hasDefault && !column.isGenerated && !set.contains(column.name) && !filled.contains(column.name) {
      refuse("\(pointer)/\(column.name)", Phrase("\(column.name) is required.", tr: "\(column.name) zorunludur."), code: "required")
    }
  }

  private func recordColumns() -> [Identifier] {
    var names = mapping.key
    for (_, source) in mapping.fields {
      switch source {
      case .value(let value): names += value.columns
      case .reference(let reference): names += reference.columns + reference.create.flatMap(\.value.columns)
      }
    }
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }.compactMap { expression.columns[$0] }
  }

  private mutating func refuse(_ pointer: String, _ message: Phrase, code: String = "mapping") {
    errors.append(.init("/mapping\(pointer)", code: code, message))
  }
}

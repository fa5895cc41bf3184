import Foundation
import PostgresClient

/// A client's values for one row, checked against the catalogue: every mistake is collected before PostgreSQL is asked.
struct RowInput {
  enum Purpose { case create, change }

  struct Value {
    let column: Catalogue.Column
    /// PostgreSQL's spelling; nil is NULL.
    let text: String?
    /// As the client sent it.
    let json: JSON
  }

  /// In the order of the table's columns.
  private(set) var values: [Value] = []
  private(set) var errors: [Problem.FieldError] = []

  /// - Parameter pointer: where the object stands in the body, such as `/items/3/data`; empty for the body itself.
  init(_ json: JSON, for entity: Model.Entity, purpose: Purpose, customFields: [CustomField], pointer: String = "") throws(Problem) {
    guard let members = json.object else {
      throw .invalid([Self.noObject(pointer)])
    }
    var allowed = purpose == .create ? entity.resource.create : entity.resource.change
    if entity.resource.customFields { allowed.append("custom") }
    for name in members.keys.sorted() where !allowed.contains(name) {
      errors.append(Self.refusal(of: name, entity, allowed, "\(pointer)/\(name.jsonPointerEscaped)"))
    }
    for column in entity.table.columns where allowed.contains(column.name) {
      let here = "\(pointer)/\(column.name)"
      guard let value = members[column.name] else {
        if purpose == .create, !column.isNullable, !column.hasDefault, !Self.filledIn.contains(column.name) {
          errors.append(.init(here, code: "required", Phrase("\(column.name) is required.", tr: "\(column.name) zorunludur.")))
        }
        if column.name == "custom", purpose == .create { errors += CustomFieldCheck.missing(in: [:], customFields, here) }
        continue
      }
      if column.name == "custom", entity.resource.customFields {
        errors += CustomFieldCheck.errors(in: value, customFields, purpose: purpose, pointer: here)
      }
      check(value, column, here)
    }
  }

  static func noObject(_ pointer: String) -> Problem.FieldError {
    .init(pointer, code: "type", Phrase("Send a JSON object with the fields.", tr: "Alanları içeren bir JSON nesnesi gönderin."))
  }

  /// Columns that the program fills in from the caller when the client leaves them out.
  private static let filledIn: Set<String> = ["department_id", "owner_id"]

  private mutating func check(_ value: JSON, _ column: Catalogue.Column, _ pointer: String) {
    do {
      let text = try column.type.parameter(from: value)
      if text == nil, !column.isNullable {
        errors.append(.init(pointer, code: "required", Phrase("\(column.name) cannot be empty.", tr: "\(column.name) boş olamaz.")))
      } else if let text, let options = column.options, !options.contains(text) {
        let list = options.joined(separator: ", ")
        errors.append(.init(pointer, code: "option", Phrase("Use one of: \(list).", tr: "Şunlardan biri olmalı: \(list).")))
      } else if let text, let limit = column.maximumLength, text.unicodeScalars.count > limit {
        errors.append(.init(pointer, code: "too-long", Phrase("At most \(limit) characters.", tr: "En fazla \(limit) karakter.")))
      } else {
        values.append(Value(column: column, text: text, json: value))
      }
    } catch {
      errors.append(.init(pointer, code: Self.code(of: error), Self.message(for: error, column)))
    }
  }

  private static func code(of mismatch: ValueMismatch) -> String {
    switch mismatch {
    case .type: "type"
    case .tooLarge: "too-large"
    case .tooManyDecimals: "too-many-decimals"
    case .nulCharacter: "nul-character"
    }
  }

  private static func message(for mismatch: ValueMismatch, _ column: Catalogue.Column) -> Phrase {
    switch mismatch {
    case .nulCharacter: Phrase("The character U+0000 cannot be stored; remove it.", tr: "U+0000 karakteri saklanamaz; kaldırın.")
    case .tooLarge: Phrase("The number is too large.", tr: "Sayı çok büyük.")
    case .type, .tooManyDecimals:
      Phrase("Expected \(column.type.expectation.english).", tr: "Beklenen: \(column.type.expectation.turkish).")
    }
  }

  private static func refusal(of name: String, _ entity: Model.Entity, _ allowed: [String], _ pointer: String) -> Problem.FieldError {
    if entity.column(name) != nil {
      return .init(pointer, code: "read-only", Phrase("This field cannot be set here.", tr: "Bu alan burada değiştirilemez."))
    }
    let hint = nearestName(to: name, in: allowed)
    return .init(
      pointer, code: "unknown-field",
      Phrase(
        "There is no such field." + (hint.map { " Did you mean \"\($0)\"?" } ?? ""),
        tr: "Böyle bir alan yok." + (hint.map { " \"\($0)\" mı demek istediniz?" } ?? "")))
  }
}

extension String {
  /// One segment of a JSON pointer (RFC 6901).
  package var jsonPointerEscaped: String { Problem.clipped(replacing("~", with: "~0").replacing("/", with: "~1")) }
}

/// Checks the values of custom fields against their definitions.
enum CustomFieldCheck {
  static func errors(in json: JSON, _ fields: [CustomField], purpose: RowInput.Purpose, pointer: String) -> [Problem.FieldError] {
    guard let members = json.object else {
      return [.init(pointer, code: "type", Phrase("Send an object of custom fields.", tr: "Özel alanların nesnesini gönderin."))]
    }
    var errors: [Problem.FieldError] = purpose == .create ? missing(in: members, fields, pointer) : []
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      let here = "\(pointer)/\(name.jsonPointerEscaped)"
      guard let field = fields.first(where: { $0.name == name }) else {
        let hint = nearestName(to: name, in: fields.map(\.name))
        errors.append(
          .init(
            here, code: "unknown-field",
            Phrase(
              "There is no such custom field." + (hint.map { " Did you mean \"\($0)\"?" } ?? ""),
              tr: "Böyle bir özel alan yok." + (hint.map { " \"\($0)\" mı demek istediniz?" } ?? ""))))
        continue
      }
      if value == .null {
        if field.isRequired { errors.append(required(field, here)) }
      } else if let message = mismatch(value, field) {
        errors.append(.init(here, code: "type", message))
      }
    }
    return errors
  }

  /// Required fields that are not there at all; a null is reported where it stands.
  static func missing(in members: [String: JSON], _ fields: [CustomField], _ pointer: String) -> [Problem.FieldError] {
    fields.filter { $0.isRequired && members[$0.name] == nil }.map { required($0, "\(pointer)/\($0.name)") }
  }

  static func required(_ field: CustomField, _ pointer: String) -> Problem.FieldError {
    .init(pointer, code: "required", Phrase("\(field.label.english) is required.", tr: "\(field.label.turkish) zorunludur."))
  }

  private static func mismatch(_ value: JSON, _ field: CustomField) -> Phrase? {
    switch (field.kind, value) {
    case (.text, .string(let text)) where !text.utf8.contains(0) && text.count <= 10_000: return nil
    case (.number, .number), (.boolean, .bool): return nil
    case (.date, .string(let text)) where ColumnType.isDate(text.utf8): return nil
    case (.choice, .string(let text)) where field.options.contains(text): return nil
    case (.choices, .array(let items)) where items.allSatisfy({ $0.string.map(field.options.contains) ?? false }): return nil
    case (.choice, _), (.choices, _):
      let list = field.options.joined(separator: ", ")
      return Phrase("Use one of: \(list).", tr: "Şunlardan biri olmalı: \(list).")
    default: return Phrase("Expected \(field.type.expectation.english).", tr: "Beklenen: \(field.type.expectation.turkish).")
    }
  }
}

package import Foundation
package import PostgresClient

/// The fields an operation takes, written once: reading them checks what a client sent, and describes them for OpenAPI.
///
///     struct ShipOrder: OperationInput {
///       let warehouseID: UUID
///       let note: String?
///       init(_ fields: inout InputReader) {
///         warehouseID = fields.id("warehouse_id", "The warehouse the goods leave.")
///         note = fields.optionalText("note", "What the customer should know.")
///       }
///     }
package protocol OperationInput: Sendable {
  init(_ fields: inout InputReader)
}

/// An operation that takes no fields.
package struct NoInput: OperationInput {
  package init(_ fields: inout InputReader) {}
}

/// Hands out the fields of a request one by one and collects every mistake, so that all are answered at once.
/// A field that is missing or wrong is read as a placeholder; nobody sees it, because the mistakes are thrown first.
package struct InputReader {
  package struct Field: Sendable {
    package let name: String
    package let required: Bool
    package let meaning: String
    package let schema: [String: JSON]
  }

  enum Source {
    /// Only asks what fields there are.
    case description
    case body([String: JSON])
    /// Text that stands in an address: numbers and truth values come unquoted.
    case query([String: JSON])
  }

  private let source: Source
  private let pointer: String
  package private(set) var fields: [Field] = []
  package private(set) var errors: [Problem.FieldError] = []

  init(_ source: Source, pointer: String = "") {
    self.source = source
    self.pointer = pointer
  }

  /// The fields that `Input` takes.
  package static func fields<Input: OperationInput>(of type: Input.Type) -> [Field] {
    var reader = InputReader(.description)
    _ = Input(&reader)
    return reader.fields
  }

  /// Reads a JSON object. Throws a problem with every mistake in it.
  package static func read<Input: OperationInput>(_ type: Input.Type, from body: JSON) throws(Problem) -> Input {
    guard let members = body.object else { throw .invalid([RowInput.noObject("")]) }
    return try read(type, InputReader(.body(members)), given: members.keys.sorted())
  }

  /// Reads the parameters of an address. Throws a problem with every mistake in them.
  package static func read<Input: OperationInput>(_ type: Input.Type, from query: [(name: String, value: String)]) throws(Problem) -> Input {
    let members = Dictionary(query.map { ($0.name, JSON.string($0.value)) }, uniquingKeysWith: { first, _ in first })
    do {
      return try read(type, InputReader(.query(members)), given: members.keys.sorted())
    } catch {
      guard let first = error.errors.first else { throw error }
      throw Problem.badParameter(String(first.pointer.dropFirst()), first.message)
    }
  }

  private static func read<Input: OperationInput>(_ type: Input.Type, _ empty: InputReader, given: [String]) throws(Problem) -> Input {
    var reader = empty
    let input = Input(&reader)
    reader.refuseUnknown(given)
    if !reader.errors.isEmpty { throw .invalid(reader.errors) }
    return input
  }

  /// Notes a mistake that concerns several fields, or that a type cannot say.
  package mutating func refuse(_ name: String, code: String, _ message: Phrase) {
    if case .description = source { return }
    errors.append(.init("\(pointer)/\(name)", code: code, message))
  }

  private mutating func refuseUnknown(_ given: [String]) {
    let known = fields.map(\.name)
    for name in given where !known.contains(name) {
      let hint = nearestName(to: name, in: known)
      errors.append(
        .init(
          "\(pointer)/\(name.jsonPointerEscaped)", code: "unknown-field",
          Phrase(
            "There is no such field." + (hint.map { " Did you mean \"\($0)\"?" } ?? ""),
            tr: "Böyle bir alan yok." + (hint.map { " \"\($0)\" mı demek istediniz?" } ?? ""))))
    }
  }
}

extension InputReader {
  /// Why a value is not taken.
  struct Refusal: Error {
    let code: String
    let message: Phrase
  }

  private mutating func read<Value>(
    _ name: String, required: Bool, _ meaning: String, schema: [String: JSON], _ parse: (JSON, String) throws(Refusal) -> Value
  ) -> Value? {
    fields.append(Field(name: name, required: required, meaning: meaning, schema: schema))
    let members: [String: JSON]
    switch source {
    case .description: return nil
    case .body(let given), .query(let given): members = given
    }
    guard let value = members[name], value != .null else {
      if required { refuse(name, code: "required", Phrase("\(name) is required.", tr: "\(name) zorunludur.")) }
      return nil
    }
    do {
      return try parse(value, "\(pointer)/\(name)")
    } catch {
      refuse(name, code: error.code, error.message)
      return nil
    }
  }

  private var isQuery: Bool { if case .query = source { true } else { false } }

  /// The value in PostgreSQL's spelling, checked by the type of a column.
  private static func checked(_ value: JSON, _ type: ColumnType, fromText: Bool) throws(Refusal) -> String {
    let expected = Refusal(code: "type", message: Phrase("Expected \(type.expectation.english).", tr: "Beklenen: \(type.expectation.turkish)."))
    do {
      if fromText, let text = value.string { return try type.parameter(fromText: text) }
      guard let text = try type.parameter(from: value) else { throw expected }
      return text
    } catch let mismatch as ValueMismatch {
      switch mismatch {
      case .nulCharacter:
        throw Refusal(
          code: "nul-character", message: Phrase("The character U+0000 cannot be stored; remove it.", tr: "U+0000 karakteri saklanamaz; kaldırın."))
      case .tooLarge: throw Refusal(code: "too-large", message: Phrase("The number is too large.", tr: "Sayı çok büyük."))
      case .type, .tooManyDecimals: throw expected
      }
    } catch {
      throw expected
    }
  }

  private mutating func column<Value>(
    _ name: String, required: Bool, _ meaning: String, _ type: ColumnType, schema extra: [String: JSON] = [:],
    _ make: (String) throws(Refusal) -> Value?
  ) -> Value? {
    let fromText = isQuery
    return read(name, required: required, meaning, schema: type.schema.merging(extra) { $1 }) { value, _ throws(Refusal) in
      let text = try Self.checked(value, type, fromText: fromText)
      guard let made = try make(text) else {
        throw Refusal(code: "type", message: Phrase("Expected \(type.expectation.english).", tr: "Beklenen: \(type.expectation.turkish)."))
      }
      return made
    }
  }

  // Text

  /// - Parameter maximum: the most characters it may have.
  package mutating func optionalText(_ name: String, _ meaning: String, maximum: Int = 2_000) -> String? { text(name, meaning, maximum, required: false) }
  /// Text that says something: not empty, not only blanks.
  package mutating func text(_ name: String, _ meaning: String, maximum: Int = 2_000) -> String { text(name, meaning, maximum, required: true) ?? "" }

  private mutating func text(_ name: String, _ meaning: String, _ maximum: Int, required: Bool) -> String? {
    var limits: [String: JSON] = ["maxLength": .number(Decimal(maximum))]
    if required { limits.merge(["minLength": 1, "pattern": #"\S"#]) { $1 } }
    return column(name, required: required, meaning, .text, schema: limits) { text throws(Refusal) in
      if text.unicodeScalars.count > maximum {
        throw Refusal(code: "too-long", message: Phrase("At most \(maximum) characters.", tr: "En fazla \(maximum) karakter."))
      }
      if required, text.allSatisfy(\.isWhitespace) {
        throw Refusal(code: "required", message: Phrase("\(name) cannot be empty.", tr: "\(name) boş olamaz."))
      }
      return text
    }
  }

  // Ids, days, instants, truth values

  package mutating func optionalID(_ name: String, _ meaning: String) -> UUID? {
    column(name, required: false, meaning, .uuid) { text throws(Refusal) in UUID(uuidString: text) }
  }
  package mutating func id(_ name: String, _ meaning: String) -> UUID {
    column(name, required: true, meaning, .uuid) { text throws(Refusal) in UUID(uuidString: text) } ?? UUID()
  }
  package mutating func optionalDay(_ name: String, _ meaning: String) -> CalendarDate? {
    column(name, required: false, meaning, .date) { text throws(Refusal) in CalendarDate(text) }
  }
  package mutating func day(_ name: String, _ meaning: String) -> CalendarDate {
    column(name, required: true, meaning, .date) { text throws(Refusal) in CalendarDate(text) } ?? CalendarDate(daysSince1970: 0)
  }
  /// A month such as `2026-11`, as its first day.
  package mutating func optionalMonth(_ name: String, _ meaning: String) -> CalendarDate? {
    column(name, required: false, meaning, .text, schema: ["pattern": "^[12][0-9]{3}-(0[1-9]|1[0-2])$"]) { text throws(Refusal) in
      guard text.utf8.count == 7, let first = CalendarDate("\(text)-01"), (1000...2999).contains(first.year) else {
        throw Refusal(code: "type", message: Phrase("Expected a month such as 2026-11.", tr: "Beklenen: 2026-11 gibi bir ay."))
      }
      return first
    }
  }
  package mutating func optionalInstant(_ name: String, _ meaning: String) -> Date? { instant(name, meaning, required: false) }
  package mutating func instant(_ name: String, _ meaning: String) -> Date { instant(name, meaning, required: true) ?? Date(timeIntervalSince1970: 0) }
  private mutating func instant(_ name: String, _ meaning: String, required: Bool) -> Date? {
    column(name, required: required, meaning, .timestamp) { text throws(Refusal) in Date(instant: text) }
  }
  package mutating func flag(_ name: String, _ meaning: String, default value: Bool = false) -> Bool {
    column(name, required: false, meaning, .boolean, schema: ["default": .bool(value)]) { text throws(Refusal) in text == "true" } ?? value
  }

  package mutating func optionalFlag(_ name: String, _ meaning: String) -> Bool? {
    column(name, required: false, meaning, .boolean) { text throws(Refusal) in text == "true" }
  }

  // Numbers

  package mutating func optionalInteger(_ name: String, _ meaning: String, in range: ClosedRange<Int>) -> Int? {
    integer(name, meaning, range, required: false)
  }
  package mutating func integer(_ name: String, _ meaning: String, in range: ClosedRange<Int>) -> Int {
    integer(name, meaning, range, required: true) ?? range.lowerBound
  }
  private mutating func integer(_ name: String, _ meaning: String, _ range: ClosedRange<Int>, required: Bool) -> Int? {
    let limits: [String: JSON] = ["minimum": .number(Decimal(range.lowerBound)), "maximum": .number(Decimal(range.upperBound))]
    return column(name, required: required, meaning, .integer(bits: 64), schema: limits) { text throws(Refusal) in
      guard let number = Int(text) else { return nil }
      guard range.contains(number) else {
        throw Refusal(
          code: "range",
          message: Phrase(
            "Give a number from \(range.lowerBound) to \(range.upperBound).", tr: "\(range.lowerBound) ile \(range.upperBound) arasında bir sayı verin."))
      }
      return number
    }
  }

  /// An exact decimal.
  /// - Parameter scale: the most digits after the point.
  package mutating func optionalDecimal(_ name: String, _ meaning: String, scale: Int, in range: ClosedRange<Decimal>) -> Decimal? {
    decimal(name, meaning, scale, range, required: false)
  }
  package mutating func decimal(_ name: String, _ meaning: String, scale: Int, in range: ClosedRange<Decimal>) -> Decimal {
    decimal(name, meaning, scale, range, required: true) ?? range.lowerBound
  }
  private mutating func decimal(_ name: String, _ meaning: String, _ scale: Int, _ range: ClosedRange<Decimal>, required: Bool) -> Decimal? {
    column(name, required: required, meaning, .numeric(precision: 18, scale: scale), schema: ["type": ["string", "number"]]) { text throws(Refusal) in
      guard let number = Decimal(string: text) else { return nil }
      guard range.contains(number) else {
        throw Refusal(
          code: "range",
          message: Phrase(
            "Give a number from \(range.lowerBound) to \(range.upperBound).", tr: "\(range.lowerBound) ile \(range.upperBound) arasında bir sayı verin."))
      }
      return number
    }
  }

  // Choices and lists

  package mutating func optionalOption<Option: RawRepresentable & CaseIterable>(_ name: String, _ meaning: String, of type: Option.Type) -> Option?
  where Option.RawValue == String {
    option(name, meaning, type, required: false)
  }
  /// - Parameter placeholder: what stands for the field until the mistake is thrown.
  package mutating func option<Option: RawRepresentable & CaseIterable>(_ name: String, _ meaning: String, of type: Option.Type, placeholder: Option) -> Option
  where Option.RawValue == String {
    option(name, meaning, type, required: true) ?? placeholder
  }
  private mutating func option<Option: RawRepresentable & CaseIterable>(_ name: String, _ meaning: String, _ type: Option.Type, required: Bool) -> Option?
  where Option.RawValue == String {
    let names = Option.allCases.map(\.rawValue)
    return column(name, required: required, meaning, .text, schema: ["enum": .array(names.map(JSON.string))]) { text throws(Refusal) in
      guard let option = Option(rawValue: text) else {
        let list = names.joined(separator: ", ")
        throw Refusal(code: "option", message: Phrase("Use one of: \(list).", tr: "Şunlardan biri olmalı: \(list)."))
      }
      return option
    }
  }

  /// An object whose members are checked by whoever asked, such as custom fields.
  package mutating func optionalObject(_ name: String, _ meaning: String) -> JSON? {
    read(name, required: false, meaning, schema: ["type": "object"]) { value, _ throws(Refusal) in
      guard value.object != nil else { throw Refusal(code: "type", message: Phrase("Expected an object.", tr: "Beklenen: bir nesne.")) }
      return value
    }
  }

  /// A list of texts.
  /// - Parameter options: what each may be; nil for any text of at most 500 characters.
  package mutating func texts(_ name: String, _ meaning: String, of options: [String]? = nil, maximum: Int = 50) -> [String] {
    let item: JSON = options.map { ["type": "string", "enum": .array($0.map(JSON.string))] } ?? ["type": "string", "maxLength": 500]
    return read(name, required: false, meaning, schema: ["type": "array", "maxItems": .number(Decimal(maximum)), "items": item]) { value, _ throws(Refusal) in
      let texts = value.array?.compactMap(\.string) ?? []
      guard let items = value.array, items.count == texts.count, texts.count <= maximum, texts.allSatisfy({ $0.count <= 500 && !$0.utf8.contains(0) }) else {
        throw Refusal(code: "type", message: Phrase("Expected a list of at most \(maximum) texts.", tr: "Beklenen: en fazla \(maximum) metinlik bir liste."))
      }
      if let options, !texts.allSatisfy(options.contains) {
        let list = options.joined(separator: ", ")
        throw Refusal(code: "option", message: Phrase("Use only: \(list).", tr: "Yalnızca şunlar olabilir: \(list)."))
      }
      return texts
    } ?? []
  }

  package mutating func ids(_ name: String, _ meaning: String, maximum: Int = 1_000) -> [UUID] {
    let schema: [String: JSON] = ["type": "array", "maxItems": .number(Decimal(maximum)), "items": .object(ColumnType.uuid.schema)]
    return read(name, required: false, meaning, schema: schema) { value, _ throws(Refusal) in
      let ids = value.array?.compactMap { $0.string.flatMap(UUID.init(uuidString:)) } ?? []
      guard let items = value.array, items.count == ids.count, ids.count <= maximum else {
        throw Refusal(code: "type", message: Phrase("Expected a list of at most \(maximum) UUIDs.", tr: "Beklenen: en fazla \(maximum) UUID'lik bir liste."))
      }
      return ids
    } ?? []
  }

  /// A list of objects, each read like an input of its own.
  /// - Parameter minimum: 0 lets the field be left out.
  package mutating func list<Element: OperationInput>(_ name: String, _ meaning: String, of type: Element.Type, minimum: Int = 0, maximum: Int = 1_000)
    -> [Element]
  {
    var mistakes: [Problem.FieldError] = []
    let schema: [String: JSON] = [
      "type": "array", "minItems": .number(Decimal(minimum)), "maxItems": .number(Decimal(maximum)), "items": Self.schema(of: type),
    ]
    let elements: [Element]? = read(name, required: minimum > 0, meaning, schema: schema) { value, here throws(Refusal) in
      guard let items = value.array, (minimum...maximum).contains(items.count) else {
        throw Refusal(
          code: "type",
          message: Phrase("Expected a list of \(minimum) to \(maximum) objects.", tr: "Beklenen: \(minimum) ile \(maximum) arası nesneden oluşan bir liste."))
      }
      return items.enumerated().map { number, item in
        let members = item.object ?? [:]
        if item.object == nil { mistakes.append(RowInput.noObject("\(here)/\(number)")) }
        var reader = InputReader(.body(members), pointer: "\(here)/\(number)")
        let element = Element(&reader)
        if item.object != nil { mistakes += reader.mistakes(given: members.keys.sorted()) }
        return element
      }
    }
    errors += mistakes
    return elements ?? []
  }

  private func mistakes(given: [String]) -> [Problem.FieldError] {
    var copy = self
    copy.refuseUnknown(given)
    return copy.errors
  }

  /// JSON Schema of an object that `Input` is read from.
  package static func schema<Input: OperationInput>(of type: Input.Type) -> JSON {
    let fields = fields(of: type)
    return [
      "type": "object", "additionalProperties": false, "required": .array(fields.filter(\.required).map { .string($0.name) }),
      "properties": .object(
        Dictionary(uniqueKeysWithValues: fields.map { ($0.name, .object($0.nullable.merging(["description": .string($0.meaning)]) { $1 })) })),
    ]
  }
}

extension InputReader.Field {
  /// The schema; a field that may be left out may also be null.
  fileprivate var nullable: [String: JSON] {
    guard !required, let type = schema["type"] else { return schema }
    var wider = schema
    wider["type"] = .array((type.array ?? [type]) + ["null"])
    if let options = schema["enum"]?.array { wider["enum"] = .array(options + [.null]) }
    return wider
  }
}

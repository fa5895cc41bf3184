import Foundation

extension ImportMapping {
  /// Reads a mapping from JSON. Throws a problem that lists every mistake with its place.
  package init(_ json: JSON) throws(Problem) {
    var reader = ImportMappingReader()
    let members = reader.members(
      of: json, at: "",
      knows: [
        "source_system", "key", "match", "time_zone", "decimal_comma", "department", "columns", "delimiter", "encoding", "fields", "lines",
      ])
    system = reader.text(members["source_system"], "/source_system")
    key = reader.names(members["key"], "/key")
    match = reader.names(members["match"], "/match")
    timeZone = reader.text(members["time_zone"], "/time_zone")
    if let timeZone, TimeZone(identifier: timeZone) == nil {
      reader.refuse(
        "/time_zone", Phrase("This is no IANA time zone, such as Europe/Istanbul.", tr: "Europe/Istanbul gibi bir IANA saat dilimi değil."))
    }
    decimalComma = members["decimal_comma"] == .bool(true)
    department = reader.text(members["department"], "/department")
    columns = members["columns"].map { reader.names($0, "/columns") }
    delimiter = reader.text(members["delimiter"], "/delimiter")
    if let delimiter, ![",", ";", "\t", "|"].contains(delimiter) {
      reader.refuse("/delimiter", Phrase("Use , ; | or a tab.", tr: "Şunlardan birini kullanın: , ; | ya da sekme."))
    }
    encoding = reader.choice(TextEncoding.self, members["encoding"]?.string.map { .string($0.lowercased()) } ?? members["encoding"], "/encoding") ?? .utf8
    fields = reader.fields(members["fields"] ?? .null, "/fields")
    if let lines = members["lines"] {
      let inner = reader.members(of: lines, at: "/lines", knows: ["fields", "duplicates"])
      let duplicates = reader.choice(Duplicates.self, inner["duplicates"], "/lines/duplicates") ?? .refuse
      self.lines = Lines(fields: reader.fields(inner["fields"] ?? .null, "/lines/fields"), duplicates: duplicates)
    } else {
      lines = nil
    }
    if !key.isEmpty, system == nil {
      reader.refuse("/source_system", Phrase("Say which system the key belongs to.", tr: "Anahtarın hangi sisteme ait olduğunu belirtin."))
    }
    if key.isEmpty, match.isEmpty {
      reader.refuse(
        "/key",
        Phrase(
          "Say how records are recognised: key (columns of the file) with source_system, or match (fields).",
          tr: "Kayıtların nasıl tanınacağını belirtin: source_system ile key (dosya sütunları) ya da match (alanlar)."))
    }
    guard reader.errors.isEmpty else { throw .invalid(reader.errors) }
  }
}

/// Takes a mapping's JSON apart and collects what is wrong with it.
struct ImportMappingReader {
  private(set) var errors: [Problem.FieldError] = []

  mutating func refuse(_ pointer: String, _ message: Phrase) {
    errors.append(.init(pointer, code: "mapping", message))
  }

  mutating func members(of json: JSON, at pointer: String, knows names: [String]) -> [String: JSON] {
    guard let members = json.object else {
      refuse(pointer, Phrase("Give an object.", tr: "Bir nesne verin."))
      return [:]
    }
    for name in members.keys.sorted() where !names.contains(name) {
      let hint = nearestName(to: name, in: names) ?? names.joined(separator: ", ")
      refuse(
        "\(pointer)/\(name)",
        Phrase(
          "\"\(Problem.clipped(name))\" is not known here. Use: \(hint).",
          tr: "\"\(Problem.clipped(name))\" burada bilinmiyor. Şunu kullanın: \(hint)."))
    }
    return members
  }

  mutating func text(_ json: JSON?, _ pointer: String) -> String? {
    guard let json, json != .null else { return nil }
    guard let text = json.string, !text.utf8.contains(0) else {
      refuse(pointer, Phrase("Give text.", tr: "Metin verin."))
      return nil
    }
    return text
  }

  mutating func names(_ json: JSON?, _ pointer: String) -> [String] {
    guard let json, json != .null else { return [] }
    if let text = json.string { return [text] }
    guard let items = json.array, items.allSatisfy({ $0.string != nil }) else {
      refuse(pointer, Phrase("Give a list of names.", tr: "Bir ad listesi verin."))
      return []
    }
    return items.compactMap(\.string)
  }

  mutating func choice<T: RawRepresentable & CaseIterable>(_ type: T.Type, _ json: JSON?, _ pointer: String) -> T?
  where T.RawValue == String {
    guard let text = text(json, pointer) else { return nil }
    if let value = T(rawValue: text) { return value }
    let valid = T.allCases.map(\.rawValue).joined(separator: ", ")
    refuse(pointer, Phrase("Use one of: \(valid).", tr: "Şunlardan biri olmalı: \(valid)."))
    return nil
  }

  mutating func fields(_ json: JSON, _ pointer: String) -> [(field: String, source: ImportMapping.Source)] {
    guard let members = json.object, !members.isEmpty else {
      refuse(pointer, Phrase("Say for every field where it comes from.", tr: "Her alanın nereden geldiğini belirtin."))
      return []
    }
    return members.sorted { $0.key < $1.key }.compactMap { name, json in
      let here = "\(pointer)/\(name)"
      if json["reference"] != nil { return reference(json, here).map { (name, .reference($0)) } }
      return value(json, here).map { (name, .value($0)) }
    }
  }

  private mutating func reference(_ json: JSON, _ pointer: String) -> ImportMapping.Reference? {
    let members = members(of: json, at: pointer, knows: ["reference", "system", "by", "from", "path", "if_missing", "create"])
    guard let resource = text(members["reference"], "\(pointer)/reference") else { return nil }
    let path = names(members["path"], "\(pointer)/path")
    let from = names(members["from"], "\(pointer)/from")
    let system = text(members["system"], "\(pointer)/system")
    let by = text(members["by"], "\(pointer)/by")
    let recognition: ImportMapping.Reference.Recognition
    switch (system, by, path.isEmpty) {
    case (let system?, nil, true): recognition = .externalID(system: system)
    case (nil, let by?, true): recognition = .field(by)
    case (nil, nil, false): recognition = .path
    default:
      refuse(
        pointer,
        Phrase(
          "Say how the record is found: system (its key there), by (a field of it) or path (its place in a tree).",
          tr: "Kaydın nasıl bulunacağını belirtin: system (oradaki anahtarı), by (bir alanı) ya da path (ağaçtaki yeri)."))
      return nil
    }
    if path.isEmpty, from.isEmpty {
      refuse("\(pointer)/from", Phrase("Say which columns hold the key.", tr: "Anahtarın hangi sütunlarda olduğunu belirtin."))
    }
    let absence = choice(ImportMapping.Reference.Absence.self, members["if_missing"], "\(pointer)/if_missing") ?? .refuse
    let create = (members["create"]?.object ?? [:]).sorted { $0.key < $1.key }.compactMap { name, json in
      value(json, "\(pointer)/create/\(name)").map { (field: name, value: $0) }
    }
    return .init(resource: resource, recognition: recognition, columns: path.isEmpty ? from : path, absence: absence, create: create)
  }

  private mutating func value(_ json: JSON, _ pointer: String) -> ImportMapping.Value? {
    switch json {
    case .string(let name): return .column(name, values: [:], otherwise: nil)
    case .object(let members):
      if let constant = members["constant"] { return scalar(constant, "\(pointer)/constant").map { .constant($0) } }
      if let template = members["template"] { return text(template, "\(pointer)/template").map { .template(Self.pieces($0)) } }
      if let first = members["first"] {
        return .first((first.array ?? []).enumerated().compactMap { value($1, "\(pointer)/first/\($0)") })
      }
      if let object = members["object"] {
        return .object(
          (object.object ?? [:]).sorted { $0.key < $1.key }.compactMap { name, json in
            value(json, "\(pointer)/object/\(name)").map { (name: name, value: $0) }
          })
      }
      let known = self.members(of: json, at: pointer, knows: ["column", "values", "otherwise", "constant", "template", "first", "object"])
      guard let column = text(known["column"], "\(pointer)/column") else { break }
      var values: [String: String] = [:]
      for (from, to) in known["values"]?.object ?? [:] { values[from] = scalar(to, "\(pointer)/values/\(from)") }
      return .column(column, values: values, otherwise: known["otherwise"].flatMap { scalar($0, "\(pointer)/otherwise") })
    default: break
    }
    refuse(
      pointer,
      Phrase(
        "Give the name of a column, or an object with column, constant, template, first, object or reference.",
        tr: "Bir sütun adı ya da column, constant, template, first, object veya reference içeren bir nesne verin."))
    return nil
  }

  private mutating func scalar(_ json: JSON, _ pointer: String) -> String? {
    switch json {
    case .string(let text): return text
    case .number(let number): return "\(number)"
    case .bool(let flag): return flag ? "true" : "false"
    default:
      refuse(pointer, Phrase("Give text, a number, true or false.", tr: "Metin, sayı, true ya da false verin."))
      return nil
    }
  }

  private static func pieces(_ template: String) -> [ImportMapping.Value.Piece] {
    var pieces: [ImportMapping.Value.Piece] = []
    var rest = Substring(template)
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
      pieces.append(.column(String(rest[rest.index(after: open)..<close])))
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { pieces.append(.text(String(rest))) }
    return pieces
  }
}

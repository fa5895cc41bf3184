import CRMCore
import Foundation

/// A field of a form, as the form's data describe it, and whether what was filled in fits it.
struct FormField: Sendable {
  enum Kind: String, Sendable {
    case text, email, phone, choice, flag
    case longText = "long_text"
  }

  let name: String
  let kind: Kind
  let isRequired: Bool
  let options: [String]

  init?(_ json: JSON) {
    guard let name = json["name"]?.string, let type = json["type"]?.string, let kind = Kind(rawValue: type) else { return nil }
    self.name = name
    self.kind = kind
    isRequired = json["required"] == .bool(true)
    options = json["options"]?.array?.compactMap(\.string) ?? []
  }

  var noAddress: Problem.FieldError {
    .init("/fields/\(name)", code: "type", Phrase("This is not a valid e-mail address.", tr: "Geçerli bir e-posta adresi değil."))
  }

  /// - Returns: what is wrong; nil if nothing is.
  func mistake(in value: JSON?) -> Problem.FieldError? {
    func refused(_ code: String, _ message: Phrase) -> Problem.FieldError { .init("/fields/\(name)", code: code, message) }
    let isEmpty =
      switch value {
      case nil, .some(.null), .some(.bool(false)): true
      case .some(.string(let text)): text.allSatisfy(\.isWhitespace)
      default: false
      }
    if isEmpty { return isRequired ? refused("required", Phrase("\(name) is required.", tr: "\(name) zorunludur.")) : nil }
    if kind == .flag { return value == .bool(true) ? nil : refused("type", Phrase("Expected true or false.", tr: "Beklenen: true ya da false.")) }
    guard let text = value?.string, !text.utf8.contains(0) else { return refused("type", Phrase("Expected text.", tr: "Beklenen: metin.")) }
    let most = kind == .longText ? 10_000 : 300
    if text.unicodeScalars.count > most { return refused("too-long", Phrase("At most \(most) characters.", tr: "En fazla \(most) karakter.")) }
    switch kind {
    case .email:
      return Self.isAddress(text) ? nil : noAddress
    case .phone:
      return text.count(where: \.isNumber) >= 7
        ? nil : refused("type", Phrase("This is not a valid telephone number.", tr: "Geçerli bir telefon numarası değil."))
    case .choice:
      let list = options.joined(separator: ", ")
      return options.contains(text) ? nil : refused("option", Phrase("Use one of: \(list).", tr: "Şunlardan biri olmalı: \(list)."))
    case .text, .longText, .flag: return nil
    }
  }

  private static func isAddress(_ text: String) -> Bool {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".") && !text.contains(where: \.isWhitespace) && text.utf8.count <= 254
  }
}

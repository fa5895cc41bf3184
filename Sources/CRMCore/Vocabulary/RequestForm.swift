import Foundation

/// What pages for people without a sign-in send.
extension Request {
  /// The media type of the body, without its parameters.
  package var mediaType: String {
    String((headers["content-type"] ?? "").prefix { $0 != ";" }).lowercased().filter { !$0.isWhitespace }
  }

  package var isJSON: Bool { mediaType == "application/json" }

  /// The fields of a form (`application/x-www-form-urlencoded`) as an object of texts. A field that occurs several times has its last value.
  package func form() throws(Problem) -> JSON {
    .object(try formFields().reduce(into: [:]) { $0[$1.name] = .string($1.value) })
  }

  /// The fields of a form in their order.
  package func formFields() throws(Problem) -> [(name: String, value: String)] {
    guard mediaType == "application/x-www-form-urlencoded" else {
      throw Problem(
        415, "unsupported-media-type",
        Phrase(
          "Send a form (application/x-www-form-urlencoded) or application/json.",
          tr: "Bir form (application/x-www-form-urlencoded) ya da application/json gönderin."))
    }
    let malformed = Problem.badRequest("malformed-form", Phrase("The form is not valid.", tr: "Form geçerli değil."))
    guard case .bytes(let bytes) = body else { return [] }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed }
    var fields: [(name: String, value: String)] = []
    for pair in text.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = parts.first?.formDecoded, let value = parts.count == 2 ? parts[1].formDecoded : "" else { throw malformed }
      // PostgreSQL keeps no U+0000, and nobody types one.
      if name.utf8.contains(0) || value.utf8.contains(0) { throw malformed }
      fields.append((name, value))
    }
    return fields
  }
}

extension Substring {
  /// Without percent signs and pluses; nil if what they stand for is no UTF-8.
  fileprivate var formDecoded: String? { replacing("+", with: " ").removingPercentEncoding }
}

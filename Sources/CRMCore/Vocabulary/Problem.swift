/// What went wrong with a request, in words for the person who sent it (RFC 9457). It never holds SQL, paths or secrets.
package struct Problem: Error, Sendable {
  /// What is wrong with one field: `pointer` is a JSON pointer (RFC 6901) into the body, or the name of a query parameter.
  package struct FieldError: Sendable, Hashable {
    package let pointer: String
    package let code: String
    package let message: Phrase

    package init(_ pointer: String, code: String, _ message: Phrase) {
      self.pointer = pointer
      self.code = code
      self.message = message
    }
  }

  /// The HTTP status.
  package let status: Int
  /// A stable, machine-readable name, in kebab-case.
  package let code: String
  package let title: Phrase
  package let detail: Phrase?
  package var errors: [FieldError]
  /// Seconds after which trying again makes sense; sent as `Retry-After`.
  package var retryAfter: Int?
  /// Where the answer is to be found instead; sent as `Location`.
  package var location: String?
  /// Header fields of the answer beyond those that every problem has.
  package var headers: [(name: String, value: String)] = []
  /// Members of the problem's own, such as the candidates of a suspected duplicate. Values are JSON text.
  package var extensions: [(name: String, json: String)]

  package init(
    _ status: Int, _ code: String, _ title: Phrase, detail: Phrase? = nil, errors: [FieldError] = [],
    retryAfter: Int? = nil, location: String? = nil, extensions: [(name: String, json: String)] = []
  ) {
    self.status = status
    self.code = code
    self.title = title
    self.detail = detail
    self.errors = errors
    self.retryAfter = retryAfter
    self.location = location
    self.extensions = extensions
  }
}

extension Problem {
  /// A record that does not exist, or that the caller may not see: the two answer alike, so that nothing is revealed.
  package static let notFound = Problem(
    404, "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
  package static let unknownRoute = Problem(
    404, "unknown-route", Phrase("There is no such address in this API.", tr: "Bu API'de böyle bir adres yok."))
  package static let unauthenticated = Problem(
    401, "unauthenticated",
    Phrase("Sign in: send a valid API key or token.", tr: "Oturum açın: geçerli bir API anahtarı veya jeton gönderin."))
  package static let busy = Problem(
    503, "busy", Phrase("The server is busy. Try again shortly.", tr: "Sunucu meşgul. Kısa süre sonra yeniden deneyin."), retryAfter: 1)
  package static let timeout = Problem(
    503, "timeout", Phrase("The request took too long and was stopped; nothing was changed.", tr: "İstek çok uzun sürdü ve durduruldu; hiçbir şey değişmedi."),
    retryAfter: 2)
  package static let outcomeUnknown = Problem(
    503, "outcome-unknown",
    Phrase(
      "It is not known whether the change was saved. Send the request again with the same Idempotency-Key.",
      tr: "Değişikliğin kaydedilip kaydedilmediği bilinmiyor. İsteği aynı Idempotency-Key ile yeniden gönderin."))
  package static let unexpected = Problem(
    500, "internal-error",
    Phrase(
      "Something went wrong on our side. The request id helps us find it.",
      tr: "Bizim tarafımızda bir şey ters gitti. İstek kimliği bulmamıza yardım eder."))

  /// The caller is known but may not do this.
  package static func forbidden(_ detail: Phrase) -> Problem {
    Problem(403, "forbidden", Phrase("You may not do this.", tr: "Bunu yapma yetkiniz yok."), detail: detail)
  }

  /// A request whose fields are wrong; all of them are listed at once.
  package static func invalid(_ errors: [FieldError]) -> Problem {
    Problem(
      422, "invalid-fields", Phrase("Some fields need your attention.", tr: "Bazı alanların düzeltilmesi gerekiyor."), errors: errors)
  }

  /// A request that cannot be understood: a bad filter, an unknown parameter, malformed JSON.
  package static func badRequest(_ code: String, _ detail: Phrase, errors: [FieldError] = []) -> Problem {
    Problem(400, code, Phrase("The request is not valid.", tr: "İstek geçerli değil."), detail: detail, errors: errors)
  }
}

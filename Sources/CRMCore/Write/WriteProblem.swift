package import PostgresClient

/// Puts PostgreSQL's refusals into words for the person who sent the request. The words of a rule stand beside the rule, in its comment.
package struct WriteProblem: Sendable {
  let catalogue: Catalogue

  package init(catalogue: Catalogue) { self.catalogue = catalogue }

  /// Whether PostgreSQL refused the values themselves. Anything else (a deadlock, a lost connection) may go well when it is tried again.
  static func isRefusal(_ error: PostgresError) -> Bool {
    guard error.kind == .server, let state = error.sqlState else { return false }
    return state.hasPrefix("22") || state.hasPrefix("23") || state == "CR001" || state == "42501"
  }

  /// The problem behind an error of the database; nil when it is not the client's doing.
  package func problem(for error: PostgresError, pointer: String = "") -> Problem? {
    guard error.kind == .server, let state = error.sqlState else { return nil }
    let constraint = error.constraint.flatMap { catalogue.constraints[$0] }
    switch state {
    case "23505": return conflict(constraint, pointer)
    case "23514":
      let phrase = constraint?.phrase ?? Phrase("This value breaks a rule.", tr: "Bu değer bir kurala aykırı.")
      return .invalid(pointers(constraint, error, pointer).map { .init($0, code: error.constraint ?? "rule", phrase) })
    case "23502":
      let name = error.column ?? ""
      return .invalid([.init("\(pointer)/\(name)", code: "required", Phrase("\(name) is required.", tr: "\(name) zorunludur."))])
    case "CR001":
      return .invalid([Self.missingReference("\(pointer)/\(error.column ?? "")")])
    case "23503": return .invalid([Self.wrongReference("\(pointer)/\(constraint?.columns.last ?? "")", constraint)])
    case "23P01":
      return Problem(409, "conflict", constraint?.phrase ?? Phrase("This overlaps with another record.", tr: "Bu kayıt başka bir kayıtla çakışıyor."))
    case "42501":
      return .forbidden(
        constraint?.phrase
          ?? Phrase(
            "Your role does not allow this for these values (department, owner or visibility).",
            tr: "Rolünüz bu değerlerle (departman, sahip ya da görünürlük) bu işleme izin vermiyor."))
    case "CR003":
      return Problem(
        409, "own-access",
        Phrase(
          "Nobody takes rights from themselves; ask another administrator.", tr: "Kimse kendi yetkisini azaltamaz; başka bir yöneticiden isteyin."))
    case "55P03":
      return Problem(
        409, "locked", Phrase("Someone else is changing this record. Try again.", tr: "Bu kaydı şu an başkası değiştiriyor. Yeniden deneyin."),
        retryAfter: 1)
    case let data where data.hasPrefix("22"):
      return .invalid([
        .init(pointer, code: "value", Phrase("A value is out of range or of the wrong form.", tr: "Bir değer aralık dışında ya da yanlış biçimde."))
      ])
    default: return nil
    }
  }

  static func missingReference(_ pointer: String) -> Problem.FieldError {
    .init(
      pointer, code: "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
  }

  static func wrongReference(_ pointer: String, _ constraint: Catalogue.Constraint?) -> Problem.FieldError {
    .init(
      pointer, code: "reference",
      constraint?.phrase ?? Phrase("This refers to a record that does not fit.", tr: "Bu, uymayan bir kayda işaret ediyor."))
  }

  /// Why a record cannot be deleted that a foreign key leads to.
  static let inUse = Problem(
    409, "in-use", Phrase("Other records still refer to this one.", tr: "Başka kayıtlar hâlâ bu kayda bağlı."))

  private func pointers(_ constraint: Catalogue.Constraint?, _ error: PostgresError, _ pointer: String) -> [String] {
    let columns = constraint?.columns ?? error.column.map { [$0] } ?? []
    return columns.isEmpty ? [pointer] : columns.map { "\(pointer)/\($0)" }
  }

  private func conflict(_ constraint: Catalogue.Constraint?, _ pointer: String) -> Problem {
    let phrase = constraint?.phrase ?? Phrase("This value is already in use.", tr: "Bu değer zaten kullanılıyor.")
    return Problem(
      409, "duplicate", Phrase("This already exists.", tr: "Bu zaten var."), detail: phrase,
      errors: (constraint?.columns ?? []).map { .init("\(pointer)/\($0)", code: "duplicate", phrase) })
  }
}

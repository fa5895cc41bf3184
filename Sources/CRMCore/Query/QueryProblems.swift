/// The clear answers to a query that cannot be understood. Every one names the parameter and the cure.
extension Problem {
  package static func unknownField(_ path: FieldPath, of resource: String, at pointer: String, candidates: some Sequence<String>) -> Problem {
    let name = path.names.last ?? ""
    let nearest = nearestName(to: name, in: candidates)
    let hint = nearest.map { Phrase(" Did you mean \"\($0)\"?", tr: " \"\($0)\" mı demek istediniz?") } ?? Phrase("", tr: "")
    let message = Phrase(
      "\(resource) has no field \"\(clipped(path.description))\".\(hint.english)",
      tr: "\(resource) kaynağında \"\(clipped(path.description))\" alanı yok.\(hint.turkish)")
    return badRequest("unknown-field", message, errors: [FieldError(pointer, code: "unknown-field", message)])
  }

  package static func unknownOperator(_ name: String, at pointer: String) -> Problem {
    let valid = Comparison.allCases.map(\.rawValue)
    let list = valid.joined(separator: ", ")
    let hint = nearestName(to: name, in: valid)
    let message = Phrase(
      "\"\(clipped(name))\" is not an operator.\(hint.map { " Did you mean \"\($0)\"?" } ?? "") There are: \(list).",
      tr: "\"\(clipped(name))\" bir işleç değil.\(hint.map { " \"\($0)\" mı demek istediniz?" } ?? "") Olanlar: \(list).")
    return badRequest("unknown-operator", message, errors: [FieldError(pointer, code: "unknown-operator", message)])
  }

  package static func badFilter(_ pointer: String, _ message: Phrase) -> Problem {
    badRequest("bad-filter", message, errors: [FieldError(pointer, code: "bad-filter", message)])
  }

  package static func badParameter(_ name: String, _ message: Phrase) -> Problem {
    badRequest("bad-parameter", message, errors: [FieldError(name, code: "bad-parameter", message)])
  }

  package static func badCursor(_ pointer: String = "cursor") -> Problem {
    badParameter(
      pointer,
      Phrase(
        "The cursor is not valid for this query. Take it from next_cursor of the page before and leave filter and order as they were.",
        tr: "İmleç bu sorgu için geçerli değil. Önceki sayfanın next_cursor değerini alın; süzgeç ve sıralamayı değiştirmeyin."))
  }

  /// At most 64 characters of what a client sent, so that an answer cannot be blown up by it.
  package static func clipped(_ text: String) -> String { text.count > 64 ? text.prefix(64) + "…" : text }
}

import CRMCore
import Foundation
import PostgresClient

/// A question as the page asks it and its answer is checked.
struct SurveyQuestion: RowDecodable, Sendable {
  enum Kind: String, Sendable { case score, rating, choice, choices, yesNo = "yes_no", text }

  struct Option: Sendable {
    let code: String
    let label: Phrase
  }

  let code: String
  let kind: Kind
  let text: Phrase
  let low: Phrase
  let high: Phrase
  let options: [Option]
  let required: Bool

  init(row: PostgresRow) throws {
    code = try row.decode("code")
    let name = try row.decode(String.self, "kind")
    guard let kind = Kind(rawValue: name) else { throw SurveyKind.UnknownKind(name: name) }
    self.kind = kind
    text = Phrase(try row.decode("text_en"), tr: try row.decode("text_tr"))
    low = Phrase(try row.decode(String?.self, "low_en") ?? "", tr: try row.decode(String?.self, "low_tr") ?? "")
    high = Phrase(try row.decode(String?.self, "high_en") ?? "", tr: try row.decode(String?.self, "high_tr") ?? "")
    required = try row.decode("required")
    let given = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "options").text.utf8))
    options = (given.array ?? []).map {
      Option(code: $0["code"]?.string ?? "", label: Phrase($0["en"]?.string ?? "", tr: $0["tr"]?.string ?? ""))
    }
  }

  static func select(survey: UUID) -> SQL {
    """
    SELECT q.code, q.kind, q.text_en, q.text_tr, q.low_en, q.low_tr, q.high_en, q.high_tr, q.options, q.required
      FROM crm.survey_question q WHERE q.survey_id = \(survey) ORDER BY q.place
    """
  }

  /// The numbers it takes; nil for questions that take none.
  func range(in survey: SurveyKind) -> ClosedRange<Int>? {
    switch kind {
    case .score: survey.scale
    case .rating: 1...5
    case .choice, .choices, .yesNo, .text: nil
    }
  }
}

/// The checked answers to a survey's questions.
struct SurveyAnswers: Sendable {
  /// The score; nil for forms.
  let score: Int?
  /// By the codes of the questions; those left open are left out.
  let values: [String: JSON]

  /// Texts are at most this long, in characters.
  static let textLimit = 2_000

  /// Checks what was sent. Numbers and truth values may come as text, as forms send them.
  /// - Throws: 422 with every mistake.
  init(_ given: [String: JSON], to questions: [SurveyQuestion], of kind: SurveyKind) throws(Problem) {
    var errors: [Problem.FieldError] = []
    var values: [String: JSON] = [:]
    var score: Int?
    for question in questions {
      let pointer = "/answers/\(question.code)"
      guard let answer = given[question.code], answer != .null, answer != "", answer != [] else {
        if question.required {
          errors.append(.init(pointer, code: "required", Phrase("Please answer this question.", tr: "Lütfen bu soruyu yanıtlayın.")))
        }
        continue
      }
      guard let value = Self.checked(answer, question, kind) else {
        errors.append(.init(pointer, code: "option", Self.expectation(of: question, kind)))
        continue
      }
      values[question.code] = value
      if question.kind == .score, case .number(let number) = value { score = NSDecimalNumber(decimal: number).intValue }
    }
    let known = Set(questions.map(\.code))
    for name in given.keys.sorted() where !known.contains(name) {
      errors.append(.init("/answers/\(name)", code: "unknown-field", Phrase("There is no such question.", tr: "Böyle bir soru yok.")))
    }
    if !errors.isEmpty { throw Problem.invalid(errors) }
    self.score = score
    self.values = values
  }

  private static func checked(_ answer: JSON, _ question: SurveyQuestion, _ kind: SurveyKind) -> JSON? {
    switch question.kind {
    case .score, .rating:
      let number: Int? =
        switch answer {
        case .number(let decimal): Int(exactly: NSDecimalNumber(decimal: decimal).doubleValue)
        case .string(let text): Int(text)
        default: nil
        }
      guard let number, question.range(in: kind)?.contains(number) == true else { return nil }
      return .number(Decimal(number))
    case .choice:
      guard let code = answer.string, question.options.contains(where: { $0.code == code }) else { return nil }
      return .string(code)
    case .choices:
      let codes = answer.string.map { [$0] } ?? answer.array?.compactMap(\.string) ?? []
      guard !codes.isEmpty, codes.count == Set(codes).count, codes.allSatisfy({ code in question.options.contains { $0.code == code } }) else { return nil }
      return .array(codes.map(JSON.string))
    case .yesNo:
      switch answer {
      case .bool(let flag): return .bool(flag)
      case "true", "yes": return true
      case "false", "no": return false
      default: return nil
      }
    case .text:
      guard let text = answer.string, text.unicodeScalars.count <= textLimit, !text.utf8.contains(0) else { return nil }
      return .string(text)
    }
  }

  private static func expectation(of question: SurveyQuestion, _ kind: SurveyKind) -> Phrase {
    if let range = question.range(in: kind) {
      return Phrase(
        "Choose a number from \(range.lowerBound) to \(range.upperBound).", tr: "\(range.lowerBound) ile \(range.upperBound) arasında bir sayı seçin.")
    }
    return question.kind == .text
      ? Phrase("Write at most \(textLimit) characters.", tr: "En fazla \(textLimit) karakter yazın.")
      : Phrase("Choose one of the answers offered.", tr: "Sunulan yanıtlardan birini seçin.")
  }
}

import CRMCore
import Foundation
import PostgresClient

/// What a person reaches through a survey's link, without a sign-in: the questions, and once the answer.
struct PublicSurvey {
  let database: Database
  let catalogue: Catalogue

  /// Whoever has the link acts through the system: nobody is signed in, and the link opens this survey alone.
  private static let caller = Caller.system("survey answer")

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let token = Endpoint.Documentation.Parameter("token", in: .path, required: true, "The token of the link.")
    let refusals: [(status: Int, description: String, mediaType: String?, schema: JSON?)] = [
      (404, "The link is not valid.", "text/html", page), (410, "The link no longer works.", "text/html", page),
    ]
    return [
      Endpoint(
        .get, "/s/{token}", access: .open,
        documentation: .init(
          "get_public_survey", tag: "surveys", "A survey as the person asked sees it",
          description: "A page in Turkish or English by Accept-Language, without it in the person's language. Reading it answers nothing.",
          parameters: [token, .init("score", in: .query, "The score to tick at first, as a link in a message may name it.")],
          answers: [(200, "The page.", "text/html", page)] + refusals),
        handler: .operation { request in try await show(request) }),
      Endpoint(
        .post, "/s/{token}", access: .open, body: .collected,
        documentation: .init(
          "answer_public_survey", tag: "surveys", "Answer a survey, once",
          description: "As the form of the page, answered with a page; or the answers by the codes of the questions as application/json, answered with JSON.",
          parameters: [token], input: ("application/x-www-form-urlencoded", ["type": "object"]),
          answers: [
            (200, "The answer is recorded.", "text/html", page),
            (200, "The answer is recorded.", "application/json", ["type": "object", "required": ["status"], "properties": ["status": ["type": "string"]]]),
            (409, "It was answered already.", "text/html", page), (422, "Something is missing.", "text/html", page),
          ] + refusals, refusals: [409, 415]),
        handler: .operation { request in request.isJSON ? try await answerWithJSON(request) : try await answerWithPage(request) }),
    ]
  }

  private func show(_ request: Request) async throws -> Response {
    let link = SurveyLink(token: request.parameters["token"] ?? "")
    guard let (survey, questions) = try await read(link, request) else { return PublicPage(OpenSurvey.unknownLink, request.pageLanguage(nil)).response }
    let language = request.pageLanguage(survey)
    do {
      try survey.mustBeOpen()
    } catch {
      return PublicPage(error, language).response
    }
    var given: [String: JSON] = [:]
    if let score = request.query.first(where: { $0.name == "score" })?.value, let question = questions.first(where: { $0.kind == .score }) {
      given[question.code] = .string(score)
    }
    return SurveyPage(survey: survey, questions: questions, link: link, language: language, given: given).response
  }

  private func answerWithJSON(_ request: Request) async throws -> Response {
    guard case .object(let body) = try request.json(), case .object(let answers)? = body["answers"], body.count == 1 else {
      throw Problem.invalid([
        .init(
          "/answers", code: "required",
          Phrase("Give the answers as an object by the codes of the questions.", tr: "Yanıtları soru kodlarıyla bir nesne olarak verin."))
      ])
    }
    try await record(answers, SurveyLink(token: request.parameters["token"] ?? ""), request)
    return .json(try JSON.object(["status": "answered"]).encoded())
  }

  private func answerWithPage(_ request: Request) async throws -> Response {
    let link = SurveyLink(token: request.parameters["token"] ?? "")
    let fields = try request.formFields()
    // A box that may be ticked several times comes several times.
    let given = Dictionary(grouping: fields, by: \.name).mapValues { values -> JSON in
      values.count == 1 ? .string(values[0].value) : .array(values.map { .string($0.value) })
    }
    guard let (survey, questions) = try await read(link, request) else { return PublicPage(OpenSurvey.unknownLink, request.pageLanguage(nil)).response }
    let language = request.pageLanguage(survey)
    do {
      try await record(given, link, request)
    } catch let problem as Problem where problem.status == 422 {
      return SurveyPage(survey: survey, questions: questions, link: link, language: language, given: given, errors: problem.errors).response
    } catch let problem as Problem where problem.status < 500 {
      return PublicPage(problem, language).response
    }
    return PublicPage(
      title: survey.title.text(in: language), content: "<p role=\"status\">\(survey.thanks.text(in: language))</p>\n", language: language
    ).response
  }

  private func read(_ link: SurveyLink, _ request: Request) async throws -> (OpenSurvey, [SurveyQuestion])? {
    try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline) { tx in
      guard let survey = try await tx.first(OpenSurvey.self, OpenSurvey.select(link, now: Date())) else { return nil }
      return (survey, try await tx.all(SurveyQuestion.self, SurveyQuestion.select(survey: survey.surveyID)))
    }
  }

  private func record(_ given: [String: JSON], _ link: SurveyLink, _ request: Request) async throws {
    let now = Date()
    do {
      try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
        guard let survey = try await tx.first(OpenSurvey.self, OpenSurvey.select(link, now: now, locking: true)) else { throw OpenSurvey.unknownLink }
        try survey.mustBeOpen()
        let questions = try await tx.all(SurveyQuestion.self, SurveyQuestion.select(survey: survey.surveyID))
        let answers = try SurveyAnswers(given, to: questions, of: survey.kind)
        try await survey.record(answers, in: request.pageLanguage(survey), now: now, tx)
      }
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: catalogue).problem(for: error) ?? error
    }
  }
}

extension Request {
  /// What Accept-Language asks for, or else the person's language.
  fileprivate func pageLanguage(_ survey: OpenSurvey?) -> Language {
    Language.preferred(in: headers["accept-language"]) ?? survey?.language ?? .turkish
  }
}

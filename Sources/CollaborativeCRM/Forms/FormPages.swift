import CRMCore
import Foundation
import PostgresClient

/// What a page with a form may do: read what the form is, and send it.
struct FormPages: Sendable {
  let database: Database
  let catalogue: Catalogue
  private static let base = "/v1/forms/{form}"
  private static let tag = "web_forms"
  /// The database counts addresses; one of IPv6 is a drop in a sea of its owner's.
  private let networks = RateLimit(10, per: .seconds(3_600))

  init(database: Database, catalogue: Catalogue) {
    self.database = database
    self.catalogue = catalogue
  }

  private struct Submission: OperationInput {
    let fields: JSON
    let key: String?
    let page: String?
    let utm: [String: JSON]

    init(_ reader: inout InputReader) {
      fields = reader.optionalObject("fields", "What was filled in, by the fields' names.") ?? [:]
      key = reader.optionalText("key", "Names the submission, so that sending it again makes no second one.", maximum: 100)
      page = reader.optionalText("page", "The page's address.")
      var utm: [String: JSON] = [:]
      for name in ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"] {
        if let value = reader.optionalText(name, "\(name) of the page it came through.", maximum: 300) { utm[name] = .string(value) }
      }
      self.utm = utm
    }
  }

  private struct Form: Sendable {
    let id: UUID
    let name: String
    let fields: JSON
    let origins: [String]
    let honeypot: String
    let hourlyLimit: Int
    let consentText: String?
  }

  private func form(_ request: Request) async throws -> Form {
    let found = try await database.read(
      as: .system("web form"),
      """
      SELECT f.id, f.name, f.fields, f.origins, f.honeypot, f.hourly_limit, CASE WHEN f.double_opt_in THEN f.consent_text END AS consent_text
      FROM crm.web_form AS f WHERE f.code = \(request.parameters["form"] ?? "") AND f.is_active
      """)
    guard found.count == 1 else { throw Problem.notFound }
    let row = found[0]
    return Form(
      id: try row.decode(UUID.self, "id"), name: try row.decode(String.self, "name"),
      fields: try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "fields").text.utf8)),
      origins: try row.decode([String].self, "origins"),
      honeypot: try row.decode(String.self, "honeypot"), hourlyLimit: try row.decode(Int.self, "hourly_limit"),
      consentText: try row.decode(String?.self, "consent_text"))
  }

  var endpoints: [Endpoint] {
    [
      description, submit, CrossOrigin.preflight(Self.base, "options_form", tag: Self.tag) { try await form($0).origins },
      CrossOrigin.preflight("\(Self.base)/submissions", "options_form_submissions", tag: Self.tag) { try await form($0).origins },
    ]
  }

  private var description: Endpoint {
    Endpoint(
      .get, Self.base, access: .open,
      documentation: .init(
        "get_form", tag: Self.tag, "What a form asks", parameters: CrossOrigin.parameters(Self.base),
        answers: [
          (
            200, "The form.", "application/json",
            [
              "type": "object", "required": ["name", "fields", "hidden_field", "consent_text"],
              "properties": [
                "name": AnswerField.text, "fields": ["type": "array", "items": ["type": "object"]],
                "hidden_field": ["type": "string", "description": "A field to show to nobody; programs fill it in."],
                "consent_text": AnswerField.optional(AnswerField.text),
              ],
            ]
          )
        ], refusals: [403]),
      handler: .operation { request in
        let form = try await form(request)
        let headers = try CrossOrigin.headers(request, allowing: form.origins)
        let json: JSON = [
          "name": .string(form.name), "fields": form.fields, "hidden_field": .string(form.honeypot),
          "consent_text": form.consentText.map(JSON.string) ?? .null,
        ]
        return .json(try json.encoded(), headers: headers)
      })
  }

  private var submit: Endpoint {
    Endpoint(
      .post, "\(Self.base)/submissions", access: .open, body: .collected,
      documentation: .init(
        "submit_form", tag: Self.tag, "Send a form",
        description: "Open to pages of the form's origins and to programs. Its answer does not say what became of it.",
        parameters: CrossOrigin.parameters(Self.base), input: ("application/json", InputReader.schema(of: Submission.self)),
        answers: [(202, "Taken.", "application/json", ["type": "object", "required": ["id"], "properties": ["id": AnswerField.id]])],
        refusals: [403, 422, 429]),
      handler: .operation { request in
        let form = try await form(request)
        return try await CrossOrigin.answering(request, allowing: form.origins) { headers in
          let id = try await take(request, form)
          return .json(try JSON.object(["id": .string(id.lowercase)]).encoded(), status: 202, headers: headers)
        }
      })
  }

  /// - Returns: the submission.
  private func take(_ request: Request, _ form: Form) async throws -> UUID {
    let sent = try InputReader.read(Submission.self, from: try request.json())
    let fields = try await checked(sent.fields.object ?? [:], form)
    let address = request.remoteAddress
    let source = RateLimit.source(address)
    if source != address ?? "" { try networks.count("\(form.id.lowercase) \(source)", most: form.hourlyLimit) }
    let utm = JSONText(String(decoding: try JSON.object(sent.utm).encoded(), as: UTF8.self))
    let answers = JSONText(String(decoding: try JSON.object(fields).encoded(), as: UTF8.self))
    let agent = request.headers["user-agent"].map { String($0.prefix(500)) }
    let link = request.link(to: "")
    do {
      return try await database.transaction(as: .system("web form"), request: request.id, deadline: request.deadline, retries: true) { tx in
        // One address at a time, so that many at once are counted right.
        _ = try await tx.result("SELECT pg_advisory_xact_lock(hashtextextended(\("web form \(form.id.lowercase) \(address ?? "")"), 0))")
        let recent = try await tx.value(
          Int.self,
          """
          SELECT count(*) FROM crm.form_submission AS s
          WHERE s.form_id = \(form.id) AND s.remote_address IS NOT DISTINCT FROM \(address) AND s.created_at > now() - interval '1 hour'
            AND s.key IS DISTINCT FROM \(sent.key ?? "")
          """)
        if recent >= form.hourlyLimit { throw Problem.tooFast(600) }
        return try await tx.value(
          UUID.self,
          """
          SELECT s.submission_id FROM crm.submit_form(\(form.id), \(answers)::jsonb, \(sent.key), \(utm)::jsonb, \(sent.page), \(address), \(agent), \(link)) AS s
          """)
      }
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: catalogue).problem(for: error, pointer: "/fields") ?? error
    }
  }

  /// The fields, once nothing is wrong with them. Whoever fills in what nobody sees gets no help from mistakes: what is mistaken is left out.
  private func checked(_ values: [String: JSON], _ form: Form) async throws -> [String: JSON] {
    let errors = try await mistakes(in: values, form)
    if errors.isEmpty { return values }
    guard let trap = values[form.honeypot]?.string, !trap.isEmpty else { throw Problem.invalid(errors) }
    return [form.honeypot: .string(String(trap.withoutNUL.prefix(300)))]
  }

  private func mistakes(in values: [String: JSON], _ form: Form) async throws -> [Problem.FieldError] {
    let fields = (form.fields.array ?? []).compactMap(FormField.init)
    var errors = fields.compactMap { $0.mistake(in: values[$0.name]) }
    let known = Set(fields.map(\.name) + [form.honeypot, "consent"])
    for name in values.keys.sorted() where !known.contains(name) {
      errors.append(.init("/fields/\(name.jsonPointerEscaped)", code: "unknown-field", Phrase("There is no such field.", tr: "Böyle bir alan yok.")))
    }
    if let consent = values["consent"], consent != .bool(true), consent != .bool(false) {
      errors.append(.init("/fields/consent", code: "type", Phrase("Expected true or false.", tr: "Beklenen: true ya da false.")))
    }
    if let trap = values[form.honeypot]?.string, trap.utf8.contains(0) || trap.utf8.count > 1_000 {
      errors.append(.init("/fields/\(form.honeypot)", code: "type", Phrase("Expected text.", tr: "Beklenen: metin.")))
    }
    if errors.isEmpty, try JSON.object(values).encoded().count > Self.answersLimit {
      errors.append(.init("/fields", code: "too-long", Phrase("All fields together are too long.", tr: "Alanların toplamı çok uzun.")))
    }
    // What an address is the database says, which is to write to it.
    for field in fields where field.kind == .email && errors.isEmpty {
      guard let address = values[field.name]?.string, !address.allSatisfy(\.isWhitespace) else { continue }
      let valid = try await database.read(as: .system("web form"), areas: [], "SELECT crm.valid_email(btrim(\(address)))")
      if try !valid[0].decode(Bool.self, at: 0) { errors.append(field.noAddress) }
    }
    return errors
  }

  /// In bytes; the database refuses more than 64 KB as it writes them.
  private static let answersLimit = 60_000
}

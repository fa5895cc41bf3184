import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import OperationalCRM

@Suite struct SurveyTests {
  private func desk() async throws -> SurveyDesk { SurveyDesk(server: try await TestServer.suite()) }

  @Test func `a closed ticket is asked about, answered once, and a bad score is followed up`() async throws {
    // A server of its own: a survey upon tickets would ask about the tickets of other tests.
    let desk = SurveyDesk(server: try await TestServer.start())
    let survey = try await desk.survey("csat", ["event": "ticket_closed", "follow_up_at_most": 2, "follow_up_days": 3, "thanks_tr": "Sağ olun."])
    let customer = try await desk.customer()
    let ticket = try await desk.made("/v1/tickets", ["customer_id": .string(customer), "subject": "Kahve makinesi çalışmıyor"])
    let ticketID = try #require(UUID(uuidString: ticket))
    try await desk.admin("UPDATE crm.ticket SET status = 'resolved', resolved_at = now() WHERE id = \(ticketID)")
    #expect(try await desk.get("/v1/survey_invitations?survey_id=eq.\(survey)")["data"] == [])
    try await desk.admin("UPDATE crm.ticket SET status = 'closed', closed_at = now() WHERE id = \(ticketID)")
    let due = try #require(try await desk.get("/v1/survey_invitations?survey_id=eq.\(survey)")["data"]?.array?.first)
    #expect(due["state"] == "due" && due["ticket_id"]?.string == ticket)
    #expect(due["token_hash"] == nil)

    try await desk.send(at: Date().addingTimeInterval(60))
    let path = try await desk.path(try #require(due["id"]?.string))
    #expect(path.wholeMatch(of: /\/s\/[A-Za-z0-9_-]{43}/) != nil)
    let page = try await desk.server.send(.get, path + "?score=4", as: nil, headers: ["accept-language": "tr"])
    #expect(page.status == 200 && page.headers["cache-control"] == "no-store" && page.headers["x-robots-tag"] == "noindex")
    for part in [
      "<html lang=\"tr\">", "<h1>Bizi değerlendirin</h1>", "<legend>Ne kadar memnunsunuz?</legend>", "1: hiç · 5: çok", "value=\"4\" checked",
      "<label for=\"comment\">Neden?",
    ] {
      #expect(page.text.contains(part), "\(part) is not in \(page.text)")
    }
    #expect(try await desk.server.send(.get, path, as: nil, headers: ["accept-language": "en"]).text.contains("How content are you?"))

    let missing = try await desk.form(path, "comment=x")
    #expect(missing.status == 422 && missing.text.contains("role=\"alert\"") && missing.text.contains(">x</textarea>"), "\(missing.text)")
    #expect(try await desk.form(path, "score=6").status == 422)
    #expect(try await desk.form(path, "score=2&comment=%00").status == 400)
    let answered = try await desk.form(path, "score=2&comment=Ge%C3%A7+yan%C4%B1t")
    #expect(answered.status == 200 && answered.text.contains("Sağ olun."), "\(answered.text)")
    #expect(try await desk.form(path, "score=5").status == 409)
    #expect(try await desk.server.send(.get, path, as: nil).status == 409)

    let response = try #require(try await desk.get("/v1/survey_responses?survey_id=eq.\(survey)&expand=activity", as: "deniz")["data"]?.array?.first)
    #expect(response["score"] == 2 && response["band"] == "dissatisfied" && response["answers"] == ["score": 2, "comment": "Geç yanıt"], "\(response)")
    #expect(response["activity"]?["kind"] == "follow_up" && response["activity"]?["customer_id"]?.string == customer)
    #expect(response["activity"]?["agenda"] == "Geç yanıt")
    let asked = try await desk.get("/v1/tickets/\(ticket)")
    #expect(asked["satisfaction"] == "25.000", "\(asked)")
    let observed = try await desk.get("/v1/customer_observations?customer_id=eq.\(customer)")["data"]?.array?.first
    #expect(observed?["kind"] == "satisfaction" && observed?["value"] == "25.0000")
    // The event counts once, however often the ticket is closed.
    try await desk.admin("UPDATE crm.ticket SET status = 'open', closed_at = NULL, resolved_at = NULL WHERE id = \(ticketID)")
    try await desk.admin("UPDATE crm.ticket SET status = 'closed', closed_at = now() WHERE id = \(ticketID)")
    #expect(try await desk.get("/v1/survey_invitations?survey_id=eq.\(survey)")["data"]?.array?.count == 1)
  }

  @Test func `an answer is taken as JSON too, and every mistake in it is named`() async throws {
    let desk = try await desk()
    let survey = try await desk.survey("nps")
    let invitation = try await desk.invite(survey, try await desk.customer())
    try await desk.send(at: Date().addingTimeInterval(60))
    let path = try await desk.path(invitation)
    let wrong = try await desk.post(path, as: nil, ["answers": ["score": 11, "colour": "red"]])
    #expect(try wrong.status == 422 && (wrong.json()["errors"]?.array?.count) == 2, "\(wrong.text)")
    #expect(try await desk.post(path, as: nil, ["answers": ["score": 10]]).status == 200)
    #expect(try await desk.post(path, as: nil, ["answers": ["score": 10]]).problem == "survey-answered")
    #expect(try await desk.invitation(invitation)["state"] == "answered")
  }

  @Test func `a link that is unknown or over answers nothing`() async throws {
    let desk = try await desk()
    let survey = try await desk.survey("ces", ["valid_days": 1])
    #expect(try await desk.server.send(.get, "/s/\(String(repeating: "A", count: 43))", as: nil).status == 404)
    #expect(try await desk.post("/s/nothing", as: nil, ["answers": ["score": 1]]).problem == "unknown-link")
    let invitation = try await desk.invite(survey, try await desk.customer())
    try await desk.send(at: Date().addingTimeInterval(60))
    let path = try await desk.path(invitation)
    let id = try #require(UUID(uuidString: invitation))
    try await desk.admin("UPDATE crm.survey_invitation SET expires_at = now() - interval '1 second' WHERE id = \(id)")
    #expect(try await desk.server.send(.get, path, as: nil, headers: ["accept-language": "tr"]).status == 410)
    #expect(try await desk.post(path, as: nil, ["answers": ["score": 1]]).problem == "survey-expired")
  }

  @Test func `nobody is asked twice within the days of rest, without an address, out of the sample, or without consent`() async throws {
    let desk = SurveyDesk(server: try await TestServer.start())
    let now = Date().addingTimeInterval(3_600)
    let resting = try await desk.survey("csat", ["rest_days": 30])
    let customer = try await desk.customer()
    let first = try await desk.invite(resting, customer)
    let second = try await desk.invite(resting, customer)
    try await desk.send(at: now)
    #expect(try await desk.invitation(first)["state"] == "sent")
    #expect(try await desk.invitation(second)["skipped"] == "rested")
    let later = try await desk.invite(resting, customer)
    try await desk.send(at: now.addingTimeInterval(31 * 86_400))
    #expect(try await desk.invitation(later)["state"] == "sent")

    let silent = try await desk.made("/v1/customers", ["kind": "person", "name": "Adressiz"])
    let lost = try await desk.invite(resting, silent)
    try await desk.send(at: now)
    #expect(try await desk.invitation(lost)["skipped"] == "no_address")

    let brand = try await desk.made("/v1/brands", as: "elif", ["code": "carsi_anket", "name": "Çarşı"])
    let commercial = try await desk.survey("nps", ["legal_class": "commercial", "brand_id": .string(brand)])
    let refused = try await desk.invite(commercial, try await desk.customer())
    try await desk.send(at: now)
    #expect(try await desk.invitation(refused)["skipped"] == "refused")
    #expect(try await desk.admin("SELECT 1 FROM crm.message_refusal WHERE purpose = 'survey' AND reason = 'no_consent'").count == 1)

    let closing = try await desk.survey("csat")
    let over = try await desk.invite(closing, try await desk.customer())
    #expect(try await desk.post("/v1/surveys/\(closing)/close").status == 200)
    try await desk.send(at: now)
    #expect(try await desk.invitation(over)["skipped"] == "closed")

    let nobody = try await desk.survey("csat", ["event": "ticket_closed", "sampling_percent": 0])
    let ticket = try await desk.made("/v1/tickets", ["customer_id": .string(customer), "subject": "Soru"])
    let ticketID = try #require(UUID(uuidString: ticket))
    try await desk.admin("UPDATE crm.ticket SET status = 'closed', closed_at = now() WHERE id = \(ticketID)")
    #expect(try await desk.get("/v1/survey_invitations?survey_id=eq.\(nobody)")["data"]?.array?.map { $0["skipped"] } == ["sampled_out"])
    let participation = try await desk.get("/v1/surveys/\(resting)/participation")["data"]?.array ?? []
    #expect(
      participation.map { [$0["state"], $0["skipped"], $0["invitations"]] } == [["sent", .null, 2], ["skipped", "no_address", 1], ["skipped", "rested", 1]])
  }

  @Test func `a sample is drawn evenly, and always the same`() async throws {
    let desk = try await desk()
    let share = try await desk.admin(
      "SELECT count(*) FILTER (WHERE crm.in_sample(md5(n::text)::uuid, md5('s')::uuid, 30)) FROM generate_series(1, 10000) AS n")[0].decode(Int.self, at: 0)
    // Four standard errors of a share of 30 % in 10,000.
    #expect((2_817...3_183).contains(share))
  }

  @Test func `results carry their intervals, and fewer than five answers show nothing but their number`() async throws {
    let desk = try await desk()
    _ = try await desk.customer()
    let ces = try await desk.survey("ces")
    try await desk.answers(ces, [7, 6, 6, 5])
    let few = try #require(try await desk.get("/v1/surveys/\(ces)/results")["data"]?.array?.first)
    #expect(few["answers"] == 4 && few["is_suppressed"] == true && few["score"] == .null && few["high"] == .null && few["top_upper"] == .null)
    try await desk.answers(ces, [7, 4, 6, 7, 2, 5, 6, 7], tier: "top", at: "2026-04-10T09:00:00Z")
    let whole = try #require(try await desk.get("/v1/surveys/\(ces)/results")["data"]?.array?.first)
    #expect(number(whole["score"], 5.666666666666667) && number(whole["lower"], 4.7152179574196325) && number(whole["upper"], 6.6181153759137015), "\(whole)")
    #expect(
      whole["answers"] == 12 && whole["is_small"] == true && whole["is_suppressed"] == false && whole["high"] == 8 && number(whole["top_share"], 8.0 / 12))
    let tiers = try await desk.get("/v1/surveys/\(ces)/results?by=tier")["data"]?.array ?? []
    #expect(tiers.map { $0["group_key"] } == ["top", .null] && tiers.map { $0["answers"] } == [8, 4])
    let months = try await desk.get("/v1/surveys/\(ces)/results?by=month&until=2026-04-01T00:00:00Z")["data"]?.array ?? []
    #expect(months.map { $0["group_key"] } == ["2026-03"])

    let nps = try await desk.survey("nps")
    try await desk.answers(nps, Array(repeating: 10, count: 15) + Array(repeating: 8, count: 13) + Array(repeating: 3, count: 8))
    let promoters = try #require(try await desk.get("/v1/surveys/\(nps)/results")["data"]?.array?.first)
    #expect(
      number(promoters["score"], 700.0 / 36) && number(promoters["lower"], -6.280259443326955) && number(promoters["upper"], 42.17769534076285)
        && promoters["is_small"] == false, "\(promoters)")
    // What was answered while the customer was in the segment, and not what came after.
    let code = "g\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    try await desk.admin(
      """
      WITH made AS (INSERT INTO crm.segment (code, name, kind) VALUES (\(code), 'Sadık', 'static') RETURNING id)
      INSERT INTO crm.segment_member (segment_id, customer_id, entered_at, left_at, reason, left_reason)
      SELECT made.id, r.customer_id, '2026-01-01', '2026-04-01', 'x', 'x' FROM made, crm.survey_response r
       WHERE r.survey_id = \(try #require(UUID(uuidString: nps))) LIMIT 1
      """)
    try await desk.answers(nps, [0, 0, 0, 0, 0, 0], at: "2026-04-10T09:00:00Z")
    let segments = try await desk.get("/v1/surveys/\(nps)/results?by=segment")["data"]?.array ?? []
    #expect(segments.count == 1 && segments[0]["group_key"]?.string == code && segments[0]["label"] == "Sadık" && segments[0]["answers"] == 36, "\(segments)")
    #expect(number(segments.first?["score"], 700.0 / 36))
    let csat = try await desk.survey("csat")
    try await desk.answers(csat, [5, 4, 4, 5, 5, 4, 5, 5, 3, 1])
    let content = try #require(try await desk.get("/v1/surveys/\(csat)/results")["data"]?.array?.first)
    #expect(number(content["score"], 0.8) && number(content["lower"], 0.4901624715366418) && number(content["upper"], 0.9433178485456248), "\(content)")
    let nobody = try await desk.admin("SELECT m.value::float8 FROM bi.metric_values('csat', '2026-03-01', '2026-03-31') AS m")
    #expect(abs(try nobody[0].decode(Double.self, at: 0) - 0.8) < 1e-9, "the metric is the share of 4 and 5")
    let each = try await desk.admin(
      "SELECT count(*) FROM bi.metric_values('ces', '2026-03-01', '2026-03-31') AS m WHERE m.value IS NULL AND m.numerator IS NULL AND m.facts = 4")
    #expect(try each[0].decode(Int.self, at: 0) == 1, "four answers in March are not told")
    let monthly = try await desk.admin(
      "SELECT b.score, b.lower FROM bi.survey_results b JOIN crm.survey s ON s.id = b.survey_id WHERE s.id = \(try #require(UUID(uuidString: csat)))")
    #expect(abs(try monthly[0].decode(Double.self, at: 1) - 0.4901624715366418) < 1e-9)
    #expect(try await desk.get("/v1/surveys/\(try await desk.survey("csat"))/results")["data"]?.array?.first?["answers"] == 0)
    #expect(try await desk.server.send(.get, "/v1/surveys/\(UUID())/results", as: "zeynep").status == 404)
    #expect(try await desk.server.send(.get, "/v1/surveys/\(csat)/results?by=colour", as: "zeynep").status == 400)
  }

  private func number(_ value: JSON?, _ expected: Double) -> Bool {
    guard case .number(let number)? = value else { return false }
    return abs(NSDecimalNumber(decimal: number).doubleValue - expected) < 1e-9
  }

  @Test func `a survey without an address for its links is not sent`() async throws {
    let desk = try await desk()
    let survey = try await desk.survey("csat")
    let bare = try await desk.server.send(.patch, "/v1/surveys/\(survey)", as: "zeynep", json: ["base_address": .null])
    #expect(bare.status == 422 && bare.text.contains("survey_base_address_given"), "\(bare.text)")
    let brand = try await desk.made("/v1/brands", as: "elif", ["code": .string("b\(survey.prefix(8))"), "name": "Adressiz"])
    let moved = try await desk.server.send(.patch, "/v1/surveys/\(survey)", as: "zeynep", json: ["base_address": .null, "brand_id": .string(brand)])
    #expect(moved.status == 200, "\(moved.text)")
    let invitation = try await desk.invite(survey, try await desk.customer())
    try await desk.send(at: Date().addingTimeInterval(60))
    #expect(try await desk.invitation(invitation)["skipped"] == "no_link")
    #expect(try await desk.post("/v1/surveys/\(survey)/close").status == 200)
    let refused = try await desk.post("/v1/surveys/\(survey)/activate")
    #expect(refused.problem == "survey-incomplete" && refused.text.contains("base_address"), "\(refused.text)")
    #expect(try await desk.server.send(.patch, "/v1/brands/\(brand)", as: "elif", json: ["link_base": "https://crm.example.com"]).status == 200)
    #expect(try await desk.post("/v1/surveys/\(survey)/activate").status == 200)
    let linked = try await desk.invite(survey, try await desk.customer())
    try await desk.send(at: Date().addingTimeInterval(60))
    #expect(try await desk.path(linked).hasPrefix("/s/"))
  }

  @Test func `a follow-up shows what was written to nobody who does not see the customer`() async throws {
    let desk = try await desk()
    let survey = try await desk.survey("csat", ["follow_up_at_most": 2])
    let owner = try await desk.user("ayse")
    for (visibility, readers) in [("private", ["ayse"]), ("department", ["ayse", "mehmet"]), ("company", ["ayse", "mehmet", "gul"])] {
      let customer = try await desk.made(
        "/v1/customers", as: "ayse", ["kind": "person", "name": "Gizli Müşteri", "visibility": .string(visibility), "owner_id": .string(owner)])
      _ = try await desk.made(
        "/v1/contact_points", as: "ayse", ["customer_id": .string(customer), "kind": "email", "value": .string("c\(UUID())@musteri.example")])
      // As a closed ticket leaves it: nobody of service sees a private customer.
      let invitation = UUID()
      try await desk.admin(
        """
        INSERT INTO crm.survey_invitation (customer_id, id, survey_id, event_id, department_id, owner_id, visibility)
        SELECT c.id, \(invitation), \(try #require(UUID(uuidString: survey))), \(invitation), c.department_id, c.owner_id, c.visibility FROM crm.customer c
         WHERE c.id = \(try #require(UUID(uuidString: customer)))
        """)
      try await desk.send(at: Date().addingTimeInterval(60))
      #expect(try await desk.form(try await desk.path(invitation.lowercase), "score=1&comment=Kimse+bilmesin").status == 200)
      let activity = try #require(try await desk.get("/v1/activities?customer_id=eq.\(customer)", as: "ayse")["data"]?.array?.first)
      #expect(activity["visibility"]?.string == visibility, "\(activity)")
      for person in ["ayse", "mehmet", "gul"] {
        let status = try await desk.server.send(.get, "/v1/activities/\(activity["id"]?.string ?? "")", as: person).status
        #expect((status == 200) == readers.contains(person), "\(visibility) \(person) \(status)")
      }
    }
  }

  @Test func `the answers to each question are spread over its choices, also of a form and by group`() async throws {
    let desk = try await desk()
    let form = try await desk.made(
      "/v1/surveys",
      [
        "code": .string("f\(UUID().uuidString.lowercased().filter { $0 != "-" })"), "name": "Form", "kind": "form", "title_en": "x", "title_tr": "x",
        "base_address": "https://crm.example.com", "rest_days": 0,
      ])
    let options: JSON = [
      ["code": "shop", "en": "Shop", "tr": "Dükkân"], ["code": "web", "en": "Web", "tr": "Site"], ["code": "app", "en": "App", "tr": "Uygulama"],
    ]
    for (place, question) in [("where", "choice"), ("used", "choices"), ("again", "yes_no"), ("stars", "rating"), ("why", "text")].enumerated() {
      var fields: [String: JSON] = [
        "survey_id": .string(form), "place": .number(Decimal(place + 1)), "code": .string(question.0), "kind": .string(question.1), "text_en": "x",
        "text_tr": "x",
      ]
      if question.1.hasPrefix("choice") { fields["options"] = options }
      _ = try await desk.made("/v1/survey_questions", .object(fields))
    }
    try #require(try await desk.post("/v1/surveys/\(form)/activate").status == 200)
    for number in 0..<6 {
      let invitation = try await desk.invite(form, try await desk.customer())
      try await desk.send(at: Date().addingTimeInterval(60))
      var answers: [String: JSON] = ["where": number < 4 ? "shop" : "web", "used": ["shop", "app"], "again": .bool(number != 0), "why": "Güzel"]
      if number < 4 { answers["stars"] = 5 }
      let given = try await desk.post(try await desk.path(invitation), as: nil, ["answers": .object(answers)])
      try #require(given.status == 200, "\(given.text)")
    }
    let rows = try await desk.get("/v1/surveys/\(form)/choices")["data"]?.array ?? []
    func row(_ question: String, _ choice: JSON) -> JSON? { rows.first { $0["question"]?.string == question && $0["choice"] == choice } }
    #expect(
      rows.map { $0["question"]?.string ?? "" } == Array(repeating: "where", count: 3) + Array(repeating: "used", count: 3) + ["again", "again"]
        + Array(repeating: "stars", count: 5) + ["why"])
    // Wilson's interval of 4 in 6, by statsmodels.
    let shop = row("where", "shop")
    #expect(
      shop?["chosen"] == 4 && number(shop?["share"], 4.0 / 6) && number(shop?["lower"], 0.29999331513839184) && number(shop?["upper"], 0.9032285888942195),
      "\(rows)")
    #expect(row("where", "app")?["chosen"] == 0 && row("used", "app")?["chosen"] == 6 && row("again", "false")?["chosen"] == 1)
    #expect(row("stars", "5")?["answers"] == 4 && row("stars", "5")?["is_suppressed"] == true && row("stars", "5")?["chosen"] == .null)
    #expect(row("why", .null)?["answers"] == 6 && row("why", .null)?["chosen"] == .null)
    let tiers = try await desk.get("/v1/surveys/\(form)/choices?by=tier")["data"]?.array ?? []
    #expect(tiers.count == rows.count && tiers.allSatisfy { $0["group_key"] == .null })
    #expect(try await desk.get("/v1/surveys/\(form)/choices?until=2020-01-01T00:00:00Z")["data"] == [])
    #expect(try await desk.server.send(.get, "/v1/surveys/\(UUID())/choices", as: "zeynep").status == 404)
    #expect(try await desk.server.send(.get, "/v1/surveys/\(form)/choices", as: "fatma").status == 403)
  }

  @Test func `a survey is activated only when it is complete, and keeps its questions from then on`() async throws {
    let desk = try await desk()
    let draft = try await desk.made(
      "/v1/surveys",
      ["code": .string("t\(UUID().uuidString.lowercased().filter { $0 != "-" })"), "name": "Taslak", "kind": "nps", "title_en": "x", "title_tr": "x"])
    #expect(try await desk.post("/v1/surveys/\(draft)/activate").problem == "survey-incomplete")
    #expect(try await desk.post("/v1/surveys/\(draft)/invite", ["customer_id": .string(try await desk.customer())]).problem == "survey-status")
    let active = try await desk.survey("nps")
    let question = try #require(try await desk.get("/v1/survey_questions?survey_id=eq.\(active)")["data"]?.array?.first?["id"]?.string)
    let changed = try await desk.server.send(.patch, "/v1/survey_questions/\(question)", as: "zeynep", json: ["text_en": "Other?"])
    #expect(changed.status == 422 && changed.text.contains("survey_question_draft"), "\(changed.text)")
    #expect(try await desk.server.send(.delete, "/v1/survey_questions/\(question)", as: "zeynep").status == 422)
    #expect(try await desk.post("/v1/surveys/\(active)/activate").problem == "survey-status")
    #expect(try await desk.post("/v1/surveys/\(active)/invite", ["customer_id": .string(UUID().uuidString)]).status == 422)
    #expect(try await desk.post("/v1/surveys", as: "fatma", ["code": "x"]).status == 403)
    #expect(try await desk.server.send(.get, "/v1/surveys/\(active)/results", as: "fatma").status == 403)
  }
}

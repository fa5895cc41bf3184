import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import OperationalCRM

@Suite struct ArticleTests {
  private func desk() async throws -> SurveyDesk { SurveyDesk(server: try await TestServer.suite()) }

  /// A published article; its id and the id of its version.
  private func article(
    _ desk: SurveyDesk, _ title: String, _ body: String, readers: String = "internal", language: String = "tr", slug: String? = nil
  ) async throws -> (id: String, version: String, slug: String) {
    let slug = slug ?? "a-\(UUID().uuidString.lowercased())"
    let id = try await desk.made("/v1/articles", ["slug": .string(slug), "readers": .string(readers), "category": "Genel"])
    let version = try await desk.made(
      "/v1/article_versions", ["article_id": .string(id), "language": .string(language), "title": .string(title), "body": .string(body), "summary": "Kısaca."])
    let published = try await desk.post("/v1/article_versions/\(version)/publish")
    try #require(published.status == 200, "\(published.text)")
    return (id, version, slug)
  }

  private func found(_ desk: SurveyDesk, _ words: String, language: String = "tr") async throws -> [String] {
    let query = words.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    return try await desk.get("/v1/articles/search?q=\(query)&language=\(language)")["data"]?.array?.compactMap { $0["article_id"]?.string } ?? []
  }

  @Test func `Turkish words are found by stem, by beginning and without Turkish letters, titles first`() async throws {
    let desk = SurveyDesk(server: try await TestServer.start())
    let returns = try await article(desk, "İade nasıl yapılır?", "Siparişlerinizi on dört gün içinde ücretsiz geri gönderebilirsiniz.\nIlık suda yıkanmaz.")
    let invoice = try await article(desk, "Faturam nerede?", "Faturanız e-postayla gelir; iade faturası da öyle. Şifrenizi unuttuysanız yenileyin.")
    for words in ["iade", "İADESİ", "iadeler", "iadeyi nasıl"] { #expect(try await found(desk, words).first == returns.id, "\(words)") }
    for words in ["siparişlerim", "siparis", "SİPARİŞ", "gonderiyorum", "ılık", "ILIK", "ilik", "ücretsiz gönder"] {
      #expect(try await found(desk, words) == [returns.id], "\(words)")
    }
    for words in ["fatura", "faturası", "FATURAM", "sifremi", "şifre"] { #expect(try await found(desk, words) == [invoice.id], "\(words)") }
    let place = try await article(desk, "Mağazalar", "Kapadokya'ya ve L'Oréal'e uğrayın.")
    for words in ["Kapadokya'dan", "kapadokya’daki mağaza", "L'Oréal'in"] { #expect(try await found(desk, words) == [place.id], "\(words)") }
    for words in ["kargo", "ve", "' | :*", "iade kargo", "!!"] { #expect(try await found(desk, words) == [], "\(words)") }
    #expect(try await found(desk, "iade") == [returns.id, invoice.id], "a word in the title counts more than one in the text")
    let english = try await article(desk, "Returns", "You can send orders back.", language: "en")
    #expect(try await found(desk, "ordering", language: "en") == [english.id])

    let suggested = try await desk.post(
      "/v1/articles/suggest", ["text": "Merhaba, geçen hafta aldığım ürünü iade etmek istiyorum ama siparişimi bulamadım", "limit": 3])
    let first = try suggested.json()["data"]?.array?.first
    #expect(suggested.status == 200 && first?["article_id"]?.string == returns.id && first?["title"] == "İade nasıl yapılır?", "\(suggested.text)")
    #expect(try await desk.post("/v1/articles/suggest", ["text": "!!"]).json()["data"] == [])
    #expect(try await desk.post("/v1/articles/suggest", as: "fatma", ["text": "iade"]).status == 403)
  }

  @Test func `what was published stays as it was, and a later version replaces it`() async throws {
    let desk = try await desk()
    let article = try await article(desk, "Kargo süresi", "İki gün.")
    let frozen = try await desk.server.send(.patch, "/v1/article_versions/\(article.version)", as: "zeynep", json: ["body": "Üç gün."])
    #expect(frozen.status == 422 && frozen.text.contains("article_version_state_draft"), "\(frozen.text)")
    let version = try #require(UUID(uuidString: article.version))
    await #expect(throws: (any Error).self) { try await desk.admin("UPDATE crm.article_version SET body = 'x' WHERE id = \(version)") }
    let second = try await desk.made("/v1/article_versions", ["article_id": .string(article.id), "title": "Kargo süresi", "body": "Üç gün."])
    #expect(try await desk.get("/v1/article_versions/\(second)")["number"] == 2)
    #expect(try await desk.server.send(.patch, "/v1/article_versions/\(second)", as: "zeynep", json: ["body": "Dört gün."]).status == 200)
    #expect(try await desk.post("/v1/article_versions/\(second)/publish").status == 200)
    let states = try await desk.get("/v1/article_versions?article_id=eq.\(article.id)&order=number")["data"]?.array?.map { $0["state"] }
    #expect(states == ["replaced", "published"])
    #expect(try await desk.post("/v1/article_versions/\(second)/publish").problem == "article-state")
    #expect(try await desk.post("/v1/article_versions/\(article.version)/withdraw").problem == "article-state")
    #expect(try await desk.post("/v1/article_versions/\(second)/withdraw").status == 200)
    #expect(try await desk.get("/v1/articles/\(article.id)")["review_on"]?.string != nil)
    #expect(try await desk.post("/v1/articles/\(article.id)/review").status == 200)
    #expect(try await desk.post("/v1/articles/\(UUID())/archive").status == 404)
    #expect(try await desk.post("/v1/articles", as: "ayse", ["slug": "x"]).status == 403)
    #expect(try await desk.post("/v1/articles", ["slug": "Büyük Harf"]).status == 422)
  }

  @Test func `everyone reads what is public, customers what is for them, and only colleagues the rest`() async throws {
    let desk = SurveyDesk(server: try await TestServer.start())
    let open = try await article(desk, "Çalışma saatleri", "# Hafta içi\n- 09–18\n- <b>Pazar</b> kapalı\n\nBekleriz.", readers: "public", slug: "saatler")
    let customers = try await article(desk, "Çalışma planı", "Müşterilere çalışma planı.", readers: "customers", slug: "plan")
    let inside = try await article(desk, "Çalışma talimatı", "İç çalışma talimatı.", slug: "talimat")
    #expect(Set(try await found(desk, "çalışma")) == [open.id, customers.id, inside.id])

    let list = try await desk.server.send(.get, "/kb", as: nil)
    #expect(
      list.status == 200 && list.text.contains("/kb/saatler?lang=tr") && !list.text.contains("/kb/plan") && !list.text.contains("talimat"), "\(list.text)")
    let search = try await desk.server.send(.get, "/kb?q=%C3%A7al%C4%B1%C5%9Fma", as: nil)
    #expect(search.text.contains("/kb/saatler") && !search.text.contains("/kb/plan") && !search.text.contains("/kb/talimat"))
    let page = try await desk.server.send(.get, "/kb/saatler", as: nil)
    for part in [
      "<html lang=\"tr\">", "<h1>Çalışma saatleri</h1>", "<h2>Hafta içi</h2>", "<li>09–18</li>", "&lt;b&gt;Pazar", "<p>Bekleriz.</p>",
      "<legend>Bu yardımcı oldu mu?",
    ] {
      #expect(page.text.contains(part), "\(part) is not in \(page.text)")
    }
    #expect(!page.text.contains("noindex"))
    #expect(try await desk.server.send(.get, "/kb/plan", as: nil).status == 404)
    #expect(try await desk.server.send(.get, "/kb/talimat", as: nil, headers: ["accept-language": "en"]).text.contains("There is no such article"))

    #expect(try await desk.form("/kb/saatler/feedback", "comment=x").status == 422)
    #expect(try await desk.form("/kb/saatler/feedback", "helpful=no&comment=Cumartesi%3F").status == 200)
    #expect(try await desk.form("/kb/saatler/feedback", "helpful=yes").status == 200, "once a day; what comes after changes nothing")
    let disguised = try await desk.server.send(
      .post, "/kb/saatler/feedback", as: nil, body: Array("helpful=yes".utf8),
      headers: ["content-type": "application/x-www-form-urlencoded", "user-agent": "another/1.0"])
    #expect(disguised.status == 200, "another browser at the same address is the same visitor")
    #expect(try await desk.form("/kb/plan/feedback", "helpful=yes").status == 404)
    let feedback = try await desk.get("/v1/article_feedback?article_id=eq.\(open.id)")["data"]?.array ?? []
    #expect(feedback.map { [$0["helpful"], $0["comment"], $0["via"]] } == [[false, "Cumartesi?", "public"]])
    #expect(try await desk.post("/v1/article_versions/\(inside.version)/feedback", ["helpful": true]).status == 201)
    #expect(try await desk.post("/v1/article_versions/\(inside.version)/feedback", ["helpful": true]).status == 409)
    #expect(try await desk.post("/v1/article_versions/\(inside.version)/feedback", [:]).status == 422)

    let invitation = try await desk.post("/v1/customers/\(try await desk.customer())/portal_invitations").json()["invitation"] ?? .null
    let token = try #require(try await desk.post("/v1/portal/sessions", as: nil, ["invitation": invitation]).json()["token"]?.string)
    func portal(_ path: String) async throws -> TestServer.Answer {
      try await desk.server.send(.get, path, as: nil, headers: ["authorization": "Bearer \(token)"])
    }
    #expect(Set(try await portal("/v1/portal/articles").json()["data"]?.array?.compactMap { $0["slug"]?.string } ?? []) == ["saatler", "plan"])
    #expect(Set(try await portal("/v1/portal/articles?q=calisma").json()["data"]?.array?.compactMap { $0["slug"]?.string } ?? []) == ["saatler", "plan"])
    #expect(try await portal("/v1/portal/articles/plan").json()["data"]?.array?.first?["body"] == "Müşterilere çalışma planı.")
    #expect(try await portal("/v1/portal/articles/talimat").status == 404)

    #expect(try await desk.post("/v1/articles/\(open.id)/archive").status == 200)
    #expect(try await desk.server.send(.get, "/kb/saatler", as: nil).status == 404)
    #expect(try await portal("/v1/portal/articles/saatler").status == 404)
    #expect(try await desk.post("/v1/articles/\(open.id)/restore").status == 200)
    #expect(try await desk.server.send(.get, "/kb/saatler", as: nil).status == 200)

    let month = try await desk.admin("SELECT b.helpful, b.answers FROM bi.article_helpfulness b WHERE b.slug = 'saatler'")
    #expect(try month[0].decode(Int.self, "helpful") == 0 && month[0].decode(Int.self, "answers") == 1)
  }
}

@Suite struct CannedAnswerTests {
  @Test func `an answer is filled in from the ticket, and what is not known is named`() async throws {
    let desk = SurveyDesk(server: try await TestServer.suite())
    let customer = try await desk.customer("Çiğdem {{today}}")
    let ticket = try await desk.made("/v1/tickets", ["customer_id": .string(customer), "subject": "Kargo"])
    let code = "c\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    let answer = try await desk.made(
      "/v1/canned_answers",
      [
        "code": .string(code), "title": "Gecikme özrü",
        "body": "Merhaba {{customer.name}}, {{ticket.number}} için {{ order.number }} bekliyoruz. {{agent.name}}",
      ])
    let number = try #require(try await desk.get("/v1/tickets/\(ticket)")["number"]?.string)
    let filled = try await desk.post("/v1/canned_answers/\(answer)/fill", ["ticket_id": .string(ticket)])
    #expect(
      try filled.json() == [
        "text": .string("Merhaba Çiğdem {{today}}, \(number) için {{ order.number }} bekliyoruz. Zeynep Çelik"), "missing": ["order.number"],
      ], "\(filled.text)")
    #expect(try await desk.post("/v1/canned_answers/\(answer)/fill").json()["missing"] == ["customer.name", "ticket.number", "order.number"])
    #expect(try await desk.post("/v1/canned_answers/\(UUID())/fill").status == 404)
    let wrong = try await desk.post("/v1/canned_answers", ["code": "x", "title": "x", "body": "{{customer.tax_number}}"])
    #expect(wrong.status == 422 && wrong.text.contains("canned_answer_body_placeholders"), "\(wrong.text)")
    #expect(try await desk.post("/v1/canned_answers", as: "ayse", ["code": "x", "title": "x", "body": "x"]).status == 403)

    let usable = try await desk.get("/v1/canned_answers/usable?q=\(code.prefix(8))")["data"]?.array ?? []
    #expect(usable.map { $0["id"]?.string } == [answer])
    let row = try await desk.admin(
      "INSERT INTO crm.team (code, name, department_id) SELECT 'tc' || substr(md5(random()::text), 1, 8), 'Takım', d.id FROM crm.department d WHERE d.code = 'service' RETURNING id"
    )[0]
    let team = try row.decode(UUID.self, at: 0).lowercase
    #expect(try await desk.server.send(.patch, "/v1/canned_answers/\(answer)", as: "zeynep", json: ["team_id": .string(team)]).status == 200)
    #expect(try await desk.get("/v1/canned_answers/usable?q=\(code.prefix(8))")["data"] == [], "another team's")
    #expect(try await desk.post("/v1/canned_answers/\(answer)/fill", ["ticket_id": .string(ticket)]).status == 403)
    let ticketID = try #require(UUID(uuidString: ticket))
    try await desk.admin("UPDATE crm.ticket SET team_id = \(try row.decode(UUID.self, at: 0)) WHERE id = \(ticketID)")
    #expect(try await desk.post("/v1/canned_answers/\(answer)/fill", ["ticket_id": .string(ticket)]).status == 200, "for its tickets")
    #expect(try await desk.server.send(.patch, "/v1/canned_answers/\(answer)", as: "zeynep", json: ["active": false]).status == 200)
    #expect(try await desk.post("/v1/canned_answers/\(answer)/fill", ["ticket_id": .string(ticket)]).problem == "canned-answer-inactive")
  }

  @Test func `places are filled once and values are not looked through`() {
    let filled = CannedText("{{a}} {{customer.name}} {{ customer.name }} {{x").filled(with: ["customer.name": "{{today}}", "today": "1"])
    #expect(filled.text == "{{a}} {{today}} {{today}} {{x" && filled.missing == ["a"])
  }

  @Test func `the program fills in exactly what the database allows`() async throws {
    let row = try await TestDatabase.suite().admin.execute(["SELECT crm.placeholders()"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
    #expect(try row.decode([String].self, at: 0) == CannedText.placeholders)
  }
}

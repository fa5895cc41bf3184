import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct PublicQuoteTests {
  private func form(_ desk: QuoteDesk, _ path: String, _ fields: String, _ language: String = "tr") async throws -> TestServer.Answer {
    try await desk.server.send(
      .post, path, as: nil, body: Array(fields.utf8),
      headers: ["content-type": "application/x-www-form-urlencoded", "accept-language": language, "user-agent": "Deneme/1.0"])
  }

  @Test func `the page shows the quote in the customer's language, or in the one asked for`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(
      discount: "5", customer: try await desk.customer("Çiğdem & <Oğulları>"), ["valid_until": "2099-11-21", "terms": "Peşin\nDepo teslim"])
    let path = try await desk.sent(id)
    #expect(path.wholeMatch(of: /\/q\/[A-Za-z0-9_-]{43}/) != nil)
    let page = try await desk.server.send(.get, path, as: nil)
    #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8" && page.headers["content-language"] == "tr")
    #expect(page.headers["content-security-policy"]?.hasPrefix("default-src 'none'; style-src 'sha256-") == true)
    #expect(page.headers["cache-control"] == "no-store" && page.headers["referrer-policy"] == "no-referrer")
    for part in [
      "<html lang=\"tr\">", "<h1>Teklif Q-", "<caption>Teklif kalemleri</caption>", "<th scope=\"col\">Birim fiyat</th>", "Çiğdem &amp; &lt;Oğulları&gt;",
      "<dd>21.11.2099</dd>", "10 kilogram", "100,00\u{a0}₺", "950,00\u{a0}₺", "%20", "1.640,99\u{a0}₺", "<p>Depo teslim</p>",
      "<label for=\"accept-name\">", "action=\"\(path)/accept\"",
    ] {
      #expect(page.text.contains(part), "\(part) is not in \(page.text)")
    }
    #expect(!page.text.contains("<script") && !page.text.contains("<Oğulları>"))
    let english = try await desk.server.send(.get, path, as: nil, headers: ["accept-language": "en-GB,tr;q=0.5"])
    for part in ["<html lang=\"en\">", "<h1>Quote Q-", "21 November 2099", "₺1,640.99", "Accept this quote"] {
      #expect(english.text.contains(part), "\(part) is not in \(english.text)")
    }
    #expect(try await desk.server.send(.head, path, as: nil).status == 200)
  }

  @Test func `an address with no quote behind it is told in a page`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let unknown = try await desk.server.send(.get, "/q/\(String(repeating: "A", count: 43))", as: nil, headers: ["accept-language": "tr"])
    #expect(unknown.status == 404 && unknown.text.contains("Bu bağlantı geçerli değil") && unknown.text.contains("lang=\"tr\""))
    #expect(try await form(desk, "/q/nothing/accept", "name=A").status == 404)
    #expect(try await desk.post("/q/nothing/accept", as: nil, ["name": "A"]).problem == "unknown-link")
    #expect(try await desk.server.send(.get, "/q/nothing.pdf", as: nil).status == 404)
  }

  @Test func `a customer accepts by the form, once, and everything about it is recorded`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let path = try await desk.sent(id)
    let unnamed = try await form(desk, "\(path)/accept", "name=+")
    #expect(unnamed.status == 422 && unnamed.text.contains("role=\"alert\"") && unnamed.text.contains("Adınızı ve soyadınızı yazın"), "\(unnamed.text)")
    let accepted = try await form(desk, "\(path)/accept", "name=%C3%96zge+%C3%87elik")
    #expect(accepted.status == 200 && accepted.text.contains("Özge Çelik tarafından") && !accepted.text.contains("<form"), "\(accepted.text)")
    let quote = try await desk.quote(id, expand: "answers")
    let answer = quote["answers"]?.array?.first
    #expect(quote["status"] == "accepted" && quote["answered_at"]?.string != nil)
    #expect(answer?["answer"] == "accepted" && answer?["name"] == "Özge Çelik" && answer?["via"] == "link")
    #expect(answer?["remote_address"] == "127.0.0.1" && answer?["user_agent"] == "Deneme/1.0")
    #expect(try await form(desk, "\(path)/accept", "name=Ba%C5%9Fkas%C4%B1").status == 200)
    let declined = try await form(desk, "\(path)/decline", "name=A&reason=vazge%C3%A7tik")
    #expect(declined.status == 409 && declined.text.contains("kabul edildi"), "\(declined.text)")
    #expect(try await desk.quote(id, expand: "answers")["answers"]?.array?.count == 1)
    #expect(try await desk.server.send(.get, path, as: nil).text.contains("Özge Çelik"))
    #expect(try await desk.server.send(.get, "\(path).pdf", as: nil).status == 200)
  }

  @Test func `a program accepts or declines with JSON`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let path = try await desk.sent(id)
    #expect(try await desk.post("\(path)/decline", as: nil, ["reason": "pahalı"]).status == 422)
    let declined = try await desk.post("\(path)/decline", as: nil, ["name": "Satın alma", "reason": "pahalı"])
    #expect(try declined.status == 200 && declined.json() == ["status": "declined"], "\(declined.text)")
    #expect(try await desk.post("\(path)/accept", as: nil, ["name": "Satın alma"]).problem == "quote-status")
    #expect(try await desk.quote(id, expand: "answers")["answers"]?.array?.first?["reason"] == "pahalı")
    let typed = try await desk.server.send(.post, "\(path)/accept", as: nil, body: Array("name=A".utf8), headers: ["content-type": "text/plain"])
    #expect(typed.status == 415)
  }

  @Test func `a new link ends the one before`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let first = try await desk.sent(id)
    let second = try await desk.sent(id)
    #expect(first != second)
    #expect(try await desk.server.send(.get, first, as: nil).status == 404)
    #expect(try await desk.server.send(.get, second, as: nil).status == 200)
  }

  @Test func `an expired quote says so and is not accepted, before and after the job has come by`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    // A quote sent in the past cannot be made over the API: time is turned back behind it, with the seal as it would have been.
    let id = try #require(UUID(uuidString: try await desk.draft()))
    try await desk.behind("UPDATE crm.quote SET valid_until = '2020-01-31' WHERE id = \(id)")
    try await desk.behind(
      """
      INSERT INTO crm.quote_seal (customer_id, quote_id, digest)
      SELECT customer_id, id, crm.quote_digest(number, revision, currency, valid_until, terms, net_amount, vat_amount, line_count)
        FROM crm.quote WHERE id = \(id)
      """)
    let token = String(repeating: "t", count: 43)
    try await desk.behind("UPDATE crm.quote SET status = 'sent', sent_at = now(), link_hash = sha256(\(token)::bytea) WHERE id = \(id)")
    for round in 1...2 {
      let page = try await desk.server.send(.get, "/q/\(token)", as: nil)
      #expect(page.status == 410 && page.text.contains("31.01.2020"), "\(page.text)")
      #expect(try await form(desk, "/q/\(token)/accept", "name=A").status == 410)
      #expect(try await desk.post("/q/\(token)/accept", as: nil, ["name": "A"]).status == 409)
      #expect(try await desk.post("/v1/quotes/\(id.lowercase)/accept", ["name": "A"]).status == 409)
      if round == 1 {
        try await desk.expireQuotes()
        #expect(try await desk.quote(id.lowercase)["status"] == "expired")
      }
    }
    #expect(try await desk.post("/v1/quotes/\(id.lowercase)/revise", [:]).status == 201)
  }

  @Test func `a colleague answers on the customer's behalf`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let opportunity = try desk.id(try await desk.post("/v1/opportunities", as: "ayse", ["customer_id": .string(customer), "name": "Bahar alımı"]))
    let id = try await desk.draft(customer: customer, ["opportunity_id": .string(opportunity)])
    #expect(try await desk.post("/v1/quotes/\(id)/accept", ["name": "A"]).problem == "quote-status")
    _ = try await desk.sent(id)
    #expect(try await desk.post("/v1/quotes/\(id)/accept", [:]).status == 422)
    #expect(try await desk.post("/v1/quotes/\(id)/accept", as: "zeynep", ["name": "A"]).status == 403)
    // Gül sees the quotes of the whole company and changes those of her own department.
    #expect(try await desk.post("/v1/quotes/\(id)/accept", as: "gul", ["name": "A"]).status == 403)
    let accepted = try await desk.post("/v1/quotes/\(id)/accept", ["name": "Ömer Bey", "reason": "telefonda"])
    #expect(try accepted.status == 200 && accepted.json()["status"] == "accepted", "\(accepted.text)")
    #expect(try accepted.json()["answers"]?.array?.first?["via"] == "colleague")
    #expect(try await desk.post("/v1/quotes/\(id)/accept", ["name": "Ömer Bey"]).status == 200)
    #expect(try await desk.post("/v1/quotes/\(id)/decline", ["name": "Ömer Bey"]).problem == "quote-status")
    let won = try await desk.server.send(.get, "/v1/opportunities/\(opportunity)", as: "ayse").json()
    #expect(won["status"] == "won")

    let other = try await desk.draft()
    _ = try await desk.sent(other)
    #expect(try await desk.post("/v1/quotes/\(other)/decline", ["name": "Ömer Bey"]).status == 200)
    #expect(try await desk.post("/v1/quotes/\(other)/decline", ["name": "Ömer Bey"]).status == 200)
    #expect(try await desk.post("/v1/quotes/\(UUID().uuidString)/decline", ["name": "A"]).status == 404)
  }

  @Test func `64 customers at once accept one quote once`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft()
    let path = try await desk.sent(id)
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<64 {
        group.addTask {
          if number % 4 == 0 { return try await desk.post("/v1/quotes/\(id)/accept", as: "ayse", ["name": "A"]).status }
          return try await desk.post("\(path)/\(number % 4 == 1 ? "decline" : "accept")", as: nil, ["name": .string("Müşteri \(number)")]).status
        }
      }
      return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
    }
    #expect(statuses.keys.allSatisfy { [200, 409].contains($0) }, "\(statuses)")
    let quote = try await desk.quote(id, expand: "answers")
    #expect(quote["answers"]?.array?.count == 1 && quote["answers"]?.array?.first?["answer"] == quote["status"])
    #expect(statuses[200] == (quote["status"] == "accepted" ? 48 : 16), "\(statuses) \(quote["status"]?.string ?? "")")
  }
}

import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Duplicates")
struct DuplicateTests {
  private func customer(_ sales: SalesFixture, _ name: String, _ fields: [String: JSON] = [:]) async throws -> JSON {
    try await sales.done(.post, "/v1/customers", json: .object(["kind": "organisation", "name": .string(name)].merging(fields) { $1 }))
  }

  private func candidates(_ answer: JSON) -> [JSON] { answer["data"]?.array ?? [] }

  @Test("the four letters i find the same customer", arguments: ["ISPARTA", "ısparta", "İSPARTA", "isparta"])
  func turkishLetters(spelling: String) async throws {
    let sales = try await SalesFixture.suite()
    let name = "\(spelling) Halıcılık \(UUID().uuidString.prefix(8))"
    let made = try await customer(sales, name)
    for other in ["ISPARTA", "ısparta", "İSPARTA", "isparta"] {
      let text = name.replacing(spelling, with: other).lowercased().addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
      let found = try await sales.get("/v1/customers?search=\(text)")
      #expect(candidates(found).map(\.id) == [made.id], "\(other)")
    }
  }

  @Test("two customers that differ only in İ and ı are offered as duplicates of each other")
  func dotted() async throws {
    let sales = try await SalesFixture.suite()
    let dotted = try await customer(sales, "KİLİM İPLİK")
    let dotless = try await customer(sales, "KILIM IPLIK")
    for (one, other) in [(dotted, dotless), (dotless, dotted)] {
      let found = candidates(try await sales.get("/v1/customers/\(one.id)/duplicates"))
      let candidate = try #require(found.first { $0.id == other.id }, "\(found)")
      #expect(candidate["explanation"] == "The same name." && candidate["rules"] == ["name"] && candidate["similarity"] == 1)
    }
  }

  @Test("each kind of likeness adds to the score and is explained in the reader's language")
  func reasons() async throws {
    let sales = try await SalesFixture.suite()
    let known = try await customer(sales, "Menteşe Zeytinyağı A.Ş.", ["tax_number": "1234567890"])
    for (kind, value) in [("phone", "+902522141414"), ("email", "bilgi@mentese.example")] {
      _ = try await sales.done(
        .post, "/v1/contact_points", json: ["customer_id": .string(known.id), "kind": .string(kind), "value": .string(value)])
    }
    func check(_ fields: JSON, language: String = "en") async throws -> JSON? {
      let answer = try await sales.send(.post, "/v1/duplicates/check", json: fields, headers: ["accept-language": language])
      try #require(answer.status == 200, "\(answer.text)")
      return candidates(try answer.json()).first { $0.id == known.id }
    }
    func score(_ candidate: JSON?) -> Decimal { if case .number(let score)? = candidate?["score"] { score } else { 0 } }

    let typo = try await check(["company_name": "Menteşe Zeytinyaği Ticaret Ltd Şti"])
    #expect(typo?["explanation"] == "The same name.", "\(typo ?? .null)")
    let alike = try await check(["company_name": "Menteşe Zeytinyağlı"], language: "tr")
    #expect(alike?["explanation"]?.string?.hasPrefix("Benzer bir ad (%") == true, "\(alike ?? .null)")
    let phone = try await check(["phones": ["0252 214 14 14"]])
    #expect(phone?["rules"] == ["phone"] && score(phone) == 0.7)
    let email = try await check(["emails": ["BİLGİ@mentese.example"]])
    #expect(email?["rules"] == ["email"] && score(email) == 0.8)
    let both = try await check(["emails": ["bilgi@mentese.example"], "phones": ["+90 252 214 14 14"], "name": "Menteşe Zeytinyağı"])
    #expect(score(both) > score(email) && both?["rules"] == ["email", "name", "phone"], "\(both ?? .null)")
    let number = try await check(["tax_number": "1234567890"], language: "tr")
    #expect(score(number) == 1 && number?["explanation"] == "Aynı vergi ya da kimlik numarası.")
    let other = try await check(["company_name": "Menteşe Zeytinyağı", "tax_number": "10000000146"])
    #expect(other?["rules"] == ["name", "other_identifier"] && score(other) == 0.4, "\(other ?? .null)")
  }

  @Test("contacts and leads have duplicates too; namesakes at one customer weigh more")
  func contactsAndLeads() async throws {
    let sales = try await SalesFixture.suite()
    let here = try await customer(sales, "Namazgâh Kitabevi")
    let there = try await customer(sales, "Rüstempaşa Baharat")
    var people: [JSON] = []
    for place in [here, here, there] {
      people.append(try await sales.done(.post, "/v1/contacts", json: ["customer_id": .string(place.id), "name": "Cavidan Iğdırlı"]))
    }
    let found = candidates(try await sales.get("/v1/contacts/\(people[0].id)/duplicates"))
    #expect(found.map(\.id) == [people[1].id, people[2].id], "\(found)")
    let lead = try await sales.done(.post, "/v1/leads", json: ["company_name": "Fethiye Yatçılık"])
    let twin = try await sales.done(.post, "/v1/leads", json: ["company_name": "FETHİYE YATÇILIK A.Ş.", "force_duplicate": true])
    #expect(candidates(try await sales.get("/v1/leads/\(lead.id)/duplicates")).map(\.id) == [twin.id])
    let narrowed = try await sales.done(.post, "/v1/duplicates/check", json: ["name": "Fethiye Yatçılık", "resources": ["customers"]])
    #expect(candidates(narrowed).isEmpty, "\(narrowed)")
  }

  @Test("nobody is told of a record they may not read")
  func hidden() async throws {
    let sales = try await SalesFixture.suite()
    let secret = try await customer(sales, "Örtülü Ödenek Vakfı", ["visibility": "private", "tax_number": "10000000146"])
    let asked: JSON = ["company_name": "Örtülü Ödenek Vakfı", "tax_number": "10000000146"]
    #expect(candidates(try await sales.done(.post, "/v1/duplicates/check", json: asked)).map(\.id).contains(secret.id))
    #expect(try candidates(await sales.done(.post, "/v1/duplicates/check", as: "gul", json: asked)).map(\.id).contains(secret.id) == false)
    #expect(try await sales.send(.get, "/v1/customers/\(secret.id)/duplicates", as: "gul").status == 404)
    #expect(try await sales.send(.get, "/v1/customers/17/duplicates").status == 404)
    #expect(try await sales.send(.post, "/v1/duplicates/check", as: "emre", json: asked).status == 403)
  }

  @Test("a check needs something to compare, and known fields")
  func mistakes() async throws {
    let sales = try await SalesFixture.suite()
    #expect(try await sales.send(.post, "/v1/duplicates/check", json: [:]).status == 422)
    #expect(try await sales.send(.post, "/v1/duplicates/check", json: ["name": "x", "resources": ["orders"]]).status == 422)
    #expect(try await sales.send(.post, "/v1/duplicates/check", json: ["nam": "x"]).status == 422)
    #expect(try await sales.send(.get, "/v1/customers/\(sales.customer)/duplicates?limit=1000").status == 400)
  }
}

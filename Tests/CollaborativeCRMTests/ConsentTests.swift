import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Synchronization
import Testing

/// A customer of the suite with an e-mail address and a number of its own.
struct Person {
  let id: String
  let email, phone: String

  private static let made = Atomic(1_000_000)

  static func make(_ api: TestAPI, kind: String = "person", taxNumber: String? = nil) async throws -> Person {
    let number = made.add(1, ordering: .relaxed).newValue
    var body: [String: JSON] = ["kind": .string(kind), "name": "Zeliha Öz"]
    if let taxNumber { body["tax_number"] = .string(taxNumber) }
    let made = try await api.send(.post, "/v1/customers", as: "deniz", json: .object(body))
    let id = try #require(try made.json()["id"]?.string, "\(made.text)")
    let person = Person(id: id, email: "kisi\(number)@ornek.example", phone: "+90532\(number)")
    for (kind, value) in [("email", person.email), ("phone", person.phone)] {
      let point = try await api.send(.post, "/v1/contact_points", json: ["customer_id": .string(id), "kind": .string(kind), "value": .string(value)])
      try #require(point.status == 201, "\(point.text)")
    }
    return person
  }

  func says(_ status: String, _ api: TestAPI, channel: String = "email", _ more: [String: JSON] = [:]) async throws -> TestAPI.Answer {
    let body: [String: JSON] = [
      "customer_id": .string(id), "channel": .string(channel), "address": .string(channel == "email" ? email : phone), "status": .string(status),
      "source": "HS_CAGRI_MERKEZI",
    ]
    return try await api.send(.post, "/v1/consent_events", json: .object(body.merging(more) { $1 }))
  }

  /// - Returns: queued, or the reason why not.
  func gets(_ legalClass: String, _ api: TestAPI, _ more: [String: JSON] = [:]) async throws -> String {
    let body: [String: JSON] = ["customer_id": .string(id), "legal_class": .string(legalClass), "body_text": "Merhaba"]
    let answer = try await api.send(.post, "/v1/outbound_messages", json: .object(body.merging(more) { $1 }))
    try #require(answer.status == 200, "\(answer.text)")
    let json = try answer.json()
    return json["reason"]?.string ?? json["state"]?.string ?? "?"
  }
}

@Suite("Consent")
struct ConsentTests {
  @Test func `a commercial message goes only where somebody allowed it, and a refusal is recorded with its reason`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    #expect(try await person.gets("commercial", api) == "no_consent")
    #expect(try await person.gets("transactional", api) == "queued")
    #expect(try await person.says("ONAY", api).status == 201)
    #expect(try await person.gets("commercial", api) == "queued")
    #expect(try await person.gets("commercial", api, ["purpose": "newsletter"]) == "no_consent")
    #expect(try await person.gets("commercial", api, ["channel": "sms"]) == "no_consent")
    #expect(try await person.says("RET", api).status == 201)
    #expect(try await person.gets("commercial", api) == "refused")
    let refusals = try await api.send(.get, "/v1/message_refusals", ["customer_id": "eq.\(person.id)", "order": "refused_at"]).rows()
    #expect(refusals.map { $0["reason"]?.string } == ["no_consent", "no_consent", "no_consent", "refused"])
    #expect(refusals.allSatisfy { $0["stage"] == "queueing" })
  }

  @Test func `an address is compared as people write it`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    #expect(try await person.says("ONAY", api, channel: "sms", ["address": .string("0\(person.phone.dropFirst(3))")]).status == 201)
    #expect(try await person.gets("commercial", api, ["channel": "sms"]) == "queued")
    #expect(try await person.says("ONAY", api, ["address": .string(" \(person.email.uppercased()) ")]).status == 201)
    #expect(try await person.gets("commercial", api) == "queued")
    let wrong = try await person.says("ONAY", api, ["address": "yok"])
    #expect(wrong.status == 422 && wrong.text.contains("consent_event_address_valid"), "\(wrong.text)")
  }

  @Test func `how consent stood at an instant is known, and what was known then`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    for (status, at) in [("ONAY", "2026-01-01T10:00:00Z"), ("RET", "2026-03-01T10:00:00Z"), ("ONAY", "2026-02-01T10:00:00Z")] {
      #expect(try await person.says(status, api, ["consented_at": .string(at)]).status == 201)
    }
    func standing(_ query: KeyValuePairs<String, String>) async throws -> JSON? {
      try await api.send(.get, "/v1/customers/\(person.id)/consents", query).rows()
        .first { $0["channel"] == "email" && $0["purpose"] == "marketing" }?["status"]
    }
    #expect(try await standing(["at": "2025-12-31T00:00:00Z"]) == .null)
    #expect(try await standing(["at": "2026-01-15T00:00:00Z"]) == "ONAY")
    #expect(try await standing(["at": "2026-03-01T10:00:00Z"]) == "RET")
    #expect(try await standing([:]) == "RET")
    #expect(try await standing(["known_at": "2026-04-01T00:00:00Z"]) == .null)
    #expect(try await api.send(.get, "/v1/customers/\(UUID.v7().lowercase)/consents").status == 404)
  }

  @Test func `of two at one instant the refusal counts`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    for status in ["RET", "ONAY"] { #expect(try await person.says(status, api, ["consented_at": "2026-05-01T10:00:00Z"]).status == 201) }
    #expect(try await person.gets("commercial", api) == "refused")
    #expect(try await person.says("ONAY", api, ["consented_at": "2026-05-01T10:00:01Z"]).status == 201)
    #expect(try await person.gets("commercial", api) == "queued")
  }

  @Test func `a consent ends when it was given for a time, and is neither older nor younger than it can be`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let ended = try await person.says("ONAY", api, ["consented_at": "2026-01-01T00:00:00Z", "valid_until": "2026-06-01T00:00:00Z"])
    #expect(ended.status == 201, "\(ended.text)")
    #expect(try await person.gets("commercial", api) == "consent_ended")
    let ahead = try await person.says("ONAY", api, ["consented_at": "2125-01-01T00:00:00Z"])
    #expect(ahead.status == 422 && ahead.fieldErrors.contains { $0.hasSuffix("consent_event_consented_at_past") }, "\(ahead.text)")
    let registry = try await person.says("ONAY", api, ["source": "IYS_WEB"])
    #expect(registry.status == 422 && registry.fieldErrors.contains { $0.hasSuffix("consent_event_source_known") }, "\(registry.text)")
  }

  @Test func `a consent is the person's who gave it, a refusal holds for everybody at the address`() async throws {
    let api = try await TestAPI.suite()
    let (one, other) = (try await Person.make(api), try await Person.make(api))
    #expect(try await one.says("ONAY", api).status == 201)
    #expect(try await other.gets("commercial", api, ["address": .string(one.email)]) == "no_consent")
    #expect(try await other.says("RET", api, ["address": .string(one.email)]).status == 201)
    #expect(try await one.gets("commercial", api) == "refused")
  }

  @Test func `a merchant is written to until it refuses`() async throws {
    let api = try await TestAPI.suite()
    let merchant = try await Person.make(api, kind: "organisation", taxNumber: "0830166136")
    #expect(try await merchant.gets("commercial", api) == "queued")
    #expect(try await merchant.says("RET", api, ["recipient_type": "TACIR"]).status == 201)
    #expect(try await merchant.gets("commercial", api) == "refused")
    let club = try await Person.make(api, kind: "organisation")
    #expect(try await club.gets("commercial", api) == "no_consent")
  }

  @Test func `the suppression list wins over every consent, and survives the person's erasure`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    #expect(try await person.says("ONAY", api).status == 201)
    let entry = try await api.send(.post, "/v1/suppressions", json: ["channel": "email", "address": .string(person.email), "reason": "complaint"])
    #expect(entry.status == 201 && !entry.text.contains(person.email) && !entry.text.contains("address_token"), "\(entry.text)")
    #expect(try await person.gets("commercial", api) == "suppressed")
    #expect(try await person.gets("transactional", api) == "queued")
    let id = try #require(try entry.json()["id"]?.string)
    #expect(try await api.send(.post, "/v1/suppressions/\(id)/lift", json: ["reason": "Yanlışlıkla"]).status == 200)
    #expect(try await api.send(.post, "/v1/suppressions/\(id)/lift", json: ["reason": "Yanlışlıkla"]).problem == "already-lifted")
    #expect(try await person.gets("commercial", api) == "queued")

    let handle = "@z\(person.phone.dropFirst())"
    let point = try await api.send(.post, "/v1/contact_points", json: ["customer_id": .string(person.id), "kind": "social", "value": .string(handle)])
    #expect(point.status == 201, "\(point.text)")
    let forgotten = try await api.database.worker.execute(
      ["SELECT crm.forget_consents(\(try #require(UUID(uuidString: person.id))))"],
      context: Caller.system("erasure").context(writing: Set(Area.allCases), request: nil),
      deadline: .after(.seconds(60)))
    #expect(try forgotten[0][0].decode(Int.self, at: 0) == 1)
    // An address of which nothing was ever said is suppressed as well.
    #expect(try await api.behind("SELECT crm.is_suppressed('social', \(handle)) AS suppressed")[0].decode(Bool.self, at: 0))
    // Somebody imports the same address again, as a new customer with a consent.
    let again = try await Person.make(api)
    #expect(try await again.says("ONAY", api, ["address": .string(person.email)]).status == 201)
    #expect(try await again.gets("commercial", api, ["address": .string(person.email)]) == "suppressed")
    let events = try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(person.id)"])
    #expect(try events.rows().count == 1 && !events.text.contains(person.email), "\(events.text)")
    let erased = try await api.behind("SELECT id FROM crm.suppression WHERE reason = 'erased' ORDER BY id DESC LIMIT 1")[0].decode(UUID.self, "id")
    #expect(try await api.send(.post, "/v1/suppressions/\(erased.lowercase)/lift", json: ["reason": "x"]).problem == "erased")
  }

  @Test func `colleagues take down consent for the customers they may change, and nobody changes what was said`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let made = try await person.says("ONAY", api)
    let id = try #require(try made.json()["id"]?.string)
    #expect(try await api.send(.get, "/v1/consent_events/\(id)").status == 200)
    await #expect(throws: PostgresError.self) { try await api.behind("UPDATE crm.consent_event SET status = 'RET' WHERE id = \(UUID(uuidString: id))") }
    await #expect(throws: PostgresError.self) { try await api.behind("DELETE FROM crm.consent_event WHERE id = \(UUID(uuidString: id))") }
  }

  @Test func `nobody but the registry says what was said to the registry`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let context = Caller.system("test").context(writing: Set(Area.allCases), request: nil)
    let forgeries: [SQL] = [
      """
      INSERT INTO crm.consent_event (customer_id, channel, address, status, source, registry_transaction)
      VALUES (\(UUID(uuidString: person.id)), 'email', \(person.email), 'ONAY', 'IYS_WEB', 'x1')
      """,
      "SELECT crm.take_registry_change(NULL, 'x2', \(person.email), 'BIREYSEL', 'EPOSTA', 'ONAY', 'IYS_WEB', now(), now())",
    ]
    for forgery in forgeries {
      await #expect(throws: PostgresError.self) { _ = try await api.database.app.execute([forgery], context: context, deadline: .after(.seconds(60))) }
    }
    #expect(try await person.gets("commercial", api) == "no_consent")
  }

  @Test func `business days in Türkiye leave out weekends and whole holidays, and count half days`() async throws {
    let api = try await TestAPI.suite()
    // All expected values of the calendar: feasts and their eves, 28 October, New Year.
    for (day, one, three, five) in [
      ("2025-01-02", "2025-01-03", "2025-01-07", "2025-01-09"), ("2025-03-27", "2025-03-28", "2025-04-03", "2025-04-07"),
      ("2025-03-28", "2025-04-02", "2025-04-04", "2025-04-08"), ("2025-04-01", "2025-04-02", "2025-04-04", "2025-04-08"),
      ("2025-04-22", "2025-04-24", "2025-04-28", "2025-04-30"), ("2025-06-04", "2025-06-05", "2025-06-11", "2025-06-13"),
      ("2025-06-05", "2025-06-10", "2025-06-12", "2025-06-16"), ("2025-07-11", "2025-07-14", "2025-07-17", "2025-07-21"),
      ("2025-10-24", "2025-10-27", "2025-10-30", "2025-11-03"), ("2025-10-28", "2025-10-30", "2025-11-03", "2025-11-05"),
      ("2025-12-30", "2025-12-31", "2026-01-05", "2026-01-07"), ("2025-12-31", "2026-01-02", "2026-01-06", "2026-01-08"),
      ("2026-03-18", "2026-03-19", "2026-03-24", "2026-03-26"), ("2026-03-19", "2026-03-23", "2026-03-25", "2026-03-27"),
      ("2026-05-25", "2026-05-26", "2026-06-02", "2026-06-04"), ("2026-05-26", "2026-06-01", "2026-06-03", "2026-06-05"),
      ("2026-10-27", "2026-10-28", "2026-11-02", "2026-11-04"),
    ] {
      let row = try await api.behind(
        """
        SELECT crm.add_business_days(\(day)::date, 1)::text AS one, crm.add_business_days(\(day)::date, 3)::text AS three, crm.add_business_days(\(day)::date, 5)::text AS five
        """)[0]
      #expect(try [row.decode(String.self, "one"), row.decode("three"), row.decode("five")] == [one, three, five])
    }
  }
}

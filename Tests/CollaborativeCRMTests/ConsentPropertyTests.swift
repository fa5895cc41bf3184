import CRMCore
import CollaborativeCRM
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// 100,000 random sequences of what people say, messages, erasures, suppressions and a clock that jumps, against the real database. Each sequence has an address and
/// a person of its own; a thousand take their steps together, so that each kind of step is one statement.
@Suite("Consent, a hundred thousand times")
struct ConsentPropertyTests {
  /// CONSENT_SEQUENCES asks for more or fewer, such as when something is looked for.
  private static let sequences = ProcessInfo.processInfo.environment["CONSENT_SEQUENCES"].flatMap(Int.init) ?? 100_000
  private static let batch = 2_000
  private static let rounds = 5

  @Test(.timeLimit(.minutes(60))) func `no commercial message goes without consent, the registry's rules are never broken, and its deadlines are met`()
    async throws
  {
    let database = try await TestDatabase.clone()
    try await Sequences.prepare(database)
    let days = try await Sequences.businessDays(database)
    let registry = SimulatedRegistry(days: days)
    let total = try await withThrowingTaskGroup(of: Sequences.Count.self) { group in
      for lane in 0..<2 {
        group.addTask {
          var count = Sequences.Count()
          for start in stride(from: lane * Self.batch, to: Self.sequences, by: 2 * Self.batch) {
            var sequences = Sequences(first: start, count: Self.batch, database: database, registry: registry, days: days)
            count += try await sequences.run(rounds: Self.rounds)
          }
          return count
        }
      }
      return try await group.reduce(into: Sequences.Count()) { $0 += $1 }
    }
    for mistake in total.mistakes.prefix(20) { Issue.record("\(mistake)") }
    #expect(total.mistakes.isEmpty, "\(total.mistakes.count) mistakes")
    // What never happens proves nothing.
    for (what, often) in [
      "stored": 20_000, "sent": 5_000, "refused": 5_000, "no_consent": 10_000, "suppressed": 2_000, "consent_ended": 500, "registered": 5_000,
    ] {
      #expect(total.seen[what, default: 0] >= often * Self.sequences / 100_000, "\(what): \(total.seen[what, default: 0])")
    }
    let around = try await database.admin.execute(
      [
        "SELECT count(*) FROM crm.outbound_message WHERE legal_class = 'commercial' AND state = 'sending' AND consent_event_id IS NULL AND NOT (subject::int / 16 % 10 = 0)"
      ],
      context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0].decode(Int.self, at: 0)
    #expect(around == total.seen["sent to recorded merchants", default: 0])
  }
}

/// Some sequences that step together.
private struct Sequences {
  struct Count: Sendable {
    var seen: [String: Int] = [:]
    var mistakes: [String] = []

    static func += (left: inout Count, right: Count) {
      left.seen.merge(right.seen) { $0 + $1 }
      left.mistakes += right.mistakes
    }
  }

  let first: Int
  /// A brand of their own that is in the registry, so that each exchange with it has one clock.
  let brand = UUID.v7()
  let database: TestDatabase
  let registry: SimulatedRegistry
  let days: BusinessDays
  var models: [ConsentModel]
  var numbers: SeededNumbers
  var clock: Int
  var count = Count()
  /// Messages are numbered so that their sequence can be read from the number.
  var messages: [Int]

  init(first: Int, count: Int, database: TestDatabase, registry: SimulatedRegistry, days: BusinessDays) {
    self.first = first
    self.database = database
    self.registry = registry
    self.days = days
    numbers = SeededNumbers(seed: UInt64(first) &+ 20_261_122)
    models = (first..<first + count).map { ConsentModel(isMerchant: $0 % 10 == 0) }
    messages = Array(repeating: 0, count: count)
    clock = 1_780_300_800 + Int.random(in: 0..<8_640_000, using: &numbers)
  }

  private static let context = Caller.system("test").context(writing: Set(Area.allCases), request: nil)

  /// The gate's clock becomes the test's; and there are other people.
  static func prepare(_ database: TestDatabase) async throws {
    _ = try await database.admin.execute(
      [
        """
        CREATE OR REPLACE FUNCTION crm.consent_clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
        BEGIN RETURN coalesce(nullif(current_setting('test.clock', true), '')::timestamptz, clock_timestamp()); END $$
        """,
        "INSERT INTO crm.department (id, code, name) VALUES (md5('d')::uuid, 't', 'T')",
        """
        INSERT INTO crm.company_profile (code, name, tax_number, tax_office, street, district, city, link_base)
        VALUES ('main', 'T A.Ş.', '4561237896', 'T', 'T', 'T', 'T', 'https://izin.example')
        """,
        "INSERT INTO crm.customer (id, kind, name, department_id) SELECT md5('other' || i)::uuid, 'person', 'x', md5('d')::uuid FROM generate_series(0, 9) i",
      ], context: context, deadline: .after(.seconds(60)))
  }

  static func businessDays(_ database: TestDatabase) async throws -> BusinessDays {
    let rows = try await database.admin.execute(
      ["SELECT h.day - date '1970-01-01' AS day FROM crm.holiday h WHERE h.country = 'TR' AND h.closes_at IS NULL"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0]
    return BusinessDays(holidays: Set(try rows.rows.map { try $0.decode(Int.self, "day") }))
  }

  private func text(_ instant: Int) -> String { Date(timeIntervalSince1970: Double(instant)).formatted(.iso8601) }

  private func ask(_ statement: SQL, as pool: PostgresPool? = nil) async throws -> PostgresResult {
    try await (pool ?? database.app).execute(
      ["SELECT set_config('test.clock', \(text(clock)), true)", statement], context: Self.context, lane: .jobs, deadline: .after(.seconds(600)))[1]
  }

  private func json(_ items: [JSON]) throws -> String { String(decoding: try JSON.array(items).encoded(), as: UTF8.self) }

  mutating func run(rounds: Int) async throws -> Count {
    _ = try await ask("INSERT INTO crm.brand (id, code, name, iys_code, iys_brand_code) VALUES (\(brand), \("b\(first)"), 'B', '1', \("\(first)"))")
    _ = try await ask(
      """
      INSERT INTO crm.customer (id, kind, name, tax_number, department_id)
      SELECT md5('customer' || i)::uuid, CASE WHEN i % 10 = 0 THEN 'organisation' ELSE 'person' END, 'x', CASE WHEN i % 10 = 0 THEN '0830166136' END, md5('d')::uuid
        FROM generate_series(\(first)::int, \(first + models.count - 1)::int) i
      """)
    _ = try await ask(
      """
      INSERT INTO crm.contact_point (customer_id, kind, value)
      SELECT md5('customer' || i)::uuid, k.kind, CASE k.kind WHEN 'email' THEN 's' || i || '@ornek.example' ELSE '+905' || (300000000 + i) END
        FROM generate_series(\(first)::int, \(first + models.count - 1)::int) i CROSS JOIN (VALUES ('email'), ('phone')) AS k (kind)
      """)
    for _ in 0..<rounds { try await step() }
    _ = try await ask("UPDATE crm.brand SET iys_code = NULL, iys_brand_code = NULL WHERE id = \(brand)")
    return count
  }

  private mutating func step() async throws {
    clock += Int.random(in: 0..<20, using: &numbers) < 3 ? -Int.random(in: 600...18_000, using: &numbers) : Int.random(in: 3_600...200_000, using: &numbers)
    var events: [JSON] = []
    var wanted: [(index: Int, message: ConsentModel.Message)] = []
    var senders: [Int] = []
    var erased: [JSON] = []
    var suppressed: [JSON] = []
    var lifted: [JSON] = []
    for index in models.indices {
      switch Int.random(in: 0..<100, using: &numbers) {
      case 0..<42: events.append(say(index))
      case 42..<76: wanted.append((index, compose(index)))
      case 76..<88: senders.append(index)
      case 88..<91: suppressed.append(suppress(index))
      case 91..<93: lifted.append(lift(index))
      case 93..<94: erased.append(erase(index))
      default: break
      }
    }
    try await store(events)
    _ = try await ask(
      """
      SELECT crm.suppress(g.channel, \(Self.address), 'manual', g.scope, CASE WHEN g.brand = 1 THEN \(brand)::uuid END)
        FROM jsonb_to_recordset(\(try json(suppressed))::jsonb) AS g (s int, channel text, scope text, brand int)
      """)
    _ = try await ask(
      """
      UPDATE crm.suppression SET lifted_at = greatest(crm.consent_clock(), suppressed_at), lifted_reason = 'test'
       WHERE lifted_at IS NULL AND reason <> 'erased' AND address_token IN (
         SELECT crm.address_token(g.channel, \(Self.address)) FROM jsonb_to_recordset(\(try json(lifted))::jsonb) AS g (s int, channel text))
      """)
    _ = try await ask(
      "SELECT crm.forget_consents(md5('customer' || g.s)::uuid) FROM jsonb_to_recordset(\(try json(erased))::jsonb) AS g (s int)", as: database.worker)
    try await queue(wanted)
    try await send(senders)
    if Int.random(in: 0..<10, using: &numbers) < 7 { try await exchange() }
  }

  private static var address: SQL { "CASE g.channel WHEN 'email' THEN 's' || g.s || '@ornek.example' ELSE '+905' || (300000000 + g.s) END" }

  // What happens in a step

  private mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &numbers)] }

  private mutating func say(_ index: Int) -> JSON {
    let channel = pick(["email", "email", "email", "sms", "phone"])
    let status = pick(["ONAY", "ONAY", "ONAY", "RET"])
    let earlier = models[index].said.filter { $0.channel == channel && $0.at <= clock }
    let at: Int
    switch Int.random(in: 0..<10, using: &numbers) {
    case 0..<5: at = clock
    case 5..<7 where !earlier.isEmpty: at = pick(earlier).at
    default: at = clock - 3_600 * Int.random(in: 0..<150, using: &numbers)
    }
    let until = status == "ONAY" && Int.random(in: 0..<6, using: &numbers) == 0 ? at + pick([3_600, 86_400, 864_000]) : nil
    let said = ConsentModel.Said(
      channel: channel, purpose: pick(["marketing", "marketing", "marketing", "newsletter"]), status: status,
      recipientType: pick(["BIREYSEL", "BIREYSEL", "BIREYSEL", "TACIR"]),
      brand: pick([0, 1]), speaker: pick([.self_, .self_, .self_, .self_, .other, .nobody]), at: at, received: clock, until: until)
    models[index].said.append(said)
    return [
      "s": .number(Decimal(first + index)), "channel": .string(said.channel), "purpose": .string(said.purpose), "status": .string(status),
      "type": .string(said.recipientType), "brand": .number(Decimal(said.brand)), "speaker": .number(Decimal(said.speaker.rawValue)), "at": .string(text(at)),
      "until": until.map { .string(text($0)) } ?? .null,
    ]
  }

  private mutating func compose(_ index: Int) -> ConsentModel.Message {
    messages[index] += 1
    return ConsentModel.Message(
      number: (first + index) * 16 + messages[index], channel: pick(["email", "email", "email", "sms"]),
      purpose: pick(["marketing", "marketing", "marketing", "newsletter"]),
      brand: pick([0, 1]), isCommercial: Int.random(in: 0..<5, using: &numbers) > 0)
  }

  private mutating func suppress(_ index: Int) -> JSON {
    let channel = pick(["email", "sms"])
    let (brand, all) = (pick([0, 1]), Int.random(in: 0..<3, using: &numbers) == 0)
    models[index].suppressions.append(.init(channel: channel, brand: brand, isErasure: false, isForAll: all))
    return ["s": .number(Decimal(first + index)), "channel": .string(channel), "scope": all ? "all" : "commercial", "brand": .number(Decimal(brand))]
  }

  private mutating func lift(_ index: Int) -> JSON {
    let channel = pick(["email", "sms"])
    for i in models[index].suppressions.indices where models[index].suppressions[i].channel == channel && !models[index].suppressions[i].isErasure {
      models[index].suppressions[i].isLifted = true
    }
    return ["s": .number(Decimal(first + index)), "channel": .string(channel)]
  }

  private mutating func erase(_ index: Int) -> JSON {
    for channel in ["email", "sms"] { models[index].suppressions.append(.init(channel: channel, brand: 0, isErasure: true, isForAll: false)) }
    return ["s": .number(Decimal(first + index))]
  }

  // What the database makes of it

  private mutating func store(_ events: [JSON]) async throws {
    _ = try await ask(
      """
      INSERT INTO crm.consent_event (customer_id, channel, address, recipient_type, brand_id, purpose, status, consented_at, valid_until, source)
      SELECT CASE g.speaker WHEN 0 THEN md5('customer' || g.s)::uuid WHEN 1 THEN md5('other' || g.s % 10)::uuid END, g.channel, \(Self.address), g.type,
             CASE WHEN g.brand = 1 THEN \(brand)::uuid END, g.purpose, g.status, g.at, g.until, 'HS_WEB'
        FROM jsonb_to_recordset(\(try json(events))::jsonb)
          AS g (s int, channel text, purpose text, status text, type text, brand int, speaker int, at timestamptz, until timestamptz)
      """)
  }

  private mutating func queue(_ wanted: [(index: Int, message: ConsentModel.Message)]) async throws {
    let items = try json(
      wanted.map { index, message in
        [
          "s": .number(Decimal(first + index)), "m": .number(Decimal(message.number)), "channel": .string(message.channel), "purpose": .string(message.purpose),
          "brand": .number(Decimal(message.brand)), "class": message.isCommercial ? "commercial" : "transactional",
        ]
      })
    let stored = try await ask(
      """
      INSERT INTO crm.outbound_message (customer_id, id, channel, address, brand_id, purpose, legal_class, subject)
      SELECT md5('customer' || g.s)::uuid, md5('m' || g.m)::uuid, g.channel, \(Self.address), CASE WHEN g.brand = 1 THEN \(brand)::uuid END, g.purpose, g.class, g.m::text
        FROM jsonb_to_recordset(\(items)::jsonb) AS g (s int, m int, channel text, purpose text, brand int, class text) RETURNING subject
      """)
    let kept = Set(try stored.rows.compactMap { Int(try $0.decode(String.self, "subject")) })
    let refused = try await ask(
      """
      SELECT g.m, r.reason FROM jsonb_to_recordset(\(items)::jsonb) AS g (m int) JOIN crm.message_refusal r ON r.message_id = md5('m' || g.m)::uuid AND r.stage = 'queueing'
      """)
    let reasons = Dictionary(
      try refused.rows.map { (try $0.decode(Int.self, "m"), try $0.decode(String.self, "reason")) }, uniquingKeysWith: { "\($0), \($1)" })
    for (index, message) in wanted {
      compare(index, message, reasons[message.number] ?? (kept.contains(message.number) ? nil : "nothing"), "queueing")
      if kept.contains(message.number) {
        models[index].queued.append(message)
        count.seen["stored", default: 0] += 1
      }
    }
  }

  private mutating func send(_ senders: [Int]) async throws {
    let items = try json(senders.map { ["s": .number(Decimal(first + $0))] })
    let result = try await ask(
      """
      UPDATE crm.outbound_message SET state = 'sending', attempts = attempts + 1
       WHERE state = 'queued' AND customer_id IN (SELECT md5('customer' || g.s)::uuid FROM jsonb_to_recordset(\(items)::jsonb) AS g (s int))
      RETURNING subject, state, problem, consent_event_id IS NULL AND legal_class = 'commercial' AS uncovered
      """)
    var states: [Int: (state: String, problem: String?, uncovered: Bool)] = [:]
    for row in result.rows {
      states[Int(try row.decode(String.self, "subject")) ?? 0] = (try row.decode("state"), try row.decode("problem"), try row.decode("uncovered"))
    }
    for index in senders {
      for message in models[index].queued {
        guard let found = states[message.number] else {
          count.mistakes.append("message \(message.number) was not sent at all")
          continue
        }
        compare(index, message, found.state == "sending" ? nil : found.problem ?? found.state, "sending")
        if found.state == "sending" {
          count.seen["sent", default: 0] += 1
          if found.uncovered && !models[index].isMerchant { count.seen["sent to recorded merchants", default: 0] += 1 }
        }
      }
      models[index].queued = []
    }
  }

  private mutating func compare(_ index: Int, _ message: ConsentModel.Message, _ actual: String?, _ stage: String) {
    let (expected, covering) = models[index].refusal(of: message, now: clock)
    count.seen[actual ?? "passed", default: 0] += 1
    if expected == actual { return }
    // A consent that should have been in the registry by now and is not covers nothing, a merchant's neither.
    if expected == nil, actual == "not_registered", message.brand == 1, let covering,
      days.deadline(after: Date(timeIntervalSince1970: Double(covering.at)), days: 3) <= Date(timeIntervalSince1970: Double(max(clock, covering.received)))
    {
      return
    }
    count.mistakes.append(
      "sequence \(first + index), \(stage) at \(text(clock)): \(message), expected \(expected ?? "passed"), was \(actual ?? "passed"); said \(models[index].said)"
    )
  }

  /// The registry's turn: takes what is due, and hears from some people itself.
  private mutating func exchange() async throws {
    let now = Date(timeIntervalSince1970: Double(clock))
    let due = try await ask(
      """
      SELECT i.transfer_id, i.recipient, i.recipient_type, i.type, i.status, i.source, i.consent_date, t.due_at, e.status AS said, e.received_at FROM crm.next_registry_items(\(brand)::uuid, crm.consent_clock(), 1000000) i
        JOIN crm.registry_transfer t ON t.id = i.transfer_id JOIN crm.consent_event e ON e.id = t.event_id
      """, as: database.worker)
    var settled: [JSON] = []
    for row in due.rows {
      let record = RegistryRecord(
        recipient: try row.decode("recipient"), recipientType: try row.decode("recipient_type"), type: try row.decode("type"), status: try row.decode("status"),
        source: try row.decode("source"), consentDate: try row.decode("consent_date"))
      let transfer = try row.decode(UUID.self, "transfer_id")
      switch registry.take(record, brand: "\(first)", now: now) {
      case .success(let transaction):
        count.seen["registered", default: 0] += 1
        settled.append(["id": .string(transfer.lowercase), "tx": .string(transaction)])
        if record.status == "ONAY", try row.decode(Date.self, "due_at") <= now {
          count.mistakes.append("a consent reached the registry after its deadline: \(record)")
        }
      case .failure(let error):
        count.mistakes.append("the registry refused \(record): \(error.codes) at \(text(clock))")
        settled.append(["id": .string(transfer.lowercase), "code": .string(error.codes.joined())])
      }
    }
    _ = try await ask(
      "SELECT crm.settle_registry_item(g.id, crm.consent_clock(), g.tx, g.code) FROM jsonb_to_recordset(\(try json(settled))::jsonb) AS g (id uuid, tx text, code text)",
      as: database.worker)
    let late = try await ask(
      """
      SELECT count(*) FROM crm.registry_transfer t JOIN crm.consent_event e ON e.id = t.event_id
       WHERE t.brand_id = \(brand) AND e.brand_id = t.brand_id AND t.state IN ('pending', 'sending') AND t.due_at <= crm.consent_clock()
      """, as: database.worker)
    if try late[0].decode(Int.self, at: 0) > 0 { count.mistakes.append("transfers are overdue after an exchange at \(text(clock))") }
  }
}

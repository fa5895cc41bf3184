import CRMCore
import Foundation
import PostgresClient

/// What a model says beside its keys.
struct ValueModelTerms: Sendable {
  let pyramid: String?
  let validFrom, validUntil: CalendarDate?
  let windowDays, activeDays, stayDays: Int?
  let stayMargin: Decimal?
  let currency, timeZone: String?
  let keys: [ValueKeyInput]

  init(_ fields: inout InputReader, keysRequired: Bool) {
    pyramid = fields.optionalText("pyramid", "Code of the pyramid its scores are cut by, such as curry or zeithaml.", maximum: 63)
    validFrom = fields.optionalDay("valid_from", "The first day it is used; today when left out.")
    validUntil = fields.optionalDay("valid_until", "The last day it is used.")
    windowDays = fields.optionalInteger(
      "window_days", "How many days of 24 hours back facts count, for keys that say nothing else; all when left out.", in: 1...36_500)
    activeDays = fields.optionalInteger(
      "active_days", "Whoever bought at most so many days of 24 hours back is active and is scored; whoever ever bought when left out.", in: 1...36_500)
    stayDays = fields.optionalInteger("stay_days", "How many days a customer stays in a tier at least.", in: 0...3_650)
    stayMargin = fields.optionalDecimal(
      "stay_margin", "By how many points of score a customer must be beyond a tier's bound to cross it.", scale: 4, in: 0...100)
    currency = fields.optionalText("currency", "Currency amounts are compared in (ISO 4217), such as TRY; the only one that occurs when left out.", maximum: 3)
    timeZone = fields.optionalText("time_zone", "Whose days and months count, such as Europe/Istanbul; UTC when left out.", maximum: 100)
    keys = fields.list("keys", "What makes a customer valuable.", of: ValueKeyInput.self, minimum: keysRequired ? 1 : 0, maximum: 20)
    if !keys.isEmpty, keys.allSatisfy({ $0.coefficient == 0 }) {
      fields.refuse("keys", code: "no-weight", Phrase("Give at least one key a coefficient above 0.", tr: "En az bir anahtara 0'dan büyük katsayı verin."))
    }
    if let timeZone, TimeZone(identifier: timeZone) == nil {
      fields.refuse("time_zone", code: "unknown", Phrase("Give a time zone such as Europe/Istanbul.", tr: "Europe/Istanbul gibi bir saat dilimi verin."))
    }
  }

  /// Checks the keys' metrics against the catalogue, all at once.
  func check(in tx: PostgresTransaction) async throws {
    let known = try await tx.result("SELECT m.name FROM analytics.customer_metric AS m").rows.map { try $0.decode(String.self, at: 0) }
    let errors = keys.enumerated().compactMap { number, key -> Problem.FieldError? in
      guard !known.contains(key.metric) else { return nil }
      let near = nearestName(to: key.metric, in: known)
      return .init(
        "/keys/\(number)/metric", code: "unknown-metric",
        Phrase(
          "There is no metric \"\(key.metric)\"." + (near.map { " Did you mean \"\($0)\"?" } ?? " See /v1/customer_metrics."),
          tr: "\"\(key.metric)\" adlı bir ölçü yok." + (near.map { " \"\($0)\" mı demek istediniz?" } ?? " /v1/customer_metrics adresine bakın.")))
    }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
  }

  /// Stores the keys of a new model.
  func insertKeys(of model: UUID, in tx: PostgresTransaction) async throws {
    for (number, key) in keys.enumerated() {
      try await tx.run(
        """
        INSERT INTO crm.value_key (model_id, place, metric, coefficient, normalisation, direction, cap, missing, window_days, level)
        SELECT \(model), \(number + 1), m.name, \(key.coefficient)::double precision, \(key.normalisation.rawValue), coalesce(\(key.direction?.rawValue), m.direction),
               \(key.cap)::double precision, coalesce(\(key.missing?.rawValue), m.missing), \(key.windowDays)::integer, \(key.level)::smallint
          FROM analytics.customer_metric AS m WHERE m.name = \(key.metric)
        """)
    }
  }

  static func pyramid(_ code: String, in tx: PostgresTransaction) async throws -> UUID {
    let found = try await tx.result("SELECT p.code, p.id FROM crm.pyramid AS p ORDER BY p.code")
    let codes = try found.rows.map { (code: try $0.decode(String.self, "code"), id: try $0.decode(UUID.self, "id")) }
    if let known = codes.first(where: { $0.code == code }) { return known.id }
    let near = nearestName(to: code, in: codes.map(\.code))
    throw Problem.invalid([
      .init(
        "/pyramid", code: "unknown-pyramid",
        Phrase(
          "There is no such pyramid." + (near.map { " Did you mean \"\($0)\"?" } ?? ""),
          tr: "Böyle bir piramit yok." + (near.map { " \"\($0)\" mı demek istediniz?" } ?? "")))
    ])
  }
}

extension BusinessOperation {
  struct NewValueModel: OperationInput {
    let code, nameEN, nameTR: String
    let departmentID: UUID?
    let terms: ValueModelTerms

    init(_ fields: inout InputReader) {
      code = fields.text("code", "Stable name: small letters, digits and underscores.", maximum: 63)
      nameEN = fields.text("name_en", "What people call it, in English.", maximum: 200)
      nameTR = fields.text("name_tr", "What people call it, in Turkish.", maximum: 200)
      departmentID = fields.optionalID("department_id", "The department whose business alone counts; the company's when left out.")
      terms = ValueModelTerms(&fields, keysRequired: true)
    }
  }

  static let createValueModel = BusinessOperation(
    "create_value_model", .post, "/v1/value_models", of: "value_models", access: .write(.analytics), "Make a value model",
    description: "Revision 1 of a model. It is computed by /v1/value_models/{id}/run, and every night while it is valid.", input: NewValueModel.self,
    answer: .record("value_models", status: 201, expand: ["keys", "pyramid"])
  ) { run, input in
    let terms = input.terms
    try await terms.check(in: run.tx)
    let model = UUID.v7()
    let pyramid = try await ValueModelTerms.pyramid(terms.pyramid ?? "curry", in: run.tx)
    try await run.tx.run(
      """
      INSERT INTO crm.value_model (id, code, name_en, name_tr, department_id, pyramid_id, valid_from, valid_until, window_days, active_days, currency, time_zone, stay_days, stay_margin)
      VALUES (\(model), \(input.code), \(input.nameEN), \(input.nameTR), \(input.departmentID)::uuid, \(pyramid), coalesce(\(terms.validFrom)::date, crm.business_day(now())),
              \(terms.validUntil)::date, \(terms.windowDays)::integer, \(terms.activeDays)::integer, \(terms.currency)::text, coalesce(\(terms.timeZone), 'UTC'),
              coalesce(\(terms.stayDays)::integer, 0), coalesce(\(terms.stayMargin)::double precision, 0))
      """)
    try await terms.insertKeys(of: model, in: run.tx)
    return .record(model)
  }

  struct ValueModelRevision: OperationInput {
    let terms: ValueModelTerms
    init(_ fields: inout InputReader) { terms = ValueModelTerms(&fields, keysRequired: false) }
  }

  static let reviseValueModel = BusinessOperation(
    "revise_value_model", .post, "/v1/value_models/{id}/revise", of: "value_models", access: .write(.analytics), "Revise a value model",
    description:
      "Makes the model's next revision, valid from today or the given day; what is left out stays as it was. What older revisions computed keeps its meaning.",
    input: ValueModelRevision.self, answer: .record("value_models", status: 201, expand: ["keys", "pyramid"])
  ) { run, input in
    let terms = input.terms
    let old = try run.id()
    try await terms.check(in: run.tx)
    let model = UUID.v7()
    var pyramid: UUID?
    if let code = terms.pyramid { pyramid = try await ValueModelTerms.pyramid(code, in: run.tx) }
    let made = try await run.tx.run(
      """
      INSERT INTO crm.value_model (id, code, revision, name_en, name_tr, department_id, pyramid_id, valid_from, valid_until, window_days, active_days, currency, time_zone,
             stay_days, stay_margin, is_default)
      SELECT \(model), m.code, (SELECT max(x.revision) + 1 FROM crm.value_model AS x WHERE x.code = m.code), m.name_en, m.name_tr, m.department_id,
             coalesce(\(pyramid)::uuid, m.pyramid_id), coalesce(\(terms.validFrom)::date, crm.business_day(now())), coalesce(\(terms.validUntil)::date, m.valid_until),
             coalesce(\(terms.windowDays)::integer, m.window_days), coalesce(\(terms.activeDays)::integer, m.active_days), coalesce(\(terms.currency)::text, m.currency),
             coalesce(\(terms.timeZone), m.time_zone), coalesce(\(terms.stayDays)::integer, m.stay_days), coalesce(\(terms.stayMargin)::double precision, m.stay_margin), m.is_default
        FROM crm.value_model AS m WHERE m.id = \(old)
      """)
    guard made == 1 else { throw Problem.notFound }
    if terms.keys.isEmpty {
      try await run.tx.run(
        """
        INSERT INTO crm.value_key (model_id, place, metric, coefficient, normalisation, direction, cap, missing, window_days, level)
        SELECT \(model), k.place, k.metric, k.coefficient, k.normalisation, k.direction, k.cap, k.missing, k.window_days, k.level FROM crm.value_key AS k WHERE k.model_id = \(old)
        """)
    } else {
      try await terms.insertKeys(of: model, in: run.tx)
    }
    return .record(model)
  }

  struct ValueRunRequest: OperationInput {
    let asOf: Date?
    init(_ fields: inout InputReader) {
      asOf = fields.optionalInstant("as_of", "Facts at this instant or later do not count; now when left out.")
      if let asOf, asOf > Date.now.addingTimeInterval(60) {
        fields.refuse("as_of", code: "future", Phrase("Give an instant that is not in the future.", tr: "Gelecekte olmayan bir an verin."))
      }
    }
  }

  static let runValueModel = BusinessOperation(
    "run_value_model", .post, "/v1/value_models/{id}/run", of: "value_models", access: .write(.analytics), "Compute a value model",
    description: """
      Asks for a run; /v1/analysis_runs/{id} shows how far it is. A run as of later than all others before moves where customers stand; one as of an earlier instant is there to \
      be looked at and compared. It fails with a reason when there is nobody or only one to compare (empty-population, single-customer), when purchases are in several currencies and \
      the model names none (mixed-currencies), or when a rate is missing (no-rate).
      """,
    input: ValueRunRequest.self, answer: .record("analysis_runs", status: 202)
  ) { run, input in
    let model = try run.id()
    struct Found: RowDecodable {
      let revision: Int
      let department: UUID?
      init(row: PostgresRow) throws {
        revision = try row.decode("revision")
        department = try row.decode("department_id")
      }
    }
    guard let found = try await run.tx.first(Found.self, "SELECT revision, department_id FROM crm.value_model WHERE id = \(model)") else {
      throw Problem.notFound
    }
    return .record(
      try await AnalysisRun.request(
        kind: "value", subject: model, method: ValueRun.method, modelVersion: found.revision, asOf: input.asOf, department: found.department, in: run.tx))
  }
}

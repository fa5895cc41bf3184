package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What persons may ask of the company about their own data, and what it owes them and the authority.
  static let privacy = Concept(
    resources: [.privacyRules, .privacyRequests, .legalHolds, .processingRestrictions, .dataBreaches, .erasureCertificates],
    operations: [.checkPrivacyIdentity, .extendPrivacyRequest, .decidePrivacyRequest, .executePrivacyRequest, .closePrivacyRequest, .liftTombstone],
    reads: [.privacySteps, .personsByIdentifier, .erasurePlan, .processingRegister, .sensitiveReads],
    endpoints: { database, _ in [PersonExport(database: database).endpoint] },
    jobs: [.privacyExecution, .privacyFiles, .privacyDeadlines], schedules: [.privacyDeadlines, .privacyFiles])
}

extension Resource {
  /// The deadlines of a law.
  package static let privacyRules = Resource(
    "privacy_rules", singular: "privacy_rule", table: "crm.privacy_rule", area: .admin,
    change: ["answer_days", "extension_days", "remind_days", "breach_hours", "time_zone"], order: "law")

  /// What a person asked about their own data. Beyond its receipt it is moved by operations.
  package static let privacyRequests = Resource(
    "privacy_requests", singular: "privacy_request", table: "crm.privacy_request", area: .admin,
    create: ["kind", "law", "channel", "requester", "reply_to", "request_text", "received_at", "assignee_id"], change: ["assignee_id", "reply_to"],
    expand: ["assignee"], search: ["requester"], order: "due_on")

  /// What may not be destroyed while a dispute or an audit goes on.
  package static let legalHolds = Resource(
    "legal_holds", singular: "legal_hold", table: "crm.legal_hold", area: .admin, create: ["customer_id", "relation", "reason"], change: ["released_at"],
    expand: ["customer"], order: "-created_at")

  /// Whose data are kept without being used.
  package static let processingRestrictions = Resource(
    "processing_restrictions", singular: "processing_restriction", table: "crm.processing_restriction", area: .admin, change: ["lifted_at"],
    expand: ["customer", "request"], order: "-since")

  /// Personal data that got out, were lost or changed.
  package static let dataBreaches = Resource(
    "data_breaches", singular: "data_breach", table: "crm.data_breach", area: .admin,
    create: ["law", "title", "description", "happened_at", "learned_at", "persons_affected", "categories", "measures", "assignee_id"],
    change: [
      "title", "description", "happened_at", "learned_at", "persons_affected", "categories", "measures", "assignee_id", "authority_told_at", "persons_told_at",
      "not_told_reason", "closed_at",
    ], expand: ["assignee"], search: ["title"], order: "due_at")

  /// The proof that a person was erased; made by the erasure alone.
  package static let erasureCertificates = Resource(
    "erasure_certificates", singular: "erasure_certificate", table: "crm.erasure_certificate", area: .admin, expand: ["request"], order: "-erased_at")
}

/// What a request is about, as far as its operations decide by it.
struct LockedPrivacyRequest: RowDecodable {
  enum State: String { case received, identified, decided, executing, executed, closed, withdrawn }
  enum Kind: String { case access, export, rectify, erase, object, restrict }

  let id: UUID
  let kind: Kind
  let state: State
  let isIdentified: Bool
  let isGranted: Bool
  let isExtended: Bool
  let isOverdue: Bool
  /// By how many days its law lets the answer be put off.
  let extensionDays: Int
  /// Whether something of the person is held for a dispute or an audit.
  let isHeld: Bool

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    guard let kind = Kind(rawValue: try row.decode(String.self, "kind")), let state = State(rawValue: try row.decode(String.self, "state")) else {
      throw Problem.unexpected
    }
    self.kind = kind
    self.state = state
    isIdentified = try row.decode(Bool.self, "is_identified")
    isGranted = try row.decode(Bool.self, "is_granted")
    isExtended = try row.decode(Bool.self, "is_extended")
    isOverdue = try row.decode(Bool.self, "is_overdue")
    extensionDays = try row.decode(Int.self, "extension_days")
    isHeld = try row.decode(Bool.self, "is_held")
  }

  /// Locks the request that an operation is about.
  static func locked(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedPrivacyRequest {
    let found = try await tx.first(
      LockedPrivacyRequest.self,
      """
      SELECT q.id, q.kind, q.state, q.identity_checked_at IS NOT NULL AS is_identified, coalesce(q.decision IN ('granted', 'partly'), false) AS is_granted,
        q.extended_by_days IS NOT NULL AS is_extended, q.due_on < (now() AT TIME ZONE l.time_zone)::date AS is_overdue, l.extension_days,
        EXISTS (SELECT FROM crm.legal_hold h WHERE h.customer_id = q.customer_id AND h.released_at IS NULL) AS is_held
      FROM crm.privacy_request q JOIN crm.privacy_rule l ON l.law = q.law WHERE q.id = \(id) FOR UPDATE OF q
      """)
    guard let found else { throw Problem.notFound }
    return found
  }

  /// Refuses what does not fit the state the request is in.
  func require(_ states: State...) throws(Problem) {
    guard states.contains(state) else {
      let state = state.rawValue
      throw Problem(
        409, "wrong-state", Phrase("This cannot be done with a request that is \(state).", tr: "Bu, \(state) durumundaki bir başvuruda yapılamaz."))
    }
  }
}

extension Problem {
  static let identityFirst = Problem(
    409, "identity-not-checked", Phrase("Check the person's identity first.", tr: "Önce başvuranın kimliğini doğrulayın."),
    detail: Phrase(
      "Nothing is shown, decided in favour or carried out before it is recorded how and by whom their identity was checked.",
      tr: "Kimliğin nasıl ve kim tarafından doğrulandığı kaydedilmeden hiçbir şey gösterilmez, kabul edilmez ya da yerine getirilmez."))
  static let held = Problem(
    409, "legal-hold", Phrase("A legal hold keeps the data of this person.", tr: "Bir saklama kararı bu kişinin verilerini tutuyor."),
    detail: Phrase(
      "Release the hold first, or refuse the request with this reason.", tr: "Önce saklama kararını kaldırın ya da başvuruyu bu gerekçeyle reddedin."))

  /// What the functions of privacy refuse with codes of their own; nil for anything else.
  static func privacy(_ error: PostgresError) -> Problem? {
    switch error.sqlState {
    case "CR006": .identityFirst
    case "CR007": .held
    case "CR008":
      Problem(
        409, "not-a-person", Phrase("An organisation is no person; name one of its contacts.", tr: "Kuruluş gerçek kişi değildir; kişilerinden birini seçin."))
    case "CR009":
      Problem(
        409, "would-change-accounts",
        Phrase("Nothing was erased: something that must stay would have changed.", tr: "Hiçbir şey silinmedi: kalması gereken bir kayıt değişecekti."))
    default: nil
    }
  }
}

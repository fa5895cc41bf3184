import CRMCore
import Foundation
import PostgresClient

/// Sends what surveys are due: at most one message a person within a survey's days of rest. What is not sent says why.
struct SurveySending {
  /// What invitations are judged and dated by.
  let now: Date
  /// The most invitations judged in one transaction.
  static let batch = 200

  /// The invitations of one batch.
  /// - Returns: how many were judged; 0 when nothing is due any more.
  func sendDue(_ tx: PostgresTransaction) async throws -> Int {
    // One sender at a time, so that two cannot ask the same person.
    try await tx.run("SELECT pg_advisory_xact_lock(hashtext('crm.survey'))")
    var due: [DueInvitation] = []
    var people: Set<UUID> = []
    // Whoever has two things due is asked about the first; the other is judged when that has been sent.
    for item in try await tx.all(DueInvitation.self, DueInvitation.select(now: now, limit: Self.batch)) where people.insert(item.customerID).inserted {
      due.append(item)
    }
    let skipped = due.filter { $0.verdict != nil }
    if !skipped.isEmpty { try await skip(skipped.map { ($0, $0.verdict ?? "") }, tx) }
    let messages = due.filter { $0.verdict == nil }.map { SurveyMessage($0, now: now) }
    if !messages.isEmpty {
      let taken = try await queue(messages, tx)
      let refused = messages.filter { !taken.contains($0.id) }
      if !refused.isEmpty { try await skip(refused.map { ($0.invitation, "refused") }, tx) }
    }
    return due.count
  }

  private func skip(_ invitations: [(invitation: DueInvitation, reason: String)], _ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      UPDATE crm.survey_invitation i SET state = 'skipped', skipped = given.reason
        FROM unnest(\(invitations.map(\.invitation.customerID))::uuid[], \(invitations.map(\.invitation.id))::uuid[], \(invitations.map(\.reason))::text[])
             AS given (customer_id, id, reason)
       WHERE i.customer_id = given.customer_id AND i.id = given.id
      """)
  }

  /// Queues the messages. The gate of consents takes them or not.
  /// - Returns: the ids of those it took.
  private func queue(_ messages: [SurveyMessage], _ tx: PostgresTransaction) async throws -> Set<UUID> {
    let stored = try await tx.result(
      """
      INSERT INTO crm.outbound_message (customer_id, id, contact_id, channel, channel_account_id, brand_id, address, legal_class, purpose, subject, body_text, department_id, owner_id, visibility)
      SELECT i.customer_id, given.message_id, i.contact_id, s.channel, given.account_id, s.brand_id, given.address, s.legal_class, 'survey', given.subject, given.body,
             i.department_id, i.owner_id, i.visibility
        FROM unnest(\(messages.map(\.invitation.customerID))::uuid[], \(messages.map(\.invitation.id))::uuid[], \(messages.map(\.id))::uuid[],
               \(messages.map(\.invitation.accountID))::uuid[], \(messages.map(\.address))::text[], \(messages.map(\.subject))::text[], \(messages.map(\.body))::text[])
             AS given (customer_id, id, message_id, account_id, address, subject, body)
        JOIN crm.survey_invitation i ON i.customer_id = given.customer_id AND i.id = given.id JOIN crm.survey s ON s.id = i.survey_id
       ORDER BY i.customer_id
      RETURNING id
      """)
    let taken = try Set(stored.rows.map { try $0.decode(UUID.self, "id") })
    let sent = messages.filter { taken.contains($0.id) }
    if !sent.isEmpty {
      try await tx.run(
        """
        UPDATE crm.survey_invitation i
           SET state = 'sent', sent_at = \(now), message_id = given.message_id, token_hash = decode(given.token_hash, 'hex'), expires_at = given.expires_at
          FROM unnest(\(sent.map(\.invitation.customerID))::uuid[], \(sent.map(\.invitation.id))::uuid[], \(sent.map(\.id))::uuid[],
                 \(sent.map(\.tokenHash))::text[], \(sent.map(\.expiresAt))::timestamptz[])
               AS given (customer_id, id, message_id, token_hash, expires_at)
         WHERE i.customer_id = given.customer_id AND i.id = given.id
        """)
    }
    return taken
  }
}

/// An invitation that may leave, with all that its message needs.
struct DueInvitation: RowDecodable {
  let customerID: UUID
  let id: UUID
  let accountID: UUID?
  let baseAddress: String?
  let validDays: Int
  let language: Language
  let title: Phrase
  let intro: Phrase
  let name: String
  let address: String?
  /// Why it is not sent; nil if it is.
  let verdict: String?

  init(row: PostgresRow) throws {
    customerID = try row.decode("customer_id")
    id = try row.decode("id")
    accountID = try row.decode("account_id")
    baseAddress = try row.decode("base_address")
    validDays = try row.decode("valid_days")
    language = try Language(rawValue: row.decode("locale")) ?? .english
    title = Phrase(try row.decode("title_en"), tr: try row.decode("title_tr"))
    intro = Phrase(try row.decode(String?.self, "intro_en") ?? "", tr: try row.decode(String?.self, "intro_tr") ?? "")
    name = try row.decode("name")
    address = try row.decode("address")
    verdict = try row.decode("verdict")
  }

  static func select(now: Date, limit: Int) -> SQL {
    """
    SELECT i.customer_id, i.id, coalesce(s.channel_account_id, a.id) AS account_id, coalesce(s.base_address, b.link_base) AS base_address, s.valid_days, coalesce(p.locale, c.locale) AS locale,
           s.title_en, s.title_tr, s.intro_en, s.intro_tr, coalesce(p.name, c.name) AS name, d.value AS address,
           CASE WHEN s.status <> 'active' THEN 'closed' WHEN rest.is_due THEN 'rested' WHEN d.value IS NULL THEN 'no_address'
                WHEN coalesce(s.base_address, b.link_base) IS NULL THEN 'no_link' END AS verdict
      FROM crm.survey_invitation i
      JOIN crm.survey s ON s.id = i.survey_id
      JOIN crm.customer c ON c.id = i.customer_id
      LEFT JOIN crm.brand b ON b.id = s.brand_id
      LEFT JOIN crm.contact p ON p.customer_id = i.customer_id AND p.id = i.contact_id
      LEFT JOIN LATERAL (
        SELECT a.id FROM crm.channel_account a
         WHERE a.channel = s.channel AND a.is_active AND (s.brand_id IS NULL OR a.brand_id = s.brand_id) ORDER BY a.created_at, a.id LIMIT 1) AS a ON true
      LEFT JOIN LATERAL (
        SELECT d.value FROM crm.contact_point d
         WHERE d.customer_id = i.customer_id AND (i.contact_id IS NULL OR d.contact_id = i.contact_id)
           AND d.kind = CASE s.channel WHEN 'email' THEN 'email' ELSE 'phone' END
         ORDER BY d.contact_id IS NOT NULL, d.is_primary DESC, d.id LIMIT 1) AS d ON true
      CROSS JOIN LATERAL (
        SELECT EXISTS (
          SELECT FROM crm.survey_invitation e
           WHERE e.customer_id = i.customer_id AND e.sent_at > \(now)::timestamptz - make_interval(days => s.rest_days)
             AND (e.contact_id IS NULL OR i.contact_id IS NULL OR e.contact_id = i.contact_id)) AS is_due) AS rest
     WHERE i.state = 'due' AND i.due_at <= \(now) ORDER BY i.due_at, i.id LIMIT \(limit) FOR UPDATE OF i SKIP LOCKED
    """
  }
}

/// The message with the link.
struct SurveyMessage {
  let id = UUID.v7()
  let invitation: DueInvitation
  let address: String
  let subject: String
  let body: String
  let expiresAt: Date
  /// In hexadecimal digits.
  let tokenHash: String

  init(_ invitation: DueInvitation, now: Date) {
    self.invitation = invitation
    let language = invitation.language
    let link = SurveyLink()
    address = invitation.address ?? ""
    subject = invitation.title.text(in: language)
    expiresAt = now.addingTimeInterval(Double(invitation.validDays) * 86_400)
    tokenHash = link.hash.hexadecimal
    let intro = invitation.intro.text(in: language)
    let days = invitation.validDays
    body =
      [
        Phrase("Hello \(invitation.name),", tr: "Merhaba \(invitation.name),").text(in: language), intro.isEmpty ? subject : intro,
        (invitation.baseAddress ?? "") + link.path,
        Phrase(
          "The link works for \(days) days and takes one answer.", tr: "Bağlantı \(days) gün geçerlidir ve bir kez yanıtlanabilir."
        ).text(in: language),
      ].joined(separator: "\n\n") + "\n"
  }
}

/// The link that a person gets.
struct SurveyLink {
  private let secret: LinkToken

  init() { secret = LinkToken() }
  init(token: String) { secret = LinkToken(token: token) }

  /// What is stored, and looked up by.
  var hash: [UInt8] { secret.hash }
  /// The page, below the gateway's public address.
  var path: String { "/s/\(secret.token)" }
}

extension JobHandler {
  /// Sends what is due, batch by batch.
  static let surveySending = JobHandler("surveys.send") { lease in
    let sending = SurveySending(now: Date())
    while try await lease.transaction(as: .system("survey sending"), deadline: .after(.seconds(60)), { try await sending.sendDue($0) }) > 0 {}
  }
}

extension Schedule {
  static let surveySending = Schedule("surveys.send", kind: "surveys.send", .every(.seconds(300)))
}

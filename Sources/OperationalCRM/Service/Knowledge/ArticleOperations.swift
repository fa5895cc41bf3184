import CRMCore
import Foundation
import PostgresClient

private struct Suggestion: OperationInput {
  let text: String?
  let ticketID: UUID?
  let language: ArticleLanguage?
  let limit: Int

  init(_ fields: inout InputReader) {
    text = fields.optionalText("text", "What somebody wrote, such as the subject and the text of a ticket that is being opened.", maximum: 20_000)
    ticketID = fields.optionalID("ticket_id", "A ticket, whose subject and description count where there is no text.")
    language = fields.optionalOption(
      "language", "The language of the text; the ticket's, or else its customer's, or else tr when left out.", of: ArticleLanguage.self)
    limit = fields.optionalInteger("limit", "At most so many; 5 when left out.", in: 1...20) ?? 5
    if ticketID == nil, text?.contains(where: { !$0.isWhitespace }) != true {
      fields.refuse("text", code: "required", Phrase("Give a text or a ticket.", tr: "Bir metin ya da talep verin."))
    }
  }
}

private struct Rating: OperationInput {
  let helpful: Bool?
  let comment: String?

  init(_ fields: inout InputReader) {
    helpful = fields.optionalFlag("helpful", "Whether it helped.")
    comment = fields.optionalText("comment", "What could be better.", maximum: 2_000)
    if helpful == nil { fields.refuse("helpful", code: "required", Phrase("helpful is required.", tr: "helpful zorunludur.")) }
  }
}

/// The languages articles are written in.
enum ArticleLanguage: String, CaseIterable, Sendable, PostgresEncodable {
  case turkish = "tr"
  case english = "en"
}

extension BusinessOperation {
  static let publishArticleVersion = BusinessOperation(
    "publish_article_version", .post, "/v1/article_versions/{id}/publish", of: "article_versions", access: .write(.service), "Publish a draft",
    description: "It stays as it is from now on and replaces the version that was shown; the next review is set.", input: NoInput.self,
    answer: .record("article_versions", expand: ["article"])
  ) { run, _ in
    let version = try await LockedVersion.find(run.id(), run.tx)
    try version.mustBe("draft")
    _ = try await run.tx.results([
      "UPDATE crm.article_version SET state = 'replaced' WHERE article_id = \(version.articleID) AND language = \(version.language) AND state = 'published'",
      "UPDATE crm.article_version SET state = 'published', published_at = now(), published_by = \(run.caller.userID) WHERE id = \(version.id)",
      "UPDATE crm.article SET review_on = crm.business_day(now()) + review_every_days, archived_at = NULL WHERE id = \(version.articleID)",
    ])
    return .record(version.id)
  }

  static let withdrawArticleVersion = BusinessOperation(
    "withdraw_article_version", .post, "/v1/article_versions/{id}/withdraw", of: "article_versions", access: .write(.service), "Withdraw what is shown",
    description: "The article has nothing to show in this language until another version is published.", input: NoInput.self,
    answer: .record("article_versions")
  ) { run, _ in
    let version = try await LockedVersion.find(run.id(), run.tx)
    try version.mustBe("published")
    try await run.tx.run("UPDATE crm.article_version SET state = 'withdrawn' WHERE id = \(version.id)")
    return .record(version.id)
  }

  static let reviewArticle = BusinessOperation(
    "review_article", .post, "/v1/articles/{id}/review", of: "articles", access: .write(.service), "Say that an article still holds",
    description: "The next review is set, in review_every_days from today.", input: NoInput.self, answer: .record("articles")
  ) { run, _ in try await change(run, "UPDATE crm.article SET review_on = crm.business_day(now()) + review_every_days WHERE id = \(run.id())") }

  static let archiveArticle = BusinessOperation(
    "archive_article", .post, "/v1/articles/{id}/archive", of: "articles", access: .write(.service), "Show an article no longer", input: NoInput.self,
    answer: .record("articles")
  ) { run, _ in try await change(run, "UPDATE crm.article SET archived_at = coalesce(archived_at, now()) WHERE id = \(run.id())") }

  static let restoreArticle = BusinessOperation(
    "restore_article", .post, "/v1/articles/{id}/restore", of: "articles", access: .write(.service), "Show an archived article again", input: NoInput.self,
    answer: .record("articles")
  ) { run, _ in try await change(run, "UPDATE crm.article SET archived_at = NULL WHERE id = \(run.id())") }

  private static func change(_ run: Run, _ statement: SQL) async throws -> Outcome {
    let id = try run.id()
    if try await run.tx.run(statement) == 0 {
      guard try await run.tx.result("SELECT 1 FROM crm.article a WHERE a.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this article but not change it.", tr: "Bu makaleyi görebilirsiniz ama değiştiremezsiniz."))
    }
    return .record(id)
  }

  static let suggestArticles = BusinessOperation(
    "suggest_articles", .post, "/v1/articles/suggest", of: "articles", access: .read(.service), "Articles that may answer a text, best first",
    description: "Any of its words counts; words in a title count most. For a new ticket, name it, or send what is to be its subject and text.",
    input: Suggestion.self,
    answer: .json([
      "type": "object", "required": ["data"],
      "properties": [
        "data": [
          "type": "array",
          "items": [
            "type": "object", "required": ["article_id", "version_id", "slug", "title", "readers", "rank"],
            "properties": [
              "article_id": AnswerField.id, "version_id": AnswerField.id, "slug": AnswerField.text, "title": AnswerField.text,
              "summary": AnswerField.optional(AnswerField.text), "readers": AnswerField.text, "rank": AnswerField.number,
            ],
          ],
        ]
      ],
    ])
  ) { run, input in
    if let ticket = input.ticketID {
      guard try await run.tx.result("SELECT 1 FROM crm.ticket t WHERE t.id = \(ticket)").count == 1 else {
        throw Problem.invalid([
          .init("/ticket_id", code: "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
        ])
      }
    }
    let found = try await run.tx.result(
      """
      WITH asked AS (
        SELECT coalesce(nullif(btrim(\(input.text)::text), ''), left(concat_ws(' ', t.subject, t.description), 20000)) AS text,
               coalesce(\(input.language)::text, CASE WHEN t.language IN ('tr', 'en') THEN t.language END, CASE WHEN c.locale IN ('tr', 'en') THEN c.locale END, 'tr') AS language
          FROM (SELECT \(input.ticketID)::uuid AS id) AS given
          LEFT JOIN crm.ticket t ON t.id = given.id LEFT JOIN crm.customer c ON c.id = t.customer_id)
      SELECT f.article_id, f.version_id, a.slug, v.title, v.summary, a.readers, f.rank::float8 AS rank
        FROM asked CROSS JOIN LATERAL crm.find_articles(asked.text, asked.language, false, \(input.limit)) f
        JOIN crm.article a ON a.id = f.article_id JOIN crm.article_version v ON v.id = f.version_id ORDER BY f.rank DESC, f.version_id
      """)
    let rows = try found.rows.map { row -> JSON in
      [
        "article_id": .string(try row.decode(UUID.self, "article_id").lowercase), "version_id": .string(try row.decode(UUID.self, "version_id").lowercase),
        "slug": .string(try row.decode("slug")), "title": .string(try row.decode("title")),
        "summary": try row.decode(String?.self, "summary").map(JSON.string) ?? .null, "readers": .string(try row.decode("readers")),
        "rank": .number(Decimal(try row.decode(Double.self, "rank"))),
      ]
    }
    return .json(["data": .array(rows)])
  }

  static let rateArticle = BusinessOperation(
    "rate_article", .post, "/v1/article_versions/{id}/feedback", of: "article_feedback", access: .write(.service), "Say whether an article helped",
    description: "Once a day for each version.", input: Rating.self, answer: .record("article_feedback", status: 201)
  ) { run, input in
    let version = try run.id()
    let id = UUID.v7()
    let stored = try await run.tx.run(
      """
      INSERT INTO crm.article_feedback (id, article_id, version_id, helpful, comment, via, visitor)
      SELECT \(id), v.article_id, v.id, \(input.helpful), nullif(btrim(\(input.comment)), ''), 'colleague', sha256(convert_to(\(run.caller.userID)::text, 'UTF8'))
        FROM crm.article_version v WHERE v.id = \(version) AND v.state <> 'draft'
      """)
    guard stored == 1 else { throw Problem.notFound }
    return .record(id)
  }
}

/// A version as its operations see it; its article is locked.
private struct LockedVersion: RowDecodable {
  let id: UUID
  let articleID: UUID
  let language: String
  let state: String

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    articleID = try row.decode("article_id")
    language = try row.decode("language")
    state = try row.decode("state")
  }

  static func find(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedVersion {
    let found = try await tx.first(
      LockedVersion.self,
      """
      SELECT v.id, v.article_id, v.language, v.state FROM crm.article_version v JOIN crm.article a ON a.id = v.article_id WHERE v.id = \(id) FOR UPDATE OF a, v
      """)
    if let found { return found }
    guard try await tx.result("SELECT 1 FROM crm.article_version v WHERE v.id = \(id)").count == 1 else { throw Problem.notFound }
    throw Problem.forbidden(Phrase("You may see this article but not change it.", tr: "Bu makaleyi görebilirsiniz ama değiştiremezsiniz."))
  }

  func mustBe(_ wanted: String) throws(Problem) {
    guard state == wanted else {
      throw Problem(
        409, "article-state", Phrase("This version is \(state).", tr: "Bu sürümün durumu: \(state)."),
        detail: Phrase("This works only while it is \(wanted).", tr: "Bu yalnızca \(wanted) durumunda yapılır."))
    }
  }
}

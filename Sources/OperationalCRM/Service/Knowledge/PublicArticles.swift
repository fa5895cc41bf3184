import CRMCore
import Foundation
import PostgresClient

/// The knowledge base as everyone sees it: a list that can be searched, the articles, and whether they helped.
struct PublicArticles {
  let database: Database

  /// Nobody is signed in; every statement names what is public.
  private static let caller = Caller.system("public articles")

  private struct Row: RowDecodable {
    let versionID: UUID
    let articleID: UUID
    let slug: String
    let category: String
    let title: String
    let summary: String
    let body: String
    let language: Language
    let publishedOn: CalendarDate

    init(row: PostgresRow) throws {
      versionID = try row.decode("version_id")
      articleID = try row.decode("article_id")
      slug = try row.decode("slug")
      category = try row.decode("category")
      title = try row.decode("title")
      summary = try row.decode("summary")
      body = try row.decode("body")
      language = try Language(rawValue: row.decode("language")) ?? .turkish
      publishedOn = try row.decode("published_on")
    }

    static let whole = published(body: "v.body")
    /// A list shows no texts.
    static let outline = published(body: "''")

    private static func published(body: SQL) -> SQL {
      """
      SELECT v.id AS version_id, a.id AS article_id, a.slug, coalesce(a.category, '') AS category, v.title, coalesce(v.summary, '') AS summary, \(body) AS body, v.language,
             crm.business_day(v.published_at) AS published_on
        FROM crm.article a JOIN crm.article_version v ON v.article_id = a.id
       WHERE a.readers = 'public' AND a.archived_at IS NULL AND v.state = 'published'
      """
    }
  }

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let slug = Endpoint.Documentation.Parameter("slug", in: .path, required: true, "The article's address.")
    let language = Endpoint.Documentation.Parameter("lang", in: .query, "tr or en; by Accept-Language, or else Turkish, when left out.")
    return [
      Endpoint(
        .get, "/kb", access: .open,
        documentation: .init(
          "list_public_articles", tag: "articles", "The public articles as a page",
          parameters: [.init("q", in: .query, "Words to find."), language], answers: [(200, "The page.", "text/html", page)]),
        handler: .operation { request in try await list(request) }),
      Endpoint(
        .get, "/kb/{slug}", access: .open,
        documentation: .init(
          "get_public_article", tag: "articles", "A public article as a page", description: "In the other language when there is none in this.",
          parameters: [slug, language], answers: [(200, "The page.", "text/html", page), (404, "There is no such article.", "text/html", page)]),
        handler: .operation { request in try await show(request) }),
      Endpoint(
        .post, "/kb/{slug}/feedback", access: .open, body: .collected,
        documentation: .init(
          "rate_public_article", tag: "articles", "Say whether an article helped",
          description: "Once a day from one network address; further answers change nothing.",
          parameters: [slug, language],
          input: (
            "application/x-www-form-urlencoded",
            [
              "type": "object", "required": ["helpful"],
              "properties": ["helpful": ["type": "string", "enum": ["yes", "no"]], "comment": ["type": "string", "maxLength": 2000]],
            ]
          ),
          answers: [
            (200, "Thank you.", "text/html", page), (404, "There is no such article.", "text/html", page), (422, "Something is missing.", "text/html", page),
          ], refusals: [415]),
        handler: .operation { request in try await rate(request) }),
    ]
  }

  private func list(_ request: Request) async throws -> Response {
    let language = request.articleLanguage
    let words = request.query.first { $0.name == "q" }?.value.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    var rows: [Row] = []
    if words.isEmpty {
      rows = try await read("\(Row.outline) AND v.language = \(language.rawValue) ORDER BY a.category NULLS LAST, v.title LIMIT 1000", request)
    } else {
      // Asked as nobody, the search finds what is public.
      let found = try await database.read(
        as: .anonymous, areas: [], deadline: request.deadline,
        "SELECT f.version_id FROM crm.find_articles(\(String(words.prefix(500))), \(language.rawValue), true, 50) f")
      let ids = try found.rows.map { try $0.decode(UUID.self, "version_id") }
      rows = try await read("\(Row.outline) AND v.id = ANY (\(ids)::uuid[]) ORDER BY array_position(\(ids)::uuid[], v.id)", request)
    }
    return ArticlePages(language: language).list(rows.map { .init(slug: $0.slug, category: $0.category, title: $0.title, summary: $0.summary) }, words: words)
  }

  private func show(_ request: Request) async throws -> Response {
    let language = request.articleLanguage
    guard let row = try await article(request) else { return PublicPage(Self.unknown, language).response }
    return ArticlePages(language: row.language).article(slug: row.slug, title: row.title, summary: row.summary, body: row.body, publishedOn: row.publishedOn)
  }

  private func rate(_ request: Request) async throws -> Response {
    let fields = try request.form()
    guard let row = try await article(request) else { return PublicPage(Self.unknown, request.articleLanguage).response }
    let pages = ArticlePages(language: row.language)
    let comment = fields["comment"]?.string ?? ""
    guard let answer = fields["helpful"]?.string, ["yes", "no"].contains(answer), comment.unicodeScalars.count <= 2_000, !comment.utf8.contains(0) else {
      return pages.article(slug: row.slug, title: row.title, summary: row.summary, body: row.body, publishedOn: row.publishedOn, isIncomplete: true)
    }
    let visitor = LinkToken(token: request.remoteAddress ?? "").hash
    try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
      _ = try await tx.run(
        """
        INSERT INTO crm.article_feedback (article_id, version_id, helpful, comment, via, visitor)
        VALUES (\(row.articleID), \(row.versionID), \(answer == "yes"), nullif(btrim(\(comment)), ''), 'public',
                sha256(\(visitor) || convert_to(crm.business_day(now())::text, 'UTF8')))
        ON CONFLICT ON CONSTRAINT article_feedback_visitor_once DO NOTHING
        """)
    }
    return pages.thanks(slug: row.slug, title: row.title)
  }

  private func article(_ request: Request) async throws -> Row? {
    let slug = request.parameters["slug"] ?? ""
    return try await read("\(Row.whole) AND a.slug = \(slug) ORDER BY v.language = \(request.articleLanguage.rawValue) DESC LIMIT 1", request).first
  }

  private func read(_ statement: SQL, _ request: Request) async throws -> [Row] {
    try await database.read(as: Self.caller, areas: [.service], deadline: request.deadline, statement).rows.map { try Row(row: $0) }
  }

  private static let unknown = Problem(
    404, "unknown-article", Phrase("There is no such article", tr: "Böyle bir makale yok"),
    detail: Phrase("Perhaps it was moved. Try to find it by its words.", tr: "Taşınmış olabilir. Sözcükleriyle aramayı deneyin."))
}

extension Request {
  fileprivate var articleLanguage: Language {
    query.first { $0.name == "lang" }.flatMap { Language(rawValue: $0.value) } ?? Language.preferred(in: headers["accept-language"]) ?? .turkish
  }
}

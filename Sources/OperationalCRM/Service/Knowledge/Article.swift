package import CRMCore

extension Concept {
  /// What is known and answers questions again and again.
  static let articles = Concept(
    resources: [.articles, .articleVersions, .articleFeedback],
    operations: [.publishArticleVersion, .withdrawArticleVersion, .reviewArticle, .archiveArticle, .restoreArticle, .suggestArticles, .rateArticle],
    reads: [.searchArticles, .portalArticles, .portalArticle], endpoints: { database, _ in PublicArticles(database: database).endpoints })
}

extension Resource {
  /// An article: where it stands, who may read it, when it is looked at again. What it says stands in its versions.
  package static let articles = Resource(
    "articles", singular: "article", table: "crm.article", area: .service,
    create: ["slug", "category", "readers", "review_on", "review_every_days", "department_id"],
    change: ["slug", "category", "readers", "review_on", "review_every_days", "department_id"],
    expand: ["department", .many("versions", of: "article_versions", by: "article_id")], search: ["slug", "category"], order: "slug")

  /// What an article says in a language. A draft can be changed, what was published cannot.
  package static let articleVersions = Resource(
    "article_versions", singular: "article_version", table: "crm.article_version", area: .service,
    create: ["article_id", "language", "title", "summary", "body"], change: ["title", "summary", "body"], expand: ["article"], search: ["title"],
    order: "-created_at")

  /// Whether somebody was helped.
  package static let articleFeedback = Resource(
    "article_feedback", singular: "article_feedback_entry", table: "crm.article_feedback", area: .service, expand: ["article", "version"], order: "-created_at")
}

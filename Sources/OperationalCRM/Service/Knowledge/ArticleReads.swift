import CRMCore
import Foundation
import PostgresClient

private struct ArticleSearch: OperationInput {
  let words: String
  let language: ArticleLanguage
  let limit: Int

  init(_ fields: inout InputReader) {
    words = fields.text("q", "Words; each is found by its stem or its beginning, with or without Turkish letters.", maximum: 500)
    language = fields.optionalOption("language", "The language; tr when left out.", of: ArticleLanguage.self) ?? .turkish
    limit = fields.optionalInteger("limit", "At most so many; 20 when left out.", in: 1...100) ?? 20
  }
}

private struct PortalArticleList: OperationInput {
  let words: String?
  let language: ArticleLanguage

  init(_ fields: inout InputReader) {
    words = fields.optionalText("q", "Words; everything when left out.", maximum: 500)
    language = fields.optionalOption("language", "The language; tr when left out.", of: ArticleLanguage.self) ?? .turkish
  }
}

private struct PortalArticleChoice: OperationInput {
  let language: ArticleLanguage
  init(_ fields: inout InputReader) {
    language = fields.optionalOption("language", "The language; tr when left out.", of: ArticleLanguage.self) ?? .turkish
  }
}

extension ReadOperation {
  static let searchArticles = ReadOperation(
    "search_articles", "/v1/articles/search", tag: "articles", access: .read(.service), "Find published articles by their words, best first",
    description: "All words have to occur. Words in the title count most, then those of the summary.", input: ArticleSearch.self,
    row: [
      "article_id": AnswerField.id, "version_id": AnswerField.id, "slug": AnswerField.text, "title": AnswerField.text,
      "summary": AnswerField.optional(AnswerField.text), "readers": AnswerField.text, "rank": AnswerField.number,
    ], reading: [.service]
  ) { _, search in
    """
    SELECT f.article_id, f.version_id, a.slug, v.title, v.summary, a.readers, f.rank::float8 AS rank
      FROM crm.find_articles(\(search.words), \(search.language), true, \(search.limit)) f
      JOIN crm.article a ON a.id = f.article_id JOIN crm.article_version v ON v.id = f.version_id ORDER BY f.rank DESC, f.version_id
    """
  }

  static let portalArticles = ReadOperation(
    "list_portal_articles", "/v1/portal/articles", tag: "portal", access: .portal, "Articles for customers, by their words or all of them",
    input: PortalArticleList.self,
    row: [
      "slug": AnswerField.text, "category": AnswerField.optional(AnswerField.text), "title": AnswerField.text,
      "summary": AnswerField.optional(AnswerField.text),
    ], reading: []
  ) { _, list in
    if let words = list.words {
      """
      SELECT a.slug, a.category, v.title, v.summary FROM crm.find_articles(\(words), \(list.language), true, 50) f
        JOIN crm.article a ON a.id = f.article_id JOIN crm.article_version v ON v.id = f.version_id ORDER BY f.rank DESC, f.version_id
      """
    } else {
      """
      SELECT a.slug, a.category, v.title, v.summary FROM crm.article a JOIN crm.article_version v ON v.article_id = a.id
       WHERE v.language = \(list.language) ORDER BY a.category NULLS LAST, v.title LIMIT 500
      """
    }
  }

  static let portalArticle = ReadOperation(
    "get_portal_article", "/v1/portal/articles/{slug}", tag: "portal", access: .portal, "An article for customers", input: PortalArticleChoice.self,
    row: [
      "slug": AnswerField.text, "category": AnswerField.optional(AnswerField.text), "title": AnswerField.text,
      "summary": AnswerField.optional(AnswerField.text),
      "body": AnswerField.text, "published_at": AnswerField.instant,
    ], reading: [], mustExist: { "SELECT 1 FROM crm.article a JOIN crm.article_version v ON v.article_id = a.id WHERE a.slug = \($0.parameters["slug"])" }
  ) { request, choice in
    """
    SELECT a.slug, a.category, v.title, v.summary, v.body, v.published_at FROM crm.article a JOIN crm.article_version v ON v.article_id = a.id
     WHERE a.slug = \(request.parameters["slug"]) ORDER BY v.language = \(choice.language) DESC LIMIT 1
    """
  }
}

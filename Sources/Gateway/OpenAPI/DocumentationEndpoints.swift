import CMalloc
import CRMCore
import Synchronization

/// What `GET /openapi.json` and `GET /docs` answer: made when the endpoints' descriptions change, not when somebody asks.
final class Documentation: Sendable {
  private struct Rendered {
    var document: [UInt8] = []
    var pages: [Language: [UInt8]] = [:]
  }

  private let rendered = Mutex(Rendered())
  private let server: String?

  /// - Parameter server: the base address clients use.
  init(server: String?) { self.server = server }

  /// Describes the endpoints, and these two with them.
  func describe(_ described: [Endpoint]) throws {
    let fresh = try render(described)
    rendered.withLock { $0 = fresh }
    // The document as a tree takes ten times what its text does, and glibc would keep it.
    malloc_trim(0)
  }

  private func render(_ described: [Endpoint]) throws -> Rendered {
    let document = OpenAPIDocument(described + endpoints, server: server).json
    var fresh = Rendered(document: try document.encoded())
    for language in Language.allCases { fresh.pages[language] = Array(DocumentationPage(document, language: language).html.utf8) }
    return fresh
  }

  var endpoints: [Endpoint] {
    [
      Endpoint(
        .get, "/openapi.json", access: .open,
        documentation: .init(
          "get_openapi", tag: "operations", "This API as an OpenAPI 3.1 document",
          answers: [(200, "The document.", "application/json", ["type": "object"])]),
        handler: .immediate { [self] _ in .json(rendered.withLock(\.document), headers: [("cache-control", "no-cache")]) }),
      Endpoint(
        .get, "/docs", access: .open,
        documentation: .init(
          "get_docs", tag: "operations", "This API as a page to read",
          answers: [(200, "The page, in English or Turkish by Accept-Language.", "text/html", ["type": "string"])]),
        handler: .immediate { [self] request in
          Response(
            status: 200,
            headers: [
              ("content-type", "text/html; charset=utf-8"), ("content-language", request.language.rawValue),
              ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
              ("cache-control", "no-cache"),
            ], body: .bytes(rendered.withLock { $0.pages[request.language] } ?? []))
        }),
    ]
  }
}

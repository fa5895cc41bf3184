import CRMCore

/// `GET /openapi.json` and `GET /docs`, both made once, from all endpoints including these two.
func documentationEndpoints(of endpoints: [Endpoint], server: String?) throws -> [Endpoint] {
  func both(_ document: [UInt8], _ pages: [Language: [UInt8]]) -> [Endpoint] {
    [
      Endpoint(
        .get, "/openapi.json", access: .open,
        documentation: .init(
          "get_openapi", tag: "operations", "This API as an OpenAPI 3.1 document",
          answers: [(200, "The document.", "application/json", ["type": "object"])]),
        handler: .immediate { _ in .json(document, headers: [("cache-control", "public, max-age=300")]) }),
      Endpoint(
        .get, "/docs", access: .open,
        documentation: .init(
          "get_docs", tag: "operations", "This API as a page to read",
          answers: [(200, "The page, in English or Turkish by Accept-Language.", "text/html", ["type": "string"])]),
        handler: .immediate { request in
          Response(
            status: 200,
            headers: [
              ("content-type", "text/html; charset=utf-8"), ("content-language", request.language.rawValue),
              ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
              ("cache-control", "public, max-age=300"),
            ], body: .bytes(pages[request.language] ?? []))
        }),
    ]
  }
  let document = OpenAPIDocument(endpoints + both([], [:]), server: server)
  var pages: [Language: [UInt8]] = [:]
  for language in Language.allCases { pages[language] = Array(DocumentationPage(document.json, language: language).html.utf8) }
  return both(try document.json.encoded(), pages)
}

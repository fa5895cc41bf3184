import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// Which address leads where, and how refusals are worded.
@Suite struct RoutingTests {
  @Test func `an address with letters beyond ASCII is answered with how to write them`() async throws {
    try await BareServer.run { (server) async throws in
      for target in ["/echo/İzmir", "/echo?city=eq.Beyoğlu"] {
        let answer = try await server.get(target)
        #expect(answer.status == 400)
        #expect(answer.json["code"] as? String == "malformed-address")
        #expect(answer.text.contains("%XX"))
      }
    }
  }

  @Test func `names come before parameters, and parameters and queries are decoded`() async throws {
    try await BareServer.run { (server) async throws in
      #expect(try await server.get("/echo/fixed").text == "{}")
      let answer = try await server.get("/echo/a%2Fb%20%C4%B0zmir?city=eq.%C4%B0zmir+1&x&x=%26&=y")
      #expect(answer.json["name"] as? String == "a/b İzmir")
      #expect(answer.json["query"] as? [[String]] == [["city", "eq.İzmir 1"], ["x", ""], ["x", "&"], ["", "y"]])
      let absolute = try await server.get("http://example.com/echo/abc")
      #expect(absolute.json["name"] as? String == "abc")
    }
  }

  @Test func `words in an address are joined by an underscore or a hyphen`() async throws {
    let server = try await TestServer.suite()
    for path in [
      "/v1/price_books?limit=1", "/v1/price-books?limit=1", "/v1/customers/\(UUID().uuidString)/next_offers", "/v1/customers/\(UUID().uuidString)/next-offers",
    ] {
      // The document names one spelling.
      let answer = try await server.send(.get, path, as: "ayse", checked: false)
      #expect(answer.problem != "unknown-route" && (answer.status == 200) == path.hasSuffix("limit=1"), "\(path): \(answer.text)")
    }
  }

  @Test(arguments: [
    "/echo/%", "/echo/%2", "/echo/%zz", "/echo/%ff", "/echo/%C4", "/echo/%00", "/echo?a=%", "/echo?a=%ff", "/echo?%c3%28=1", "/echo/\u{7f}", "/echo#fragment",
    "ftp://a/echo",
  ])
  func `what cannot be decoded is refused`(_ target: String) async throws {
    try await BareServer.run { (server) async throws in
      let answer = try await server.get(target)
      #expect(answer.status == 400)
    }
  }

  @Test(arguments: ["/", "/nowhere", "/echo/", "//echo", "/echo//", "/echo/a/b", "/echo/../secret", "/ECHO"])
  func `an unknown address is a problem 404`(_ target: String) async throws {
    try await BareServer.run { (server) async throws in
      let answer = try await server.get(target)
      #expect(answer.status == 404)
      #expect(answer["content-type"] == "application/problem+json")
      #expect(answer.json["code"] as? String == "unknown-route")
    }
  }

  @Test func `a method that an address does not know is told what it knows`() async throws {
    try await BareServer.run { (server) async throws in
      let answer = try await server.send("DELETE /echo HTTP/1.1\r\nHost: t\r\n\r\n")
      #expect(answer.status == 405)
      #expect(answer["allow"] == "GET, HEAD, OPTIONS")
      let unusual = try await server.send("PROPFIND /upload HTTP/1.1\r\nHost: t\r\n\r\n")
      #expect(unusual.status == 405)
      #expect(unusual["allow"] == "POST, OPTIONS")
      let options = try await server.send("OPTIONS /echo HTTP/1.1\r\nHost: t\r\n\r\n")
      #expect(options.status == 204)
      #expect(options["allow"] == "GET, HEAD, OPTIONS")
      let wide = try await server.send("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n")
      #expect(wide.status == 204)
    }
  }

  @Test func `a problem names the request and speaks the client's language`() async throws {
    try await BareServer.run { (server) async throws in
      let id = UUID()
      let turkish = try await server.get("/refuse", ["Accept-Language: de, tr;q=0.8, en;q=0.5", "X-Request-Id: \(id)"])
      #expect(turkish.status == 422)
      #expect(turkish["x-request-id"] == id.lowercase)
      #expect(turkish["content-language"] == "tr")
      #expect(turkish.json["request_id"] as? String == id.lowercase)
      #expect(turkish.json["instance"] as? String == "/refuse")
      #expect(turkish.json["type"] as? String == "urn:muhatap:problem:invalid-fields")
      #expect((turkish.json["errors"] as? [[String: String]])?.first == ["pointer": "/name", "code": "required", "detail": "Bir ad verin."])
      let english = try await server.get("/refuse", ["X-Request-Id: not-a-uuid"])
      #expect(english["content-language"] == "en")
      #expect(english["x-request-id"].flatMap(UUID.init(uuidString:)) != nil)
      #expect(english.text.contains("Give a name."))
    }
  }

  @Test func `an error nobody foresaw tells nothing but the request's id`() async throws {
    try await BareServer.run { (server) async throws in
      let answer = try await server.get("/fail")
      #expect(answer.status == 500)
      #expect(answer.json["code"] as? String == "internal-error")
      #expect(!answer.text.contains("Unforeseen"))
    }
  }

  @Test func `a body of another media type is refused`() async throws {
    try await BareServer.run { (server) async throws in
      let form = try await server.post("/collect", "a=1", ["Content-Type: application/x-www-form-urlencoded"])
      #expect(form.status == 415)
      let merge = try await server.post("/collect", "{}", ["Content-Type: application/merge-patch+json; charset=utf-8"])
      #expect(merge.status == 200)
    }
  }

  @Test func `every answer carries the security fields`() async throws {
    try await BareServer.run { (server) async throws in
      for target in ["/echo", "/nowhere", "/fail", "/docs"] {
        let answer = try await server.get(target)
        #expect(answer["x-content-type-options"] == "nosniff")
        #expect(answer["x-frame-options"] == "DENY")
        #expect(answer["referrer-policy"] == "no-referrer")
        #expect(answer["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(answer["cache-control"] != nil)
        #expect(answer["date"]?.hasSuffix(" GMT") == true)
      }
    }
  }

  @Test func `two endpoints at one address are refused at start-up, all of them listed`() throws {
    let endpoint = BareServer.endpoints[0]
    let other = BareServer.endpoints[1]
    let error = #expect(throws: Router.Conflict.self) {
      try Router([endpoint, other, endpoint, other], metrics: RequestMetrics(factory: PrometheusRegistry()))
    }
    #expect(error?.description == "Declared more than once: GET /echo, GET /echo/{name}")
  }
}

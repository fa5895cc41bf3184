import CRMCore
import MuhatapTestKit
import Testing

@Suite("What descriptive analyses refuse")
struct DescriptiveRefusalTests {
  @Test(
    "bad questions are refused by name, the same everywhere",
    arguments: [
      "/v1/analytics/rfm", "/v1/analytics/deciles", "/v1/analytics/concentration", "/v1/analytics/cohorts", "/v1/charts/cohorts.svg", "/v1/charts/lorenz.svg",
      "/v1/analytics/reorder_radar",
    ])
  func questions(path: String) async throws {
    let server = try await TestServer.suite()
    var questions = ["as_of=2999-01-01T00:00:00Z", "as_of=yesterday", "time_zone=Mars/Olympus", "time_zone=GMT%2B3", "scop=1"]
    if !path.hasSuffix("radar") { questions += ["currency=lira", "department_id=1"] }
    for question in questions {
      let answer = try await server.send(.get, "\(path)?\(question)", checked: false)
      #expect(answer.status == 400 && answer.problem == "bad-parameter", "\(path)?\(question): \(answer.text)")
    }
    if !path.hasSuffix("radar") {
      let empty = try await server.send(.get, path)
      #expect(empty.status == 422 && empty.problem == "empty-population", "\(empty.text)")
      #expect(try await server.send(.get, path, as: "mehmet").status == 403)
    } else {
      #expect(try await server.ask(path)["n"] == 0)
      #expect(try await server.send(.get, path, as: "emre").status == 403)
    }
    #expect(try await server.send(.get, path, as: nil).status == 401)
  }

  @Test("a scheme, cell, level or number that does not exist is refused")
  func values() async throws {
    let server = try await TestServer.suite()
    for path in [
      "/v1/analytics/rfm?scheme=sextile", "/v1/analytics/rfm/customers?cell=999", "/v1/analytics/rfm/customers?limit=0", "/v1/analytics/reorder_radar?days=-1",
      "/v1/analytics/reorder_radar?level=0", "/v1/analytics/reorder_radar?lost_after=0.5",
    ] {
      let answer = try await server.send(.get, path, checked: false)
      #expect(answer.status == 400 && answer.problem == "bad-parameter", "\(path): \(answer.text)")
    }
    for body: JSON in [["scheme": "sextile"], ["as_of": "2999-01-01T00:00:00Z"], ["time_zone": "Nowhere"], ["currency": "XX"], ["fields": 1]] {
      let answer = try await server.send(.post, "/v1/analytics/rfm/runs", json: body, checked: false)
      #expect(answer.status == 422 && answer.problem == "invalid-fields", "\(body): \(answer.text)")
    }
  }
}

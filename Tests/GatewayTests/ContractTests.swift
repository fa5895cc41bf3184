import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

/// The check that every test's traffic goes through: it notices what is not as the document says.
@Suite struct ContractTests {
  private static let contract = APIContract(
    document: OpenAPIDocument([
      Endpoint(
        .post, "/v1/things", access: .open, body: .collected,
        documentation: .init(
          "create_thing", tag: "things", "Create", parameters: [.init("limit", in: .query, "", schema: ["type": "integer", "minimum": 1])],
          input: (
            "application/json",
            ["type": "object", "required": ["name"], "additionalProperties": false, "properties": ["name": ["type": "string", "minLength": 1]]]
          ),
          answers: [(201, "", "application/json", ["$ref": "#/components/schemas/thing"]), (204, "", nil, nil)],
          components: [
            (
              "thing",
              [
                "type": "object", "required": ["id", "at"],
                "properties": [
                  "id": ["type": "string", "format": "uuid"], "at": ["type": ["string", "null"], "format": "date-time"],
                  "kind": ["enum": ["a", "b"]], "sizes": ["type": "array", "maxItems": 2, "items": ["type": "integer", "exclusiveMinimum": 0]],
                  "code": ["type": "string", "pattern": "^[a-z]+$"],
                ],
              ]
            )
          ]), handler: .immediate { _ in .json([]) })
    ]).json)

  private static let good = #"{"id":"0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6","at":"2026-03-31T09:30:00Z"}"#

  private func mistakes(
    _ status: Int, _ answer: String, mediaType: String? = "application/json", body: String? = #"{"name":"x"}"#, query: [(name: String, value: String)] = [],
    path: String = "/v1/things"
  ) -> [String] {
    Self.contract.mistakes(
      in: .init(
        method: .post, path: path, query: query, body: body.map { Array($0.utf8) }, status: status, mediaType: mediaType, answer: Array(answer.utf8)))
  }

  @Test func `what is as documented passes`() {
    #expect(mistakes(201, Self.good) == [])
    #expect(mistakes(201, Self.good.replacing("}", with: #","kind":"a","sizes":[1,2],"code":"ab","more":1}"#), query: [("limit", "5")]) == [])
    #expect(mistakes(204, "", mediaType: nil) == [])
    // Requests are only held against the document when they are accepted.
    let problem = #"{"type":"t","title":"t","status":400,"code":"c","instance":"/","request_id":"0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6"}"#
    #expect(mistakes(400, problem, mediaType: "application/problem+json", body: "[]") == [])
  }

  @Test(
    arguments: [
      (418, good, "application/json"), (201, good, "text/html"), (201, "", nil), (204, good, "application/json"), (201, "no json", "application/json"),
      (201, "[]", "application/json"), (201, #"{"id":"x","at":null}"#, "application/json"), (400, #"{"code":"c"}"#, "application/problem+json"),
      (201, #"{"id":"0192f3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6"}"#, "application/json"), (201, good.replacing("09:30", with: "29:30"), "application/json"),
      (201, good.replacing("}", with: #","kind":"c"}"#), "application/json"), (201, good.replacing("}", with: #","sizes":[1,0]}"#), "application/json"),
      (201, good.replacing("}", with: #","sizes":[1,2,3]}"#), "application/json"), (201, good.replacing("}", with: #","sizes":[1.5]}"#), "application/json"),
      (201, good.replacing("}", with: #","code":"A"}"#), "application/json"),
    ] as [(Int, String, String?)])
  func `an answer that is not as documented is noticed`(_ status: Int, _ answer: String, _ mediaType: String?) {
    #expect(!mistakes(status, answer, mediaType: mediaType).isEmpty)
  }

  @Test func `a request that is accepted though the document forbids it is noticed`() {
    for body in [nil, "{}", #"{"name":""}"#, #"{"name":1}"#, #"{"name":"x","more":1}"#] { #expect(mistakes(201, Self.good, body: body).count == 1) }
    #expect(mistakes(201, Self.good, query: [("limit", "0")]).count == 1)
    #expect(mistakes(201, Self.good, path: "/v1/nothing").count == 1)
  }

  @Test func `a keyword that is not checked is noticed`() {
    #expect(JSONSchema(components: [:]).mistakes(in: 1, ["multipleOf": 2]).count == 1)
  }
}

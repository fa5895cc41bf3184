import Foundation
import MuhatapTestKit
import Testing

@testable import CRMCore

@Suite("Members that stand twice in a JSON object")
struct RepeatedMemberTests {
  @Test(
    "the second one is pointed at",
    arguments: [
      (#"{"a":1,"a":1}"#, "/a"), (#"{"a":1,"b":{"c":[0,{"d":1,"e":"}","d":2}]}}"#, "/b/c/1/d"), (#"{"\u0061":1,"a":2}"#, "/a"),
      (#"{"a\"b":1,"x":"a\"b","a\"b":2}"#, "/a\"b"), (#"[{"a":1},{"a/b":1,"a/b":2}]"#, "/1/a~1b"), (#"{"":1,"":2}"#, "/"),
      (#"{"é":1,"\u00e9":2}"#, "/é"), (#"{"a":{"a":{"a":1,"b":2,"a":3}}}"#, "/a/a/a"), (" { \"a\" : [ ] , \"a\" : { } } ", "/a"),
    ])
  func found(text: String, pointer: String) {
    #expect(RepeatedMember(in: Array(text.utf8))?.pointer == pointer)
  }

  @Test(
    "the same name in different objects, or as a value, is none",
    arguments: [
      #"{}"#, #"[]"#, #""a""#, #"1"#, #"{"a":"a","b":"a"}"#, #"[{"a":1},{"a":1}]"#, #"{"a":{"a":{"a":"a"}}}"#, #"{"a":["a","a"],"b":"a\\"}"#,
      #"{"A":1,"a":2}"#, #"{"a":"\"a\":1,\"a\":2"}"#, #"{"a":1,"a ":2}"#,
    ])
  func absent(text: String) {
    #expect(RepeatedMember(in: Array(text.utf8)) == nil)
  }

  @Test("a body with one is refused with a pointer to it")
  func refused() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.post, "/v1/customers", body: Array(#"{"kind":"person","name":"A","kind":"organisation"}"#.utf8))
    #expect(answer.status == 400)
    #expect(answer.problem == "repeated-member")
    #expect(answer.fieldErrors == ["/kind repeated-member"])
  }
}

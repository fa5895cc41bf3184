import Testing

@testable import CRMCore

@Suite("Filters in a URL")
struct FilterParserTests {
  private func filter(_ pairs: [(String, String)]) throws -> Filter? {
    try Query(parameters: pairs.map { (name: $0.0, value: $0.1) }).filter
  }

  @Test("a field, an operator and a value make a comparison")
  func comparison() throws {
    #expect(try filter([("stage", "eq.won")]) == .all([.compare(FieldPath("stage"), .equal, .value("won"))]))
  }

  @Test("a value keeps its points, commas, parentheses and spaces")
  func value() throws {
    #expect(try filter([("name", "eq.A.B, (C) Ltd. Şti.")]) == .all([.compare(FieldPath("name"), .equal, .value("A.B, (C) Ltd. Şti."))]))
  }

  @Test("a list takes quoted values with commas, quotes and backslashes")
  func list() throws {
    #expect(
      try filter([("name", #"in.(a,"b,c","d\"e\\f",)"#)])
        == .all([.compare(FieldPath("name"), .in, .list(["a", "b,c", #"d"e\f"#, ""]))]))
  }

  @Test("an empty list is a list")
  func emptyList() throws {
    #expect(try filter([("name", "in.()")]) == .all([.compare(FieldPath("name"), .in, .list([]))]))
  }

  @Test("not turns a comparison around, twice if asked")
  func not() throws {
    let inner = Filter.compare(FieldPath("a"), .equal, .value("1"))
    #expect(try filter([("a", "not.eq.1")]) == .all([.not(inner)]))
    #expect(try filter([("a", "not.not.eq.1")]) == .all([.not(.not(inner))]))
  }

  @Test("or and and nest, with dotted fields, lists and negation inside")
  func nesting() throws {
    let parsed = try filter([("or", "(stage.eq.won,and(amount.gte.10,customer.city.in.(x,y)),not.a.is.null,b.not.eq.2,not(c.eq.3))")])
    guard case .all(let parts)? = parsed, case .any(let items)? = parts.first else {
      Issue.record("expected an or, got \(String(describing: parsed))")
      return
    }
    #expect(items.count == 5)
    #expect(
      items[1]
        == .all([
          .compare(FieldPath("amount"), .greaterOrEqual, .value("10")), .compare(FieldPath("customer.city"), .in, .list(["x", "y"])),
        ]))
    #expect(items[3] == .not(.compare(FieldPath("b"), .equal, .value("2"))))
    #expect(items[4] == .not(.all([.compare(FieldPath("c"), .equal, .value("3"))])))
  }

  @Test(
    "what cannot be read is a 400 that names the parameter",
    arguments: [
      ("stage", "won"), ("stage", ""), ("stage", "eq"), ("stage", "in.a,b"), ("stage", "in.(a"), ("or", "stage.eq.won"), ("or", "(stage.eq.won"),
      ("or", "(stage)"), ("or", "(stage.is.won))"), ("and", "()"), ("stage", "like.x"), ("limit", "0"), ("limit", "1001"), ("limit", "x"),
      ("count", "all"), ("order", ""), ("order", "-"), ("order", "a,b,c,d,e,f"), ("stage", "in.(\"a)"),
    ])
  func malformed(name: String, value: String) {
    let problem = #expect(throws: Problem.self) { _ = try filter([(name, value)]) }
    #expect(problem?.status == 400)
    #expect(problem?.errors.first?.pointer == name)
  }

  @Test("a group nested beyond reason is refused and not followed")
  func tooDeep() {
    let deep = String(repeating: "(and", count: 200) + "(a.eq.1" + String(repeating: ")", count: 201)
    let problem = #expect(throws: Problem.self) { _ = try filter([("or", deep)]) }
    #expect(problem?.status == 400)
  }

  @Test("a parameter of its own given twice is refused; a field may have two conditions")
  func twice() throws {
    #expect(throws: Problem.self) { _ = try filter([("limit", "1"), ("limit", "2")]) }
    #expect(
      try filter([("a", "gte.1"), ("a", "lt.5")])
        == .all([.compare(FieldPath("a"), .greaterOrEqual, .value("1")), .compare(FieldPath("a"), .less, .value("5"))]))
  }

  @Test("an operator that is misspelt is answered with the nearest one")
  func nearestOperator() {
    let problem = #expect(throws: Problem.self) { _ = try filter([("or", "(a.gt.1,b.containss.x)")]) }
    #expect(problem?.errors.first?.message.english.contains("contains") == true)
  }
}

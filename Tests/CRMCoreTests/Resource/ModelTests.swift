import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Declarations held against the database")
struct ModelTests {
  @Test("every mistake is listed at once")
  func mistakes() async throws {
    let catalogue = try await Catalogue.read(from: TestDatabase.suite().app)
    let wrong = [
      Resource("ghosts", singular: "ghost", table: "crm.ghost", area: .sales),
      Resource(
        "customers", singular: "customer", table: "crm.customer", area: .customers, create: ["nmae", "search_key", "name"], change: ["audience"],
        expand: ["friend", .many("pets", of: "pets", by: "owner_id"), .many("contacts", of: "contacts", by: "client_id")],
        search: ["profile", "parent.nothing"], order: "profile"),
      Resource("contacts", singular: "contact", table: "crm.contact", area: .customers, create: ["name"]),
      Resource("contacts", singular: "contact", table: "crm.contact", area: .customers),
      Resource("users", singular: "user", table: "crm.app_user", area: .admin, change: ["password_hash"]),
      Resource("keys", singular: "key", table: "crm.external_id", area: .admin),
      Resource("locations", singular: "location", table: "crm.location", area: .sales, customFields: true),
      Resource("sessions", singular: "session", table: "crm.session", area: .admin, change: ["user_agent"]),
    ]
    let mistakes = #expect(throws: Model.Mistakes.self) { _ = try Model(resources: wrong, catalogue: catalogue) }
    let list = try #require(mistakes?.list)
    for part in [
      "no table crm.ghost", "no column nmae", "search_key is computed", "audience is computed", "kind is required", "cannot expand friend",
      "pets has no column owner_id", "contacts has no column client_id",
      "cannot search in profile", "cannot search in parent.nothing", "cannot be sorted by profile", "contacts: declared twice", "customer_id is required",
      "password_hash is secret", "crm.external_id has no column id",
      "custom fields need", "changes need a column named version",
    ] {
      #expect(list.contains { $0.contains(part) }, "“\(part)” is missing in\n\(mistakes?.description ?? "")")
    }
  }

  @Test("types, options, lengths, keys and words of the rules are read from the catalogue")
  func catalogue() async throws {
    let catalogue = try await Catalogue.read(from: TestDatabase.suite().app)
    let customer = try #require(catalogue.tables["crm.customer"])
    #expect(customer.column("kind")?.options == ["person", "organisation"])
    #expect(customer.column("name")?.isPersonal == true && customer.column("name")?.comment.hasPrefix("full name") == true)
    #expect(customer.column("search_key")?.isGenerated == true)
    #expect(customer.primaryKey == ["id"])
    let line = try #require(catalogue.tables["crm.sales_order_line"])
    #expect(line.column("amount")?.type == .numeric(precision: 18, scale: 2) && line.column("unit_price")?.type == .numeric(precision: 18, scale: 6))
    #expect(line.column("unit_price")?.isNullable == true && line.column("amount")?.isNullable == false && line.column("amount")?.hasDefault == false)
    #expect(line.primaryKey == ["customer_id", "order_id", "line_number"])
    #expect(
      line.foreignKeys.contains { $0.columns == ["customer_id", "order_id"] && $0.target == "crm.sales_order" && $0.targetColumns == ["customer_id", "id"] })
    #expect(catalogue.tables["crm.app_user"]?.column("password_hash")?.isSecret == true)
    #expect(catalogue.tables["crm.custom_field"]?.column("options")?.type == .array(.text))
    #expect(catalogue.tables["crm.role_permission"]?.column("read_scope")?.options == ["none", "own", "department", "shared", "all"])
    #expect(catalogue.tables["crm.sales_order"]?.column("ordered_at")?.type == .timestamp)
    #expect(customer.column("name")?.searchKey?.name == "search_key" && customer.column("note")?.searchKey == nil)
    #expect(catalogue.tables["crm.contact_point"]?.column("value")?.searchKey?.name == "value_key")
    let rule = try #require(catalogue.constraints["customer_tax_number_valid"])
    #expect(rule.kind == .check && rule.columns == ["tax_number"] && rule.phrase?.turkish == "Geçerli bir VKN ya da TCKN değil.")
    for constraint in catalogue.constraints.values where constraint.table.hasPrefix("crm.") {
      #expect(constraint.phrase != nil, "\(constraint.name) has no words for people")
    }
  }

  @Test("every address answers its reader without a defect, empty or not")
  func everyAddress() async throws {
    let api = try await TestAPI.suite()
    let ids = Dictionary(
      uniqueKeysWithValues: try await withThrowingTaskGroup(of: (String, String?).self) { group in
        for name in api.model.entities.keys {
          group.addTask { (name, try await api.send(.get, "/v1/\(name)", ["limit": "1"]).rows().first?["id"]?.string) }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      })
    for endpoint in api.api.endpoints where endpoint.method == .get && endpoint.path.hasPrefix("/v1/") {
      let resource = endpoint.path.split(separator: "/").dropFirst().first.map(String.init) ?? ""
      guard let id = ids[resource] else { continue }
      let path = endpoint.path.replacing("{id}", with: id ?? UUID.v7().lowercase)
      // What needs an answer to a question of its own is tested where it is made.
      guard !path.contains("{"), !endpoint.documentation.parameters.contains(where: { $0.place == .query && $0.required }) else { continue }
      let answer = try await api.send(.get, path)
      // It wants one of several parameters, whichever.
      if path == "/v1/privacy_requests/persons" { #expect(answer.status == 400, "\(answer.text)"); continue }
      // Nothing was computed yet, and the answer says so.
      if answer.status == 404, answer.problem == "no-run" { continue }
      #expect(answer.status == (id == nil && endpoint.path.contains("{id}") ? 404 : 200), "\(path): \(answer.text.prefix(300))")
    }
    for (name, entity) in api.model.entities {
      for column in entity.columns {
        let order = try await api.send(.get, "/v1/\(name)", ["order": "-\(column.name)", "select": column.name, "limit": "3", "count": "estimated"])
        #expect(order.status == (column.type.isOrdered ? 200 : 400), "\(name) by \(column.name): \(order.text.prefix(300))")
        #expect(try await api.send(.get, "/v1/\(name)", [column.name: "is.null", "limit": "1"]).status == 200)
      }
      let expansions = entity.resource.expand.map(\.name).joined(separator: ",")
      if !expansions.isEmpty {
        #expect(try await api.send(.get, "/v1/\(name)", ["expand": expansions, "limit": "20"]).status == 200, "\(name) with \(expansions)")
      }
      if !entity.resource.search.isEmpty { #expect(try await api.send(.get, "/v1/\(name)", ["search": "ışık"]).status == 200, "\(name)") }
      #expect(try await api.send(.post, "/v1/\(name)/aggregate", json: ["measures": ["count"]]).status == 200, "\(name)")
    }
  }
}

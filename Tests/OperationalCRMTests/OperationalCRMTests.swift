import CRMCore
import MuhatapTestKit
import OperationalCRM
import Testing

@Suite("Declared resources")
struct DeclaredResourceTests {
  @Test("every declaration agrees with the database")
  func agree() async throws {
    let database = try await TestDatabase.suite()
    let model = try Model(resources: Resource.access + OperationalCRM.resources, catalogue: try await Catalogue.read(from: database.app))
    #expect(model.entities.count == Resource.access.count + OperationalCRM.resources.count)
    #expect(model["orders"]?.one["customer"]?.target == "customers")
    #expect(model["customers"]?.column("kind")?.options == ["person", "organisation"])
  }
}

/// A database of the shared test server, cloned from the migrated template.
package struct TestDatabase: Sendable {
  package let name: String
  package let address: TestCluster.Address

  /// The database that all tests of one file share: cheap, but others' committed rows are in it.
  package static func suite(_ file: String = #fileID) async throws -> TestDatabase {
    try await TestCluster.shared.clone(of: file)
  }

  /// A database of its own (about a quarter of a second), for tests that count rows or change the schema.
  package static func clone() async throws -> TestDatabase {
    try await TestCluster.shared.clone()
  }

  /// How libpq reaches it as a role: `crm_app` as the gateway does, `crm_worker`, `crm_migrator`, or `postgres` to look behind the policies.
  package func url(as role: String = "crm_app") -> String {
    "postgresql://\(role)@/\(name)?host=\(address.host)&port=\(address.port)"
  }
}

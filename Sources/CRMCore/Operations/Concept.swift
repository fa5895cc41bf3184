/// One thing the business knows, with all that the program offers of it: what is stored, what can be done, what can be asked, what happens later.
package struct Concept: Sendable {
  package let resources: [Resource]
  package let operations: [BusinessOperation]
  package let reads: [ReadOperation]
  /// Addresses that fit neither, such as a page for people without a sign-in.
  package let endpoints: @Sendable (Database, Model) -> [Endpoint]
  /// Lists that are no resource's and are read in pages: what seals their cursors is the deployment's.
  package let lists: @Sendable (CursorSigner) -> [Endpoint]
  /// The same, where what clients are given has to be sealed, such as a visitor's token.
  package let signedEndpoints: @Sendable (Database, Model, CursorSigner) -> [Endpoint]
  package let jobs: [JobHandler]
  package let schedules: [Schedule]

  package init(
    resources: [Resource] = [], operations: [BusinessOperation] = [], reads: [ReadOperation] = [],
    endpoints: @Sendable @escaping (Database, Model) -> [Endpoint] = { _, _ in [] },
    lists: @Sendable @escaping (CursorSigner) -> [Endpoint] = { _ in [] },
    signedEndpoints: @Sendable @escaping (Database, Model, CursorSigner) -> [Endpoint] = { _, _, _ in [] }, jobs: [JobHandler] = [], schedules: [Schedule] = []
  ) {
    self.resources = resources
    self.operations = operations
    self.reads = reads
    self.endpoints = endpoints
    self.lists = lists
    self.signedEndpoints = signedEndpoints
    self.jobs = jobs
    self.schedules = schedules
  }
}

extension ResourceAPI {
  /// The addresses of a concept beyond those of its resources.
  package func endpoints(of concept: Concept) throws -> [Endpoint] {
    try concept.operations.map { try endpoint($0) } + concept.reads.map { try $0.endpoint(self) } + concept.endpoints(database, model) + concept.lists(signer)
      + concept.signedEndpoints(database, model, signer)
  }
}

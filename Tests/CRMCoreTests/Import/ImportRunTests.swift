import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// Who may import, and what happens to an import that waits, dies or was cut off.
@Suite("Running imports")
struct ImportRunTests {
  @Test("an import waits until another of the same resource is done, longer than statements wait for locks")
  func oneAtATime() async throws {
    let fixture = try await ImportFixture()
    let holding = try await fixture.door.transaction(as: fixture.system, deadline: .after(.seconds(120))) { tx in
      _ = try await tx.result("SELECT pg_advisory_xact_lock(hashtextextended('import/customers', 0))")
      let waiting = Task { try await fixture.run("no,name,vkn,size\n1,Bir,,\n", "customers", ImporterTests.customers, as: fixture.system) }
      try await Task.sleep(for: .milliseconds(2_600))
      #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
      return waiting
    }
    #expect(try await holding.value.rowsNew == 1)
  }

  @Test("nobody imports what they may not write, changes what is not theirs, or finds what they may not see")
  func permissions() async throws {
    let fixture = try await ImportFixture()
    let reader = try await fixture.user("reader", writes: [], reads: Area.allCases.filter { $0 != .admin })
    let refusal = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: ImporterTests.customers, fileName: nil, as: reader)
    }
    #expect(refusal?.status == 403)
    let writer = try await fixture.user("writer", writes: [.customers])
    let noProducts = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "orders", mapping: ImporterTests.orders, fileName: nil, as: writer)
    }
    #expect(noProducts?.status == 403)
    try await fixture.door.transaction(as: fixture.system) { tx in
      _ = try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES ('finance', 'Finance') RETURNING id")
      let id = try await tx.value(
        UUID.self,
        "INSERT INTO crm.customer (kind, name, department_id) SELECT 'organisation', 'Theirs', id FROM crm.department WHERE code = 'finance' RETURNING id")
      try await tx.run("INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'erp', '1', \(id), 'customers')")
      let hidden = try await tx.value(
        UUID.self,
        """
        INSERT INTO crm.customer (kind, name, department_id, visibility) SELECT 'organisation', 'Hidden', id, 'department' FROM crm.department WHERE code = 'finance'
        RETURNING id
        """)
      try await tx.run("INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'erp', '2', \(hidden), 'customers')")
    }
    let other: JSON = ["source_system": "erp", "key": "no", "department": "finance", "fields": ["kind": ["constant": "person"], "name": "name"]]
    let foreign = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: other, fileName: nil, as: writer)
    }
    #expect(foreign?.status == 403)
    let job = try await fixture.run("no,name,vkn,size\n1,Mine now,,\n2,Mine too,,\n3,New,,\n", "customers", ImporterTests.customers, as: writer)
    #expect(try await fixture.faults(job) == [.init(row: 2, code: "not-permitted"), .init(row: 3, code: "not-permitted")])
    #expect(job.rowsNew == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE name IN ('Theirs', 'Hidden', 'New')") == 3)
    await #expect(throws: Problem.self) { try await fixture.importer.find(job.id, as: reader) }
  }

  @Test("an import whose worker was killed is done by the next one, once")
  func resumes() async throws {
    let fixture = try await ImportFixture()
    let id = try await fixture.importer.create(resource: "customers", mapping: ImporterTests.customers, fileName: nil, as: fixture.system)
    try await fixture.importer.upload(id, ImportFixture.pieces(Array("no,name,vkn,size\n1,Bir,,\n2,İki,,\n".utf8)), as: fixture.system)
    let queue = JobQueue(database: fixture.door)
    try await fixture.door.transaction(as: fixture.system) { tx in
      try await JobQueue.enqueue("import.run", payload: ["import": .string(id.uuidString)], in: tx)
    }
    let handler = try #require(JobHandler.imports(of: Array(fixture.model.entities.values.map(\.resource))).first { $0.kind == "import.run" })
    let killed = try #require(try await queue.take(["import.run"], worker: "killed", lease: .milliseconds(100)))
    // It had got as far as its merge when it was killed: the status says so, nothing is written.
    try await fixture.door.transaction(as: fixture.system) { tx in _ = try await tx.run("UPDATE crm.import SET status = 'merging' WHERE id = \(id)") }
    try await Task.sleep(for: .milliseconds(200))
    let next = try #require(try await queue.take(["import.run"], worker: "next", lease: .seconds(30)))
    try await handler.run(JobLease(job: next, database: fixture.door))
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 2)
    #expect(try await fixture.importer.find(id, as: fixture.system).status == .done)
    // The killed one was only slow: what it does late is refused.
    await #expect(throws: (any Error).self) { try await handler.run(JobLease(job: killed, database: fixture.door)) }
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 2)
    #expect(try await fixture.count("SELECT count(*) FROM crm.job WHERE status = 'done' AND attempt = 2") == 1)
    #expect(try await fixture.importer.find(id, as: fixture.system).status == .done)
  }

  @Test("a damaged or empty file is refused with a clear problem, and can be sent again")
  func damaged() async throws {
    let fixture = try await ImportFixture()
    let whole = try ImportFixture.demo("data/demographics.csv.gz")
    let mapping = try ImportFixture.mapping("customers")
    let id = try await fixture.importer.create(resource: "customers", mapping: mapping, fileName: nil, as: fixture.system)
    for (bytes, code) in [(Array(whole.dropLast(20)), "damaged-file"), ([], "empty-file")] {
      let problem = await #expect(throws: Problem.self) { try await fixture.importer.upload(id, ImportFixture.pieces(bytes), as: fixture.system) }
      #expect(problem?.code == code)
      #expect(try await fixture.importer.find(id, as: fixture.system).status == .failed)
    }
    // Two gzip members in a row are one file.
    try await fixture.importer.upload(id, ImportFixture.pieces(whole, size: 7), as: fixture.system)
    try await fixture.importer.run(id, dryRun: false, as: fixture.system)
    #expect(try await fixture.importer.find(id, as: fixture.system).rowsNew == 13)
  }
}

import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Imports over the API")
struct ImportAPITests {
  /// Asks as the gateway does: the gateway's role for requests, the worker's for jobs.
  private struct Client {
    let fixture: ImportFixture
    let gateway: Database
    let endpoints: [Endpoint]
    let caller: Caller

    init(_ fixture: ImportFixture, as caller: Caller) {
      self.fixture = fixture
      gateway = Database(pool: fixture.database.app)
      endpoints = ImportAPI(database: gateway, model: fixture.model).endpoints
      self.caller = caller
    }

    func ask(_ method: Request.Method, _ path: String, id: String? = nil, body: Request.Body = .empty, language: Language = .english) async throws -> Response {
      let endpoint = try #require(endpoints.first { $0.method == method && $0.path == path })
      let request = Request(
        method: method, path: path, parameters: id.map { ["id": $0] } ?? [:], body: body, caller: caller, language: language, id: UUID(),
        deadline: .after(.seconds(300)))
      switch endpoint.handler {
      case .operation(let answer): return try await answer(request)
      case .read(let read):
        let read = try read(request)
        return try read.answer(try await gateway.pool.execute(read.statements, context: read.context, deadline: request.deadline))
      case .immediate(let answer): return try answer(request)
      case .live: throw Problem.notFound
      }
    }

    func json(_ method: Request.Method, _ path: String, id: String? = nil, _ body: JSON? = nil) async throws -> JSON {
      let bytes = try body.map { Request.Body.bytes(try $0.encoded()) } ?? .empty
      return try Self.decode(try await ask(method, path, id: id, body: bytes))
    }

    static func decode(_ response: Response) throws -> JSON {
      guard case .bytes(let bytes) = response.body else { return .null }
      return try JSONDecoder().decode(JSON.self, from: Data(bytes))
    }

    /// Does the jobs that were asked for, as a worker would.
    func work() async throws {
      let queue = JobQueue(database: fixture.door)
      let handlers = JobHandler.imports(of: Array(fixture.model.entities.values.map(\.resource)))
      while let job = try await queue.take(handlers.map(\.kind), worker: "test", lease: .seconds(60)) {
        let handler = try #require(handlers.first { $0.kind == job.kind })
        try await handler.run(JobLease(job: job, database: fixture.door))
      }
    }

    func wait(for status: String, id: String) async throws -> JSON {
      let json = try await json(.get, "/v1/imports/{id}", id: id)
      #expect(json["status"]?.string == status, "\(json)")
      return json
    }
  }

  /// A user whose rights stand in the database, because the worker looks them up anew.
  private func administrator(_ fixture: ImportFixture) async throws -> Caller {
    let department = fixture.department
    let id = try await fixture.door.transaction(as: fixture.system) { tx in
      let id = try await tx.value(
        UUID.self, "INSERT INTO crm.app_user (department_id, email, name) VALUES (\(department), 'chief@example.com', 'Chief') RETURNING id")
      let role = try await tx.value(UUID.self, "INSERT INTO crm.role (code, name) VALUES ('chief', 'Chief') RETURNING id")
      try await tx.run(
        "INSERT INTO crm.role_permission (role_id, area, read_scope, write_scope) SELECT \(role)::uuid, a, 'all', 'all' FROM unnest(crm.areas()) AS a")
      try await tx.run("INSERT INTO crm.user_role (user_id, role_id) VALUES (\(id), \(role))")
      return id
    }
    let reach = Caller.Reach(readable: [department, id, UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))], writable: [department, id])
    return Caller(
      identity: .user(id), name: "Chief", departmentID: department, reach: Dictionary(uniqueKeysWithValues: Area.allCases.map { ($0, reach) }))
  }

  @Test("begin, send, try, run, read the errors, take back")
  func wholeWay() async throws {
    let fixture = try await ImportFixture()
    let client = Client(fixture, as: try await administrator(fixture))
    let begun = try await client.ask(
      .post, "/v1/imports", body: .bytes(try (["resource": "customers", "mapping": ImporterTests.customers, "file_name": "müşteri.csv"] as JSON).encoded()))
    #expect(begun.status == 201)
    let id = try #require(try Client.decode(begun)["id"]?.string)
    #expect(begun.headers.contains { $0.name == "location" && $0.value == "/v1/imports/\(id)" })

    await #expect(throws: Problem.self) { try await client.json(.post, "/v1/imports/{id}/run", id: id) }
    let file = Array("no,name,vkn,size\n1,Bir,,\n2,,,\n3,\u{20}\n".utf8)
    let sent = try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(file, size: 5)))
    #expect(try Client.decode(sent)["rows_read"] == 3)
    #expect(try Client.decode(sent)["status"] == "staged")

    #expect(try await client.ask(.post, "/v1/imports/{id}/run", id: id, body: .bytes(Array(#"{"dry_run": true}"#.utf8))).status == 202)
    await #expect(throws: Problem.self, "it is under way") { try await client.json(.post, "/v1/imports/{id}/run", id: id) }
    try await client.work()
    #expect(try await client.wait(for: "checked", id: id)["rows_new"] == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)

    _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
    try await client.work()
    let done = try await client.wait(for: "done", id: id)
    #expect(done["rows_new"] == 1 && done["rows_refused"] == 2)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE created_by IS NOT NULL") == 1)

    let errors = try await client.ask(.get, "/v1/imports/{id}/errors", id: id, language: .turkish)
    guard case .stream(let stream) = errors.body else { throw Problem.unexpected }
    var bytes: [UInt8] = []
    try await stream { bytes += $0 }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
    #expect(lines == ["row,column,value,code,reason", "3,name,,required,name zorunludur.", "4,,\"3, \",field-count,\"Satırda 2 alan var, başlıkta 4.\""])

    _ = try await client.json(.post, "/v1/imports/{id}/undo", id: id)
    try await client.work()
    #expect(try await client.wait(for: "undone", id: id)["summary"]?["undo"]?["customers"] == ["removed": 1])
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
    #expect(try await client.json(.get, "/v1/imports")["data"]?.array?.count == 1)
  }

  @Test("an import is nobody else's to see, send, run or take back")
  func others() async throws {
    let fixture = try await ImportFixture()
    let owner = Client(fixture, as: try await administrator(fixture))
    let id = try #require(
      try await owner.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
    let other = Client(fixture, as: try await fixture.user("other", writes: Area.allCases, reads: Area.allCases.filter { $0 != .admin }))
    for (method, path) in [
      (Request.Method.get, "/v1/imports/{id}"), (.get, "/v1/imports/{id}/errors"), (.post, "/v1/imports/{id}/run"), (.post, "/v1/imports/{id}/undo"),
    ] {
      let problem = await #expect(throws: Problem.self) { try await other.ask(method, path, id: id) }
      #expect(problem?.status == 404)
    }
    let sent = await #expect(throws: Problem.self) {
      try await other.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces([65])))
    }
    #expect(sent?.status == 404)
    #expect(try await other.json(.get, "/v1/imports")["data"]?.array?.isEmpty == true)
  }

  @Test("whoever reads the administration of the maker's department sees an import and its errors, and leaves it to its maker")
  func administrators() async throws {
    let fixture = try await ImportFixture()
    let maker = Client(fixture, as: try await administrator(fixture))
    let id = try #require(
      try await maker.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
    _ = try await maker.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(Array("no,name,vkn,size\n1,Bir\n".utf8))))
    let chief = Client(fixture, as: try await fixture.user("head", writes: Area.allCases))
    #expect(try await chief.json(.get, "/v1/imports")["data"]?.array?.map { $0["id"] } == [.string(id)])
    #expect(try await chief.json(.get, "/v1/imports/{id}", id: id)["department_id"]?.string == fixture.department.uuidString.lowercased())
    let errors = try await chief.ask(.get, "/v1/imports/{id}/errors", id: id)
    guard case .stream(let stream) = errors.body else { throw Problem.unexpected }
    var bytes: [UInt8] = []
    try await stream { bytes += $0 }
    #expect(String(decoding: bytes, as: UTF8.self).contains("2,,\"1,Bir\",field-count"))
    for path in ["/v1/imports/{id}/run", "/v1/imports/{id}/undo"] {
      let problem = await #expect(throws: Problem.self) { try await chief.ask(.post, path, id: id) }
      #expect(problem?.status == 403)
    }
    let sent = await #expect(throws: Problem.self) {
      try await chief.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces([65])))
    }
    #expect(sent?.status == 403)
    let elsewhere = try await fixture.door.transaction(as: fixture.system) { tx in
      try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES ('finance', 'Finance') RETURNING id")
    }
    let reach = Caller.Reach(readable: [elsewhere], writable: [elsewhere])
    let stranger = Client(
      fixture,
      as: Caller(
        identity: try await fixture.user("stranger", writes: []).identity, name: "stranger", departmentID: elsewhere,
        reach: Dictionary(uniqueKeysWithValues: Area.allCases.map { ($0, reach) })))
    #expect(try await stranger.json(.get, "/v1/imports")["data"]?.array?.isEmpty == true)
  }

  @Test("an import whose workers have all vanished may be asked for again, and not before")
  func stuck() async throws {
    let fixture = try await ImportFixture()
    let client = Client(fixture, as: try await administrator(fixture))
    let id = try #require(
      try await client.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
    _ = try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(Array("no,name,vkn,size\n1,Bir,,\n".utf8))))
    _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
    let queue = JobQueue(database: fixture.door)
    for attempt in 1...5 {
      let taken = try #require(try await queue.take(["import.run"], worker: "vanishing", lease: .milliseconds(1)))
      #expect(taken.attempt == attempt)
      let refused = await #expect(throws: Problem.self) { try await client.json(.post, "/v1/imports/{id}/run", id: id) }
      #expect(refused?.code == "wrong-state")
      try await Task.sleep(for: .milliseconds(20))
    }
    #expect(try await queue.take(["import.run"], worker: "sixth", lease: .milliseconds(1)) == nil)
    try await queue.bury()
    #expect(try await client.wait(for: "merging", id: id)["step"] == "queued")
    _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
    try await client.work()
    #expect(try await client.wait(for: "done", id: id)["rows_new"] == 1)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 1)
  }

  @Test("a file that nobody imports for two weeks is swept, and can be sent again; a fresh one stays")
  func sweep() async throws {
    let fixture = try await ImportFixture()
    let client = Client(fixture, as: try await administrator(fixture))
    let file = Array("no,name,vkn,size\n1,Bir,,\n".utf8)
    var ids: [String] = []
    for _ in 0..<2 {
      let id = try #require(
        try await client.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
      _ = try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(file)))
      ids.append(id)
    }
    let old = try #require(UUID(uuidString: ids[0]))
    try await fixture.door.transaction(as: fixture.system) { tx in
      _ = try await tx.run("UPDATE crm.import SET updated_at = now() - interval '15 days' WHERE id = \(old)")
      _ = try await JobQueue.enqueue(JobHandler.sweepImports, in: tx)
    }
    try await client.work()
    #expect(try await fixture.count("SELECT count(*) FROM pg_class WHERE relnamespace = 'staging'::regnamespace AND relkind = 'r'") == 2)
    _ = try await client.json(.post, "/v1/imports/{id}/run", id: ids[0])
    await #expect(throws: HopelessJob.self) { try await client.work() }
    #expect(try await client.wait(for: "failed", id: ids[0])["problem"]?["code"] == "no-file")
    _ = try await client.ask(.put, "/v1/imports/{id}/file", id: ids[0], body: .stream(ImportFixture.pieces(file)))
    for id in ids {
      _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
      try await client.work()
    }
    #expect(try await client.wait(for: "done", id: ids[0])["rows_new"] == 1)
    #expect(try await client.wait(for: "done", id: ids[1])["rows_unchanged"] == 1)
  }

  @Test("a file that was cut off is not taken for the whole: it has to be sent again")
  func cutOff() async throws {
    struct Gone: Error {}
    let fixture = try await ImportFixture()
    let client = Client(fixture, as: try await administrator(fixture))
    let id = try #require(
      try await client.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
    let unsent = await #expect(throws: Problem.self) { try await client.json(.post, "/v1/imports/{id}/run", id: id) }
    #expect(unsent?.code == "no-file")
    // More than one piece, so that the first is staged when the sender goes.
    let rows = (1...200_000).map { "\($0),Kişi \($0),,\n" }.joined()
    let cut = AsyncThrowingStream<[UInt8], any Error> { sender in
      sender.yield(Array("no,name,vkn,size\n".utf8))
      sender.yield(Array(rows.utf8))
      sender.yield(Array("200001,Son,,\n".utf8))
      sender.finish(throwing: Gone())
    }
    await #expect(throws: Gone.self) { try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(cut)) }
    let refused = await #expect(throws: Problem.self) { try await client.json(.post, "/v1/imports/{id}/run", id: id) }
    #expect(refused?.code == "no-file")
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
    _ = try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(Array("no,name,vkn,size\n1,Bir,,\n".utf8))))
    _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
    try await client.work()
    #expect(try await client.wait(for: "done", id: id)["rows_new"] == 1)
  }

  @Test("rights that were taken away before a worker runs the import are not used")
  func withdrawn() async throws {
    let fixture = try await ImportFixture()
    let client = Client(fixture, as: try await administrator(fixture))
    let id = try #require(
      try await client.json(.post, "/v1/imports", ["resource": "customers", "mapping": ImporterTests.customers])["id"]?.string)
    _ = try await client.ask(.put, "/v1/imports/{id}/file", id: id, body: .stream(ImportFixture.pieces(Array("no,name,vkn,size\n1,Bir,,\n".utf8))))
    _ = try await client.json(.post, "/v1/imports/{id}/run", id: id)
    try await fixture.door.transaction(as: fixture.system) { tx in _ = try await tx.run("UPDATE crm.role_permission SET write_scope = 'none'") }
    await #expect(throws: HopelessJob.self) { try await client.work() }
    let failed = try await client.wait(for: "failed", id: id)
    #expect(failed["problem"]?["code"] == "forbidden")
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer") == 0)
  }
}

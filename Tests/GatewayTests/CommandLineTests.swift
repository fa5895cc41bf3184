import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("The command line")
struct CommandLineTests {
  private static let program = Command.repository.appending(path: ".build/debug/muhatap").path
  private static let cursorKey = Data(repeating: 7, count: 32).base64EncodedString()

  private func muhatap(_ arguments: String..., environment: [String: String] = [:]) async throws -> Command.Output {
    try await Command(Self.program, arguments, environment: environment).output()
  }

  @Test("config lists every setting with its source and keeps secrets to itself")
  func config() async throws {
    let listed = try await muhatap(
      "config", "--set", "http.port=9999",
      environment: ["DATABASE_URL": "postgresql://crm_app:geheim@db/muhatap", "MUHATAP_LOG_LEVEL": "debug"])
    #expect(listed.exitCode == 0, "\(listed.standardError)")
    #expect(listed.standardOutput.contains("MUHATAP_HTTP_PORT = 9999  [flag]"))
    #expect(listed.standardOutput.contains("MUHATAP_LOG_LEVEL = debug  [environment]"))
    #expect(listed.standardOutput.contains("MUHATAP_HTTP_HOST = 127.0.0.1  [default]"))
    #expect(listed.standardOutput.contains("MUHATAP_DATABASE_URL = (secret)  [environment]"))
    #expect(!listed.standardOutput.contains("geheim"))
  }

  @Test("a file sets what neither flag nor environment does")
  func file() async throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID().uuidString).json")
    try #"{"http": {"port": 9000, "host": "0.0.0.0", "http2": false}}"#.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    let listed = try await muhatap("config", "--config", file.path, environment: ["MUHATAP_HTTP_HOST": "127.0.0.2"])
    #expect(listed.standardOutput.contains("MUHATAP_HTTP_PORT = 9000  [file]"), "\(listed.standardError)")
    #expect(listed.standardOutput.contains("MUHATAP_HTTP_HTTP2 = false  [file]"))
    #expect(listed.standardOutput.contains("MUHATAP_HTTP_HOST = 127.0.0.2  [environment]"))
  }

  @Test("all mistakes of a configuration are told at once, and no secret with them")
  func mistakes() async throws {
    let refused = try await muhatap(
      "serve", "--set", "http.eventLoops=many",
      environment: ["MUHATAP_HTTP_PORT": "70000", "MUHATAP_HTTP_PROT": "1", "MUHATAP_HTTP_CURSOR_KEY": "geheim", "MUHATAP_TLS_KEY": "x.pem"])
    #expect(refused.exitCode == 1)
    for variable in ["DATABASE_URL", "HTTP_EVENT_LOOPS", "HTTP_PORT", "HTTP_PROT:", "HTTP_CURSOR_KEY", "TLS_CERTIFICATE"] {
      #expect(refused.standardError.contains("MUHATAP_\(variable)"), "\(variable) is not in: \(refused.standardError)")
    }
    #expect(!refused.standardError.contains("geheim"))
  }

  @Test("serve refuses a role above row-level security")
  func unsafeRole() async throws {
    let database = try await TestDatabase.suite()
    for role in ["postgres", "crm_migrator"] {
      let refused = try await muhatap(
        "serve", environment: ["DATABASE_URL": database.url(as: role), "MUHATAP_HTTP_CURSOR_KEY": Self.cursorKey, "MUHATAP_HTTP_PORT": "0"])
      #expect(refused.exitCode == 1)
      #expect(refused.standardError.contains("row-level security would not hold"), "\(refused.standardError)")
    }
  }

  @Test("serve ends by itself on SIGTERM, and at once on a second Ctrl-C", arguments: [[SIGTERM], [SIGINT, SIGINT]])
  func signals(_ signals: [Int32]) async throws {
    let database = try await TestDatabase.suite()
    let process = Process()
    process.executableURL = URL(filePath: Self.program)
    process.arguments = ["serve", "--set", "http.port=0", "--set", "deadlines.drainNotice=\(signals.count == 1 ? 0 : 60)"]
    process.environment = ["DATABASE_URL": database.url(), "MUHATAP_HTTP_CURSOR_KEY": Self.cursorKey]
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID().uuidString).log")
    try Data().write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    process.standardOutput = try FileHandle(forWritingTo: file)
    try process.run()
    defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
    func logs(_ message: String) async throws {
      let deadline = ContinuousClock.now + .seconds(180)
      while try !String(contentsOf: file, encoding: .utf8).contains("\"message\":\"\(message)\"") {
        try #require(process.isRunning && ContinuousClock.now < deadline, "serve never said that it is \(message)")
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    try await logs("listening")
    for (number, signal) in signals.enumerated() {
      // Two that come before the first was seen are one.
      if number > 0 { try await logs("draining") }
      kill(process.processIdentifier, signal)
    }
    let deadline = ContinuousClock.now + .seconds(45)
    while process.isRunning, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
    #expect(!process.isRunning)
    if !process.isRunning { #expect(process.terminationStatus == (signals.count == 1 ? 0 : 130)) }
  }

  @Test("doctor finds nothing wrong with a fresh database, and names what is missing in an empty one")
  func doctor() async throws {
    let database = try await TestDatabase.suite()
    let well = try await muhatap("doctor", environment: ["DATABASE_URL": database.url(as: "crm_migrator")])
    #expect(well.exitCode == 0, "\(well.standardOutput)")
    #expect(well.standardOutput.contains("All is well."))
    let empty = try await muhatap("doctor", environment: ["DATABASE_URL": database.url(as: "postgres").replacing("/\(database.name)?", with: "/postgres?")])
    #expect(empty.exitCode == 1)
    #expect(empty.standardOutput.contains("muhatap migrate up"), "\(empty.standardOutput)")
  }

  @Test("doctor does not pass a superuser, whom serve refuses")
  func doctorAsSuperuser() async throws {
    let database = try await TestDatabase.suite()
    let found = try await muhatap("doctor", environment: ["DATABASE_URL": database.url(as: "postgres")])
    #expect(found.exitCode == 1 && found.standardOutput.contains("superuser"), "\(found.standardOutput)")
    let migrator = try await muhatap("doctor", environment: ["DATABASE_URL": database.url(as: "crm_migrator")])
    #expect(migrator.standardOutput.contains("migrations are applied"), "\(migrator.standardOutput)")
  }

  @Test("serve says which address is taken")
  func takenAddress() async throws {
    let server = try await TestServer.suite()
    let port = server.address.split(separator: ":").last.map(String.init) ?? ""
    let refused = try await muhatap(
      "serve", environment: ["DATABASE_URL": server.database.url(), "MUHATAP_HTTP_CURSOR_KEY": Self.cursorKey, "MUHATAP_HTTP_PORT": port])
    #expect(refused.exitCode == 1)
    #expect(refused.standardError.contains("127.0.0.1:\(port)") && refused.standardError.contains("in use"), "\(refused.standardError)")
  }

  @Test("what the command line refuses is said in a sentence with what there is instead")
  func refusals() async throws {
    let server = try await TestServer.suite()
    let environment = ["DATABASE_URL": server.database.url(as: "crm_migrator")]
    let department = try await muhatap("admin", "bi-login", "bi_x", "--department", "satis", environment: environment)
    #expect(department.standardError.contains("There is no department satis. There are:") && department.standardError.contains("sales"))
    let login = try await muhatap("admin", "bi-login", "sales", "--department", "sales", environment: environment)
    #expect(login.standardError.contains("/login:"), "\(login.standardError)")
    let role = try await muhatap("admin", "user", "a@b.example", "--name", "A", "--department", "sales", "--role", "kral", environment: environment)
    #expect(role.standardError.contains("There is no role kral. There are:") && role.standardError.contains("sales_rep"))
    let address = try await muhatap("admin", "user", "kein", "--name", "A", "--department", "sales", environment: environment)
    #expect(address.standardError.contains("/email:"), "\(address.standardError)")
    let file = try await muhatap("import", "/nowhere.csv", "--resource", "customers", "--mapping", "/nowhere.json", "--as", "x", environment: environment)
    #expect(file.standardError.contains("/nowhere.csv cannot be read."), "\(file.standardError)")
    for output in [department, login, role, address, file] {
      #expect(output.exitCode != 0)
      #expect(!output.standardError.contains("SQLSTATE") && !output.standardError.contains(".swift") && !output.standardError.contains("NSCocoa"))
    }
  }

  @Test("a database that cannot be reached is logged once, not several times a second")
  func unreachable() async throws {
    let refused = try await muhatap(
      "serve",
      environment: ["DATABASE_URL": "postgresql://crm_app@127.0.0.1:1/muhatap", "MUHATAP_HTTP_CURSOR_KEY": Self.cursorKey, "MUHATAP_HTTP_PORT": "0"])
    #expect(refused.exitCode == 1)
    #expect((1...3).contains(refused.standardOutput.components(separatedBy: "no connection to PostgreSQL").count - 1), "\(refused.standardOutput)")
  }

  @Test("a user and a key made by the command line sign in")
  func administration() async throws {
    let server = try await TestServer.suite()
    let environment = ["DATABASE_URL": server.database.url()]
    let user = try await muhatap(
      "admin", "user", "yeni@carsi.example", "--name", "Yeni Kişi", "--department", "sales", "--role", "sales_rep", environment: environment)
    #expect(user.exitCode == 0, "\(user.standardError)")
    let key = try await muhatap(
      "admin", "api-key", "--user", "yeni@carsi.example", "--name", "test", "--scope", "customers:read", environment: environment)
    let token = key.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
    let answer = try await server.send(.get, "/v1/customers?limit=1", as: nil, headers: ["authorization": "Bearer \(token)"])
    #expect(answer.status == 200, "\(answer.text)")
    let narrowed = try await server.send(.get, "/v1/orders?limit=1", as: nil, headers: ["authorization": "Bearer \(token)"])
    #expect(narrowed.status == 403, "\(narrowed.text)")
    let unknown = try await muhatap("admin", "api-key", "--user", "kimse@carsi.example", "--name", "test", environment: environment)
    #expect(unknown.exitCode == 1)
  }
}

import ArgumentParser
import CRMCore
import Crypto
import Foundation
import Gateway
import PostgresClient

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Say whether everything is in order, and how to put right what is not.")

  @OptionGroup var options: SettingsOptions

  /// What was found out about one thing.
  private struct Finding {
    let isGood: Bool
    let text: String
  }

  func run() async throws {
    let findings = try await options.withPool(.administer) { pool, settings in
      do {
        return try await server(pool) + roles(pool) + migrations(pool, settings) + schema(pool)
      } catch let error as PostgresError {
        return [Finding(isGood: false, text: "the database does not answer: \(error). Check DATABASE_URL.")]
      }
    }
    for finding in findings { print(finding.isGood ? "  ok      \(finding.text)" : "  WRONG   \(finding.text)") }
    let wrong = findings.count { !$0.isGood }
    print(wrong == 0 ? "All is well." : "\(wrong) to put right.")
    if wrong > 0 { throw ExitCode.failure }
  }

  private func read(_ pool: PostgresPool, _ sql: SQL) async throws -> PostgresResult {
    try await pool.execute([sql], context: PostgresPool.Context(readOnly: true), deadline: .after(.seconds(10)))[0]
  }

  private func server(_ pool: PostgresPool) async throws -> [Finding] {
    let before = Date.now
    let row = try await read(
      pool,
      """
      SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name,
             current_setting('server_encoding') AS encoding, current_setting('data_checksums') AS checksums,
             current_setting('TimeZone') AS zone, current_setting('password_encryption') AS passwords,
             extract(epoch FROM clock_timestamp())::float8 AS now, current_user::text AS role,
             coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS super, pg_is_in_recovery() AS standby,
             EXISTS (SELECT FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS encrypted, inet_client_addr() IS NOT NULL AS remote
      """)[0]
    let halfway = (before.timeIntervalSince1970 + Date.now.timeIntervalSince1970) / 2
    let skew = abs(try row.decode(Double.self, "now") - halfway)
    let version = try row.decode(Int.self, "version")
    let encoding = try row.decode(String.self, "encoding")
    let remote = try row.decode(Bool.self, "remote")
    let encrypted = try row.decode(Bool.self, "encrypted")
    var findings = [
      Finding(
        isGood: version >= 150_000,
        text:
          "PostgreSQL \(try row.decode(String.self, "name")), as \(try row.decode(String.self, "role"))\(version >= 150_000 ? "" : ": 15 or newer is needed")"
      ),
      Finding(isGood: encoding == "UTF8", text: "encoding \(encoding)\(encoding == "UTF8" ? "" : ": make the database anew with ENCODING 'UTF8'")"),
      Finding(isGood: skew < 1, text: "clocks differ by \(Int(skew * 1000)) ms\(skew < 1 ? "" : ": set both by NTP; tokens and deadlines depend on it")"),
      Finding(
        isGood: true,
        text: remote
          ? "connected over the network, \(encrypted ? "encrypted" : "NOT encrypted: add sslmode=verify-full")" : "connected by unix socket"),
    ]
    if try row.decode(Bool.self, "super") {
      findings.append(
        Finding(isGood: false, text: "connected as a superuser, whom row-level security does not bind: connect as crm_app, crm_worker or crm_migrator"))
    }
    if try row.decode(String.self, "checksums") == "off" {
      findings.append(Finding(isGood: false, text: "data checksums are off: pg_checksums --enable on the stopped server finds damaged disks early"))
    }
    if try row.decode(String.self, "passwords") != "scram-sha-256" {
      findings.append(Finding(isGood: false, text: "password_encryption is not scram-sha-256: set it in postgresql.conf"))
    }
    if try row.decode(Bool.self, "standby") {
      findings.append(Finding(isGood: false, text: "this is a standby, which cannot be written: name the primary too, or add target_session_attrs=read-write"))
    }
    return findings
  }

  private func roles(_ pool: PostgresPool) async throws -> [Finding] {
    let rows = try await read(
      pool,
      """
      SELECT wanted.name, r.rolname IS NOT NULL AS present, coalesce(r.rolsuper, false) AS super, coalesce(r.rolbypassrls, false) AS bypasses
        FROM unnest(ARRAY['crm_owner', 'crm_migrator', 'crm_app', 'crm_worker', 'bi_reader']) AS wanted (name)
        LEFT JOIN pg_roles AS r ON r.rolname = wanted.name
      """)
    let mayBypass = ["crm_migrator"]
    return try rows.rows.map { row in
      let name = try row.decode(String.self, "name")
      guard try row.decode(Bool.self, "present") else {
        return Finding(isGood: false, text: "role \(name) is missing: run sql/bootstrap.sql as an administrator")
      }
      if try row.decode(Bool.self, "super") { return Finding(isGood: false, text: "role \(name) is a superuser: ALTER ROLE \(name) NOSUPERUSER") }
      if try row.decode(Bool.self, "bypasses"), !mayBypass.contains(name) {
        return Finding(isGood: false, text: "role \(name) bypasses row-level security: ALTER ROLE \(name) NOBYPASSRLS")
      }
      return Finding(isGood: true, text: "role \(name)")
    }
  }

  /// Only crm_migrator sees what has been applied.
  private func migrations(_ pool: PostgresPool, _ settings: Settings) async throws -> [Finding] {
    guard try await read(pool, "SELECT current_user::text = 'crm_migrator'")[0].decode(Bool.self, at: 0) else { return [] }
    let status = try await Migrator(settings).status()
    let text = status.explanation[0] + (status.isUpToDate ? "" : " `muhatap migrate status` says what is to be done")
    return [Finding(isGood: status.isUpToDate, text: text)]
  }

  private func schema(_ pool: PostgresPool) async throws -> [Finding] {
    do {
      let api = try await API(database: Database(pool: pool), cursorKey: SymmetricKey(size: .bits256))
      return [Finding(isGood: true, text: "\(api.model.entities.count) resources fit the database")]
    } catch let mistakes as Model.Mistakes {
      return mistakes.list.map { Finding(isGood: false, text: "\($0): run `muhatap migrate up` with the program of this version") }
    }
  }
}

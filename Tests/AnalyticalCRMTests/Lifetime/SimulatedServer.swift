import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

/// One after the other: a worker that one test has started would take the runs of another and leave them when it stops.
@Suite("Runs over a simulated company", .serialized)
struct SimulatedCompanyTests {}

/// A server with a simulated company whose truth is known.
enum SimulatedServer {
  static let plan = CompanyPlan(seed: 3, customers: 2_000, months: 18, ordersPerCustomer: 5, linesPerOrder: 0)

  private actor Shared {
    static let shared = Shared()
    private var task: Task<(TestServer, CompanyTotals), any Error>?

    func get() async throws -> (TestServer, CompanyTotals) {
      let running =
        task
        ?? Task {
          let database = try await TestDatabase.clone()
          try await DemoCompany.found(in: database.app)
          let totals = try await CompanyWriter(plan: plan, database: Database(pool: database.migrator)).write(department: nil) { _ in }
          return (try await TestServer.start(on: database), totals)
        }
      task = running
      return try await running.value
    }
  }

  /// Shared by all tests, which do not change what was bought.
  static func suite() async throws -> (server: TestServer, totals: CompanyTotals) { try await Shared.shared.get() }
}

extension TestServer {
  /// Runs a statement as the superuser.
  func look(_ statement: SQL) async throws -> PostgresResult {
    try await database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(60)))[0]
  }
}

extension JSON {
  /// A number, also one that is written as exact decimal text.
  var double: Double? {
    switch self {
    case .number(let number): NSDecimalNumber(decimal: number).doubleValue
    case .string(let text): Double(text)
    default: nil
    }
  }
}

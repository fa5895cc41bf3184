import AnalyticalCRM
import ArgumentParser
import CRMCore
import Foundation
import PostgresClient
import Synchronization

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Fill the database with a made-up company whose truth is known. Needs the role crm_migrator.",
    discussion: """
      For example: muhatap simulate --seed 7 --customers 10000 --months 24 --truth truth.json
      Customers buy as BG/NBD says, spend as Gamma-Gamma says and renew contracts as the shifted beta-geometric says; the parameters and what was drawn are written
      to the file of the truth. The same seed and sizes make the same company, to the last id. It is not written to the change log. Nothing else may write meanwhile.
      """)

  @Option(help: "The same seed makes the same company.") var seed: UInt64 = 1
  @Option(help: "How many customers.") var customers = 10_000
  @Option(help: "How many months, from the first.") var months = 24
  @Option(help: ArgumentHelp("The first month, such as 2024-01.", valueName: "month")) var from = "2024-01"
  @Option(help: "How many orders a customer has on average, the first one included; at least 1.1.") var ordersPerCustomer = 6.0
  @Option(help: "The most lines on an order; 0 for orders without lines.") var linesPerOrder = 3
  @Option(help: "The code of the department that works with everything; the topmost one without it.") var department: String?
  @Option(help: ArgumentHelp("A file to write the truth to, as JSON; standard output without it.", valueName: "file")) var truth: String?
  @OptionGroup var options: SettingsOptions

  func validate() throws {
    guard (1...50_000_000).contains(customers) else { throw ValidationError("--customers is 1 to 50,000,000.") }
    guard (3...240).contains(months) else { throw ValidationError("--months is 3 to 240.") }
    guard (1.1...200).contains(ordersPerCustomer) else { throw ValidationError("--orders-per-customer is 1.1 to 200.") }
    guard (0...20).contains(linesPerOrder) else { throw ValidationError("--lines-per-order is 0 to 20.") }
    _ = try firstDay()
  }

  private func firstDay() throws -> CalendarDay {
    let parts = from.split(separator: "-").map { Int($0) }
    guard parts.count == 2, let year = parts[0], let month = parts[1], (1900...2100).contains(year), (1...12).contains(month) else {
      throw ValidationError("--from is a month such as 2024-01.")
    }
    return CalendarDay(year: year, month: month)
  }

  func run() async throws {
    let plan = CompanyPlan(
      seed: seed, customers: customers, months: months, ordersPerCustomer: ordersPerCustomer, linesPerOrder: linesPerOrder, firstDay: try firstDay())
    let totals = try await options.withPool(.administer) { pool, _ in
      let bar = Mutex(ProgressBar("customers", total: plan.customers))
      defer { bar.withLock { $0.clear() } }
      do {
        return try await CompanyWriter(plan: plan, database: Database(pool: pool)).write(department: department) { done in bar.withLock { $0.update(done) } }
      } catch CompanyWriter.Refusal.noDepartment {
        throw ValidationError("There is no such department. Make one first, or the demo company: muhatap admin demo-company")
      } catch CompanyWriter.Refusal.alreadyThere {
        throw ValidationError("The company of seed \(seed) is in this database already. Take another seed.")
      }
    }
    let bytes = try plan.truth(totals).encoded() + [UInt8(ascii: "\n")]
    if let truth { try Data(bytes).write(to: URL(filePath: truth)) } else { try FileHandle.standardOutput.write(contentsOf: Data(bytes)) }
  }
}

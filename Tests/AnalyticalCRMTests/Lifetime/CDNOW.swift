import Foundation
import MuhatapTestKit

@testable import AnalyticalCRM

/// The published data of 2,357 customers; see Fixtures/README.md.
enum CDNOW {
  static let rows: [[Double]] = {
    let file = Command.repository.appending(path: "Tests/AnalyticalCRMTests/Fixtures/cdnow.csv")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.split(whereSeparator: \.isNewline).dropFirst().map { $0.split(separator: ",").compactMap { Double($0) } }
  }()

  static let histories = rows.map { PurchaseHistory(frequency: Int($0[1]), recency: $0[2], age: $0[3]) }

  static let spending = Dictionary(grouping: rows.filter { $0[1] > 0 }, by: { Int($0[1]) }).sorted { $0.key < $1.key }
    .map { GammaGammaModel.Spending(frequency: $0.key, means: $0.value.map { $0[4] }) }
}

/// |a − b| relative to b.
func deviation(_ a: Double, from b: Double) -> Double { abs(a - b) / abs(b) }

import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@testable import AnalyticalCRM

@Suite struct KMeansTests {
  /// Recency, orders and cents of the year's customers, in the order of their households.
  private func columns() throws -> [[Double?]] {
    let rows = try ShoppingYear.expectedCustomers().values.sorted { Int($0["household_id"] ?? "") ?? 0 < Int($1["household_id"] ?? "") ?? 0 }
    return ["recency_days", "orders", "cents"].map { name in rows.map { row in Double(row[name] ?? "") } }
  }

  @Test(arguments: [3, 4, 5]) func `the groups are as good as the best that was found independently`(count: Int) throws {
    let expected = try #require(try ShoppingYear.expected()["kmeans"]?["\(count)"])
    let best = try #require(expected["best_inertia"]?.double)
    let points = KMeans.standardised(try columns(), log: true)
    let found = KMeans(points, count: count, starts: KMeans.starts(for: points.count))
    #expect(found.inertia <= best * (1 + 1e-9), "\(found.inertia) against \(best)")
    #expect(abs(found.inertia - best) < 1e-9 * best)
    let order = found.centres.indices.sorted { found.centres[$0][2] > found.centres[$1][2] }
    let sizes = order.map { label in found.labels.count { $0 == label } }
    #expect(sizes == expected["sizes_by_monetary_desc"]?.array?.map(\.count))
    for (label, centre) in zip(order, expected["centers_z"]?.array ?? []) {
      for (own, wanted) in zip(found.centres[label], centre.array ?? []) { #expect(abs(own - (wanted.double ?? .nan)) < 1e-5) }
    }
  }

  @Test func `the same points give the same groups, and few or equal points fewer of them`() throws {
    let points = KMeans.standardised(try columns(), log: true)
    #expect(KMeans(points, count: 4, starts: 10).labels == KMeans(points, count: 4, starts: 10).labels)
    #expect(KMeans([], count: 3, starts: 2).labels == [])
    let equal = KMeans([[1, 1], [1, 1], [1, 1]], count: 2, starts: 2)
    #expect(equal.labels == [0, 0, 0] && equal.inertia == 0)
    let two = KMeans([[0], [10]], count: 5, starts: 3)
    #expect(Set(two.labels).count == 2 && two.inertia == 0)
  }

  @Test func `a constant column says nothing, and a missing value stands at the mean`() {
    #expect(KMeans.standardised([[5, 5, 5], [1, nil, 3]], log: false) == [[0, -1], [0, 0], [0, 1]])
    #expect(KMeans.standardised([[0, 0]], log: true) == [[0], [0]])
    #expect(KMeans.standardised([[-1, 1]], log: true) == [[-1], [1]])
    #expect(KMeans.standardised([[nil, nil]], log: true) == [[0], [0]])
  }
}

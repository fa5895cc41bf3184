import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("RFM")
struct RFMTests {
  private static let asOf = "as_of=\(ShoppingYear.asOf)"

  @Test("cutpoints, cells and the scores of every customer are the ones computed independently, in both schemes")
  func shoppingYear() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try #require(try ShoppingYear.expected()["rfm"])
    let customers = try ShoppingYear.expectedCustomers()
    let summary = try await server.ask("/v1/analytics/rfm?\(Self.asOf)")
    #expect(summary["n"] == 48 && summary["method"] == "rfm_cut" && summary["model"] == "rfm" && summary["currency"] == "USD")
    #expect(summary["revenue"]?.cents == 8_286_448)
    for (ours, theirs, scale) in [("orders", "orders", 1.0), ("revenue", "monetary_cents", 100.0), ("negative_recency_days", "neg_recency", 1.0)] {
      let found = try #require(summary["cutpoints"]?[ours]?.array).map { ($0.figure ?? .nan) * scale }
      let wanted = try #require(expected["cutpoints"]?[theirs]?.array).map { $0.figure ?? .nan }
      #expect(found.count == 4 && zip(found, wanted).allSatisfy { isClose($0, $1) }, "\(ours): \(found) against \(wanted)")
    }
    let ntile = try await server.ask("/v1/analytics/rfm?\(Self.asOf)&scheme=ntile")
    let cells = try #require(ntile["data"]?.array).map { (String($0["cell"]?.whole ?? 0), $0["customers"]?.whole ?? 0) }
    let wanted = try #require(expected["segment_counts_ntile"]?.object).mapValues { $0.whole ?? -1 }
    #expect(Dictionary(uniqueKeysWithValues: cells) == wanted)
    #expect(ntile["cutpoints"] == .null)

    for (scheme, columns) in [("cut", ["r_cut", "f_cut", "m_cut"]), ("ntile", ["r", "f", "m"])] {
      let run = try await server.compute("/v1/analytics/rfm/runs", ["as_of": .string(ShoppingYear.asOf), "scheme": .string(scheme)])
      #expect(run["status"] == "done" && run["population"] == 48 && run["method"] == .string("rfm_\(scheme)"), "\(run)")
      #expect(run["result"]?["cells"] == (scheme == "cut" ? summary : ntile)["data"])
      let id = try #require(run["id"]?.string)
      let rows = try #require(try await server.ask("/v1/analytics/rfm/customers?run_id=\(id)&limit=1000")["data"]?.array)
      #expect(rows.count == customers.count)
      for row in rows {
        let wanted = try #require(customers[row["name"]?.string ?? ""])
        let scores = ["recency_score", "frequency_score", "monetary_score"].map { row[$0]?.whole }
        #expect(scores == columns.map { wanted[$0].flatMap(Int.init) }, "\(scheme) \(row)")
        #expect(row["recency_days"]?.whole == wanted["recency_days"].flatMap(Int.init) && row["orders"]?.whole == wanted["orders"].flatMap(Int.init))
        #expect(row["revenue"]?.cents == wanted["cents"].flatMap(Int.init))
      }
      // Pages are the same list in pieces.
      var paged: [JSON] = []
      var after = ""
      repeat {
        let page = try await server.ask("/v1/analytics/rfm/customers?run_id=\(id)&limit=7\(after)")
        paged += page["data"]?.array ?? []
        after = page["next_after"]?.string.map { "&after=\($0)" } ?? ""
      } while !after.isEmpty
      #expect(paged == rows)
      let champions = try #require(try await server.ask("/v1/analytics/rfm/customers?run_id=\(id)&group=champions&limit=1000")["data"]?.array)
      #expect(champions == rows.filter { $0["group"] == "champions" } && !champions.isEmpty)
      let cell = try #require(rows.first?["cell"]?.whole)
      #expect(try await server.ask("/v1/analytics/rfm/customers?run_id=\(id)&cell=\(cell)")["data"]?.array == rows.filter { $0["cell"]?.whole == cell })
    }
  }

  @Test("the named groups are a partition: all 125 cells are in exactly the group whose rule holds first")
  func partition() async throws {
    let server = try await ShoppingYear.suite()
    let rows = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      "SELECT r, f, m, analytics.rfm_group(r, f, m) AS name FROM generate_series(1, 5) AS r, generate_series(1, 5) AS f, generate_series(1, 5) AS m")
    #expect(rows.count == 125)
    for row in rows.rows {
      let (r, f, m) = (try row.decode(Int.self, "r"), try row.decode(Int.self, "f"), try row.decode(Int.self, "m"))
      let both = Double(f + m) / 2
      let rules: [(String, Bool)] = [
        ("champions", r >= 4 && both >= 4), ("loyal", r >= 3 && both >= 3.5), ("new", r >= 4 && f == 1), ("promising", r >= 4),
        ("at_risk", r <= 2 && both >= 3.5), ("lost", r == 1),
        ("needs_attention", true),
      ]
      #expect(try row.decode(String.self, "name") == rules.first { $0.1 }?.0, "\(r)\(f)\(m)")
    }
    for scheme in ["cut", "ntile"] {
      let answer = try await server.ask("/v1/analytics/rfm?\(Self.asOf)&scheme=\(scheme)")
      let groups = try #require(answer["groups"]?.array)
      #expect(groups.count == 7 && groups.compactMap { $0["customers"]?.whole }.reduce(0, +) == 48)
      #expect(groups.compactMap { $0["revenue"]?.cents }.reduce(0, +) == 8_286_448)
      #expect(
        isClose(groups.compactMap { $0["customer_share"]?.figure }.reduce(0, +), 1)
          && isClose(groups.compactMap { $0["revenue_share"]?.figure }.reduce(0, +), 1))
      #expect(groups.allSatisfy { $0["label_tr"]?.string?.isEmpty == false && $0["label_en"]?.string?.isEmpty == false })
    }
  }

  @Test("scores do not depend on the order in which customers and orders were entered")
  func permutation() async throws {
    var buyers: [(String, [(day: String, currency: String, amount: String)])] = []
    for number in 1...12 {
      var orders: [(day: String, currency: String, amount: String)] = []
      for step in 0...(number * 5 % 7) {
        let (month, day) = (1 + (number + step) % 11, 1 + number * step % 28)
        orders.append((day: String(format: "2025-%02d-%02d", month, day), currency: "TRY", amount: "\(number * 17 % 40 + step).50"))
      }
      buyers.append(("Alıcı \(number)", orders))
    }
    var cells: [[JSON]] = []
    for backwards in [false, true] {
      let server = try await TestServer.start()
      for (name, orders) in backwards ? buyers.reversed() : buyers { _ = try await server.sell(name, backwards ? orders.reversed() : orders) }
      cells.append(try #require(try await server.ask("/v1/analytics/rfm?as_of=2025-12-31T00:00:00Z")["data"]?.array))
    }
    #expect(cells[0] == cells[1] && !cells[0].isEmpty)
  }

  @Test("one customer has a score; all alike share one; negative revenue counts like any other value; amounts are converted at the rate of the day")
  func edges() async throws {
    let server = try await TestServer.start()
    _ = try await server.sell("Bir", [("2025-01-10", "TRY", "-5.00")])
    let one = try await server.ask("/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z")
    #expect(one["n"] == 1 && one["revenue"] == "-5.00" && one["data"]?.array?.compactMap { $0["cell"]?.whole } == [111], "\(one)")
    _ = try await server.sell("İki", [("2025-01-10", "TRY", "-5.00")])
    #expect(try await server.ask("/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z")["data"]?.array?.compactMap { $0["customers"]?.whole } == [2])
    _ = try await server.sell("Üç", [("2025-01-20", "USD", "10.00")])
    let mixed = try await server.send(.get, "/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z")
    #expect(mixed.status == 422 && mixed.problem == "mixed-currencies" && mixed.text.contains("TRY, USD"), "\(mixed.text)")
    let unrated = try await server.send(.get, "/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z&currency=TRY")
    #expect(unrated.status == 422 && unrated.problem == "no-rate" && unrated.text.contains("USD (1)"), "\(unrated.text)")
    let failed = try await server.compute("/v1/analytics/rfm/runs", ["as_of": "2025-02-01T00:00:00Z"])
    #expect(
      failed["status"] == "failed" && failed["problem"]?["code"] == "mixed-currencies" && failed["problem"]?["tr"]?.string?.contains("TRY, USD") == true,
      "\(failed)")
    let rate = try await server.send(
      .post, "/v1/exchange_rates", json: ["from_currency": "USD", "to_currency": "TRY", "on_day": "2025-01-19", "rate": "35.5", "source": "TCMB"])
    try #require(rate.status == 201, "\(rate.text)")
    let converted = try await server.ask("/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z&currency=TRY")
    #expect(converted["currency"] == "TRY" && converted["revenue"]?.cents == 34_500, "\(converted)")
    // Before anything happened there is nobody to score.
    let empty = try await server.send(.get, "/v1/analytics/rfm?as_of=2024-01-01T00:00:00Z")
    #expect(empty.status == 422 && empty.problem == "empty-population")
    // A day is one of the time zone: 21:30 in UTC is already the next day in Istanbul.
    let night = try await TestServer.start()
    _ = try await night.sell("Gece", [("2025-01-10T21:30:00Z", "TRY", "1")])
    for (zone, days) in [("UTC", 22.0), ("Europe/Istanbul", 21)] {
      let answer = try await night.ask("/v1/analytics/rfm?as_of=2025-02-01T00:00:00Z&time_zone=\(zone)")
      #expect(answer["cutpoints"]?["negative_recency_days"]?.array?.first?.figure == -days, "\(answer)")
    }
  }

  @Test("only who reads analyses is answered, and names are those of visible customers; runs need the right to write them")
  func access() async throws {
    let server = try await ShoppingYear.suite()
    #expect(try await server.send(.get, "/v1/analytics/rfm?\(Self.asOf)", as: "mehmet").status == 403)
    #expect(try await server.send(.get, "/v1/analytics/rfm?\(Self.asOf)", as: nil).status == 401)
    #expect(try await server.send(.post, "/v1/analytics/rfm/runs", as: "ayse", json: [:]).status == 403)
    // Marketing sees only what sales shares, but the totals are those of all.
    #expect(try await server.ask("/v1/analytics/rfm?\(Self.asOf)", as: "elif")["revenue"]?.cents == 8_286_448)
    let missing = try await server.send(.get, "/v1/analytics/rfm/customers?run_id=00000000-0000-7000-8000-000000000000", as: "ayse")
    #expect(missing.status == 404 && missing.problem == "no-run")
    let turkish = try await server.send(.get, "/v1/analytics/rfm?as_of=2010-01-01T00:00:00Z", headers: ["accept-language": "tr"])
    #expect(turkish.status == 422 && turkish.text.contains("kimse bir şey satın almamış"))
  }
}

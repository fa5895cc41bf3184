import Foundation
import PostgresClient
import Testing

@Suite struct NotificationTests {
  @Test func `what is notified arrives, and a lost connection is told and mended`() async throws {
    try await Server.withPool { pool in
      var first = pool.notifications(on: ["orders", "stock"]).makeAsyncIterator()
      #expect(await first.next() == .reconnected)
      var second = pool.notifications(on: ["Quoted \"name\""]).makeAsyncIterator()
      #expect(await second.next() == .reconnected)

      try await pool.write("SELECT pg_notify('stock', 'beş'), pg_notify('nobody', '')", "SELECT pg_notify('Quoted \"name\"', '')")
      #expect(await first.next() == .received(channel: "stock", payload: "beş"))
      #expect(await second.next() == .received(channel: "Quoted \"name\"", payload: ""))

      try await pool.write(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%Quoted%'")
      #expect(await first.next() == .reconnected)
      #expect(await second.next() == .reconnected)
      try await pool.write("SELECT pg_notify('orders', '1')")
      #expect(await first.next() == .received(channel: "orders", payload: "1"))
    }
  }

  @Test func `a reader that falls far behind is told that there is a gap`() async throws {
    try await Server.withPool { pool in
      var stream = pool.notifications(on: ["flood", "flooded"]).makeAsyncIterator()
      #expect(await stream.next() == .reconnected)
      var other = pool.notifications(on: ["flooded"]).makeAsyncIterator()
      #expect(await other.next() == .reconnected)
      try await pool.write("SELECT count(pg_notify('flood', g::text)) FROM generate_series(1, 3000) g")
      try await pool.write("SELECT pg_notify('flooded', '')")
      #expect(await other.next() == .received(channel: "flooded", payload: ""))
      var gaps = 0
      var received = 0
      while let event = await stream.next() {
        if event == .reconnected { gaps += 1 }
        if case .received("flooded", _) = event { break }
        received += 1
      }
      #expect(gaps > 0)
      #expect(received <= 1_001)
    }
  }

  @Test func `listening ends with the pool`() async throws {
    let stream = try await Server.withPool { pool in
      let stream = pool.notifications(on: ["quiet"])
      for await event in stream {
        #expect(event == .reconnected)
        break
      }
      return stream
    }
    for await _ in stream {}
  }
}

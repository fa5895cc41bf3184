import Foundation
import PostgresClient
import Testing

@Suite struct CopyTests {
  struct Oops: Error {}

  @Test func `a million rows stream in and out`() async throws {
    try await Server.withPool { pool in
      try await pool.write("CREATE TABLE streamed (id int, name text)")
      let copied = try await pool.transact(deadline: .after(.seconds(300))) { tx in
        try await tx.copyIn("COPY streamed FROM STDIN") { writer in
          for block in 0..<100 {
            var bytes: [UInt8] = []
            for row in 0..<10_000 { bytes += "\(block * 10_000 + row)\tname \(row)\n".utf8 }
            // Cut in the middle of rows too.
            try await writer.write(Array(bytes[..<77_777]))
            try await writer.write(Array(bytes[77_777...]))
          }
        }
      }
      #expect(copied == 1_000_000)
      let lines = try await pool.transact(deadline: .after(.seconds(300))) { tx in
        var lines = 0
        for try await bytes in try tx.copyOut("COPY (SELECT id, name FROM streamed ORDER BY id) TO STDOUT") {
          #expect(bytes.last == UInt8(ascii: "\n"))
          lines += bytes.count { $0 == UInt8(ascii: "\n") }
        }
        return lines + (try await tx.value(Int.self, "SELECT 0"))
      }
      #expect(lines == 1_000_000)
      #expect(await pool.statistics().discards == 0)
    }
  }

  @Test func `a reader that is slow holds the server back`() async throws {
    try await Server.withPool { pool in
      try await pool.transact(deadline: .after(.seconds(300))) { tx in
        var pieces = 0
        for try await _ in try tx.copyOut("COPY (SELECT repeat('slow', 250) FROM generate_series(1, 100000)) TO STDOUT") {
          pieces += 1
          guard pieces == 2 else { continue }
          // 100 MB are to come; the server comes to a halt because nobody takes them.
          let waiting: SQL = "SELECT FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT repeat(''slow''%' AND wait_event = 'ClientWrite'"
          while try await pool.read(waiting)[0].count == 0 { try await Task.sleep(for: .milliseconds(10)) }
          try await Task.sleep(for: .milliseconds(300))
          #expect(try await pool.read(waiting)[0].count == 1)
        }
        #expect(pieces > 1_000)
      }
    }
  }

  @Test func `a bad row fails the copy with its error and the connection stays clean`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      try await pool.write("CREATE TABLE strict (id int CONSTRAINT strict_positive CHECK (id > 0))")
      let error = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in try await tx.copyIn("COPY strict FROM STDIN") { try await $0.write(Array("1\nx\n".utf8)) } }
      }
      #expect(error?.sqlState == "22P02")
      await #expect(throws: Oops.self) {
        try await pool.transact { tx in
          try await tx.copyIn("COPY strict FROM STDIN", onViolation: ["strict_positive": Oops()]) { try await $0.write(Array("-1\n".utf8)) }
        }
      }
      await #expect(throws: Oops.self) {
        try await pool.transact { tx in
          try await tx.copyIn("COPY strict FROM STDIN") {
            try await $0.write(Array("1\n".utf8))
            throw Oops()
          }
        }
      }
      let wrong = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in try await tx.copyIn("SELECT 1") { _ in } }
      }
      #expect(wrong?.kind == .usage)
      let unknown = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in try await tx.copyIn("COPY nowhere FROM STDIN") { _ in } }
      }
      #expect(unknown?.sqlState == "42P01")
      #expect(try await pool.read("SELECT 1 FROM strict")[0].count == 0)
      #expect(await pool.statistics().discards == 0)
    }
  }

  @Test func `a copy out that is left early gives its connection up`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      await #expect(throws: Oops.self) {
        try await pool.transact { tx in
          for try await _ in try tx.copyOut("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT") { throw Oops() }
        }
      }
      let left = await #expect(throws: PostgresError.self) {
        try await pool.transact { tx in
          for try await _ in try tx.copyOut("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT") { break }
          return try await tx.value(Int.self, "SELECT 1")
        }
      }
      #expect(left?.kind == .usage)
      let after = try await pool.read("SELECT 1")
      #expect(after[0].count == 1)
    }
  }

  @Test func `cancelling a copy ends it`() async throws {
    try await Server.withPool(connections: [.interactive: 1]) { pool in
      try await pool.write("CREATE TABLE endless (name text)")
      let task = Task {
        try await pool.transact(deadline: .after(.seconds(60))) { tx in
          try await tx.copyIn("COPY endless FROM STDIN") { writer in
            while true { try await writer.write(Array(repeating: UInt8(ascii: "x"), count: 1_000) + [UInt8(ascii: "\n")]) }
          }
        }
      }
      try await Task.sleep(for: .milliseconds(200))
      task.cancel()
      await #expect { try await task.value } throws: { ($0 as? PostgresError)?.kind == .cancelled }
      #expect(try await pool.read("SELECT 1 FROM endless")[0].count == 0)
    }
  }
}

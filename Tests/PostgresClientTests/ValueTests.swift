import Foundation
import PostgresClient
import Testing

@Suite struct ValueTests {
  /// Sends values through a column of the type and back.
  static func roundTrip<T: PostgresEncodable & PostgresDecodable & Equatable>(
    _ values: [T], by column: SQL, _ isSame: @escaping @Sendable (T, T) -> Bool = { $0 == $1 }
  ) async throws {
    try await Server.withPool { pool in
      try await pool.transact(deadline: .after(.seconds(60))) { tx in
        try await tx.run("CREATE TEMPORARY TABLE value (position int, value " + column + ") ON COMMIT DROP")
        for start in stride(from: 0, to: values.count, by: 500) {
          _ = try await tx.results(
            values[start..<min(start + 500, values.count)].enumerated().map {
              "INSERT INTO value VALUES (\(start + $0.offset), \($0.element))"
            })
        }
        let result = try await tx.result("SELECT value FROM value ORDER BY position")
        #expect(result.count == values.count)
        for (row, value) in zip(result.rows, values) {
          let back = try row.decode(T.self, "value")
          if !isSame(back, value) { Issue.record("\(value) came back as \(back)") }
        }
      }
    }
  }

  static let many = 10_000

  static func text() -> String {
    let alphabets: [[ClosedRange<UInt32>]] = [
      [0x20...0x7e], [0x01...0x1f, 0x22...0x22, 0x5c...0x5c, 0x27...0x27, 0x2c...0x2c, 0x7b...0x7d],
      [0x11e...0x11f, 0x130...0x131, 0x15e...0x15f],
      [0x80...0xd7ff, 0xe000...0xfffd], [0x1f300...0x1faff, 0x10fffe...0x10ffff],
    ]
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...30) {
      if let range = alphabets.randomElement()?.randomElement(), let scalar = Unicode.Scalar(UInt32.random(in: range)) {
        text.append(scalar)
      }
    }
    return String(text)
  }

  /// Whole numbers of every size, evenly by their number of bits.
  static func integer<T: FixedWidthInteger>() -> T { T.random(in: .min ... .max) >> T(Int.random(in: 0..<T.bitWidth)) }

  @Test func `bool and integers round-trip`() async throws {
    try await Self.roundTrip((0..<Self.many).map { _ in Bool.random() }, by: "bool")
    try await Self.roundTrip([Int16.min, .max] + (0..<Self.many).map { _ in Self.integer() }, by: "int2")
    try await Self.roundTrip([Int32.min, .max] + (0..<Self.many).map { _ in Self.integer() }, by: "int4")
    try await Self.roundTrip([Int64.min, .max] + (0..<Self.many).map { _ in Self.integer() }, by: "int8")
    try await Self.roundTrip([Int.min, .max] + (0..<Self.many).map { _ in Self.integer() }, by: "int8")
  }

  @Test func `float8 round-trips to the last bit, NaN and the infinities included`() async throws {
    let edges: [Double] = [
      .nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, .leastNormalMagnitude, -0.0, 0.1, 1e22, 1e-7,
    ]
    let random = (0..<Self.many).map { _ in Double(bitPattern: .random(in: .min ... .max)) }
    try await Self.roundTrip(edges + random, by: "float8") { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }
  }

  @Test func `numeric round-trips exactly up to 38 digits`() async throws {
    let edges = try [
      "0", "-0.000000000000000001", "99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001", "1e30", "12.50",
    ]
    .map { try #require(Decimal(string: $0)) }
    let random = (0..<Self.many).map { _ in
      var digits = String((0..<Int.random(in: 1...38)).map { _ in Character(String(Int.random(in: 0...9))) })
      digits.insert(".", at: digits.index(digits.startIndex, offsetBy: Int.random(in: 0...digits.count)))
      return Decimal(string: (Bool.random() ? "-0" : "0") + digits + "0") ?? .nan
    }
    try await Self.roundTrip(edges + random, by: "numeric")
  }

  @Test func `text, uuid, bytes and JSON round-trip`() async throws {
    try await Self.roundTrip((0..<Self.many).map { _ in Self.text() }, by: "text")
    try await Self.roundTrip((0..<Self.many).map { _ in UUID() }, by: "uuid")
    try await Self.roundTrip((0..<Self.many).map { _ in (0..<Int.random(in: 0...60)).map { _ in UInt8.random(in: 0...255) } }, by: "bytea")
    try await Self.roundTrip((0..<Self.many).map { _ in JSONText("{\"a\": \(Int.random(in: -9...9_999)), \"b\": \"ğ\"}") }, by: "jsonb")
    try await Self.roundTrip((0..<Self.many).map { _ in JSONText(" [1,  \(Int.random(in: 0...99))]") }, by: "json")
  }

  @Test func `dates and instants round-trip from the first to the last`() async throws {
    let first = try #require(CalendarDate(year: -4712, month: 1, day: 1))
    let last = try #require(CalendarDate(year: 5_874_897, month: 12, day: 31))
    let near = try #require(CalendarDate(year: 9999, month: 12, day: 31))
    try await Self.roundTrip(
      [first, last, near]
        + (0..<Self.many).map { CalendarDate(daysSince1970: .random(in: ($0 % 2 == 0 ? first : near).daysSince1970...last.daysSince1970)) },
      by: "date")
    try await Self.roundTrip((0..<Self.many).map { _ in CalendarDate(daysSince1970: .random(in: -800_000...2_900_000)) }, by: "date")
    // Between the years 1900 and 2100 a Date holds microseconds exactly enough.
    let instants = (0..<Self.many).map { _ in
      Date(timeIntervalSince1970: Double(Int64.random(in: -2_208_988_800_000_000...4_102_444_800_000_000)) / 1_000_000)
    }
    try await Self.roundTrip(instants, by: "timestamptz") { abs($0.timeIntervalSince($1)) < 0.000_000_6 }
    let seconds = (0..<Self.many).map { _ in Date(timeIntervalSince1970: Double(Int64.random(in: -210_866_803_200..<9_224_318_016_000))) }
    try await Self.roundTrip(seconds, by: "timestamptz")
  }

  @Test func `optionals and arrays of everything round-trip`() async throws {
    func optional<T>(_ value: T) -> T? { Bool.random() ? value : nil }
    func array<T>(_ value: () -> T) -> [T] { (0..<Int.random(in: 0...5)).map { _ in value() } }
    let count = Self.many / 4
    try await Self.roundTrip((0..<Self.many).map { _ in optional(Self.text()) }, by: "text")
    try await Self.roundTrip((0..<count).map { _ in array { optional(Self.text()) } }, by: "text[]")
    try await Self.roundTrip((0..<count).map { _ in array { optional(Self.integer() as Int64) } }, by: "int8[]")
    try await Self.roundTrip((0..<count).map { _ in array { Bool.random() } }, by: "bool[]")
    try await Self.roundTrip((0..<count).map { _ in array { UUID() } }, by: "uuid[]")
    try await Self.roundTrip((0..<count).map { _ in array { Decimal(Int.random(in: -9999...9999)) / 100 } }, by: "numeric[]")
    try await Self.roundTrip((0..<count).map { _ in array { CalendarDate(daysSince1970: .random(in: 0...40_000)) } }, by: "date[]")
    try await Self.roundTrip(
      (0..<count).map { _ in array { Date(timeIntervalSince1970: Double(Int.random(in: 0...4_000_000_000))) } }, by: "timestamptz[]")
    try await Self.roundTrip((0..<count).map { _ in array { JSONText("{\"a\": \"\\\\\\\"{},\"}") } }, by: "jsonb[]")
    try await Self.roundTrip((0..<count).map { _ in array { array { UInt8.random(in: 0...255) } } }, by: "bytea[]")
  }

  // MARK: What cannot be

  static func error(_ sql: SQL) async throws -> PostgresError? {
    try await Server.withPool { pool in
      let read = await #expect(throws: PostgresError.self) { try await pool.read("SELECT 1", sql) }
      var inTransaction: PostgresError?
      do {
        try await pool.transact { tx in
          do {
            _ = try await tx.result(sql)
          } catch let error as PostgresError {
            // An encoding error is found before anything is sent and leaves the transaction whole.
            if error.kind == .encoding { #expect(try await tx.value(Int.self, "SELECT 1") == 1) }
            throw error
          }
        }
      } catch let error as PostgresError { inTransaction = error }
      #expect(read?.kind == inTransaction?.kind)
      #expect(await pool.statistics().discards == 0)
      return read
    }
  }

  @Test func `U+0000 is refused before it is sent`() async throws {
    #expect(try await Self.error("SELECT \("a\u{0}b")::text")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(["a", "\u{0}"])::text[]")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(JSONText("\"\u{0}\""))::jsonb")?.kind == .encoding)
    // Escaped in JSON it reaches the server, which refuses it.
    #expect(try await Self.error("SELECT \(JSONText("\"\\u0000\""))::jsonb")?.sqlState == "22P05")
    try await Server.withPool { pool in
      let setting = await #expect(throws: PostgresError.self) {
        try await pool.read("SELECT 1", settings: [.init("muhatap.caller", "\u{0}")])
      }
      #expect(setting?.kind == .encoding)
    }
  }

  @Test func `numbers and dates that are none, or too large, are refused`() async throws {
    #expect(try await Self.error("SELECT \(Decimal.nan)::numeric")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(Date(timeIntervalSince1970: .nan))::timestamptz")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(Date(timeIntervalSince1970: .infinity))::timestamptz")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(Date.distantFuture.addingTimeInterval(1e16))::timestamptz")?.kind == .encoding)
    #expect(try await Self.error("SELECT \(Double.nan)::int")?.sqlState == "22P02")
    #expect(try await Self.error("SELECT \(Double.infinity)::numeric(18, 2)")?.sqlState == "22003")
    #expect(try await Self.error("SELECT \(Int64.max)::int4")?.sqlState == "22003")
    #expect(try await Self.error("SELECT \(Decimal(string: "1e100") ?? 0)::numeric(18, 2)")?.sqlState == "22003")
    #expect(try await Self.error("SELECT \(String(repeating: "9", count: 200_000))::numeric")?.sqlState == "22003")
    #expect(try await Self.error("SELECT \("\"\\ud800\"")::jsonb")?.sqlState == "22P02")
  }

  @Test func `what does not fit the type asked for is an error that names the column and no value`() async throws {
    try await Server.withPool { pool in
      let row = try await pool.read(
        """
        SELECT NULL::int AS nothing, 70000 AS large, 'NaN'::numeric AS nan, 'Infinity'::numeric AS infinite, 1e60 + 0.1 AS long, 'infinity'::timestamptz AS never,
          '-infinity'::date AS always, 'secret' AS word, now()::timestamp AS zoneless
        """)[0][0]
      func refused<T: PostgresDecodable>(_ type: T.Type, _ column: String, line: Int = #line) {
        let error = #expect(throws: PostgresError.self) { try row.decode(T.self, column) }
        #expect(error?.kind == .decoding)
        #expect(error?.message.contains("\"\(column)\"") == true)
        #expect(error?.message.contains("secret") == false)
      }
      refused(Int.self, "nothing")
      refused(Int16.self, "large")
      refused(Decimal.self, "nan")
      refused(Decimal.self, "infinite")
      refused(Decimal.self, "long")
      refused(Date.self, "never")
      refused(CalendarDate.self, "always")
      refused(Int.self, "word")
      refused(UUID.self, "word")
      refused(Bool.self, "word")
      refused([String].self, "word")
      refused(Identifier.self, "word")
      refused(Date.self, "zoneless")
      refused(Int.self, "absent")
      #expect(try row.decode(Int?.self, "nothing") == nil)
      #expect(try row.decode(String.self, "nan") == "NaN")
    }
  }

  @Test func `a server's error never holds a value`() async throws {
    try await Server.withPool { pool in
      try await pool.write(
        "CREATE TABLE silent (name text CONSTRAINT silent_name_check CHECK (name <> 'secret') UNIQUE, n int)",
        "INSERT INTO silent VALUES ('hidden')")
      for sql: SQL in [
        "SELECT \("secret")::int", "INSERT INTO silent VALUES (\("secret"))", "INSERT INTO silent VALUES (\("hidden"))",
        "SELECT \("secret")::uuid",
        "SELECT \("secret")::date", "SELECT \("{secret")::int[]", "SELECT to_date(\("secret"), 'YYYY')",
      ] {
        let error = await #expect(throws: PostgresError.self) { try await pool.write(sql) }
        #expect(error?.description.contains("secret") == false)
        #expect(error?.description.contains("hidden") == false)
        #expect(error?.sqlState != nil)
      }
    }
  }
}

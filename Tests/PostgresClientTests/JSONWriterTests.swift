import Foundation
import PostgresClient
import Testing

@Suite struct JSONWriterTests {
  @Test func `rows written are what JSONSerialization reads`() async throws {
    try await Server.withPool { pool in
      let result = try await pool.read(
        """
        SELECT true AS b, -7::int2 AS i2, 42 AS i4, 9007199254740993 AS i8, 1.5e300::float8 AS f8, 0.1::float4 AS f4, 'NaN'::float8 AS nan, '-Infinity'::float8 AS inf,
          123456789012345678901234567890.10::numeric AS n, 'q"\\/ 	é' || chr(1) || chr(10) || chr(31) AS t, 'name'::name AS nm, 'fixed'::char(7) AS c,
          '00000000-0000-7000-8000-00000000000a'::uuid AS u, '2026-11-21'::date AS d, '2026-11-21 10:30:00.25+03'::timestamptz AS tz,
          '2026-11-21 10:30:00'::timestamp AS ts, 'infinity'::timestamptz AS never, '0044-03-15 00:00:00+00 BC'::timestamptz AS bc,
          '{"a": [1, null]}'::jsonb AS jb, '[1,  2]'::json AS j, '\\x00ff10'::bytea AS by, '\\x'::bytea AS empty, NULL::text AS nothing, '1 day 2 hours'::interval AS iv,
          int4range(1, 5) AS range, ROW(1, 'a"b') AS composite
        """)[0]
      var writer = JSONWriter()
      writer.writeRows(result)
      let rows = try #require(try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? [[String: Any]])
      let row = try #require(rows.first)
      #expect(rows.count == 1)
      #expect(row.count == result.columnCount)
      #expect(row["b"] as? Bool == true)
      #expect(row["i2"] as? Int == -7)
      #expect(row["i4"] as? Int == 42)
      #expect(row["i8"] as? Int == 9_007_199_254_740_993)
      #expect(row["f8"] as? Double == 1.5e300)
      #expect(row["f4"] as? Double == 0.1)
      #expect(row["nothing"] is NSNull)
      let texts = [
        "nan": "NaN", "inf": "-Infinity", "n": "123456789012345678901234567890.10", "t": "q\"\\/ \té\u{1}\n\u{1f}", "nm": "name",
        "c": "fixed  ",
        "u": "00000000-0000-7000-8000-00000000000a", "d": "2026-11-21", "tz": "2026-11-21T07:30:00.25Z", "ts": "2026-11-21T10:30:00",
        "never": "infinity",
        "bc": "0044-03-15 00:00:00+00 BC", "by": "AP8Q", "empty": "", "iv": "P1DT2H", "range": "[1,5)", "composite": "(1,\"a\"\"b\")",
      ]
      for (name, text) in texts { #expect(row[name] as? String == text, "\(name)") }
      #expect(row["jb"] as? NSDictionary == ["a": [1, NSNull()]])
      #expect(row["j"] as? [Int] == [1, 2])
    }
  }

  @Test func `arrays are written as arrays`() async throws {
    try await Server.withPool { pool in
      let result = try await pool.read(
        """
        SELECT '{1,NULL,-3}'::int[] AS i, '{"a,b","c\\"d","e\\\\f",NULL,"NULL",""}'::text[] AS t, '{}'::text[] AS e, '{{1,2},{3,4}}'::int[] AS m, '[0:1]={5,6}'::int[] AS z,
          array['2026-01-02 03:04:05+00'::timestamptz] AS tz, array[1.50, NULL] AS n, array['{"a": "}"}'::jsonb] AS j, array['\\x00ff'::bytea] AS by,
          array[true, false] AS b, array['{x}', '{y'] AS braces, array['a', 'b']::varchar[] AS v
        """)[0]
      var writer = JSONWriter()
      writer.writeRow(result, 0)
      let row = try #require(try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? NSDictionary)
      #expect(
        row == [
          "i": [1, NSNull(), -3], "t": ["a,b", "c\"d", "e\\f", NSNull(), "NULL", ""], "e": [], "m": [[1, 2], [3, 4]], "z": [5, 6],
          "tz": ["2026-01-02T03:04:05Z"], "n": ["1.50", NSNull()], "j": [["a": "}"]], "by": ["AP8="], "b": [true, false],
          "braces": ["{x}", "{y"], "v": ["a", "b"],
        ])
    }
  }

  @Test func `ten thousand random texts, numbers and bytes are written as they are`() async throws {
    let texts = (0..<10_000).map { _ in ValueTests.text() }
    let doubles = (0..<10_000).map { _ in Double(bitPattern: .random(in: .min ... .max)) }.map { $0.isFinite ? $0 : 0 }
    let bytes = (0..<10_000).map { _ in (0..<Int.random(in: 0...20)).map { _ in UInt8.random(in: 0...255) } }
    try await Server.withPool { pool in
      let result = try await pool.read("SELECT * FROM unnest(\(texts)::text[], \(doubles)::float8[], \(bytes)::bytea[]) AS r (t, d, b)")[0]
      var writer = JSONWriter()
      writer.writeRows(result)
      // Not JSONSerialization: on Linux it rounds doubles by up to an ulp and drops U+FEFF.
      struct Row: Decodable { let t: String, d: Double, b: String }
      let rows = try JSONDecoder().decode([Row].self, from: Data(writer.bytes))
      #expect(rows.count == 10_000)
      for (index, row) in rows.enumerated() {
        if row.t != texts[index] {
          Issue.record("text \(texts[index].unicodeScalars.map(\.value)) read as \(row.t.unicodeScalars.map(\.value))")
        }
        if row.d != doubles[index] { Issue.record("double \(doubles[index])") }
        if row.b != Data(bytes[index]).base64EncodedString() { Issue.record("bytes \(index)") }
      }
    }
  }

  @Test func `values, members and columns can be mixed`() async throws {
    try await Server.withPool { pool in
      let result = try await pool.read("SELECT 1 AS a, 'x' AS \"b\"\"c\", 3 AS hidden FROM generate_series(1, 2)")[0]
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("data")
      writer.writeRows(result, rows: 0..<1, columns: 0..<2)
      writer.key("more")
      writer.beginObject()
      writer.writeMembers(result, 1, columns: 0..<1)
      writer.key("n")
      writer.integer(-12)
      writer.key("d")
      writer.double(0.5)
      writer.key("ok")
      writer.bool(true)
      writer.key("nil")
      writer.null()
      writer.key("raw")
      writer.raw("[1,2]".utf8)
      writer.endObject()
      writer.key("value")
      writer.writeValue(result, 0, 2)
      writer.endObject()
      #expect(
        String(decoding: writer.bytes, as: UTF8.self)
          == #"{"data":[{"a":1,"b\"c":"x"}],"more":{"a":1,"n":-12,"d":0.5,"ok":true,"nil":null,"raw":[1,2]},"value":3}"#)
      let lines = { (writer: inout JSONWriter) in
        for row in 0..<2 {
          writer.writeRow(result, row, columns: 0..<1)
          writer.separator(UInt8(ascii: "\n"))
        }
        return String(decoding: writer.take(), as: UTF8.self)
      }
      var ndjson = JSONWriter()
      #expect(lines(&ndjson) == "{\"a\":1}\n{\"a\":1}\n")
      #expect(ndjson.bytes.isEmpty)
    }
  }
}

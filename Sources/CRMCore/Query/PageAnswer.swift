import Foundation
package import PostgresClient

extension QueryCompiler.Page {
  /// Of the results of `statements` those that answer: the page, and after it the count when one was wanted.
  package func answering(_ results: [PostgresResult]) throws -> [PostgresResult] {
    guard isSearchedByIndex else { return results }
    let each = (results.count - 1) / 2
    return Array(try results[0][0].decode(Bool.self, at: 0) ? results[1...each] : results[(each + 1)...])
  }

  /// `{"data":[…],"next_cursor":…}` and, when it was asked for, `"count"`, of what answers.
  package func answer(_ results: [PostgresResult], signer: CursorSigner) throws -> Response {
    let result = results[0]
    let shown = min(result.count, limit)
    var writer = JSONWriter(capacity: 256 + shown * 512)
    writer.beginObject()
    writer.key("data")
    writer.beginArray()
    layout.write(result, rows: 0..<shown, to: &writer)
    writer.endArray()
    writer.key("next_cursor")
    if result.count > limit {
      writer.string(try signer.seal(keyset.values(of: result, row: limit - 1), for: keyset.fingerprint))
    } else {
      writer.null()
    }
    if let count {
      writer.key("count")
      writer.integer(try Self.count(count, results[1]))
    }
    writer.endObject()
    return .json(writer.bytes)
  }

  private static func count(_ kind: Query.Count, _ result: PostgresResult) throws -> Int {
    switch kind {
    case .exact: return try result[0].decode(Int.self, at: 0)
    case .estimated:
      let plan = try JSONDecoder().decode(JSON.self, from: Data(try result[0].decode(String.self, at: 0).utf8))
      guard case .number(let rows)? = plan.array?.first?["Plan"]?["Plan Rows"] else { return 0 }
      return NSDecimalNumber(decimal: rows).intValue
    }
  }
}

extension QueryCompiler.One {
  /// The record with its `ETag`, or the answer that it does not exist.
  package func answer(_ results: [PostgresResult], ifNoneMatch: String?) throws -> Response {
    let result = results[0]
    guard result.count == 1 else { throw Problem.notFound }
    var headers: [(name: String, value: String)] = []
    if let versionIndex, let version = result.text(0, versionIndex) {
      let tag = "\"\(version)\""
      headers.append(("etag", tag))
      if let ifNoneMatch, Self.names(tag, in: ifNoneMatch) { return Response(status: 304, headers: headers) }
    }
    var writer = JSONWriter(capacity: 1024)
    layout.write(result, row: 0, to: &writer)
    return .json(writer.bytes, headers: headers)
  }
  /// Whether a list of entity tags holds one; weak tags compare as strong ones, and `*` is any (RFC 9110 §13.1.2).
  private static func names(_ tag: String, in list: String) -> Bool {
    list.split(separator: ",").contains { item in
      let item = item.trimmingPrefix(while: \.isWhitespace)
      return item == "*" || String(item.hasPrefix("W/") ? item.dropFirst(2) : item).trimmed == tag
    }
  }
}

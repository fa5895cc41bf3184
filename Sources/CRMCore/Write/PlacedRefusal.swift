import PostgresClient

/// What PostgreSQL refused of one element of a request, to be reported at its place.
struct PlacedRefusal: Error {
  let error: PostgresError
  /// Where the element stands in the body, such as `/leads/3`.
  let pointer: String
}

extension BusinessOperation.Run {
  /// Does what concerns one element of the request: a rule that it breaks is reported at the element.
  package func at<Value: Sendable>(_ pointer: String, _ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let error as PostgresError where error.sqlState?.hasPrefix("23") == true || error.sqlState == "CR001" {
      throw PlacedRefusal(error: error, pointer: pointer)
    }
  }
}

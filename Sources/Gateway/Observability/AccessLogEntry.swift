import CRMCore
import Foundation

/// What the log says of an answered request. It is put into text only when and how a log handler wants it.
final class AccessLogEntry: Sendable, CustomStringConvertible {
  let method: String
  /// The template of the route, empty when there was none.
  let route: String
  let status: Int
  let microseconds: Int64
  let bytes: Int
  let requestID: UUID
  let client: String?
  let user: UUID?

  init(
    method: String, route: String, status: Int, microseconds: Int64, bytes: Int, requestID: UUID, client: String?, user: UUID?
  ) {
    self.method = method
    self.route = route
    self.status = status
    self.microseconds = microseconds
    self.bytes = bytes
    self.requestID = requestID
    self.client = client
    self.user = user
  }

  var description: String {
    "\(method) \(route) \(status) \(microseconds)us \(bytes)B \(requestID.lowercase) \(client ?? "-") \(user?.lowercase ?? "-")"
  }

  /// Appends the entry as a JSON object.
  func write(to line: inout [UInt8]) {
    line += "{\"method\":\"".utf8
    line += method.utf8
    line += "\",\"route\":\"".utf8
    line += route.utf8
    line += "\",\"status\":".utf8
    line += String(status).utf8
    line += ",\"microseconds\":".utf8
    line += String(microseconds).utf8
    line += ",\"bytes\":".utf8
    line += String(bytes).utf8
    line += ",\"id\":\"".utf8
    line += requestID.lowercase.utf8
    if let client {
      line += "\",\"client\":\"".utf8
      line += client.utf8
    }
    if let user {
      line += "\",\"user\":\"".utf8
      line += user.lowercase.utf8
    }
    line += "\"}".utf8
  }
}

package import Foundation

/// What a client asks to be told of as it happens.
package struct LiveWish: Sendable {
  /// What a client without the caller's rights, such as a visitor of a web chat, is told of a change: JSON of its own, nil for nothing.
  package typealias Content = @Sendable (LiveChange) -> [UInt8]?

  /// Only changes of these resources; nil for all.
  package var resources: Set<String>?
  /// Only changes of this record and of what belongs to it, if it is a customer.
  package var record: UUID?
  /// Goes on behind this place; nil for what happens from now on.
  package var after: ChangePosition?
  /// What is shown in place of the change itself. With it the system's rights decide, so it must let through nothing but the client's own.
  package var content: Content?
  /// As whom the client is counted, and sees what it sees; nil for the caller of the request.
  package var listener: Caller?
  /// Who is listening, and whether they still may: asked again whenever rights change. Throws a problem to whoever may no longer.
  package var reviewer: (@Sendable () async throws -> Caller)?

  /// Header fields of the answer, such as those that let a page of another origin read it.
  package var headers: [(name: String, value: String)] = []

  package init(
    resources: Set<String>? = nil, record: UUID? = nil, after: ChangePosition? = nil, content: Content? = nil, listener: Caller? = nil,
    reviewer: (@Sendable () async throws -> Caller)? = nil
  ) {
    self.resources = resources
    self.record = record
    self.after = after
    self.content = content
    self.listener = listener
    self.reviewer = reviewer
  }

  func concerns(_ change: LiveChange) -> Bool {
    if let resources, !resources.contains(change.resource) { return false }
    if let record, change.rowID != record, change.customerID != record { return false }
    return true
  }
}

/// How messages are written.
package enum LiveForm: Sendable, Hashable {
  /// Server-sent events (WHATWG HTML §9.2).
  case events
  /// One JSON object a line, for the frames of a WebSocket.
  case lines

  /// A change, with the cursor to go on behind it.
  func write(_ json: [UInt8], cursor: String, to bytes: inout [UInt8]) {
    switch self {
    case .events:
      bytes += "id: ".utf8
      bytes += cursor.utf8
      bytes += "\ndata: ".utf8
      bytes += json
      bytes += "\n\n".utf8
    case .lines:
      bytes += "{\"type\":\"change\",\"cursor\":\"".utf8
      bytes += cursor.utf8
      bytes += "\",\"change\":".utf8
      bytes += json
      bytes += "}\n".utf8
    }
  }

  /// A message of the feed's own: `heartbeat`, which also moves the cursor on, or `end`, behind which nothing comes.
  func notice(_ type: String, cursor: String?, reason: String? = nil) -> [UInt8] {
    let members = [reason.map { "\"reason\":\"\($0)\"" }].compactMap(\.self)
    switch self {
    case .events:
      let id = cursor.map { "id: \($0)\n" } ?? ""
      return Array("event: \(type)\n\(id)data: {\(members.joined(separator: ","))}\n\n".utf8)
    case .lines:
      let all = ["\"type\":\"\(type)\""] + [cursor.map { "\"cursor\":\"\($0)\"" }].compactMap(\.self) + members
      return Array("{\(all.joined(separator: ","))}\n".utf8)
    }
  }
}

/// Why a client is told nothing more.
package enum LiveEnding: String, Sendable {
  /// The credential ended, or was taken back.
  case unauthorized
  /// This gateway is going down; another one goes on at the cursor.
  case shutdown
}

extension LiveFeed {
  /// What a request to follow changes asks for.
  package func wish(of request: Request) throws(Problem) -> LiveWish {
    var wish = LiveWish()
    if let cursor = request.headers["last-event-id"], !cursor.isEmpty {
      wish.after = try ChangePosition(cursor: cursor, signer: signer, pointer: "last-event-id")
    }
    for (name, value) in request.query {
      switch name {
      // What a browser sends by itself when it reconnects is newer than the address it was given.
      case "after": if wish.after == nil { wish.after = try ChangePosition(cursor: value, signer: signer, pointer: name) }
      case "resource":
        let names = value.split(separator: ",").map(String.init)
        if let unknown = names.first(where: { !resources.contains($0) }) {
          let nearest = nearestName(to: unknown, in: resources) ?? resources.sorted().joined(separator: ", ")
          throw .badParameter(
            name, Phrase("There is no resource \"\(unknown)\". Use: \(nearest).", tr: "\"\(unknown)\" adında bir kaynak yok. Şunu kullanın: \(nearest)."))
        }
        wish.resources = Set(names)
      case "record":
        guard let id = UUID(text: value) else { throw .badParameter(name, Phrase("Expected a UUID.", tr: "Beklenen: bir UUID.")) }
        wish.record = id
      default: throw .badParameter(name, Phrase("This address does not know this parameter.", tr: "Bu adres bu parametreyi tanımıyor."))
      }
    }
    return wish
  }
}

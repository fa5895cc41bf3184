/// The server that takes our mail and passes it on.
package struct SMTPRelay: Sendable {
  private let server: MailServer

  package init(server: MailServer) { self.server = server }

  /// Hands a message over. When it returns, the server is responsible for it. Messages that follow soon go over the same connection.
  /// - Parameters:
  ///   - message: the whole message with its headers, in lines that end with CR LF.
  ///   - sender: the envelope's sender, to whom bounces go.
  ///   - silence: for how many seconds the server may take or say nothing; five times as long once it has the whole message.
  /// - Throws: `MailFailure`; `refused` when trying again would not help.
  package func send(_ message: [UInt8], from sender: String, to recipient: String, silence: Int = 60) async throws {
    for address in [sender, recipient] {
      guard address.contains("@"), address.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") }) else {
        throw MailFailure(.unsendable, "an address of the envelope is not an e-mail address")
      }
    }
    let connection = SMTPConnections.shared.take(server)
    do {
      try await connection.send(message, from: sender, to: recipient, silence: silence)
    } catch {
      SMTPConnections.shared.drop(connection)
      throw error
    }
    SMTPConnections.shared.giveBack(connection)
  }
}

import Foundation

/// A provider for trying things out: everything handed over arrives at once, and nobody writes.
struct SimulatedMessaging: ChannelAdapter {
  let capabilities: Set<ChannelCapability> = [.send, .status, .html, .threads]

  func send(_ message: MessageToSend) async throws -> String { "SIM-\(message.id.uuidString.lowercased())" }

  func receive(after position: ChannelPosition?, passesOver: Bool) async throws -> ReceivedMessages {
    ReceivedMessages(messages: [], position: position ?? .marker(""), isLast: true)
  }

  func status(of providerID: String) async throws -> DeliveryOutcome? { .delivered(at: Date()) }
}

import CRMCore
import Foundation
import Testing

@Suite("The text of UUIDs")
struct UUIDTextTests {
  @Test("text is read and written as Foundation does, in any letter case")
  func agreesWithFoundation() {
    for _ in 0..<1_000 {
      let id = UUID()
      #expect(id.lowercase == id.uuidString.lowercased())
      #expect(UUID(text: id.uuidString) == id)
      #expect(UUID(text: id.lowercase) == id)
    }
  }

  @Test(
    "what is no UUID is refused",
    arguments: [
      "", "x", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000", "00000000000000000000000000000000",
      "0000000g-0000-0000-0000-000000000000", "00000000-0000-0000-0000_000000000000", "0000000-00000-0000-0000-000000000000",
      "00000000-0000-0000-0000-00000000000ş",
    ])
  func refused(text: String) { #expect(UUID(text: text) == nil) }
}

import Crypto
import Testing

@testable import CRMCore

@Suite("Sealed cursors")
struct CursorSignerTests {
  private let signer = CursorSigner(key: SymmetricKey(size: .bits256))

  @Test("a cursor opens to the values it was sealed with")
  func roundTrip() throws {
    let values = ["2026-01-01 00:00:00+00", nil, "şğü\"\\"]
    #expect(try signer.open(try signer.seal(values, for: [1, 2]), for: [1, 2]) == values)
  }

  @Test("a cursor of any length holds only characters that an address need not escape")
  func anyLength() throws {
    for length in 0..<12 {
      let values = [String(repeating: "\u{7f}ÿ", count: length)]
      let cursor = try signer.seal(values, for: [])
      #expect(cursor.utf8.allSatisfy { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8.contains($0) })
      #expect(try signer.open(cursor, for: []) == values)
    }
  }

  @Test("a cursor of another query, of another key, shortened, changed or invented is refused")
  func forged() throws {
    let cursor = try signer.seal(["a", "b"], for: [1])
    #expect(throws: Problem.self) { _ = try signer.open(cursor, for: [2]) }
    #expect(throws: Problem.self) { _ = try CursorSigner(key: SymmetricKey(size: .bits256)).open(cursor, for: [1]) }
    #expect(throws: Problem.self) { _ = try signer.open(String(cursor.dropLast(3)), for: [1]) }
    for position in [0, cursor.count / 2, cursor.count - 2] {
      var characters = Array(cursor)
      characters[position] = characters[position] == "A" ? "B" : "A"
      #expect(throws: Problem.self) { _ = try signer.open(String(characters), for: [1]) }
    }
    for invented in ["", "x", "!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
      #expect(throws: Problem.self) { _ = try signer.open(invented, for: [1]) }
    }
  }
}

import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@testable import CRMCore

@Suite struct TextInputTests {
  private func text(_ bytes: [UInt8], _ encoding: TextEncoding, pieces: Int = 1) throws -> [UInt8] {
    var input = TextInput(encoding)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: pieces) { text += try input.read(Array(bytes[start..<min(start + pieces, bytes.count)])) }
    return text + (try input.finish())
  }

  /// The characters of the bytes from `first` to 0xff by iconv, which knows the encodings from elsewhere; nil for those they lack.
  private func iconv(_ encoding: String, from first: UInt8) async throws -> [String?] {
    let bytes = (first...0xff).map { "printf '\\x\(String($0, radix: 16))' | iconv -f \(encoding) -t UTF-8 2>/dev/null || printf none; echo" }
    return try await Command("bash", ["-c", bytes.joined(separator: "; ")]).run().split(separator: "\n").map { $0 == "none" ? nil : String($0) }
  }

  @Test func `every byte of windows-1254 becomes the character that iconv makes of it, and those it lacks become no text`() async throws {
    let expected = try await iconv("WINDOWS-1254", from: 0x80)
    try #require(expected.count == 128 && expected.contains(nil))
    for byte in UInt8(0x80)...0xff {
      let bytes = try text([byte, 0x2c, 0x2c], .windows1254)
      #expect(String(validating: bytes, as: UTF8.self) == expected[Int(byte) - 0x80].map { $0 + ",," }, "byte \(byte)")
    }
  }

  @Test func `the letters of ISO-8859-9 become the characters that iconv makes of them, and its control characters no text`() async throws {
    let expected = try await iconv("ISO-8859-9", from: 0xa0)
    try #require(expected.count == 96)
    for byte in UInt8(0xa0)...0xff {
      #expect(String(validating: try text([byte], .iso88599), as: UTF8.self) == expected[Int(byte) - 0xa0], "byte \(byte)")
    }
    #expect(String(validating: try text([0x93], .iso88599), as: UTF8.self) == nil)
  }

  @Test(arguments: [1, 2, 3, 100]) func `the mark of UTF-8 is dropped, however the file is cut`(pieces: Int) throws {
    #expect(try text([0xef, 0xbb, 0xbf] + Array("şu".utf8), .utf8, pieces: pieces) == Array("şu".utf8))
    #expect(try text([0xfe, 0x75], .windows1254, pieces: pieces) == Array("şu".utf8))
    #expect(try text([0x61], .utf8, pieces: pieces) == [0x61])
    #expect(try text([], .utf8, pieces: pieces) == [])
  }

  @Test func `a mark that says another encoding than the mapping is refused with the cure`() throws {
    for (mark, code) in [([0xff, 0xfe, 0x61, 0], "utf-16"), ([0xfe, 0xff, 0, 0x61], "utf-16"), ([0xef, 0xbb, 0xbf, 0x61], "encoding-contradicted")]
      as [([UInt8], String)]
    {
      let problem = #expect(throws: Problem.self) { try text(mark, .windows1254) }
      #expect(problem?.code == code && problem?.status == 422)
    }
  }

  @Test func `a file of Turkish Windows is imported with its letters, and a byte that is none is in the error file`() async throws {
    let fixture = try await ImportFixture()
    var members = try #require(ImporterTests.customers.object)
    members["encoding"] = "Windows-1254"
    let file: [UInt8] =
      Array("no,name,vkn,size\r\n1,".utf8) + [0xc7, 0x65, 0x6c, 0x69, 0x6b, 0x20, 0xdd, 0xfe] + Array(",,\r\n2,a".utf8) + [0x81] + Array(",,\r\n".utf8)
    let job = try await fixture.importer.importFile(
      ImportFixture.pieces(file, size: 5), resource: "customers", mapping: .object(members), fileName: nil, dryRun: false, as: fixture.system)
    #expect(try await fixture.count("SELECT count(*) FROM crm.customer WHERE name = 'Çelik İş'") == 1)
    #expect(try await fixture.faults(job) == [.init(row: 3, code: "not-windows-1254")])
    #expect(job.rowsRefused == 1 && job.rowsNew == 1)
    members["encoding"] = "utf-7"
    let problem = await #expect(throws: Problem.self) {
      try await fixture.importer.create(resource: "customers", mapping: .object(members), fileName: nil, as: fixture.system)
    }
    #expect(problem?.errors.first?.pointer == "/encoding" && problem?.errors.first?.message.english.contains("windows-1254") == true)
    members["encoding"] = nil
    let wrong = try await fixture.importer.importFile(
      ImportFixture.pieces(file), resource: "customers", mapping: .object(members), fileName: nil, dryRun: true, as: fixture.system)
    #expect(try await fixture.faults(wrong) == [.init(row: 2, code: "not-utf8"), .init(row: 3, code: "not-utf8")])
  }
}

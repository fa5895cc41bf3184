import Testing

@testable import CRMCore

@Suite struct RecordFingerprintsTests {
  private func mayRepeat(_ records: some Sequence<String>) -> Bool {
    var fingerprints = RecordFingerprints()
    for record in records { Array(record.utf8).withUnsafeBufferPointer { fingerprints.insert($0) } }
    return fingerprints.mayRepeat
  }

  @Test func `records that all differ, be it in their last byte or their length, do not repeat`() {
    #expect(!mayRepeat((0..<50_000).map { "2017-01-01,customer,\($0)" }))
    #expect(!mayRepeat((0..<200).map { String(repeating: "0", count: $0) }))
    #expect(!mayRepeat([]))
  }

  @Test func `a record that comes again is noticed, however much lies between`() {
    #expect(mayRepeat((0..<50_000).map { "row \($0 % 49_999)" }))
    #expect(mayRepeat(["", ""]))
  }

  @Test func `a scanner that meets a quote, or is given JSON, leaves the comparing to the database`() {
    func mayRepeat(_ text: String, quote: UInt8?) -> Bool {
      var scanner = RecordScanner(delimiter: UInt8(ascii: ","), quote: quote, firstRow: 1)
      scanner.scan(Array(text.utf8))
      scanner.finish()
      return scanner.mayRepeat
    }
    #expect(!mayRepeat("a,b\na,c\r\n", quote: UInt8(ascii: "\"")))
    #expect(mayRepeat("a,b\na,b\r\n", quote: UInt8(ascii: "\"")))
    #expect(mayRepeat("a,b\na,\"c\"\n", quote: UInt8(ascii: "\"")))
    #expect(mayRepeat("{\"a\": 1}\n", quote: nil))
  }
}

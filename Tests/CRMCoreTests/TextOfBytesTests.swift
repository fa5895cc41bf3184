import CRMCore
import Foundation
import Testing

@Suite("Bytes as text")
struct TextOfBytesTests {
  @Test("every byte has its two digits")
  func hexadecimal() {
    #expect(([0, 1, 15, 16, 171, 255] as [UInt8]).hexadecimal == "00010f10abff")
    #expect((0...255).map { UInt8($0) }.hexadecimal == (0...255).map { String(format: "%02x", $0) }.joined())
  }

  @Test("an address holds what was escaped for it, and nothing else is left as it is")
  func percentEncoded() {
    let text = "a-Z_0.9~ ü/ş?&=+%\u{0}🙂½Ⅷ٣"
    #expect(text.percentEncoded.removingPercentEncoding == text)
    #expect("a b/ş½".percentEncoded == "a%20b%2F%C5%9F%C2%BD")
    #expect("AZaz09-_.~".percentEncoded == "AZaz09-_.~")
  }
}

/// How the bytes of a file are text.
package enum TextEncoding: String, Sendable, CaseIterable {
  case utf8 = "utf-8"
  /// Turkish Windows.
  case windows1254 = "windows-1254"
  /// Latin alphabet No. 5, Turkish.
  case iso88599 = "iso-8859-9"

  /// The characters of the bytes from 0x80 on; nil for those that the encoding does not have. Of no use for UTF-8.
  var upperHalf: [Unicode.Scalar?] {
    var scalars: [Unicode.Scalar?] = (0x80...0xff).map { Unicode.Scalar(UInt8($0)) }
    for (byte, scalar) in [(0xd0, "Ğ"), (0xdd, "İ"), (0xde, "Ş"), (0xf0, "ğ"), (0xfd, "ı"), (0xfe, "ş")] as [(Int, Unicode.Scalar)] {
      scalars[byte - 0x80] = scalar
    }
    // The control characters that ISO 8859 has here stand in no file of values; Windows has signs in their place, and some gaps.
    let signs: [Character] = Array("€ ‚ƒ„…†‡ˆ‰Š‹Œ    ‘’“”•–—˜™š›œ  Ÿ")
    for (index, sign) in signs.enumerated() {
      scalars[index] = self == .windows1254 && sign != " " ? sign.unicodeScalars.first : nil
    }
    return scalars
  }
}

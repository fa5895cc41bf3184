import CRMCore

/// A picture as SVG: white ground, a title, and its figures as text for those who cannot see it.
struct SVGDocument {
  static let ink = "#1b1f24"

  let title: String
  /// The figures of the picture, in words.
  let description: String
  let width: Int
  let height: Int
  let language: Language
  /// What is drawn, in order; text in it has been escaped.
  var elements: [String] = []

  /// The whole document.
  func text() -> String {
    let head = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \##(width) \##(height)" width="\##(width)" height="\##(height)" role="img" "##
        + ##"aria-labelledby="title description" lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(Self.escaped(title))</title>"##, ##"<desc id="description">\##(Self.escaped(description))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="\##(Self.ink)">\##(Self.escaped(title))</text>"##,
    ]
    return (head + elements + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  /// Adds a text at a place.
  /// - Parameter anchor: start, middle or end.
  mutating func write(_ text: String, x: Int, y: Int, size: Int = 14, anchor: String = "start", fill: String = Self.ink) {
    elements.append(##"<text x="\##(x)" y="\##(y)" font-size="\##(size)" text-anchor="\##(anchor)" fill="\##(fill)">\##(Self.escaped(text))</text>"##)
  }

  /// Text as XML takes it; characters that XML 1.0 cannot hold are left out.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case _ where scalar.value < 32 && scalar != "\n" && scalar != "\t": continue
      case _ where scalar.value == 0xFFFE || scalar.value == 0xFFFF: continue
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

extension Response {
  /// A picture that may not load anything.
  static func picture(_ svg: String) -> Response {
    Response(
      status: 200, headers: [("content-type", "image/svg+xml; charset=utf-8"), ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")],
      body: .bytes(Array(svg.utf8)))
  }
}

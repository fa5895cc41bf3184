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
      ##"<title id="title">\##(MarkupText.escaped(title))</title>"##, ##"<desc id="description">\##(MarkupText.escaped(description))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="\##(Self.ink)">\##(MarkupText.escaped(title))</text>"##,
    ]
    return (head + elements + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  /// Adds a text at a place.
  /// - Parameter anchor: start, middle or end.
  mutating func write(_ text: String, x: Int, y: Int, size: Int = 14, anchor: String = "start", fill: String = Self.ink, isBold: Bool = false) {
    let weight = isBold ? ##" font-weight="bold""## : ""
    elements.append(
      ##"<text x="\##(x)" y="\##(y)" font-size="\##(size)" text-anchor="\##(anchor)"\##(weight) fill="\##(fill)">\##(MarkupText.escaped(text))</text>"##)
  }

  /// A label that fits, ending in an ellipsis when something was left out.
  /// - Parameter length: the most characters.
  static func shortened(_ label: String, to length: Int) -> String { label.count <= length ? label : label.prefix(length - 1) + "…" }
}

extension ReadOperation {
  /// What a picture is answered as.
  static let svgAnswer = (mediaType: "image/svg+xml", schema: JSON?.some(["type": "string"]))
}

extension Response {
  /// A picture that may not load anything.
  static func picture(_ svg: String) -> Response {
    Response(
      status: 200, headers: [("content-type", "image/svg+xml; charset=utf-8"), ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")],
      body: .bytes(Array(svg.utf8)))
  }
}

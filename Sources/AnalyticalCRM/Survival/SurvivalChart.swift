import CRMCore
import Foundation

/// Curves of survival as SVG: steps with their intervals, at most eight groups, and the same figures as text.
struct SurvivalChart {
  struct Curve {
    let label: String
    /// Days and shares, in the order of days.
    let points: [(day: Int, survival: Double, lower: Double, upper: Double)]
  }

  let title: String
  let curves: [Curve]
  let language: Language

  /// A contrast of at least 4.5 : 1 with white, and told apart by those who see few colours.
  private static let colours = ["#1f6f8b", "#b3431e", "#4d7c0f", "#7a3e9d", "#8a6100", "#0f5132", "#9d174d", "#374151"]
  private static let (left, top, width, height) = (64.0, 56.0, 560.0, 300.0)

  func svg() -> String {
    let last = max(curves.compactMap { $0.points.last?.day }.max() ?? 1, 1)
    let days = Phrase("days", tr: "gün").text(in: language)
    let words = curves.map { curve in
      let end = curve.points.last
      return "\(curve.label): \(percent(end?.survival ?? 1)), \(end?.day ?? 0) \(days)"
    }
    var lines = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 408" width="860" height="408" role="img" aria-labelledby="title description" "##
        + ##"lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(Self.escaped(title))</title>"##, ##"<desc id="description">\##(Self.escaped(words.joined(separator: "; ")))</desc>"##,
      ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="#1b1f24">\##(Self.escaped(title))</text>"##,
    ]
    for step in 0...4 {
      let share = Double(step) / 4
      lines.append(##"<path d="M\##(Self.left) \##(y(share))H\##(Self.left + Self.width)" stroke="#d0d5da"/>"##)
      lines.append(##"<text x="\##(Self.left - 8)" y="\##(y(share) + 5)" font-size="13" text-anchor="end" fill="#1b1f24">\##(percent(share))</text>"##)
      let day = last * step / 4
      lines.append(##"<text x="\##(x(day, last))" y="\##(Self.top + Self.height + 20)" font-size="13" text-anchor="middle" fill="#1b1f24">\##(day)</text>"##)
    }
    lines.append(
      ##"<text x="\##(Self.left + Self.width / 2)" y="\##(Self.top + Self.height + 40)" font-size="13" text-anchor="middle" fill="#1b1f24">\##(days)</text>"##)
    for (place, curve) in curves.enumerated() {
      let colour = Self.colours[place % Self.colours.count]
      lines.append(##"<path d="\##(band(curve, last))" fill="\##(colour)" fill-opacity="0.12"/>"##)
      lines.append(##"<path d="\##(steps(curve.points.map { ($0.day, $0.survival) }, last))" fill="none" stroke="\##(colour)" stroke-width="2"/>"##)
      let labelY = Self.top + 12 + Double(place) * 22
      lines.append(##"<rect x="640" y="\##(labelY - 10)" width="12" height="12" fill="\##(colour)"/>"##)
      lines.append(##"<text x="658" y="\##(labelY)" font-size="13" fill="#1b1f24">\##(Self.escaped(String(curve.label.prefix(24))))</text>"##)
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }

  private func percent(_ share: Double) -> String {
    let number = Int((share * 100).rounded())
    return language == .turkish ? "%\(number)" : "\(number) %"
  }

  private func x(_ day: Int, _ last: Int) -> Double { Self.left + (Self.width * Double(day) / Double(last) * 10).rounded() / 10 }
  private func y(_ share: Double) -> Double { Self.top + (Self.height * (1 - share) * 10).rounded() / 10 }

  private func steps(_ points: [(Int, Double)], _ last: Int) -> String {
    points.reduce("M\(x(0, last)) \(y(1))") { $0 + "H\(x($1.0, last))V\(y($1.1))" }
  }

  private func band(_ curve: Curve, _ last: Int) -> String {
    let end = curve.points.last.map { "L\(x($0.day, last)) \(y($0.lower))" } ?? ""
    // Backwards along the lower bounds.
    var way = end
    for (place, point) in curve.points.enumerated().reversed() {
      let lower = place == 0 ? 1 : curve.points[place - 1].lower
      way += "H\(x(point.day, last))V\(y(lower))"
    }
    return steps(curve.points.map { ($0.day, $0.upper) }, last) + way + "Z"
  }

  private static func escaped(_ text: String) -> String {
    String(
      text.unicodeScalars.filter { $0.value >= 32 && $0.value != 0xFFFE && $0.value != 0xFFFF }.map { scalar in
        switch scalar {
        case "&": "&amp;"
        case "<": "&lt;"
        case ">": "&gt;"
        case "\"": "&quot;"
        default: String(scalar)
        }
      }.joined())
  }
}

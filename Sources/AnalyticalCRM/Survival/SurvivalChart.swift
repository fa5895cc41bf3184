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
    var document = SVGDocument(title: title, description: words.joined(separator: "; "), width: 860, height: 408, language: language)
    let foot = Int(Self.top + Self.height)
    for step in 0...4 {
      let share = Double(step) / 4
      document.elements.append(##"<path d="M\##(Self.left) \##(y(share))H\##(Self.left + Self.width)" stroke="#d0d5da"/>"##)
      document.write(percent(share), x: Int(Self.left) - 8, y: Int(y(share)) + 5, size: 13, anchor: "end")
      let day = last * step / 4
      document.write("\(day)", x: Int(x(day, last)), y: foot + 20, size: 13, anchor: "middle")
    }
    document.write(days, x: Int(Self.left + Self.width / 2), y: foot + 40, size: 13, anchor: "middle")
    for (place, curve) in curves.enumerated() {
      let colour = Self.colours[place % Self.colours.count]
      document.elements.append(##"<path d="\##(band(curve, last))" fill="\##(colour)" fill-opacity="0.12"/>"##)
      document.elements.append(##"<path d="\##(steps(curve.points.map { ($0.day, $0.survival) }, last))" fill="none" stroke="\##(colour)" stroke-width="2"/>"##)
      let labelY = Int(Self.top) + 12 + place * 22
      document.elements.append(##"<rect x="640" y="\##(labelY - 10)" width="12" height="12" fill="\##(colour)"/>"##)
      document.write(SVGDocument.shortened(curve.label, to: 24), x: 658, y: labelY, size: 13)
    }
    return document.text()
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
}

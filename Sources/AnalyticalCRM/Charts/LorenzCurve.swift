import CRMCore
import Foundation

/// The Lorenz curve: which share of revenue the poorest share of customers brings, beside the line of equality.
struct LorenzCurve {
  struct Point: Decodable {
    let customer_share: Double
    /// Null where there is no revenue to share.
    let revenue_share: Double?
  }

  let title: String
  /// From (0, 0) to (1, 1).
  let points: [Point]
  let gini: Double?
  let language: Language

  private static let left = 80
  private static let top = 60
  private static let side = 400

  func svg() -> String {
    let coefficient = gini.map { Decimal($0).written(in: language, decimals: 3) } ?? "–"
    let tenths = stride(from: 0.1, through: 0.95, by: 0.1).compactMap { share in points.first { $0.customer_share >= share - 1e-9 } }
    let words = tenths.compactMap { point in point.revenue_share.map { "\(percent(point.customer_share)) → \(percent($0))" } }.joined(separator: "; ")
    var document = SVGDocument(title: title, description: "Gini \(coefficient). \(words)", width: 560, height: Self.top + Self.side + 70, language: language)
    document.elements.append(
      ##"<rect x="\##(Self.left)" y="\##(Self.top)" width="\##(Self.side)" height="\##(Self.side)" fill="none" stroke="#57606a"/>"##)
    document.elements.append(
      ##"<line x1="\##(Self.left)" y1="\##(Self.top + Self.side)" x2="\##(Self.left + Self.side)" y2="\##(Self.top)" stroke="#57606a" stroke-dasharray="6 4"/>"##
    )
    let places = points.compactMap { point in point.revenue_share.map { "\(x(point.customer_share)),\(y($0))" } }.joined(separator: " ")
    document.elements.append(##"<polyline points="\##(places)" fill="none" stroke="#1f6f8b" stroke-width="3"/>"##)
    for share in [0.0, 0.25, 0.5, 0.75, 1] {
      document.write(percent(share), x: x(share), y: Self.top + Self.side + 20, size: 12, anchor: "middle")
      document.write(percent(share), x: Self.left - 8, y: y(share) + 4, size: 12, anchor: "end")
    }
    document.write(
      Phrase("Share of customers, from the least revenue up", tr: "Müşterilerin payı, en az cirodan başlayarak").text(in: language),
      x: Self.left + Self.side / 2,
      y: Self.top + Self.side + 46, size: 13, anchor: "middle")
    document.write("Gini \(coefficient)", x: Self.left + 16, y: Self.top + 28, size: 16)
    return document.text()
  }

  private func x(_ share: Double) -> Int { Self.left + Int((share * Double(Self.side)).rounded()) }
  private func y(_ share: Double) -> Int { Self.top + Self.side - Int((share * Double(Self.side)).rounded()) }

  private func percent(_ share: Double) -> String {
    let number = Int((share * 100).rounded())
    return language == .turkish ? "%\(number)" : "\(number)%"
  }
}

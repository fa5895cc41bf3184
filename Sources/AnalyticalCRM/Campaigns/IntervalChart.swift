import CRMCore
import Foundation
import PostgresClient

/// Estimates with their intervals as SVG, one a row on a common scale with a line at zero, and the same figures as text for those who cannot see it.
struct IntervalChart {
  struct Row {
    let label: String
    let estimate: Double
    let interval: ClosedRange<Double>
    /// What stands at its end, in the reader's notation.
    let caption: String
  }

  let title: String
  let rows: [Row]
  /// Said in the place of rows when there are none.
  let empty: String
  let language: Language

  func svg() -> String {
    let (width, left, right, top, height) = (760, 190, 230, 56, 40)
    let room = Double(width - left - right)
    let low = min(0, rows.map(\.interval.lowerBound).min() ?? 0)
    let high = max(0, rows.map(\.interval.upperBound).max() ?? 0)
    let span = max(high - low, .leastNormalMagnitude)
    func x(_ value: Double) -> String {
      (Double(left) + room * (value - low) / span).formatted(.number.locale(Locale(identifier: "en_US_POSIX")).grouping(.never).precision(.fractionLength(1)))
    }
    let text = rows.isEmpty ? empty : rows.map { "\($0.label): \($0.caption)" }.joined(separator: "; ")
    let total = top + max(1, rows.count) * height + 16
    var picture = SVGDocument(title: title, description: text, width: width, height: total, language: language)
    if rows.isEmpty {
      picture.write(empty, x: 16, y: top + 20)
    } else {
      picture.elements.append(##"<line x1="\##(x(0))" x2="\##(x(0))" y1="\##(top - 6)" y2="\##(total - 10)" stroke="#57606a" stroke-dasharray="4 3"/>"##)
    }
    for (number, row) in rows.enumerated() {
      let y = top + number * height + height / 2
      picture.write(SVGDocument.shortened(row.label, to: 22), x: left - 12, y: y + 5, anchor: "end")
      picture.elements.append(
        ##"<line x1="\##(x(row.interval.lowerBound))" x2="\##(x(row.interval.upperBound))" y1="\##(y)" y2="\##(y)" stroke="#1f6f8b" stroke-width="3"/>"##)
      picture.elements.append(##"<circle cx="\##(x(row.estimate))" cy="\##(y)" r="6" fill="#1f6f8b"/>"##)
      picture.write(row.caption, x: width - right + 12, y: y + 5, size: 13)
    }
    return picture.text()
  }
}

extension ReadOperation {
  static let upliftChart = ReadOperation(
    "chart_campaign_uplift", "/v1/campaigns/{id}/uplift.svg", tag: "campaigns", access: .read(.analytics), "What a campaign moved, as a picture",
    description: "The uplift of each arm with Newcombe's interval, refused as …/uplift is; a withheld result says so.", input: UpliftQuestion.self,
    answer: svgAnswer, refusals: [409, 422],
    reading: [.marketing], extending: [.sales, .customers, .products, .analytics], lane: .reports,
    statements: { request, question in question.statements(try request.pathID()) },
    respond: { request, results in
      let answer = try CampaignUpliftAnswer(try InputReader.read(UpliftQuestion.self, from: request.query), results)
      func points(_ share: Double) -> String { Decimal((share * 10_000).rounded() / 100).written(in: request.language, decimals: 2) }
      let rows = answer.arms.map { arm in
        IntervalChart.Row(
          label: arm.name, estimate: arm.share.difference, interval: arm.share.newcombe,
          caption: "\(points(arm.share.difference)) (\(points(arm.share.newcombe.lowerBound)) … \(points(arm.share.newcombe.upperBound)))")
      }
      return .picture(
        IntervalChart(
          title: Phrase("Uplift of \(answer.campaign.name), percentage points", tr: "\(answer.campaign.name) etkisi, yüzde puan").text(in: request.language),
          rows: rows, empty: CampaignUpliftAnswer.withheld.text(in: request.language), language: request.language
        ).svg())
    })
}

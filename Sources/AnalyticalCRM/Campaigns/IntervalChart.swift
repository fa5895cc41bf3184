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
    var lines = [
      ##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \##(width) \##(total)" width="\##(width)" height="\##(total)" role="img" "##
        + ##"aria-labelledby="title description" lang="\##(language.rawValue)" font-family="'DejaVu Sans', 'Noto Sans', Arial, sans-serif">"##,
      ##"<title id="title">\##(title.inXML)</title>"##, ##"<desc id="description">\##(text.inXML)</desc>"##, ##"<rect width="100%" height="100%" fill="#ffffff"/>"##,
      ##"<text x="16" y="32" font-size="18" font-weight="bold" fill="#1b1f24">\##(title.inXML)</text>"##,
    ]
    if rows.isEmpty {
      lines.append(##"<text x="16" y="\##(top + 20)" font-size="14" fill="#1b1f24">\##(empty.inXML)</text>"##)
    } else {
      lines.append(##"<line x1="\##(x(0))" x2="\##(x(0))" y1="\##(top - 6)" y2="\##(total - 10)" stroke="#57606a" stroke-dasharray="4 3"/>"##)
    }
    for (number, row) in rows.enumerated() {
      let y = top + number * height + height / 2
      let label = row.label.count <= 22 ? row.label : row.label.prefix(21) + "…"
      lines.append(##"<text x="\##(left - 12)" y="\##(y + 5)" font-size="14" text-anchor="end" fill="#1b1f24">\##(label.inXML)</text>"##)
      lines.append(##"<line x1="\##(x(row.interval.lowerBound))" x2="\##(x(row.interval.upperBound))" y1="\##(y)" y2="\##(y)" stroke="#1f6f8b" stroke-width="3"/>"##)
      lines.append(##"<circle cx="\##(x(row.estimate))" cy="\##(y)" r="6" fill="#1f6f8b"/>"##)
      lines.append(##"<text x="\##(width - right + 12)" y="\##(y + 5)" font-size="13" fill="#1b1f24">\##(row.caption.inXML)</text>"##)
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }
}

extension String {
  /// As XML takes it; characters that XML 1.0 cannot hold are left out.
  var inXML: String {
    var escaped = ""
    for scalar in unicodeScalars {
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
  /// A picture that nothing can be loaded or run from.
  static func picture(_ svg: String) -> Response {
    Response(
      status: 200, headers: [("content-type", "image/svg+xml; charset=utf-8"), ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")],
      body: .bytes(Array(svg.utf8)))
  }
}

extension ReadOperation {
  static let svgAnswer = (mediaType: "image/svg+xml", schema: JSON?.some(["type": "string"]))

  static let upliftChart = ReadOperation(
    "chart_campaign_uplift", "/v1/campaigns/{id}/uplift.svg", tag: "campaigns", access: .read(.analytics), "What a campaign moved, as a picture",
    description: "The uplift of each arm with Newcombe's interval, refused as …/uplift is; a withheld result says so.", input: UpliftQuestion.self, answer: svgAnswer, refusals: [409],
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

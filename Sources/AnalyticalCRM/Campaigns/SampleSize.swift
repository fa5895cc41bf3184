import CRMCore
import Foundation
import PostgresClient

private struct SampleSizeQuestion: OperationInput {
  let control, treated, alpha, power: Double
  let arms: Int
  let size: Int?

  init(_ fields: inout InputReader) {
    func share(_ decimal: Decimal) -> Double { NSDecimalNumber(decimal: decimal).doubleValue }
    control = share(fields.decimal("control_share", "The share expected without the campaign, such as 0.05.", scale: 9, in: 0...1))
    treated = share(fields.decimal("treated_share", "The share with it that must not be missed, such as 0.06.", scale: 9, in: 0...1))
    alpha = share(
      fields.optionalDecimal("alpha", "How often a difference may be seen where there is none; 0.05 when left out.", scale: 9, in: 0.000001...0.5) ?? 0.05)
    power = share(fields.optionalDecimal("power", "How often it is to be seen where there is one; 0.8 when left out.", scale: 9, in: 0.5...0.999999) ?? 0.8)
    arms = fields.optionalInteger("arms", "Arms compared with those held out; alpha is divided by them (Bonferroni). 1 when left out.", in: 1...10) ?? 1
    size = fields.optionalInteger("size", "Customers in each group, to ask for the power they have.", in: 2...1_000_000_000)
    if control == treated {
      fields.refuse(
        "treated_share", code: "equal",
        Phrase(
          "Give two different shares; no number of customers shows a difference of nothing.",
          tr: "İki farklı oran verin; sıfır farkı hiçbir müşteri sayısı gösteremez."))
    }
  }
}

extension ReadOperation {
  static let sampleSize = ReadOperation(
    "plan_sample_size", "/v1/analytics/sample_size", tag: "campaigns", access: .signedIn, "Ask how many customers it takes to see a difference",
    description:
      "Customers in each group: (z for alpha/2 + z for power)² (p₁q₁ + p₂q₂) / (p₁ - p₂)², rounded up. With size, also the power that groups of that size have.",
    input: SampleSizeQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object([
        "method": AnswerField.text, "alpha_each": AnswerField.number, "customers_each": AnswerField.count, "customers": AnswerField.count,
        "power_of_size": MeasurementSchema.number,
      ])
    ),
    reading: [],
    statements: { _, _ in ["SELECT 1"] },
    respond: { request, _ in
      let question = try InputReader.read(SampleSizeQuestion.self, from: request.query)
      let alpha = question.alpha / Double(question.arms)
      guard let each = Power.sampleSize(control: question.control, treated: question.treated, alpha: alpha, power: question.power) else {
        throw Problem.badRequest(
          "too-large", Phrase("The difference is too small for any number of customers.", tr: "Bu fark hiçbir müşteri sayısı için görülemeyecek kadar küçük."))
      }
      var writer = JSONWriter(capacity: 256)
      writer.beginObject()
      writer.member("method", "sample_size")
      writer.member("alpha_each", alpha)
      writer.member("customers_each", each)
      writer.member("customers", each * (question.arms + 1))
      writer.member("power_of_size", question.size.map { Power.power(control: question.control, treated: question.treated, alpha: alpha, size: $0) })
      writer.endObject()
      return .json(writer.take())
    })
}

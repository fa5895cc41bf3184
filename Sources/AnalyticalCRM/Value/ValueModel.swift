package import CRMCore
import PostgresClient

extension Concept {
  /// What each customer is worth to the company, and why.
  static let customerValue = Concept(
    resources: [.valueModels, .valueKeys],
    operations: [.createValueModel, .reviseValueModel, .runValueModel, .simulateValueModel],
    reads: [.customerMetrics, .customerValue, .valueRanking, .compareValueRuns, .comparedCustomers],
    jobs: [.valueRun, .nightlyValues, .valuesMissed], schedules: [.nightlyValues])
}

extension Resource {
  /// How the company weighs what makes a customer valuable. Made and revised by operations, so that what was computed keeps its meaning.
  package static let valueModels = Resource(
    "value_models", singular: "value_model", table: "crm.value_model", area: .analytics,
    change: ["name_en", "name_tr", "valid_from", "valid_until", "is_default", "active"],
    expand: ["pyramid", .many("keys", of: "value_keys", by: "model_id")], search: ["name_en", "name_tr"], order: "code")

  /// One thing that makes a customer valuable in a model, and how much it weighs.
  package static let valueKeys = Resource(
    "value_keys", singular: "value_key", table: "crm.value_key", area: .analytics, expand: ["model"], order: "place")
}

extension ReadOperation {
  /// What can be measured of a customer.
  static let customerMetrics = ReadOperation(
    "list_customer_metrics", "/v1/customer_metrics", tag: "value_models", access: .signedIn, "List what can be measured of a customer",
    description: "The names that value models and segments use. Every kind of observation is one of them by its code.", input: NoInput.self,
    row: [
      "name": AnswerField.text, "label_en": AnswerField.text, "label_tr": AnswerField.text, "meaning": AnswerField.text, "unit": AnswerField.text,
      "direction": AnswerField.text, "source": AnswerField.text, "missing": AnswerField.text,
    ],
    reading: [], extending: [.analytics]
  ) { _, _ in
    "SELECT m.name, m.label_en, m.label_tr, m.meaning, m.unit, m.direction, m.source, m.missing FROM analytics.customer_metric AS m ORDER BY m.name"
  }
}

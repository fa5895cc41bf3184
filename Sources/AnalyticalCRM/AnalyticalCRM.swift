package import CRMCore

/// What the numbers say: metrics and charts today; value, segments and lifetime to come.
package enum AnalyticalCRM {
  package static let concepts: [Concept] = [.metrics, .charts]
}

package import CRMCore

/// What the numbers say: what each customer is worth and why, who belongs together, what comes next, what worked.
package enum AnalyticalCRM {
  package static let concepts: [Concept] = [
    .analysisRuns, .metrics, .charts, .rfm, .concentration, .cohorts, .purchaseIntervals, .crossSelling, .lifetime, .survival,
    .segments, .grids, .campaignMeasurement, .attribution, .scoring, .phases, .customer360,
    .customerValue, .pyramids, .customerProfit,
  ]
}

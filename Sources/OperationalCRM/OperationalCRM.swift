package import CRMCore

/// Sales, marketing and customer service: the daily work with customers.
package enum OperationalCRM {
  package static let concepts: [Concept] = [
    .customers, .products,
    .stock,
    .prices,
    .orders,
    .duplicates, .leads, .activities,
    .pipelines, .opportunities, .forecasts, .contracts,
    .quotes,
    .invoices, .payments, .turnover, .eInvoices,
    .commissions,
    .campaigns,
    .businessCalendars, .teams, .routing, .tickets, .sla, .serviceReports,
    .surveys, .portal, .articles, .cannedAnswers,
  ]

  package static let resources: [Resource] = concepts.flatMap(\.resources)
}

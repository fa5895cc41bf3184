package import CRMCore

/// Sales, marketing and customer service: the daily work with customers.
package enum OperationalCRM {
  package static let resources: [Resource] = [
    .customers, .contacts, .addresses, .contactPoints, .products, .productCategories, .locations, .orders, .orderLines,
  ]
}

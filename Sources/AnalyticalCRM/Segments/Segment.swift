package import CRMCore

extension Concept {
  /// Customers that belong together, by a rule or by choice, and who was in when.
  static let segments = Concept(
    resources: [.segments],
    operations: [.createSegment, .changeSegment, .deleteSegment, .previewSegment, .refreshSegment, .addSegmentMembers, .removeSegmentMembers],
    reads: [.segmentMembers, .segmentDependents, .segmentsOfCustomer],
    endpoints: { database, model in [SegmentWhy(database: database, model: model).endpoint] },
    schedules: [.segmentRefresh])
}

extension Resource {
  /// A named group of customers.
  package static let segments = Resource("segments", singular: "segment", table: "crm.segment", area: .analytics, search: ["name", "code"], order: "code")
}

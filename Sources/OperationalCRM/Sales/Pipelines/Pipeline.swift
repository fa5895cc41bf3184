package import CRMCore

extension Concept {
  /// The ways of selling, and what became of those who went them.
  static let pipelines = Concept(
    resources: [.pipelines, .stages, .lostReasons], reads: [.pipelineBoard, .winRates, .pipelineSnapshot], jobs: [.pipelineSnapshot],
    schedules: [.pipelineSnapshot])
}

extension Resource {
  /// A way of selling: an ordered list of stages.
  package static let pipelines = Resource(
    "pipelines", singular: "pipeline", table: "crm.pipeline", area: .sales,
    create: ["name", "department_id", "is_default", "active", "note"], change: ["name", "department_id", "is_default", "active", "note"],
    expand: ["department", .many("stages", of: "stages", by: "pipeline_id")], search: ["name"])

  /// A step of a pipeline, with what it takes to go on from there.
  package static let stages = Resource(
    "stages", singular: "stage", table: "crm.stage", area: .sales,
    create: ["pipeline_id", "position", "name", "probability", "forecast_category", "exit_criteria", "rotting_days", "note"],
    change: ["position", "name", "probability", "forecast_category", "exit_criteria", "rotting_days", "note"],
    deletable: true, expand: ["pipeline"], search: ["name", "pipeline.name"], order: "position")

  /// Why an opportunity can be lost.
  package static let lostReasons = Resource(
    "lost_reasons", singular: "lost_reason", table: "crm.lost_reason", area: .sales,
    create: ["code", "name_en", "name_tr", "active"], change: ["code", "name_en", "name_tr", "active"], search: ["name_en", "name_tr"], order: "code")
}

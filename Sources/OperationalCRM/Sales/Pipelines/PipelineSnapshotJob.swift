import CRMCore
import PostgresClient

extension JobHandler {
  /// Writes down how the pipeline stands, as the end of the day before today: run at night it is that, made up for later the best there is.
  /// The payload may name another day (`date`).
  static let pipelineSnapshot = JobHandler("pipeline.snapshot") { lease in
    var day: CalendarDate?
    if let date = lease.job.payload["date"]?.string {
      day = CalendarDate(date)
      if day == nil { throw HopelessJob("date is not a day such as 2026-10-31") }
    }
    let given = day
    try await lease.complete(as: .system("write down the pipeline"), deadline: .after(.seconds(300))) { tx in
      try await tx.run("SELECT crm.take_pipeline_snapshot(coalesce(\(given), crm.business_day(now()) - 1))")
    }
  }
}

extension Schedule {
  /// Every night: at midnight UTC, which is three in the morning in Türkiye.
  static let pipelineSnapshot = Schedule("pipeline_snapshot", kind: "pipeline.snapshot", .every(.seconds(86_400)))
}

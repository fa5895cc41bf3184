import CRMCore
import PostgresClient

extension JobHandler {
  /// Contracts taken in one transaction: some seconds of work, so that nobody who changes one of them waits long.
  private static let contractBatch = 2_000

  /// What a day brings to contracts: renewals that come within notice become opportunities, terms that renew themselves do, and what is over expires.
  /// The payload may name the day (`date`); else it is today. Taken in batches that each stand for themselves: what was done is not due again.
  static let contractRenewals = JobHandler("contract.renewals") { lease in
    var date: CalendarDate?
    if let text = lease.job.payload["date"]?.string {
      date = CalendarDate(text)
      if date == nil { throw HopelessJob("date is not a day such as 2026-10-31") }
    }
    let day: SQL = "coalesce(\(date), crm.business_day(now()))"
    for statement in [openRenewals(day), renewTerms(day), expire(day)] {
      var done = 1
      while done > 0 {
        done = try await lease.transaction(as: .system("renew contracts"), deadline: .after(.seconds(120))) { tx in
          // One at a time, so that a renewal is looked for after the one before has been kept.
          try await tx.run("SELECT pg_advisory_xact_lock(hashtext('contract.renewals'))")
          return try await tx.run(statement)
        }
      }
    }
  }

  /// One opportunity a term, worth what the term was worth, due when it ends.
  private static func openRenewals(_ day: SQL) -> SQL {
    """
    WITH due AS (
      SELECT c.customer_id, c.id, c.number, c.name, c.term_number, c.term_ends_on, c.currency, round(c.monthly_amount * c.term_months, 2) AS amount,
             c.contact_id, c.department_id, c.owner_id, c.visibility, crm.uuid_v7() AS opportunity_id,
             CASE (SELECT u.locale FROM crm.app_user u WHERE u.id = c.owner_id) WHEN 'en' THEN 'Renewal' ELSE 'Yenileme' END AS title
        FROM crm.contract c
       WHERE c.status = 'active' AND NOT c.auto_renew AND c.renews_on - c.renewal_notice_days <= \(day)
         AND NOT EXISTS (SELECT FROM crm.contract_renewal r WHERE r.customer_id = c.customer_id AND r.contract_id = c.id AND r.term_number = c.term_number)
       LIMIT \(contractBatch) FOR UPDATE OF c
    ), made AS (
      INSERT INTO crm.opportunity (customer_id, id, name, amount, currency, close_on, contact_id, department_id, owner_id, visibility)
      SELECT d.customer_id, d.opportunity_id, left(concat(d.title, ': ', d.number, ' ', d.name), 300), d.amount, d.currency, d.term_ends_on, d.contact_id,
             d.department_id, d.owner_id, d.visibility
        FROM due d RETURNING id
    )
    INSERT INTO crm.contract_renewal (customer_id, contract_id, term_number, opportunity_id)
    SELECT d.customer_id, d.id, d.term_number, d.opportunity_id FROM due d RETURNING id
    """
  }

  /// One term each; a contract whose term was over long ago comes up again until its term reaches the day.
  private static func renewTerms(_ day: SQL) -> SQL {
    """
    UPDATE crm.contract c SET term_number = c.term_number + 1, term_starts_on = c.renews_on
     WHERE (c.customer_id, c.id) IN (
       SELECT d.customer_id, d.id FROM crm.contract d WHERE d.status = 'active' AND d.auto_renew AND d.renews_on <= \(day) LIMIT \(contractBatch) FOR UPDATE)
    RETURNING c.id
    """
  }

  private static func expire(_ day: SQL) -> SQL {
    """
    UPDATE crm.contract c SET status = 'expired', ended_on = c.term_ends_on
     WHERE (c.customer_id, c.id) IN (
       SELECT d.customer_id, d.id FROM crm.contract d WHERE d.status = 'active' AND NOT d.auto_renew AND d.renews_on <= \(day) LIMIT \(contractBatch) FOR UPDATE)
    RETURNING c.id
    """
  }
}

extension Schedule {
  /// Every night: at midnight UTC, which is three in the morning in Türkiye.
  static let contractRenewals = Schedule("contract_renewals", kind: "contract.renewals", .every(.seconds(86_400)))
}

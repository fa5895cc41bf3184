import Foundation
import PostgresClient

/// The statements by which a run becomes where customers stand: their tiers' history first, then the standings.
struct ValueStanding {
  let run: UUID
  let model: UUID
  let asOf: Date

  /// Whether no run as of a later instant is done.
  var isLatest: SQL {
    """
    SELECT NOT EXISTS (SELECT FROM crm.analysis_run AS r WHERE r.kind = 'value' AND r.subject_id = \(model) AND r.status = 'done' AND r.as_of > \(asOf)::timestamptz) AS is_latest
    """
  }

  /// What a refresh has scored as of a later instant than the run's is left to be refreshed on the new scale afterwards.
  var statements: [SQL] {
    let tiers: SQL = """
      (SELECT v.customer_id, v.tier, v.score FROM crm.customer_value AS v
        WHERE v.run_id = \(run) AND NOT EXISTS (SELECT FROM crm.customer_standing AS s WHERE s.customer_id = v.customer_id AND s.model_id = \(model) AND s.as_of > \(asOf)::timestamptz)
       UNION ALL
       SELECT s.customer_id, 'inactive', NULL FROM crm.customer_standing AS s
        WHERE s.model_id = \(model) AND s.as_of <= \(asOf)::timestamptz AND NOT EXISTS (SELECT FROM crm.customer_value AS v WHERE v.run_id = \(run) AND v.customer_id = s.customer_id))
      """
    return [
      // Readers go on; what else moves standings of this model waits, and no two transactions wait for each other's rows.
      "SELECT set_config('lock_timeout', '600s', true)",
      "SELECT pg_advisory_xact_lock(hashtextextended(\(model)::uuid::text, 110))",
      "CREATE TEMPORARY TABLE value_placed (customer_id uuid, tier text, score double precision) ON COMMIT DROP",
      "INSERT INTO pg_temp.value_placed (customer_id, tier, score) SELECT t.customer_id, t.tier, t.score FROM \(tiers) AS t",
      """
      UPDATE crm.customer_tier_history AS h SET tier = t.tier, score = t.score, run_id = \(run)
        FROM pg_temp.value_placed AS t WHERE h.model_id = \(model) AND h.customer_id = t.customer_id AND h.valid_from = \(asOf)::timestamptz AND h.tier <> t.tier
      """,
      """
      UPDATE crm.customer_tier_history AS h SET valid_until = \(asOf)::timestamptz
        FROM pg_temp.value_placed AS t
       WHERE h.model_id = \(model) AND h.customer_id = t.customer_id AND h.valid_until IS NULL AND h.valid_from < \(asOf)::timestamptz AND h.tier <> t.tier
      """,
      """
      INSERT INTO crm.customer_tier_history (customer_id, model_id, valid_from, tier, score, run_id)
      SELECT t.customer_id, \(model), \(asOf)::timestamptz, t.tier, t.score, \(run) FROM pg_temp.value_placed AS t
       WHERE NOT EXISTS (SELECT FROM crm.customer_tier_history AS h WHERE h.model_id = \(model) AND h.customer_id = t.customer_id AND h.valid_until IS NULL)
      """,
      """
      UPDATE crm.customer_standing AS s
         SET run_id = \(run), score = t.score, rank = v.rank, tier = t.tier, since = CASE WHEN s.tier = t.tier THEN s.since ELSE \(asOf)::timestamptz END, as_of = \(asOf)::timestamptz,
             raw = NULL, normalised = NULL, contribution = NULL
        FROM pg_temp.value_placed AS t LEFT JOIN crm.customer_value AS v ON v.run_id = \(run) AND v.customer_id = t.customer_id
       WHERE s.model_id = \(model) AND s.customer_id = t.customer_id
      """,
      """
      INSERT INTO crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
      SELECT v.customer_id, \(model), \(run), v.score, v.rank, v.tier, \(asOf)::timestamptz, \(asOf)::timestamptz FROM crm.customer_value AS v
       WHERE v.run_id = \(run) AND NOT EXISTS (SELECT FROM crm.customer_standing AS s WHERE s.model_id = \(model) AND s.customer_id = v.customer_id)
      """,
      "SELECT crm.enqueue('value.missed', jsonb_build_object('run_id', \(run)::uuid), key => \("value.missed:\(run)"))",
    ]
  }
}

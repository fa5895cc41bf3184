import PostgresClient

/// What an import comes to: how many records are new, changed and unchanged, with samples, and how many rows were refused.
struct ImportOutcome {
  let plan: ImportPlan
  let tables: ImportTables

  /// One JSON object: counts by resource, created references, samples of new and changed records.
  func summary() -> SQL {
    let given = plan.record.fields.map(\.column.name) + plan.record.references.map(\.column.name)
    let lines: SQL =
      plan.lines.map { lines in
        """
        || jsonb_build_object(\(lines.entity.name)::text, jsonb_build_object(
          'new', (SELECT coalesce(sum(r.size), 0) FROM \(tables.record) r WHERE r.action = 'new') + (SELECT count(*) FROM \(tables.line) l WHERE l.action = 'new'),
          'changed', (SELECT count(*) FROM \(tables.line) l WHERE l.action = 'changed'),
          'unchanged', (SELECT count(*) FROM \(tables.line) l WHERE l.action = 'unchanged')))
        """
      } ?? ""
    let created: SQL = plan.references.filter { $0.source.absence == .create }.map {
      "|| jsonb_build_object(\($0.target.name)::text, (SELECT count(*) FROM \(tables.reference) m WHERE m.reference = \($0.number) AND m.is_new))" as SQL
    }.joined(separator: "")
    return """
      SELECT jsonb_build_object(
        'records', jsonb_build_object(\(plan.record.entity.name)::text, (SELECT jsonb_build_object('new', count(*) FILTER (WHERE r.action = 'new'),
            'changed', count(*) FILTER (WHERE r.action = 'changed'), 'unchanged', count(*) FILTER (WHERE r.action = 'unchanged')) FROM \(tables.record) r)) \(lines),
        'created', '{}'::jsonb \(created),
        'samples', jsonb_build_object(
          'new', (SELECT coalesce(jsonb_agg(n.sample), '[]') FROM (
            SELECT jsonb_build_object('row', r.row_number, 'key', r.key, 'values', (SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(to_jsonb(r)) e WHERE e.key = ANY(\(given)::text[]))) AS sample
            FROM \(tables.record) r WHERE r.action = 'new' ORDER BY r.row_number LIMIT 5) n),
          'changed', (SELECT coalesce(jsonb_agg(n.sample), '[]') FROM (
            SELECT jsonb_build_object('row', r.row_number, 'key', r.key, 'id', r.id, 'fields', (
              SELECT jsonb_object_agg(e.key, jsonb_build_object('before', to_jsonb(t) -> e.key, 'after', e.value))
              FROM jsonb_each(to_jsonb(r)) e WHERE e.key = ANY(\(given)::text[]) AND e.value IS DISTINCT FROM to_jsonb(t) -> e.key)) AS sample
            FROM \(tables.record) r JOIN \(plan.record.entity.table.sql) t ON t.id = r.id WHERE r.action = 'changed' ORDER BY r.row_number LIMIT 20) n)))
      """
  }

  func save(_ summary: JSONText, dryRun: Bool) -> SQL {
    let count: SQL
    if let lines = plan.lines {
      count = "((\(summary)::jsonb -> 'records' -> \(lines.entity.name)::text ->> "
    } else {
      count = "((\(summary)::jsonb -> 'records' -> \(plan.record.entity.name)::text ->> "
    }
    return """
      UPDATE crm.import SET status = \(dryRun ? "checked" : "done"), step = NULL, summary = \(summary)::jsonb, problem = NULL,
        rows_new = \(count)'new')::bigint), rows_changed = \(count)'changed')::bigint), rows_unchanged = \(count)'unchanged')::bigint),
        rows_refused = (SELECT count(DISTINCT e.row_number) FROM crm.import_error e WHERE e.import_id = \(plan.id)),
        merge_xid = CASE WHEN NOT \(dryRun)::boolean THEN pg_current_xact_id() END, updated_at = now(), finished_at = CASE WHEN NOT \(dryRun)::boolean THEN now() END
      WHERE id = \(plan.id)
      """
  }
}

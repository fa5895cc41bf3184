import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient

extension SalesFixture {
  /// What a statement finds behind the policies that takes its time on a busy machine.
  func unhurried(_ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(300)))[0]
  }

  /// Every row of every table but the logs as text, by table.
  func allRows() async throws -> [String: String] {
    _ = try await unhurried(
      """
      CREATE OR REPLACE FUNCTION public.contents() RETURNS TABLE (relation text, rows text) LANGUAGE plpgsql AS $$
      DECLARE r record;
      BEGIN
        FOR r IN SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT c.relispartition AND c.relname NOT IN ('change', 'merge', 'merge_row', 'session', 'api_key', 'idempotency_key', 'sensitive_read') LOOP
          RETURN QUERY EXECUTE format('SELECT %L, coalesce(string_agg(t::text, E''\\n'' ORDER BY t::text), '''') FROM %s t', r.name, r.name);
        END LOOP;
      END $$
      """)
    var contents: [String: String] = [:]
    for row in try await unhurried("SELECT relation, rows FROM public.contents()").rows {
      contents[try row.decode(String.self, "relation")] = try row.decode(String.self, "rows")
    }
    return contents
  }
}

import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Merging leaves nothing behind", .serialized)
struct MergeCompletenessTests {
  /// What a merge leaves where it is, and why.
  private static let left: [String: String] = [
    "crm.customer_lifetime": "what a run found stays with the run", "crm.customer_rfm": "what a run found stays with the run",
    "crm.customer_offer": "what a run found stays with the run", "crm.customer_value": "what a run found stays with the run",
    "crm.notice": "it tells what was", "crm.webhook_delivery": "it tells what was",
    "crm.record_share": "it opens one record and no other",
  ]

  @Test(
    "every table that can hold a customer's, a contact's or a lead's id goes along in a merge and comes back as it was, whoever added it",
    arguments: [("customers", "crm.customer", 60), ("contacts", "crm.contact", 10), ("leads", "crm.lead", 3)])
  func everyTable(resource: String, table: String, least: Int) async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    let owner = try await sales.done(.post, "/v1/customers", json: ["kind": "organisation", "name": "Sahip"])
    func record(_ name: String) async throws -> String {
      let fields: [String: JSON] =
        switch resource {
        case "customers": ["kind": "organisation", "name": .string(name)]
        case "contacts": ["customer_id": .string(owner.id), "name": .string(name)]
        default: ["company_name": .string(name), "force_duplicate": true]
        }
      return try await sales.done(.post, "/v1/\(resource)", json: .object(fields)).id
    }
    let (survivor, merged) = (try await record("Kalan"), try await record("Giden"))
    _ = try await sales.unhurried(Self.holdsRecord)
    _ = try await sales.unhurried(Self.rowOf)
    _ = try await sales.unhurried(Self.rowsAbout)
    let made = try await sales.unhurried("SELECT t FROM public.rows_about(\(table)::regclass::oid, \(merged)::uuid) AS t")
    let tables = try made.rows.map { try $0.decode(String.self, at: 0) }
    #expect(tables.count >= least, "\(tables)")
    let before = try await sales.allRows()
    // The log of changes is none of the rows.
    for name in tables where name != "crm.change" { #expect(before[name]?.contains(merged) == true, "\(name) holds nothing") }

    let merge = try await sales.done(.post, "/v1/\(resource)/\(survivor)/merge", json: ["merged_id": .string(merged)])
    for (name, rows) in try await sales.allRows() where Self.left[name] == nil && rows.contains(merged) {
      Issue.record("\(name) still holds the merged record: \(rows.split(separator: "\n").first { $0.contains(merged) } ?? "")")
    }
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    let after = try await sales.allRows()
    for (name, rows) in before where after[name] != rows { Issue.record("\(name):\n\(rows)\nis now\n\(after[name] ?? "")") }
  }

  @Test("a merge touches no other customer's interactions, whatever month they are of, and can be undone")
  func otherMonths() async throws {
    let sales = try await SalesFixture(server: try await TestServer.start())
    func customer(_ name: String) async throws -> String {
      try await sales.done(.post, "/v1/customers", json: ["kind": "organisation", "name": .string(name)]).id
    }
    let (survivor, merged, other) = (try await customer("Kalan"), try await customer("Giden"), try await customer("Başkası"))
    // The rows of a month lie at the same places as those of another.
    let months = (1...3).map { "\(CalendarDate(daysSince1970: Int(Date.now.timeIntervalSince1970 / 86_400) - 31 * $0))T10:00:00Z" }
    for (owner, moment) in [merged, other, other].flatMap({ owner in months.map { (owner, $0) } }) {
      _ = try await sales.done(
        .post, "/v1/interactions",
        json: ["customer_id": .string(owner), "channel": "phone", "direction": "in", "subject": "Arama", "occurred_at": .string(moment)])
    }
    let before = try await sales.allRows()
    func ofTheOther(_ rows: [String: String]) -> [Substring] { (rows["crm.interaction"] ?? "").split(separator: "\n").filter { $0.contains(other) } }
    #expect(ofTheOther(before).count == 6)
    let merge = try await sales.done(.post, "/v1/customers/\(survivor)/merge", json: ["merged_id": .string(merged)])
    #expect(merge["moved"]?["interaction"] == 3, "\(merge)")
    #expect(try await ofTheOther(sales.allRows()) == ofTheOther(before))
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    let after = try await sales.allRows()
    for (name, rows) in before where after[name] != rows { Issue.record("\(name):\n\(rows)\nis now\n\(after[name] ?? "")") }
  }

  @Test("what colleagues said about a merged record stands beside the survivor, and goes back with it")
  func comments() async throws {
    let sales = try await SalesFixture.suite()
    func customer(_ name: String) async throws -> String {
      try await sales.done(.post, "/v1/customers", json: ["kind": "organisation", "name": .string(name)]).id
    }
    let (survivor, merged) = (try await customer("Sözlü"), try await customer("Sözü Geçen"))
    _ = try await sales.done(.post, "/v1/comments", json: ["resource": "customers", "record_id": .string(merged), "text": "Ödemesi hep geç"])
    func said(_ id: String) async throws -> [String] {
      try await sales.get("/v1/comments?resource=customers&record_id=\(id)")["data"]?.array?.compactMap { $0["text"]?.string } ?? []
    }
    let merge = try await sales.done(.post, "/v1/customers/\(survivor)/merge", json: ["merged_id": .string(merged)])
    #expect(try await said(survivor) == ["Ödemesi hep geç"])
    _ = try await sales.done(.post, "/v1/merges/\(merge.id)/unmerge")
    #expect(try await said(survivor) == [])
    #expect(try await said(merged) == ["Ödemesi hep geç"])
  }

  // A row of nothing in particular in every table that can hold the id of a record: found from PostgreSQL's catalogue, not from what merging believes.

  /// Whether a column can hold the id of a record of `root`.
  private static let holdsRecord: SQL = """
    CREATE FUNCTION public.holds_record(relation oid, name name, root oid) RETURNS boolean LANGUAGE sql STABLE AS $$
      SELECT name = 'customer_id' AND root = 'crm.customer'::regclass
        OR name = 'record_id' AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attname = 'resource')
        OR EXISTS (
          SELECT FROM pg_constraint AS k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (own, other)
          JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.own JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = u.other
          WHERE k.contype = 'f' AND k.conrelid = relation AND k.confrelid = root AND a.attname = name AND b.attname = 'id')
    $$
    """

  /// Makes a table's row, and before it those that it must refer to.
  private static let rowOf: SQL = """
    CREATE FUNCTION public.row_of(root oid, subject uuid, of oid) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
      made jsonb := '{}';
      c record;
      parent record;
      value jsonb;
    BEGIN
      IF of = root THEN
        EXECUTE format('SELECT to_jsonb(t) FROM %s AS t WHERE t.id = $1', of::regclass) INTO made USING subject;
        RETURN made;
      END IF;
      SELECT r.whole INTO value FROM made_row AS r WHERE r.relation = of;
      IF FOUND THEN
        RETURN value;
      END IF;
      INSERT INTO made_row VALUES (of, made);
      FOR c IN
        SELECT a.attname, a.attnum, a.attnotnull, a.atttypid::regtype::text AS type, a.atthasdef, pg_get_expr(d.adbin, d.adrelid) AS fallback
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = of AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = '' ORDER BY a.attnum
      LOOP
        SELECT k.confrelid, b.attname INTO parent FROM pg_constraint AS k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (own, other)
        JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attnum = u.other
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = of AND u.own = c.attnum ORDER BY k.confrelid = root DESC, cardinality(k.conkey) DESC, k.oid LIMIT 1;
        IF public.holds_record(of, c.attname, root) THEN
          value := to_jsonb(subject);
        ELSIF c.attname = 'id' THEN
          value := to_jsonb(md5(of::regclass::text)::uuid);
        ELSIF parent.confrelid IS NOT NULL AND c.attnotnull AND parent.confrelid <> of THEN
          value := public.row_of(root, subject, parent.confrelid) -> parent.attname;
        ELSIF c.atthasdef THEN
          EXECUTE 'SELECT to_jsonb(' || c.fallback || ')' INTO value;
        ELSIF NOT c.attnotnull THEN
          value := NULL;
        ELSE
          value := CASE c.type
            WHEN 'text' THEN '"x"'::jsonb WHEN 'bytea' THEN '"x"' WHEN 'boolean' THEN 'false' WHEN 'uuid' THEN to_jsonb(md5(of::regclass || c.attname)::uuid)
            WHEN 'date' THEN '"2026-01-02"' WHEN 'timestamp with time zone' THEN to_jsonb(now()) WHEN 'time without time zone' THEN '"10:00"'
            WHEN 'jsonb' THEN '{}' WHEN 'xid8' THEN '"1"' ELSE CASE WHEN c.type LIKE '%[]' THEN '[]'::jsonb ELSE '1' END END;
        END IF;
        made := made || jsonb_build_object(c.attname, value);
      END LOOP;
      EXECUTE format('INSERT INTO %1$s AS t (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) ON CONFLICT DO NOTHING RETURNING to_jsonb(t)',
        of::regclass, (SELECT string_agg(quote_ident(k), ', ') FROM jsonb_object_keys(made) AS k)) INTO value USING made;
      made := coalesce(value, made);
      UPDATE made_row AS r SET whole = made WHERE r.relation = of;
      RETURN made;
    END $$
    """

  /// Makes them all, past every check of values and every trigger, and says in which tables.
  private static let rowsAbout: SQL = """
    CREATE FUNCTION public.rows_about(root oid, subject uuid) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE
      t record;
      always text[] := '{}';
      again text;
    BEGIN
      CREATE TEMPORARY TABLE made_row (relation oid PRIMARY KEY, whole jsonb NOT NULL) ON COMMIT DROP;
      PERFORM set_config('session_replication_role', 'replica', true);
      FOR t IN SELECT k.conrelid::regclass AS name, k.conname FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.conrelid
        WHERE k.contype = 'c' AND k.coninhcount = 0 AND k.connamespace = 'crm'::regnamespace
      LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, t.conname);
      END LOOP;
      FOR t IN SELECT g.tgrelid::regclass AS name, g.tgname FROM pg_trigger AS g WHERE g.tgenabled = 'A' AND g.tgparentid = 0 LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.name, t.tgname);
        always := always || format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.name, t.tgname);
      END LOOP;
      FOR t IN
        SELECT r.oid FROM pg_class AS r
        WHERE r.relnamespace = 'crm'::regnamespace AND r.relkind IN ('r', 'p') AND NOT r.relispartition AND r.oid <> root AND EXISTS (
          SELECT FROM pg_attribute AS a WHERE a.attrelid = r.oid AND NOT a.attisdropped AND a.attnum > 0 AND public.holds_record(r.oid, a.attname, root))
        ORDER BY r.oid
      LOOP
        PERFORM public.row_of(root, subject, t.oid);
        RETURN NEXT t.oid::regclass::text;
      END LOOP;
      FOREACH again IN ARRAY always LOOP
        EXECUTE again;
      END LOOP;
    END $$
    """
}

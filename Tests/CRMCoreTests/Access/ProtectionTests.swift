import MuhatapTestKit
import PostgresClient
import Testing

/// What must hold of every table, function and view, asked of PostgreSQL's own catalogue.
@Suite struct ProtectionTests {
  /// Each row of the answer is one thing that is wrong.
  private func expectNone(_ sql: SQL, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let database = try await TestDatabase.suite()
    let wrong = try await database.admin.execute([sql], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0]
    for row in 0..<wrong.count { Issue.record("\(try wrong[row].decode(String.self, at: 0))", sourceLocation: sourceLocation) }
  }

  @Test func `every table has forced row-level security and is known to crm.protect`() async throws {
    try await expectNone(
      """
      SELECT c.oid::regclass::text FROM pg_class c
      WHERE c.relnamespace IN ('crm'::regnamespace, 'analytics'::regnamespace) AND c.relkind IN ('r', 'p')
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND (c.relispartition OR EXISTS (
          SELECT FROM crm.protection p WHERE p.relation = c.oid::regclass::text AND EXISTS (SELECT FROM pg_policy y WHERE y.polrelid = c.oid))))
      """)
  }

  @Test func `an open table gives its reason`() async throws {
    try await expectNone("SELECT relation FROM crm.protection WHERE kind = 'open' AND coalesce(length(reason), 0) < 20")
  }

  @Test func `policies call functions only inside sub-selects, which run once a query`() async throws {
    try await expectNone(
      """
      SELECT p.polrelid::regclass || ' ' || p.polname FROM pg_policy p
      CROSS JOIN LATERAL (SELECT concat(pg_get_expr(p.polqual, p.polrelid), ' ', pg_get_expr(p.polwithcheck, p.polrelid)) AS text) e
      WHERE regexp_count(e.text, 'crm\\.\\w+\\(') <> regexp_count(e.text, 'SELECT crm\\.\\w+\\(')
      """)
  }

  @Test func `nobody holds a right beyond what crm.protect was told`() async throws {
    try await expectNone(
      """
      SELECT format('%s may %s %s', g.grantee::regrole, g.privilege_type, c.oid::regclass)
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
      LEFT JOIN crm.protection p ON p.relation = c.oid::regclass::text
      WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p') AND g.grantee <> c.relowner
        AND NOT (g.grantee IN ('crm_app'::regrole, 'crm_worker'::regrole, 'crm_bulk'::regrole) AND lower(g.privilege_type) = ANY (p.verbs))
        AND NOT (g.grantee = 'crm_role_admin'::regrole AND p.relation = 'crm.bi_login')
      UNION ALL
      SELECT format('%s may %s %s.%s', g.grantee::regrole, g.privilege_type, c.oid::regclass, a.attname)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid CROSS JOIN LATERAL aclexplode(a.attacl) g
      LEFT JOIN crm.protection p ON p.relation = c.oid::regclass::text
      WHERE c.relnamespace = 'crm'::regnamespace AND (g.privilege_type <> 'SELECT' OR g.grantee = 'bi_reader'::regrole AND (NOT p.bi OR col_description(c.oid, a.attnum) LIKE 'secret:%'))
      UNION ALL
      SELECT format('%s may use schema crm', g.grantee::regrole) FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) g
      WHERE n.nspname = 'crm' AND g.grantee IN (0, 'bi_reader'::regrole)
      """)
  }

  @Test func `roles that serve requests are neither superusers nor above row-level security`() async throws {
    try await expectNone(
      """
      SELECT rolname::text FROM pg_roles
      WHERE rolname IN ('crm_app', 'crm_worker', 'crm_owner', 'crm_access', 'bi_reader') AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
      UNION ALL
      SELECT rolname::text FROM pg_roles WHERE rolname IN ('crm_bulk', 'crm_role_admin', 'crm_owner', 'crm_access', 'crm_steward') AND rolcanlogin
      UNION ALL
      SELECT m.member::regrole || ' is a member of ' || m.roleid::regrole FROM pg_auth_members m
      WHERE m.roleid IN ('crm_bulk'::regrole, 'crm_owner'::regrole, 'crm_access'::regrole, 'crm_role_admin'::regrole, 'crm_steward'::regrole)
        AND m.member <> 'crm_migrator'::regrole AND (m.roleid, m.member) <> ('crm_bulk'::regrole, 'crm_worker'::regrole)
        AND (m.roleid, m.member) <> ('crm_owner'::regrole, 'crm_steward'::regrole)
      """)
  }

  @Test func `functions that run as their owner fix their search path, and the public may call none`() async throws {
    try await expectNone(
      """
      SELECT p.oid::regprocedure || ' has no search_path' FROM pg_proc p
      WHERE p.pronamespace IN ('crm'::regnamespace, 'bi'::regnamespace) AND p.prosecdef
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%')
      UNION ALL
      SELECT p.oid::regprocedure || ' is owned by ' || p.proowner::regrole FROM pg_proc p
      WHERE p.pronamespace IN ('crm'::regnamespace, 'bi'::regnamespace) AND p.prosecdef
        AND p.proowner NOT IN ('crm_owner'::regrole, 'crm_access'::regrole, 'crm_role_admin'::regrole, 'crm_steward'::regrole)
      UNION ALL
      SELECT p.oid::regprocedure || ' may be called by everybody' FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
      WHERE p.pronamespace IN ('crm'::regnamespace, 'bi'::regnamespace) AND g.grantee = 0
      """)
  }

  @Test func `every table, column and constraint says what it means`() async throws {
    try await expectNone(
      """
      SELECT c.oid::regclass || ': ' || item FROM pg_class c CROSS JOIN LATERAL unnest(crm.undescribed(c.oid)) item
      WHERE c.relnamespace = 'crm'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      UNION ALL
      SELECT c.oid::regclass || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      WHERE c.relnamespace = 'bi'::regnamespace AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
      UNION ALL
      SELECT p.oid::regprocedure::text FROM pg_proc p
      WHERE p.pronamespace IN ('crm'::regnamespace, 'bi'::regnamespace) AND p.prokind = 'f' AND obj_description(p.oid, 'pg_proc') IS NULL
        AND p.prorettype <> 'trigger'::regtype AND p.proname <> 'comment_what_is_common'
      """)
  }

  @Test func `constraints are named after their table`() async throws {
    try await expectNone(
      """
      SELECT conrelid::regclass || ' ' || conname FROM pg_constraint
      WHERE connamespace = 'crm'::regnamespace AND contype IN ('c', 'f', 'p', 'u', 'x') AND conparentid = 0 AND coninhcount = 0
        AND NOT starts_with(conname::text, split_part(conrelid::regclass::text, '.', 2)) AND conrelid::regclass::text !~ '^crm\\.change_'
      """)
  }

  @Test func `every change is recorded, and no secret with it`() async throws {
    try await expectNone(
      """
      SELECT p.relation || ' is not recorded on ' || op FROM crm.protection p CROSS JOIN unnest(ARRAY['insert', 'update', 'delete']) op
      WHERE p.resource IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_trigger t WHERE t.tgrelid = p.relation::regclass AND t.tgfoid = 'crm.record_change()'::regprocedure AND t.tgenabled = 'A' AND t.tgname ^@ (split_part(p.relation, '.', 2) || '_record_' || op))
      UNION ALL
      SELECT t.tgrelid::regclass || '.' || a.attname || ' enters the change log' FROM pg_trigger t
      JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) LIKE 'secret:%'
      WHERE t.tgfoid = 'crm.record_change()'::regprocedure
        AND position(a.attname::text IN encode(t.tgargs, 'escape')) = 0
      """)
  }

  @Test func `today is the company's day, never that of UTC, which begins three hours later`() async throws {
    try await expectNone(
      """
      SELECT c.oid::regclass::text FROM pg_class c
      WHERE c.relnamespace IN ('crm'::regnamespace, 'bi'::regnamespace, 'analytics'::regnamespace) AND c.relkind = 'v' AND pg_get_viewdef(c.oid) ~* 'current_date'
      UNION ALL
      SELECT p.oid::regprocedure::text FROM pg_proc p
      WHERE p.pronamespace IN ('crm'::regnamespace, 'bi'::regnamespace, 'analytics'::regnamespace) AND p.prokind = 'f' AND pg_get_functiondef(p.oid) ~* 'current_date'
      """)
  }

  @Test func `BI views run with the rights of whoever asks`() async throws {
    try await expectNone(
      """
      SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'bi'::regnamespace
        AND (c.relkind <> 'v' OR NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
      """)
  }

  @Test func `numbers and instants that are none are refused`() async throws {
    try await expectNone(
      """
      SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN crm.protection p ON p.relation = a.attrelid::regclass::text
      WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('numeric'::regtype, 'float8'::regtype) AND NOT EXISTS (
        SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND a.attnum = ANY (c.conkey) AND pg_get_constraintdef(c.oid) LIKE '%NaN%')
      """)
  }
}

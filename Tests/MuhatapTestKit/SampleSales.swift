package import CRMCore
import PostgresClient

/// Customers, products and orders for tests: 40 customers, 12 products in a tree of categories, 150 orders with up to three lines, in
/// several departments, visibilities and currencies, with missing values and many ties.
package enum SampleSales {
  package static func sell(in database: Database) async throws {
    try await database.transaction(as: .system("test"), deadline: .after(.seconds(60))) { tx in
      _ = try await tx.results([locations, categories, products, customers, contacts, contactPoints, orders, lines])
    }
  }

  private static let locations: SQL = """
    INSERT INTO crm.location (code, name, kind, city)
    VALUES ('ist-1', 'Beyoğlu', 'store', 'İstanbul'), ('izm-1', 'Konak', 'store', 'İzmir'), ('web', 'Çevrimiçi mağaza', 'online', NULL)
    """

  private static let categories: SQL = """
    WITH top AS (
      INSERT INTO crm.product_category (code, name) VALUES ('food', 'Gıda'), ('home', 'Ev') RETURNING id, code
    ), middle AS (
      INSERT INTO crm.product_category (code, name, parent_id)
      SELECT given.code, given.name, top.id FROM top JOIN (VALUES ('food', 'food/dairy', 'Süt ürünleri'), ('food', 'food/bakery', 'Fırın'))
        AS given (parent, code, name) ON given.parent = top.code
      RETURNING id, code
    )
    INSERT INTO crm.product_category (code, name, parent_id) SELECT 'food/dairy/cheese', 'Peynir', id FROM middle WHERE code = 'food/dairy'
    """

  private static let products: SQL = """
    INSERT INTO crm.product (sku, name, category_id, brand, active)
    SELECT 'P-' || lpad(i::text, 3, '0'), (ARRAY['Beyaz Peynir', 'IŞIL Ekmek', 'Sıcak çikolata', 'ILIK SÜT', 'Masa', 'Öğütülmüş kahve'])[i % 6 + 1] || ' ' || i,
           (SELECT id FROM crm.product_category WHERE code = (ARRAY['food/dairy/cheese', 'food/bakery', 'home', 'food/dairy', NULL])[i % 5 + 1]),
           (ARRAY['Doğa', 'Işık', NULL])[i % 3 + 1], i % 4 <> 0
      FROM generate_series(1, 12) i
    """

  private static let customers: SQL = """
    INSERT INTO crm.customer (kind, name, tax_office, lifecycle_phase, locale, website, note, profile, department_id, owner_id, visibility)
    SELECT CASE WHEN i % 2 = 0 THEN 'organisation' ELSE 'person' END,
           (ARRAY['İpek Irmak', 'IŞIK Ltd. Şti.', 'Çağrı Öz', 'Ali, Veli & Oğulları', 'ılgaz "A" A.Ş.', 'Zoë Nuñez', 'ŞİRİN Gıda', 'sirin gida'])[i % 8 + 1] || ' ' || i,
           CASE WHEN i % 3 <> 0 THEN (ARRAY['Beyoğlu', 'Konak', 'Çankaya'])[i % 3 + 1] END,
           (ARRAY['suspect', 'prospect', 'lead', 'active', 'dormant', 'lost'])[i % 6 + 1], CASE WHEN i % 4 = 0 THEN 'en' ELSE 'tr' END,
           CASE WHEN i % 2 = 0 THEN 'https://ornek' || i % 5 || '.example' END, CASE WHEN i % 7 = 0 THEN '' WHEN i % 5 = 0 THEN 'a,b' END,
           jsonb_build_object('age', i), place.department, person.owner,
           CASE WHEN i % 7 = 0 AND person.owner IS NOT NULL THEN 'private' WHEN i % 3 = 0 THEN 'department' ELSE 'company' END
      FROM generate_series(1, 40) i
      CROSS JOIN LATERAL (SELECT id AS department FROM crm.department WHERE code = (ARRAY['sales', 'sales_corporate', 'service'])[i % 3 + 1]) place
      CROSS JOIN LATERAL (SELECT (SELECT id FROM crm.app_user WHERE email = (ARRAY['ayse', 'mehmet', 'zeynep', 'nobody'])[i % 4 + 1] || '@carsi.example') AS owner) person
    """

  private static let contacts: SQL = """
    INSERT INTO crm.contact (customer_id, name, job_title, active)
    SELECT c.id, 'Kişi ' || i || ' ' || c.name, CASE WHEN i = 1 THEN 'Müdür' END, i = 1
      FROM crm.customer c CROSS JOIN generate_series(1, 2) i WHERE c.kind = 'organisation'
    """

  private static let contactPoints: SQL = """
    INSERT INTO crm.contact_point (customer_id, contact_id, kind, value)
    SELECT k.customer_id, k.id, 'email', 'kisi' || row_number() OVER (ORDER BY k.id) || '@ornek.example' FROM crm.contact k WHERE k.active
    """

  private static let orders: SQL = """
    INSERT INTO crm.sales_order (customer_id, source_system, external_number, status, channel, location_id, ordered_at, currency, note,
      department_id, owner_id, visibility)
    SELECT buyer.id, CASE WHEN i % 2 = 0 THEN 'erp' ELSE 'muhatap' END, CASE WHEN i % 5 <> 0 THEN 'N-' || i END,
           (ARRAY['placed', 'completed', 'cancelled', 'returned'])[i % 4 + 1], (ARRAY['store', 'online', 'phone'])[i % 3 + 1],
           (SELECT id FROM crm.location WHERE code = (ARRAY['ist-1', 'izm-1', 'web', NULL])[i % 4 + 1]),
           '2025-01-01T08:00:00Z'::timestamptz + make_interval(days => (i / 2) * 37 % 365, hours => CASE WHEN i % 5 = 0 THEN 14 ELSE 0 END, secs => i % 2 * 0.25),
           CASE WHEN i % 10 = 0 THEN 'USD' WHEN i % 6 = 0 THEN 'EUR' ELSE 'TRY' END, CASE WHEN i % 3 = 0 THEN 'Not ' || i END,
           place.department, person.owner,
           CASE WHEN i % 7 = 0 AND person.owner IS NOT NULL THEN 'private' WHEN i % 3 = 0 THEN 'department' ELSE 'company' END
      FROM generate_series(1, 150) i
      JOIN (SELECT id, row_number() OVER (ORDER BY name) AS number FROM crm.customer) buyer ON buyer.number = i % 40 + 1
      CROSS JOIN LATERAL (SELECT id AS department FROM crm.department WHERE code = (ARRAY['sales', 'sales_corporate', 'service'])[i % 3 + 1]) place
      CROSS JOIN LATERAL (SELECT (SELECT id FROM crm.app_user WHERE email = (ARRAY['ayse', 'mehmet', 'zeynep', 'nobody'])[i % 4 + 1] || '@carsi.example') AS owner) person
    """

  private static let lines: SQL = """
    INSERT INTO crm.sales_order_line (customer_id, order_id, line_number, product_id, quantity, unit_price, amount, coupon_discount)
    SELECT o.customer_id, o.id, line, goods.id, (o.number * line % 7)::numeric / 2 - 1, CASE WHEN o.number % 3 <> 0 THEN (o.number * line)::numeric / 7 END,
           round((o.number * 13 + line * 7)::numeric / 9 - 20, 2), line % 2 * 0.05
      FROM (SELECT id, customer_id, row_number() OVER (ORDER BY ordered_at) AS number FROM crm.sales_order) o
      CROSS JOIN LATERAL generate_series(1, (o.number % 4)::integer) line
      JOIN (SELECT id, row_number() OVER (ORDER BY sku) AS number FROM crm.product) goods ON goods.number = (o.number + line) % 12 + 1
    """
}

import CRMCore
import Foundation
import PostgresClient

/// How much is wanted, and by when.
struct AvailabilityInput: OperationInput {
  let quantity: Decimal
  let date: CalendarDate?

  init(_ fields: inout InputReader) {
    quantity = fields.optionalDecimal("quantity", "How much is wanted; 1 if left out.", scale: 3, in: 0...999_999_999_999) ?? 1
    date = fields.optionalDay("date", "The day by which it is wanted; today if left out.")
  }
}

extension ReadOperation {
  /// What a seller asks before promising goods. Open to whoever reads products; the levels belong to purchasing.
  static let availability = ReadOperation(
    "product_availability", "/v1/products/{id}/availability", tag: "products", access: .read(.products), "Can this quantity be promised, and when?",
    description: """
      An order line is served by one warehouse: the quantity can be promised when one of them has it, or will have it by the day. promised_on is the first \
      day on which it can be, null when not enough is on its way. Products without stock, such as services, can always be promised.
      """,
    input: AvailabilityInput.self, answer: ("application/json", answerSchema), reading: [.products], extending: [.purchasing, .sales],
    statements: { request, input in
      let id = try request.productID()
      return [
        """
        SELECT p.id AS product_id, p.unit_code, p.tracked, \(input.quantity)::numeric AS quantity, coalesce(\(input.date), crm.today()) AS date,
               CASE WHEN p.tracked THEN coalesce(sum(a.available), 0) END AS available,
               CASE WHEN p.tracked THEN coalesce(min(a.promised_on) <= coalesce(\(input.date), crm.today()), false) ELSE true END AS can_be_promised,
               CASE WHEN p.tracked THEN min(a.promised_on) ELSE crm.today() END AS promised_on
          FROM crm.product AS p LEFT JOIN crm.availability(p.id, \(input.quantity)::numeric) AS a ON p.tracked
         WHERE p.id = \(id) GROUP BY p.id
        """,
        """
        SELECT a.warehouse_id, a.code, a.name, a.on_hand, a.reserved, a.available, a.back_ordered, a.expected, a.promised_on
          FROM crm.product AS p CROSS JOIN crm.availability(p.id, \(input.quantity)::numeric) AS a
         WHERE p.id = \(id) AND p.tracked ORDER BY a.priority, a.code
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      var writer = JSONWriter(capacity: 1024)
      writer.beginObject()
      writer.writeMembers(results[0], 0)
      writer.key("warehouses")
      writer.writeRows(results[1])
      writer.endObject()
      return .json(writer.take())
    })

  private static let answerSchema: JSON = [
    "type": "object", "required": ["product_id", "tracked", "quantity", "date", "available", "can_be_promised", "promised_on", "warehouses"],
    "properties": [
      "product_id": ["type": "string", "format": "uuid"], "unit_code": ["type": "string"], "tracked": ["type": "boolean"], "quantity": ["type": "string"],
      "date": ["type": "string", "format": "date"], "available": ["type": ["string", "null"]], "can_be_promised": ["type": "boolean"],
      "promised_on": ["type": ["string", "null"], "format": "date"],
      "warehouses": [
        "type": "array",
        "items": [
          "type": "object", "required": ["warehouse_id", "code", "name", "on_hand", "reserved", "available", "back_ordered", "expected", "promised_on"],
          "properties": [
            "warehouse_id": ["type": "string", "format": "uuid"], "code": ["type": "string"], "name": ["type": "string"], "on_hand": ["type": "string"],
            "reserved": ["type": "string"], "available": ["type": "string"], "back_ordered": ["type": "string"],
            "expected": [
              "type": "array",
              "items": ["type": "object", "properties": ["expected_on": ["type": "string", "format": "date"], "quantity": ["type": "string"]]],
            ],
            "promised_on": ["type": ["string", "null"], "format": "date"],
          ],
        ],
      ],
    ],
  ]
}

extension Request {
  /// The product in the path. Whatever is not a UUID names none.
  func productID() throws(Problem) -> UUID {
    guard let id = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    return id
  }
}

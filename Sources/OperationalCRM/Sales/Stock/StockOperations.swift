import CRMCore
import Foundation
import PostgresClient

/// Goods that came, came back, or were counted.
struct StockMovementInput: OperationInput {
  /// What people do with stock by hand; orders reserve, release and ship.
  enum Kind: String, CaseIterable { case receipt, `return`, count }

  let warehouseID: UUID
  let productID: UUID
  let kind: Kind
  let quantity: Decimal
  let reason: String?
  let expectedReceiptID: UUID?

  init(_ fields: inout InputReader) {
    warehouseID = fields.id("warehouse_id", "The warehouse.")
    productID = fields.id("product_id", "The product.")
    kind = fields.option("kind", "receipt: goods came. return: goods came back. count: this is what lies there.", of: Kind.self, placeholder: .receipt)
    quantity = fields.decimal("quantity", "How much, in the product's unit; for a count, all that lies there.", scale: 3, in: 0...999_999_999_999)
    reason = fields.optionalText("reason", "What colleagues should know of it.", maximum: 500)
    expectedReceiptID = fields.optionalID("expected_receipt_id", "The expected receipt that this is, or a part of it.")
    if quantity == 0, kind != .count, fields.errors.isEmpty {
      fields.refuse("quantity", code: "range", Phrase("Give a quantity above zero.", tr: "Sıfırdan büyük bir miktar verin."))
    }
    if expectedReceiptID != nil, kind != .receipt {
      fields.refuse("expected_receipt_id", code: "unfit", Phrase("Only a receipt was expected.", tr: "Yalnızca giriş hareketi beklenen bir mal olabilir."))
    }
  }
}

extension BusinessOperation {
  /// Writes a movement to the ledger; the level follows in the same statement.
  static let moveStock = BusinessOperation(
    "move_stock", .post, "/v1/stock_movements", of: "stock_movements", access: .write(.purchasing), "Receive, take back or count goods",
    description: "A count says what lies there; the ledger gets the difference. What is reserved for orders cannot be counted away.",
    input: StockMovementInput.self, answer: .record("stock_movements", status: 201)
  ) { run, input in
    try await requireTracked(input.productID, run.tx)
    var quantity = input.quantity
    if input.kind == .count {
      let level = try await run.tx.first(
        LockedLevel.self,
        "SELECT on_hand, reserved FROM crm.lock_stock(\([input.productID])::uuid[]) WHERE warehouse_id = \(input.warehouseID)")
      try level?.mayBecome(input.quantity)
      quantity -= level?.onHand ?? 0
    }
    if let expected = input.expectedReceiptID {
      let found = try await run.tx.run(
        """
        UPDATE crm.expected_receipt SET received = received + \(quantity)::numeric
         WHERE id = \(expected) AND product_id = \(input.productID) AND warehouse_id = \(input.warehouseID)
        """)
      if found == 0 {
        throw Problem.invalid([
          .init(
            "/expected_receipt_id", code: "not-found",
            Phrase("No such receipt is expected of this product in this warehouse.", tr: "Bu üründen bu depoya böyle bir giriş beklenmiyor."))
        ])
      }
    }
    let movement = try await run.tx.value(
      UUID.self,
      """
      INSERT INTO crm.stock_movement (warehouse_id, product_id, kind, quantity, reason)
      VALUES (\(input.warehouseID), \(input.productID), \(input.kind.rawValue), \(quantity)::numeric, \(input.reason)) RETURNING id
      """)
    // What came goes to whoever waits for it, in the same transaction.
    try await run.tx.run("SELECT crm.reserve_back_orders(\(input.productID), \(input.warehouseID))")
    return .record(movement)
  }

  private static func requireTracked(_ product: UUID, _ tx: PostgresTransaction) async throws {
    guard try await tx.first(TrackedProduct.self, "SELECT tracked FROM crm.product WHERE id = \(product)")?.isTracked != true else { return }
    throw Problem.invalid([
      .init(
        "/product_id", code: "untracked",
        Phrase("There is no such product, or no stock is kept of it.", tr: "Böyle bir ürün yok ya da stoğu tutulmuyor."))
    ])
  }
}

private struct TrackedProduct: RowDecodable {
  let isTracked: Bool
  init(row: PostgresRow) throws { isTracked = try row.decode("tracked") }
}

/// A level that nobody else changes until the transaction ends.
struct LockedLevel: RowDecodable {
  let onHand: Decimal
  let reserved: Decimal

  init(row: PostgresRow) throws {
    onHand = try row.decode("on_hand")
    reserved = try row.decode("reserved")
  }

  /// Goods that were promised to orders must be found, or released first.
  func mayBecome(_ counted: Decimal) throws(Problem) {
    guard counted < reserved else { return }
    throw Problem(
      409, "reserved", Phrase("Goods that are reserved for orders cannot be counted away.", tr: "Siparişlere ayrılmış mallar sayımla düşülemez."),
      detail: Phrase(
        "\(reserved) is reserved. Cancel or refuse the orders first, or count again.",
        tr: "\(reserved) ayrılmış. Önce siparişleri iptal ya da reddedin veya yeniden sayın."))
  }
}

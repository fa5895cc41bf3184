import CRMCore
import Foundation

extension InputReader {
  /// The most that one line may come to before its discount: 500 of them still fit the amounts of a document.
  private static let greatest: Decimal = 9_999_999_999_999

  /// Refuses a line whose quantity × price no document can hold.
  mutating func refuseTooMuch(_ quantity: Decimal, at price: Decimal?) {
    guard let price, quantity * price > Self.greatest else { return }
    refuse(
      "unit_price", code: "too-large",
      Phrase("Quantity × price may come to \(Self.greatest) at most.", tr: "Miktar × fiyat en çok \(Self.greatest) olabilir."))
  }
}

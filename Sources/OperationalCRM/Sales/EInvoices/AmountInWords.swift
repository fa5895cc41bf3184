package import Foundation

/// An amount spelled in Turkish, as invoices carry it: `YALNIZ BİNİKİYÜZOTUZDÖRT TÜRK LİRASI ELLİALTI KURUŞ`.
/// Numbers on commercial papers are written in one word, so that nothing can be added in between (TDK, Yazım Kılavuzu, “Sayıların yazılışı”).
package enum AmountInWords {
  /// Names of a currency and of its hundredth.
  private static let units: [String: (whole: String, part: String)] = [
    "TRY": ("TÜRK LİRASI", "KURUŞ"), "USD": ("ABD DOLARI", "SENT"), "EUR": ("EURO", "SENT"), "GBP": ("İNGİLİZ STERLİNİ", "PENİ"),
    "CHF": ("İSVİÇRE FRANGI", "RAPPEN"),
  ]
  private static let ones = ["", "BİR", "İKİ", "ÜÇ", "DÖRT", "BEŞ", "ALTI", "YEDİ", "SEKİZ", "DOKUZ"]
  private static let tens = ["", "ON", "YİRMİ", "OTUZ", "KIRK", "ELLİ", "ALTMIŞ", "YETMİŞ", "SEKSEN", "DOKSAN"]
  private static let powers = ["", "BİN", "MİLYON", "MİLYAR", "TRİLYON", "KATRİLYON", "KENTİLYON"]

  /// - Parameter amount: rounded to two decimals.
  package static func turkish(_ amount: Decimal, currency: String) -> String {
    let kurus = (abs(amount) * 100).rounded(0)
    let digits = "\(kurus)"
    let padded = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    let whole = String(padded.dropLast(2))
    let part = String(padded.suffix(2))
    let names = units[currency] ?? (currency, "1/100 \(currency)")
    let sign = amount < 0 && kurus != 0 ? "EKSİ " : ""
    let wholeText = words(whole).isEmpty ? "SIFIR" : words(whole)
    let partText = words(part)
    return "YALNIZ \(sign)\(wholeText) \(names.whole)" + (partText.isEmpty ? "" : " \(partText) \(names.part)")
  }

  /// - Parameter digits: at most 21 decimal digits.
  private static func words(_ digits: String) -> String {
    let groups = stride(from: digits.count, to: 0, by: -3).map { end in
      Int(digits.dropLast(digits.count - end).suffix(3)) ?? 0
    }
    var text = ""
    for (power, group) in groups.enumerated().reversed() where group > 0 {
      // A thousand is "bin", not "bir bin".
      let isOneThousand = power == 1 && group == 1
      text += (isOneThousand ? "" : hundreds(group)) + (power < powers.count ? powers[power] : "")
    }
    return text
  }

  private static func hundreds(_ number: Int) -> String {
    let hundred = number / 100
    return (hundred == 0 ? "" : (hundred == 1 ? "" : ones[hundred]) + "YÜZ") + tens[number / 10 % 10] + ones[number % 10]
  }
}

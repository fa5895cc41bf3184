import Foundation

/// One customer of a simulated company with all they did. Drawn from a source of their own: the same whoever is drawn before.
package struct SimulatedCustomer: Sendable {
  package struct Purchase: Sendable {
    package let id: RowID
    /// Seconds since 1970.
    package let at: Int
    package let cents: Int
  }

  package struct Contract: Sendable {
    let id, lineID: RowID
    let startsOn: Int
    /// Terms begun, the present or last one included.
    let terms: Int
    /// The first day of the present or last term, and the first day after it.
    let termStartsOn, renewsOn: Int
    /// Why it ended at the end of its last term; nil while it runs.
    let cause: Int?
    let monthlyCents: Int
  }

  package let id: RowID
  package let number: Int
  package let isOrganisation: Bool
  /// Purchases a day while they buy at all.
  package let rate: Double
  /// The probability of stopping after each repeat purchase.
  package let dropout: Double
  /// What they spend on a purchase on average, in lira.
  package let meanValue: Double
  package let isAlive: Bool
  package let purchases: [Purchase]
  package let futurePurchases: Int
  package let contract: Contract?
  /// The customer who brought this one.
  package let referredBy: Int?

  package init(_ number: Int, of plan: CompanyPlan) {
    var random = RandomSource(seed: plan.seed, stream: UInt64(number) + 1)
    // Arrivals are evenly spread, so that ids ascend with the customers' numbers.
    let arrival = Double(plan.start) + plan.arrivalDays * (Double(number) + random.uniform()) / Double(plan.customers)
    self.number = number
    id = RowID(at: arrival, &random)
    isOrganisation = random.uniform() < 0.3
    let (model, spending) = (plan.purchases, plan.spending)
    rate = random.gamma(shape: model.r, rate: model.alpha)
    dropout = random.beta(model.a, model.b)
    let scale = random.gamma(shape: spending.q, rate: spending.gamma)
    meanValue = spending.p / scale
    referredBy = number > 0 && random.uniform() < 0.1 ? random.index(below: number) : nil

    var purchases: [Purchase] = []
    var (time, future, alive) = (arrival, 0, true)
    let (end, horizon) = (Double(plan.end), Double(plan.end + CompanyPlan.futureDays))
    while time < horizon {
      if time < end {
        let value = random.gamma(shape: spending.p, rate: scale)
        purchases.append(Purchase(id: RowID(at: time, &random), at: Int(time * 86_400), cents: max(1, Int((value * 100).rounded()))))
      } else {
        future += 1
      }
      if time > arrival, random.uniform() < dropout {
        if time < end { alive = false }
        break
      }
      time += random.exponential(rate: rate)
    }
    self.purchases = purchases
    futurePurchases = future
    isAlive = alive
    contract = random.uniform() < plan.contractShare ? Contract(from: Int(arrival), of: plan, &random) : nil
  }

  /// Who brought them is another's id, which depends on that one's own source alone.
  static func id(of number: Int, in plan: CompanyPlan) -> RowID {
    var random = RandomSource(seed: plan.seed, stream: UInt64(number) + 1)
    return RowID(at: Double(plan.start) + plan.arrivalDays * (Double(number) + random.uniform()) / Double(plan.customers), &random)
  }
}

extension SimulatedCustomer.Contract {
  /// A contract that begins on a day and, at the end of each term, ends with a probability of its own.
  fileprivate init(from day: Int, of plan: CompanyPlan, _ random: inout RandomSource) {
    id = RowID(at: Double(day), &random)
    lineID = RowID(at: Double(day), &random)
    startsOn = day
    monthlyCents = Int((random.gamma(shape: 4, rate: 0.004) * 100).rounded()) + 1_00
    let ending = random.beta(plan.renewals.alpha, plan.renewals.beta)
    let first = CalendarDay(day: day)
    /// As PostgreSQL adds months: the same day of the month, or the month's last.
    func after(_ terms: Int) -> Int {
      let month = first.months(later: terms * plan.termMonths)
      return min(month.day + first.dayOfMonth - 1, month.months(later: 1).day - 1)
    }
    var begun = 1
    var cause: Int?
    while after(begun) <= plan.end {
      if random.uniform() < ending {
        cause = random.outcome(CompanyPlan.churnCauses.map(\.share))
        break
      }
      begun += 1
    }
    self.cause = cause
    terms = begun
    termStartsOn = after(begun - 1)
    renewsOn = after(begun)
  }
}

/// A UUID of version 7 from a simulated time and chance.
package struct RowID: Sendable, Hashable {
  let high, low: UInt64

  var uuid: UUID {
    var id = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).uuid
    withUnsafeMutableBytes(of: &id) { bytes in
      bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
      bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return UUID(uuid: id)
  }

  /// - Parameter day: since 1970, with its fraction.
  init(at day: Double, _ random: inout RandomSource) {
    high = UInt64(day * 86_400_000) << 16 | 0x7000 | random.next() & 0x0fff
    low = 0x8000_0000_0000_0000 | random.next() & 0x3fff_ffff_ffff_ffff
  }
}

import Foundation

/// Finds the lowest point of a smooth function within a box: BFGS with a backtracking line search, helped by Nelder–Mead where the slope misleads it.
package struct Minimisation {
  /// A function of several variables.
  package struct Function {
    let value: ([Double]) throws -> Double
    /// The value and the slope in every direction.
    let slope: ([Double]) throws -> (value: Double, gradient: [Double])
    /// Whether a slope costs many values: then it is only asked for where the search goes.
    let isSlopeCostly: Bool

    /// - Parameter slope: costs little more than a value.
    package init(slope: @escaping ([Double]) throws -> (value: Double, gradient: [Double])) {
      value = { try slope($0).value }
      self.slope = slope
      isSlopeCostly = false
    }

    /// The slope by central differences.
    package init(value: @escaping ([Double]) throws -> Double) {
      self.value = value
      slope = { point in
        let step = 1e-5
        let gradient = try point.indices.map { index in
          var (up, down) = (point, point)
          up[index] += step
          down[index] -= step
          return (try value(up) - value(down)) / (2 * step)
        }
        return (try value(point), gradient)
      }
      isSlopeCostly = true
    }
  }

  package struct Minimum {
    package let point: [Double]
    package let value: Double
    /// Whether the slope, as far as the box leaves room, is zero there.
    package let isStationary: Bool
    /// Evaluations of the slope or the value.
    package let evaluations: Int
  }

  /// Every variable stays within ± this.
  let bound: Double
  /// The largest slope that counts as zero.
  let tolerance: Double
  let function: Function
  private var evaluations = 0

  package init(_ function: Function, bound: Double = 7, tolerance: Double = 1e-7) {
    self.function = function
    self.bound = bound
    self.tolerance = tolerance
  }

  /// - Throws: what the function throws, such as a cancellation.
  package mutating func run(from start: [Double]) throws -> Minimum {
    evaluations = 0
    var best = try descend(from: start)
    for _ in 0..<2 where !best.isStationary {
      let other = try descend(from: try simplex(from: best.point))
      if other.value <= best.value { best = other }
    }
    return Minimum(point: best.point, value: best.value, isStationary: best.isStationary, evaluations: evaluations)
  }

  private func clamped(_ point: [Double]) -> [Double] { point.map { min(max($0, -bound), bound) } }

  /// The slope without what points out of the box.
  private func projected(_ gradient: [Double], at point: [Double]) -> [Double] {
    zip(gradient, point).map { slope, place in place <= -bound && slope > 0 || place >= bound && slope < 0 ? 0 : slope }
  }

  // MARK: BFGS

  private mutating func descend(from start: [Double]) throws -> Minimum {
    let size = start.count
    var point = clamped(start)
    var (value, gradient) = try function.slope(point)
    evaluations += 1
    var inverse = Self.identity(size)
    for _ in 0..<500 {
      let free = projected(gradient, at: point)
      if free.allSatisfy({ abs($0) < tolerance }) { return Minimum(point: point, value: value, isStationary: true, evaluations: evaluations) }
      var direction = (0..<size).map { row in -(0..<size).reduce(0) { $0 + inverse[row][$1] * free[$1] } }
      var descent = zip(direction, free).reduce(0) { $0 + $1.0 * $1.1 }
      if !(descent < 0) {
        inverse = Self.identity(size)
        direction = free.map { -$0 }
        descent = -free.reduce(0) { $0 + $1 * $1 }
      }
      let longest = direction.map(abs).max() ?? 0
      var step = longest > 1.5 ? 1.5 / longest : 1
      var next: (point: [Double], value: Double, gradient: [Double])?
      for _ in 0..<40 {
        let candidate = clamped(zip(point, direction).map { $0 + step * $1 })
        let there = function.isSlopeCostly ? (value: try function.value(candidate), gradient: []) : try function.slope(candidate)
        evaluations += 1
        if there.value.isFinite, there.value <= value + 1e-4 * step * descent {
          next = (candidate, there.value, function.isSlopeCostly ? try function.slope(candidate).gradient : there.gradient)
          break
        }
        step /= 2
      }
      guard let next else {
        // No step goes down any more: as good as flat, or numerical noise.
        return Minimum(point: point, value: value, isStationary: free.allSatisfy { abs($0) < tolerance * 100 }, evaluations: evaluations)
      }
      let moved = zip(next.point, point).map { $0 - $1 }
      let change = zip(next.gradient, gradient).map { $0 - $1 }
      Self.update(&inverse, moved: moved, change: change)
      (point, value, gradient) = (next.point, next.value, next.gradient)
    }
    return Minimum(point: point, value: value, isStationary: false, evaluations: evaluations)
  }

  private static func identity(_ size: Int) -> [[Double]] { (0..<size).map { row in (0..<size).map { row == $0 ? 1 : 0 } } }

  /// The BFGS update of the inverse Hessian; left out where the function does not curve upwards along the way.
  private static func update(_ inverse: inout [[Double]], moved: [Double], change: [Double]) {
    let size = moved.count
    let curvature = zip(moved, change).reduce(0) { $0 + $1.0 * $1.1 }
    guard curvature > 1e-14 else { return }
    let product = (0..<size).map { row in (0..<size).reduce(0) { $0 + inverse[row][$1] * change[$1] } }
    let scale = (1 + zip(change, product).reduce(0) { $0 + $1.0 * $1.1 } / curvature) / curvature
    for row in 0..<size {
      for column in 0..<size {
        inverse[row][column] += scale * moved[row] * moved[column] - (product[row] * moved[column] + moved[row] * product[column]) / curvature
      }
    }
  }

  // MARK: Nelder–Mead

  private mutating func simplex(from start: [Double]) throws -> [Double] {
    let size = start.count
    func value(_ point: [Double]) throws -> Double {
      evaluations += 1
      let value = try function.value(point)
      return value.isNaN ? .infinity : value
    }
    var corners = [(point: start, value: try value(start))]
    for index in 0..<size {
      var point = start
      point[index] += point[index] > 0 ? -0.5 : 0.5
      corners.append((point, try value(point)))
    }
    for _ in 0..<(200 * size) {
      corners.sort { $0.value < $1.value }
      let worst = corners[size]
      if worst.value - corners[0].value < 1e-10 { break }
      let centre = (0..<size).map { index in corners[..<size].reduce(0) { $0 + $1.point[index] } / Double(size) }
      func along(_ factor: Double) throws -> (point: [Double], value: Double) {
        let point = clamped(zip(centre, worst.point).map { $0 + factor * ($1 - $0) })
        return (point, try value(point))
      }
      let reflected = try along(-1)
      if reflected.value < corners[0].value {
        let expanded = try along(-2)
        corners[size] = expanded.value < reflected.value ? expanded : reflected
      } else if reflected.value < corners[size - 1].value {
        corners[size] = reflected
      } else {
        let contracted = try along(reflected.value < worst.value ? -0.5 : 0.5)
        if contracted.value < min(worst.value, reflected.value) {
          corners[size] = contracted
        } else {
          for index in 1...size {
            let point = zip(corners[0].point, corners[index].point).map { ($0 + $1) / 2 }
            corners[index] = (point, try value(point))
          }
        }
      }
    }
    return corners.min { $0.value < $1.value }?.point ?? start
  }
}

/// A DDSketch: counts of numbers in buckets whose bounds grow geometrically.
///
/// A number x falls in bucket ⌊m·f(x)⌋, where f is a cubic in the mantissa of x plus its exponent
/// that takes the place of the logarithm. It takes only additions and multiplications, so every
/// machine finds the same bucket. Each sign has at most ``bucketCountMax`` buckets; past that the
/// ones nearest to zero are merged, and only results that fall in the merged one lose the error
/// bound. At the default error 2,048 buckets span a factor of 10¹⁷.
public struct QuantileSketch: Sendable, Hashable, Codable {
    /// How many buckets a sketch has for each sign.
    public static let bucketCountMax = 2_048

    /// The bound of the relative error.
    public let relativeError: Double
    /// How many numbers were inserted.
    public private(set) var count = 0
    private var zeroCount = 0
    private var positive = Buckets()
    private var negative = Buckets()
    private var minimum = Double.infinity
    private var maximum = -Double.infinity

    /// Creates a sketch of nothing.
    ///
    /// - Parameter relativeError: From 0.001 to 0.1; a number beyond is taken for the nearest of
    ///   these, NaN for 0.01.
    public init(relativeError: Double = 0.01) {
        self.relativeError =
            relativeError.isNaN ? 0.01 : Swift.min(Swift.max(relativeError, 0.001), 0.1)
    }

    /// Inserts a number; NaN and infinities are ignored.
    ///
    /// - Complexity: O(1), amortised.
    public mutating func insert(_ number: Double) {
        guard number.isFinite else { return }
        count += 1
        minimum = Swift.min(minimum, number)
        maximum = Swift.max(maximum, number)
        let magnitude = number.magnitude
        if magnitude < .leastNormalMagnitude {
            zeroCount += 1
        } else if number > 0 {
            positive.add(1, to: bucket(magnitude))
        } else {
            negative.add(1, to: bucket(magnitude))
        }
    }

    /// Inserts everything that is in `other`; if that has a different relative error, both errors
    /// add up.
    ///
    /// - Complexity: O(buckets).
    public mutating func merge(_ other: QuantileSketch) {
        count += other.count
        zeroCount += other.zeroCount
        minimum = Swift.min(minimum, other.minimum)
        maximum = Swift.max(maximum, other.maximum)
        if relativeError == other.relativeError {
            positive.merge(other.positive)
            negative.merge(other.negative)
        } else {
            for (index, added) in other.positive.all {
                positive.add(added, to: bucket(other.number(in: index)))
            }
            for (index, added) in other.negative.all {
                negative.add(added, to: bucket(other.number(in: index)))
            }
        }
    }

    /// The number of rank ⌊quantile·(count − 1)⌋ within the relative error, NaN if there is none.
    ///
    /// There is none without numbers, nor for a quantile that isn't in 0...1.
    ///
    /// - Complexity: O(buckets).
    public func quantile(_ quantile: Double) -> Double {
        guard count > 0, quantile >= 0, quantile <= 1 else { return .nan }
        var rank = Int((quantile * Double(count - 1)).rounded(.down))
        var estimate = 0.0
        if rank < negative.total {
            estimate = -number(in: negative.bucket(ofRank: negative.total - 1 - rank))
        } else if rank >= negative.total + zeroCount {
            rank -= negative.total + zeroCount
            estimate = number(in: positive.bucket(ofRank: rank))
        }
        return Swift.min(Swift.max(estimate, minimum), maximum)
    }

    /// Buckets for each doubling: 0.7/ln γ with γ = (1 + ε)/(1 − ε), the least that keeps every
    /// bucket within γ.
    private var bucketsPerDoubling: Double {
        // ln γ = 2 artanh ε; six terms are exact for ε up to 0.1.
        let square = relativeError * relativeError
        var sum = 0.0
        for divisor in stride(from: 13.0, through: 1.0, by: -2.0) {
            sum = sum * square + 1 / divisor
        }
        return 0.7 / (2 * relativeError * sum)
    }

    private func bucket(_ magnitude: Double) -> Int {
        let position = Self.cubic(magnitude.significand - 1) + Double(magnitude.exponent)
        return Int((position * bucketsPerDoubling).rounded(.down))
    }

    /// The number that is within the relative error of both ends of a bucket.
    private func number(in bucket: Int) -> Double {
        let position = Double(bucket) / bucketsPerDoubling
        let exponent = position.rounded(.down)
        let wanted = position - exponent
        var mantissa = wanted
        // Newton's method; the cubic is close to a line, so that few steps are enough.
        for _ in 0..<6 {
            let slope = (18.0 / 35 * mantissa - 6.0 / 5) * mantissa + 10.0 / 7
            mantissa -= (Self.cubic(mantissa) - wanted) / slope
        }
        let low = Double(sign: .plus, exponent: Int(exponent), significand: 1 + mantissa)
        return low * (1 + relativeError)
    }

    /// From 0 at 0 to 1 at 1, close to log₂(1 + x).
    private static func cubic(_ value: Double) -> Double {
        ((6.0 / 35 * value - 3.0 / 5) * value + 10.0 / 7) * value
    }
}

extension QuantileSketch {
    /// The counts of a range of buckets.
    private struct Buckets: Sendable, Hashable, Codable {
        private(set) var total = 0
        private var first = 0
        private var counts: [Int] = []

        mutating func add(_ count: Int, to bucket: Int) {
            guard count > 0 else { return }
            total += count
            if counts.isEmpty { first = bucket }
            if bucket >= first + counts.count {
                extend(toLast: bucket)
            } else if bucket < first {
                extend(toFirst: bucket)
            }
            // A bucket below those that there is room for counts in the lowest.
            counts[Swift.max(bucket, first) - first] += count
        }

        mutating func merge(_ other: Buckets) {
            // From the top, so that the range is settled before anything is counted in the lowest
            // bucket.
            for (bucket, count) in other.all { add(count, to: bucket) }
        }

        /// The buckets and their counts, the highest first.
        var all: [(bucket: Int, count: Int)] {
            counts.indices.reversed().map { (first + $0, counts[$0]) }
        }

        /// The bucket with the entry of this rank, from 0 for the lowest.
        func bucket(ofRank rank: Int) -> Int {
            var seen = 0
            for (index, count) in counts.enumerated() {
                seen += count
                if seen > rank { return first + index }
            }
            return first + counts.count - 1
        }

        private mutating func extend(toLast last: Int) {
            let newFirst = Swift.max(first, last - QuantileSketch.bucketCountMax + 1)
            let merged = Swift.min(newFirst - first, counts.count)
            let low = counts.prefix(merged).reduce(0, +)
            counts.removeFirst(merged)
            first = newFirst
            counts.append(contentsOf: repeatElement(0, count: last - first + 1 - counts.count))
            counts[0] += low
        }

        private mutating func extend(toFirst bucket: Int) {
            let last = first + counts.count - 1
            let newFirst = Swift.max(bucket, last - QuantileSketch.bucketCountMax + 1)
            counts.insert(contentsOf: repeatElement(0, count: first - newFirst), at: 0)
            first = newFirst
        }
    }
}

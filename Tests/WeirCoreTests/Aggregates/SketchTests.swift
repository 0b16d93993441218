import Testing
import WeirCore

@Suite struct `A distinct count` {
    @Test(arguments: [4, 8, 10, 12, 14, 18], [500, 5_000, 30_000])
    func `has the standard error that it promises`(precision: Int, count: Int) {
        let sigma = 1.04 / Double(1 << precision).squareRoot()
        var squares = 0.0
        for seed in 0..<12 {
            var sketch = HyperLogLog(precision: precision)
            for index in 0..<count { sketch.insert(hash: stableHash(index + seed * 1_000_000)) }
            let error = Double(sketch.estimate) / Double(count) - 1
            squares += error * error
            // With 16 registers the estimate is too skewed for a bound in standard errors.
            if precision > 4 { #expect(abs(error) <= 3 * sigma) }
        }
        #expect((squares / 12).squareRoot() <= (precision > 4 ? 1.6 : 2) * sigma)
    }

    @Test func `is exact while there are few and ignores repeats`() {
        var sketch = HyperLogLog()
        for round in 0..<3 {
            for value in 0..<1_024 { sketch.insert(hash: stableHash(value)) }
            #expect(sketch.estimate == 1_024, "round \(round)")
        }
    }

    @Test func `merges with one of another precision as if both had the lower`() {
        for (left, right) in [(10, 14), (14, 10), (5, 6)] {
            for count in [20, 100_000] {
                var first = HyperLogLog(precision: left)
                var second = HyperLogLog(precision: right)
                var whole = HyperLogLog(precision: min(left, right))
                for value in 0..<count {
                    whole.insert(hash: stableHash(value))
                    if value % 3 == 0 {
                        first.insert(hash: stableHash(value))
                    } else {
                        second.insert(hash: stableHash(value))
                    }
                }
                first.merge(second)
                #expect(first == whole)
            }
        }
    }

    @Test func `exact up to its limit says when there were more`() {
        let count = ExactDistinctAggregate<Int, Int>(limit: 10) { $0 % 12 }
        #expect(count.result(over: 0..<10) == DistinctCount(count: 10, isComplete: true))
        #expect(count.result(over: 0..<100) == DistinctCount(count: 10, isComplete: false))
    }
}

@Suite struct `Quantiles` {
    private let ranks = [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1]

    private func check(_ numbers: [Double], relativeError: Double, slack: Double = 1) {
        var sketch = QuantileSketch(relativeError: relativeError)
        for number in numbers { sketch.insert(number) }
        let sorted = numbers.sorted()
        for rank in ranks {
            let exact = sorted[Int((rank * Double(sorted.count - 1)).rounded(.down))]
            let error = abs(sketch.quantile(rank) - exact)
            #expect(error <= relativeError * abs(exact) * slack + 1e-12, "rank \(rank) of \(exact)")
        }
    }

    @Test(arguments: [0.001, 0.01, 0.05, 0.1])
    func `are within the relative error`(relativeError: Double) {
        var random = SeededRandom(seed: 4)
        let uniform = (0..<20_000).map { _ in Double.random(in: 1...1_000, using: &random) }
        // 0.1 % leaves 2,048 buckets for a factor of 60 only; the low end of a wide range is merged.
        let narrow = uniform.map { 500 + $0 }
        check(relativeError < 0.01 ? narrow : uniform, relativeError: relativeError)
        if relativeError >= 0.01 {
            check(uniform.map { $0 * $0 * $0 - 1e6 }, relativeError: relativeError)
            check(uniform.map { 1 / $0 }, relativeError: relativeError)
            check(uniform.map { -$0 * 1e200 }, relativeError: relativeError)
        }
    }

    @Test func `hold the bound for every mantissa`() {
        for step in 0..<5_000 {
            let number = 1 + Double(step) / 2_500
            var sketch = QuantileSketch(relativeError: 0.01)
            sketch.insert(number)
            // The extremes would give a single number exactly.
            sketch.insert(number * 1e-3)
            sketch.insert(number * 1e3)
            #expect(abs(sketch.quantile(0.5) - number) <= 0.010_000_1 * number)
        }
    }

    @Test func `keep the upper ones when the range is too wide for the buckets`() {
        var sketch = QuantileSketch(relativeError: 0.01)
        for exponent in -300...300 {
            for _ in 0..<10 {
                sketch.insert(Double(sign: .plus, exponent: exponent, significand: 1.3))
            }
        }
        let exact = Double(sign: .plus, exponent: 294, significand: 1.3)
        #expect(abs(sketch.quantile(0.99) / exact - 1) <= 0.011)
        #expect(sketch.count == 6_010)
    }

    @Test func `ignore what is not finite and are not a number without inputs`() {
        var sketch = QuantileSketch()
        #expect(sketch.quantile(0.5).isNaN)
        for number in [Double.nan, .infinity, -.infinity] { sketch.insert(number) }
        #expect(sketch.count == 0)
        sketch.insert(0)
        sketch.insert(-0.0)
        sketch.insert(.leastNonzeroMagnitude)
        #expect(sketch.quantile(1) == 0)
    }

    @Test func `merge sketches of different error with both errors added`() {
        var fine = QuantileSketch(relativeError: 0.01)
        var coarse = QuantileSketch(relativeError: 0.05)
        for number in 1...1_000 {
            fine.insert(Double(number))
            coarse.insert(-Double(number))
        }
        fine.merge(coarse)
        #expect(fine.count == 2_000)
        #expect(abs(fine.quantile(0.25) + 500) <= 0.062 * 500)
        #expect(abs(fine.quantile(0.75) - 500) <= 0.011 * 500)
    }
}

@Suite struct `Heavy hitters` {
    /// Value v comes about 1/v times as often as value 1.
    private func zipf(_ count: Int, seed: UInt64) -> [Int] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in
            Int(1 / Double.random(in: 0.000_1..<1, using: &random))
        }
    }

    private func counts(_ values: [Int]) -> [Int: Int] {
        values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    private func check(_ result: [HeavyHitter<Int>], _ values: [Int], capacity: Int) {
        let exact = counts(values)
        for hitter in result {
            let count = exact[hitter.value] ?? 0
            #expect(hitter.count >= count)
            #expect(hitter.count - hitter.error <= count)
            #expect(hitter.count - count <= values.count / capacity)
        }
        let found = Set(result.map(\.value))
        for (value, count) in exact where count > values.count / capacity {
            #expect(found.contains(value), "\(value) came \(count) times")
        }
    }

    @Test(arguments: 0..<5)
    func `are found with their counts bounded`(seed: UInt64) throws {
        let values = zipf(20_000, seed: seed)
        let hitters = HeavyHittersAggregate<Int, Int>(100, capacity: 100) { $0 }
        check(hitters.result(over: values), values, capacity: 100)
        let split = try combinedFromParts(hitters, values, seed: seed)
        check(split, values, capacity: 100)
    }

    @Test func `are exact with no more values than counters`() {
        let values = zipf(5_000, seed: 1).map { $0 % 50 }
        let hitters = HeavyHittersAggregate<Int, Int>(50, capacity: 50) { $0 }
        for hitter in hitters.result(over: values) {
            #expect(hitter.error == 0)
            #expect(hitter.count == counts(values)[hitter.value])
        }
    }
}

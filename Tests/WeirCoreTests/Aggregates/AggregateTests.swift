import Foundation
import Testing
import WeirCore

struct Sale: Codable, Sendable, Hashable {
    var user: Int
    var amount: Double
    var units: Int
    var order: Int

    static func random(_ count: Int, seed: UInt64) -> [Sale] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { index in
            Sale(
                user: Int.random(in: 0..<200, using: &random),
                amount: Double.random(in: -100...1_000, using: &random),
                units: Int.random(in: -50...50, using: &random), order: index)
        }
    }
}

/// Stands for a stream whose `aggregate` takes the factories with a leading dot.
struct Sales {
    var sales: [Sale]

    func aggregate<Summary: Aggregate>(_ summary: Summary) -> Summary.Output
    where Summary.Input == Sale {
        summary.result(over: sales)
    }
}

/// The result of random parts, each added up alone and encoded and decoded, combined pairwise in random order.
func combinedFromParts<Summary: Aggregate>(
    _ summary: Summary, _ inputs: [Summary.Input], seed: UInt64
) throws -> Summary.Output {
    var random = SeededRandom(seed: seed)
    var parts: [Summary.Accumulator] = [summary.initial()]
    for input in inputs {
        if Int.random(in: 0..<50, using: &random) == 0 { parts.append(summary.initial()) }
        summary.add(input, to: &parts[parts.count - 1])
    }
    while parts.count > 1 {
        let index = Int.random(in: 0..<(parts.count - 1), using: &random)
        let coded = try JSONEncoder().encode([parts.remove(at: index + 1)])
        let other = try JSONDecoder().decode([Summary.Accumulator].self, from: coded)
        for other in other { summary.combine(other, into: &parts[index]) }
    }
    return summary.result(of: parts[0])
}

@Suite struct `An aggregate` {
    @Test func `reads well at the call site`() {
        let sales = Sales(sales: Sale.random(100, seed: 1))
        let all = sales.sales
        #expect(sales.aggregate(.count()) == 100)
        #expect(sales.aggregate(.sum(of: \.units)) == all.reduce(0) { $0 + $1.units })
        #expect(abs(sales.aggregate(.sum(of: \.amount)) - all.reduce(0) { $0 + $1.amount }) < 1e-9)
        #expect(sales.aggregate(.min(of: \.amount)) == all.map(\.amount).min())
        #expect(sales.aggregate(.max(of: \.units)) == all.map(\.units).max())
        #expect(sales.aggregate(.max(by: \.amount)) == all.max { $0.amount < $1.amount })
        #expect(sales.aggregate(.min(by: \.amount)) == all.min { $0.amount < $1.amount })
        #expect(sales.aggregate(.first())?.order == 0)
        #expect(sales.aggregate(.last())?.order == 99)
        #expect(sales.aggregate(.collect(limit: 3)).droppedCount == 97)
        #expect(sales.aggregate(.topK(2, by: \.amount)).count == 2)
        #expect(sales.aggregate(.distinct(of: \.user)) == Set(all.map(\.user)).count)
        #expect(sales.aggregate(.exactDistinct(of: \.user)).isComplete)
        #expect(sales.aggregate(.quantiles([0.5, 0.99], of: \.amount)).count == 2)
        #expect(sales.aggregate(.heavyHitters(3, of: \.user)).count == 3)
        let both = sales.aggregate(.combined(.count(), .mean(of: \.amount)))
        #expect(both.0 == 100)
        #expect(sales.aggregate(.mean(of: \.units)).isFinite)
        #expect(sales.aggregate(.variance(of: \.amount)) > 0)
        #expect(sales.aggregate(.standardDeviation(of: \.amount)) > 0)
        #expect(sales.aggregate(.moments(of: \.amount)).count == 100)
        #expect(
            sales.aggregate(.sum(of: { @Sendable in $0.units * 2 })) == 2
                * all.reduce(0) { $0 + $1.units })
        #expect(
            sales.aggregate(IntegerSumAggregate { $0.units }) == all.reduce(0) { $0 + $1.units })
        let mapped = CountAggregate<Int>().mapInput { (sale: Sale) in sale.units }
        #expect(sales.aggregate(mapped.mapOutput { $0 * 10 }) == 1_000)
    }

    @Test(arguments: 0..<5)
    func `gives the same for every split when it is exact`(seed: UInt64) throws {
        let sales = Sale.random(3_000, seed: seed)
        func check<Summary: Aggregate>(_ summary: Summary) throws
        where Summary.Input == Sale, Summary.Output: Equatable {
            let split = try combinedFromParts(summary, sales, seed: seed)
            #expect(split == summary.result(over: sales), "\(Summary.self)")
        }
        try check(CountAggregate<Sale>())
        try check(IntegerSumAggregate<Sale, Int> { $0.units })
        try check(ExtremumAggregate<Sale, Double, Smallest> { $0.amount })
        try check(ExtremumAggregate<Sale, Double, Largest> { $0.amount })
        // Many inputs have the same key: the first must win.
        try check(ExtremumByAggregate<Sale, Int, Smallest> { $0.units })
        try check(ExtremumByAggregate<Sale, Int, Largest> { $0.units })
        try check(FirstAggregate<Sale>())
        try check(LastAggregate<Sale>())
        try check(CollectAggregate<Sale>(limit: 100))
        try check(TopAggregate<Sale, Int>(40) { $0.units })
        try check(DistinctAggregate<Sale, Int>(precision: 6) { $0.user })
        try check(DistinctAggregate<Sale, Int>(precision: 14) { $0.order })
        try check(ExactDistinctAggregate<Sale, Int>(limit: 500) { $0.user })
        try check(QuantilesAggregate<Sale>([0, 0.1, 0.5, 0.9, 1]) { $0.amount })
        try check(
            HeavyHittersAggregate<Sale, Int>(200, capacity: 200) { $0.user }.mapOutput(Set.init))
        try check(CountAggregate<Int>().mapInput { (sale: Sale) in sale.units })
    }

    @Test(arguments: 0..<5)
    func `gives about the same for every split when it rounds`(seed: UInt64) throws {
        let sales = Sale.random(3_000, seed: seed)
        func check<Summary: Aggregate>(_ summary: Summary) throws
        where Summary.Input == Sale, Summary.Output == Double {
            let whole = summary.result(over: sales)
            let split = try combinedFromParts(summary, sales, seed: seed)
            #expect(abs(split - whole) <= 1e-13 * abs(whole), "\(Summary.self)")
        }
        try check(DoubleSumAggregate { $0.amount })
        try check(MeanAggregate { $0.amount })
        try check(MomentsAggregate { $0.amount }.mapOutput { $0.variance })
        try check(MomentsAggregate { $0.amount }.mapOutput { $0.mean })
    }

    @Test func `takes inputs out again exactly when it is invertible`() {
        let sales = Sale.random(1_000, seed: 3)
        let summary = CombinedAggregate(
            CountAggregate<Sale>(), IntegerSumAggregate<Sale, Int> { $0.units })
        var all = summary.initial()
        var early = summary.initial()
        for sale in sales { summary.add(sale, to: &all) }
        for sale in sales.prefix(400) { summary.add(sale, to: &early) }
        summary.subtract(early, from: &all)
        let rest = summary.result(over: sales.dropFirst(400))
        #expect(summary.result(of: all) == rest)
    }
}

@Suite struct `A sum` {
    @Test func `is exact beyond 64 bits on the way and clamped at the end`() {
        let sum = IntegerSumAggregate<Int, Int> { $0 }
        #expect(sum.result(over: [.max, .max, .min, -5]) == .max - 6)
        #expect(sum.result(over: [.max, .max]) == .max)
        #expect(sum.result(over: [.min, .min]) == .min)
        let small = IntegerSumAggregate<UInt8, UInt8> { $0 }
        #expect(small.result(over: [200, 100]) == 255)
    }

    @Test func `of doubles keeps what a plain sum loses`() {
        let sum = DoubleSumAggregate<Double> { $0 }
        #expect(sum.result(over: [1, 1e100, 1, -1e100]) == 2)
        #expect(sum.result(over: Array(repeating: 0.1, count: 1_000_000)) == 100_000)
        #expect(sum.result(over: [.infinity, 1]) == .infinity)
        #expect(sum.result(over: [.infinity, -.infinity]).isNaN)
        #expect(sum.result(over: []) == 0)
    }
}

@Suite struct `Mean and variance` {
    @Test func `are those of the definition`() {
        let moments = MomentsAggregate<Double> { $0 }
        let result = moments.result(over: [2, 4, 4, 4, 5, 5, 7, 9])
        #expect(result.mean == 5)
        #expect(result.populationVariance == 4)
        #expect(result.populationStandardDeviation == 2)
        #expect(result.variance == 32.0 / 7)
    }

    @Test func `survive a mean that is large against the spread`() {
        let moments = MomentsAggregate<Double> { $0 + 1e9 }
        #expect(moments.result(over: [4, 7, 13, 16]).variance == 30)
    }

    @Test func `are not a number for too few inputs`() {
        let moments = MomentsAggregate<Double> { $0 }
        #expect(moments.result(over: []).mean.isNaN)
        #expect(moments.result(over: [1]).variance.isNaN)
        #expect(moments.result(over: [1]).populationVariance == 0)
        #expect(MeanAggregate<Double> { $0 }.result(over: []).isNaN)
    }
}

@Suite struct `Extrema and selections` {
    @Test func `ignore what is not a number wherever it comes`() {
        let min = ExtremumAggregate<Double, Double, Smallest> { $0 }
        #expect(min.result(over: [.nan, 2, .nan, 1]) == 1)
        #expect(min.result(over: [.nan]) == nil)
        let max = ExtremumByAggregate<Double, Double, Largest> { $0 }
        #expect(max.result(over: [.nan, 2, .nan, 1]) == 2)
        #expect(TopAggregate<Double, Double>(2) { $0 }.result(over: [1, .nan, 3, 2]) == [3, 2])
    }

    @Test func `list the top inputs as sorting does, the earlier of equal ones first`() {
        let sales = Sale.random(2_000, seed: 9)
        let sorted = sales.sorted {
            $0.units != $1.units ? $0.units > $1.units : $0.order < $1.order
        }
        let top = TopAggregate<Sale, Int>(100) { $0.units }
        #expect(top.result(over: sales) == Array(sorted.prefix(100)))
        #expect(top.result(over: sales.prefix(3)).count == 3)
    }

    @Test func `say what a full collection dropped`() {
        let collect = CollectAggregate<Int>(limit: 3)
        let result = collect.result(over: 1...10)
        #expect(result.elements == [1, 2, 3])
        #expect(result.droppedCount == 7)
    }
}

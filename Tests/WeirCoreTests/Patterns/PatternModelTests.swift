import Testing

@testable import WeirCore

/// Many random patterns over many short random histories, one for each key, against all choices tried one by one.
@Suite struct `Patterns find what the definition says` {
    private struct History {
        var readings: [Reading]
        /// Of each key in the order in which they are to be looked at.
        var byKey: [Int: [Reading]]
    }

    /// Events out of order, some at the same time; the value of an event is its number and its symbol.
    private static func history(keys: Int, count: Int, seed: UInt64) -> History {
        var random = SplitMix64(seed: seed)
        var all: [(arrival: Int, reading: Reading)] = []
        for key in 0..<keys {
            var time = 1
            for number in 0..<count {
                time += Int.random(in: 0...2, using: &random)
                let value = number * 4 + Int.random(in: 0..<4, using: &random)
                let arrival = (time + Int.random(in: 0..<3, using: &random)) * 1_000 + all.count
                all.append((arrival, Reading(key, value, at: Double(time))))
            }
        }
        let readings = all.sorted { $0.arrival < $1.arrival }.map(\.reading)
        var byKey: [Int: [Reading]] = [:]
        for (position, reading) in readings.enumerated().sorted(by: {
            ($0.element.at, $0.offset) < ($1.element.at, $1.offset)
        }) {
            _ = position
            byKey[reading.key, default: []].append(reading)
        }
        return History(readings: readings, byKey: byKey)
    }

    private static func text(_ match: PatternMatch<Int, Reading>) -> String {
        "\(match.key)| "
            + match.steps.map { step in
                step.name + ":" + step.events.map { "\($0.value)" }.joined(separator: ",")
            }.joined(separator: " ")
    }

    private static func text(
        _ chain: [PatternOracle.Taken], _ key: Int, _ readings: [Reading]
    ) -> String {
        var parts: [String] = []
        var step = -1
        for taken in chain {
            if taken.step != step {
                step = taken.step
                parts.append("\(step):\(readings[taken.event].value)")
            } else {
                parts[parts.count - 1] += ",\(readings[taken.event].value)"
            }
        }
        return "\(key)| " + parts.joined(separator: " ")
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `with each contiguity, quantifier, negation, window and skip strategy`(
        _ seed: UInt64
    ) async throws {
        var random = SplitMix64(seed: seed &* 7_919 &+ 13)
        for round in 0..<25 {
            let specification = PatternSpecification.random(using: &random)
            let history = Self.history(keys: 12, count: 7, seed: random.next())
            let found = try await collect(batchSize: round % 2 == 0 ? 512 : 1) {
                let patterns = EventStream("in", from: .collection(history.readings))
                    .eventTime(\.at, .boundedOutOfOrderness(.seconds(4)).neverIdle)
                    .keyed(by: \.key).pattern(specification.pattern)
                return patterns.matches.map { "match " + Self.text($0) }
                    .merge(patterns.timeouts.map { "timeout " + Self.text($0) })
            }
            var expected: [String] = []
            for (key, readings) in history.byKey {
                let oracle = PatternOracle(
                    specification: specification, symbols: readings.map { $0.value % 4 },
                    times: readings.map { Int($0.at.nanoseconds / 1_000_000_000) })
                let (matches, timeouts) = oracle.solve()
                expected += matches.map { "match " + Self.text($0, key, readings) }
                expected += timeouts.map { "timeout " + Self.text($0, key, readings) }
            }
            let isSkipping = specification.skip != .noSkip
            let left = found.filter { !isSkipping || $0.hasPrefix("match") }.sorted()
            let right = expected.filter { !isSkipping || $0.hasPrefix("match") }.sorted()
            #expect(left == right, "seed \(seed), round \(round): \(specification)")
            if left != right { return }
        }
    }

    /// In a history of seven events a group comes seven times at the most.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `with a group without an upper bound as with one that is high enough`(
        _ seed: UInt64
    ) async throws {
        var random = SplitMix64(seed: seed &* 104_729 &+ 5)
        for round in 0..<25 {
            let history = Self.history(keys: 12, count: 7, seed: random.next())
            let sample = GroupSample.random(using: &random)
            var results: [[String]] = []
            for pattern in [sample.open, sample.bounded] {
                results.append(
                    try await collect(batchSize: round % 2 == 0 ? 512 : 1) {
                        let patterns = EventStream("in", from: .collection(history.readings))
                            .eventTime(\.at, .boundedOutOfOrderness(.seconds(4)).neverIdle)
                            .keyed(by: \.key).pattern(pattern)
                        return patterns.matches.map { "match " + Self.text($0) }
                            .merge(patterns.timeouts.map { "timeout " + Self.text($0) })
                    }.sorted())
            }
            let differences = results[0].difference(from: results[1]).map { "\($0)" }
            #expect(
                differences.isEmpty,
                "seed \(seed), round \(round): \(sample.description) \(differences.prefix(5))")
            if !differences.isEmpty { return }
        }
    }
}

/// A random pattern with a group of random steps, once without an upper bound and once with one.
private struct GroupSample: CustomStringConvertible {
    let open: Pattern<Reading>
    let bounded: Pattern<Reading>
    let description: String

    static func random(using random: inout SplitMix64) -> GroupSample {
        while true {
            var group = PatternSpecification.random(using: &random)
            group.window = nil
            group.skip = .noSkip
            group.steps.removeLast(max(0, group.steps.count - 3))
            group.steps[group.steps.count - 1].negations = []
            // A time in which nothing comes is one of its own only where there is a bound.
            if group.steps.allSatisfy(\.isOptional) { continue }
            let minimum = Int.random(in: 0...2, using: &random)
            let isConsecutive = Bool.random(using: &random)
            let isBehind = Bool.random(using: &random)
            let first = Int.random(in: 0..<3, using: &random)
            let window = Int.random(in: 3...12, using: &random)
            let skips: [AfterMatch] = [.noSkip, .noSkip, .skipToNext, .skipPastLastEvent]
            let skip = skips[Int.random(in: 0..<4, using: &random)]
            let begin = Pattern<Reading>("a") { $0.value % 4 == 0 }
            func whole(_ pattern: Pattern<Reading>) -> Pattern<Reading> {
                let pattern = isBehind ? pattern.followedBy("d") { $0.value % 4 == 3 } : pattern
                return pattern.within(.seconds(window)).afterMatch(skip)
            }
            let times = minimum...
            let upTo = minimum...8
            let (open, bounded) =
                switch first {
                case 0:
                    (
                        begin.next(
                            group: group.pattern, times: times, isConsecutive: isConsecutive),
                        begin.next(group: group.pattern, times: upTo, isConsecutive: isConsecutive)
                    )
                case 1:
                    (
                        begin.followedBy(
                            group: group.pattern, times: times, isConsecutive: isConsecutive),
                        begin.followedBy(
                            group: group.pattern, times: upTo, isConsecutive: isConsecutive)
                    )
                default:
                    (
                        Pattern(group: group.pattern, times: times, isConsecutive: isConsecutive),
                        Pattern(group: group.pattern, times: upTo, isConsecutive: isConsecutive)
                    )
                }
            let sample = GroupSample(
                open: whole(open), bounded: whole(bounded),
                description: """
                    \(first) \(minimum) \(isConsecutive) \(isBehind) \(window) \(skip) \(group)
                    """)
            let problems = [sample.open, sample.bounded].map { $0.problem(PatternLimits()) }
            if problems == [nil, nil] { return sample }
        }
    }
}

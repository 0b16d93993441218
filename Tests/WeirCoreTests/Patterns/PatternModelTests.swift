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
        _ chain: [PatternOracle.Taken], _ key: Int, _ readings: [Reading], _ places: PatternPlaces
    ) -> String {
        var parts: [(step: Int, text: String)] = []
        for taken in chain {
            let step = places.number(taken.place)
            let value = readings[taken.event].value
            if let known = parts.firstIndex(where: { $0.step == step }) {
                parts[known].text += ",\(value)"
            } else {
                parts.append((step, "\(step):\(value)"))
            }
        }
        return "\(key)| " + parts.map(\.text).joined(separator: " ")
    }

    /// The matches and time-outs of a pattern.
    private static func found(
        _ pattern: Pattern<Reading>, _ history: History, batchSize: Int
    ) async throws -> [String] {
        try await collect(batchSize: batchSize) {
            let patterns = EventStream("in", from: .collection(history.readings))
                .eventTime(\.at, .boundedOutOfOrderness(.seconds(4)).neverIdle)
                .keyed(by: \.key).pattern(pattern, limits: PatternLimits(partialMatches: 100_000))
            return patterns.matches.map { "match " + Self.text($0) }
                .merge(patterns.timeouts.map { "timeout " + Self.text($0) })
        }.sorted()
    }

    private static func expected(
        _ specification: PatternSpecification, _ history: History
    ) -> [String] {
        let places = PatternPlaces(steps: specification.steps)
        var expected: [String] = []
        for (key, readings) in history.byKey {
            let oracle = PatternOracle(
                specification: specification, symbols: readings.map { $0.value % 4 },
                times: readings.map { Int($0.at.nanoseconds / 1_000_000_000) })
            let (matches, timeouts) = oracle.solve()
            expected += matches.map { "match " + Self.text($0, key, readings, places) }
            expected += timeouts.map { "timeout " + Self.text($0, key, readings, places) }
        }
        return expected.sorted()
    }

    /// Time-outs are compared where no match rules others out.
    private static func differences(
        _ specification: PatternSpecification, _ history: History, batchSize: Int
    ) async throws -> [String] {
        let isSkipping = specification.skip != .noSkip
        let found = try await found(specification.pattern, history, batchSize: batchSize)
            .filter { !isSkipping || $0.hasPrefix("match") }
        let expected = expected(specification, history)
            .filter { !isSkipping || $0.hasPrefix("match") }
        return found.difference(from: expected).map { "\($0)" }
    }

    /// Random patterns, each over a random history of its own, up to the first one that differs.
    private static func compare(
        rounds: Int, groups: Int = 0, keys: Int, seed: UInt64
    ) async throws {
        var random = SplitMix64(seed: seed)
        for round in 0..<rounds {
            let specification = PatternSpecification.random(groups: groups, using: &random)
            let history = history(keys: keys, count: 7, seed: random.next())
            let differences = try await differences(
                specification, history, batchSize: round % 2 == 0 ? 512 : 1)
            try #require(
                differences.isEmpty, "round \(round): \(specification) \(differences.prefix(5))")
        }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `with each contiguity, quantifier, negation, window and skip strategy`(
        _ seed: UInt64
    ) async throws {
        try await Self.compare(rounds: 25, keys: 12, seed: seed &* 7_919 &+ 13)
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func `with groups of all these, in each other as well`(_ seed: UInt64) async throws {
        try await Self.compare(rounds: 40, groups: 45, keys: 8, seed: seed &* 15_485_863 &+ 29)
    }

    /// In a history of nine events a group comes nine times at the most.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `with a group without an upper bound as with one that is high enough`(
        _ seed: UInt64
    ) async throws {
        var random = SplitMix64(seed: seed &* 104_729 &+ 5)
        var rounds = 0
        while rounds < 15 {
            let open = PatternSpecification.random(groups: 40, using: &random)
            var bounded = open
            for index in bounded.steps.indices
            where open.steps[index].isGroup && open.steps[index].maximum == .max {
                bounded.steps[index].maximum = 9
                bounded.steps[index].until = nil
            }
            guard open.steps.allSatisfy({ !$0.isGroup || $0.until == nil }),
                open.pattern.steps.map(\.maximum) != bounded.pattern.steps.map(\.maximum),
                bounded.pattern.problem(PatternLimits()) == nil
            else { continue }
            rounds += 1
            let history = Self.history(keys: 12, count: 9, seed: random.next())
            let found = try await Self.found(open.pattern, history, batchSize: 512)
            let expected = try await Self.found(bounded.pattern, history, batchSize: 1)
            let differences = found.difference(from: expected).map { "\($0)" }
            #expect(
                differences.isEmpty,
                "seed \(seed), round \(rounds): \(open) \(differences.prefix(5))")
            if !differences.isEmpty { return }
        }
    }
}

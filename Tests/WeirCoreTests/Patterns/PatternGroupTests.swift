import Testing
import WeirCore
import WeirTesting

private func events(_ text: String) -> [Reading] {
    text.split(separator: " ").enumerated().map { index, word in
        Reading(Int(word.utf8.first ?? 0), Int(word.dropFirst()) ?? 0, at: Double(index))
    }
}

private func text(_ reading: Reading) -> String {
    let letter = String(decoding: [UInt8(truncatingIfNeeded: reading.key)], as: UTF8.self)
    return letter + (reading.value == 0 ? "" : "\(reading.value)")
}

private func isA(_ letter: Character) -> @Sendable (Reading) -> Bool {
    let code = Int(letter.asciiValue ?? 0)
    return { $0.key == code }
}

/// The events of each match, step by step.
private func found(_ pattern: Pattern<Reading>, _ input: String) async throws -> [String] {
    try await collect {
        EventStream("in", from: .collection(events(input)))
            .eventTime(\.at, .monotonic.neverIdle)
            .keyed(by: { _ in 0 }).pattern(pattern).matches
            .map { $0.steps.flatMap(\.events).map(text).joined(separator: " ") }
    }.sorted()
}

@Suite struct `Groups of a pattern` {
    private static let begin = Pattern("a", where: isA("a"))
    private static let pair = Pattern("b", where: isA("b")).followedBy("c", where: isA("c"))

    private static func between(
        _ times: ClosedRange<Int>, isConsecutive: Bool = false
    ) -> Pattern<Reading> {
        begin.followedBy(group: pair, times: times, isConsecutive: isConsecutive)
            .followedBy("d", where: isA("d"))
    }

    @Test func `come as often as they say`() async throws {
        #expect(try await found(Self.between(1...1), "a b1 x c1 d") == ["a b1 c1 d"])
        #expect(try await found(Self.between(2...2), "a b1 c1 b2 c2 d") == ["a b1 b2 c1 c2 d"])
        #expect(try await found(Self.between(2...2), "a b1 c1 d").isEmpty)
        #expect(
            try await found(Self.between(1...2), "a b1 c1 b2 c2 d")
                == ["a b1 b2 c1 c2 d", "a b1 c1 d"])
        #expect(
            try await found(Self.between(1...3), "a b1 c1 b2 c2 b3 c3 d")
                == ["a b1 b2 b3 c1 c2 c3 d", "a b1 b2 c1 c2 d", "a b1 c1 d"])
    }

    @Test func `may be missing as a whole`() async throws {
        #expect(
            try await found(Self.between(0...1), "a b1 c1 d") == ["a b1 c1 d", "a d"])
        #expect(try await found(Self.between(0...2), "a b1 d") == ["a d"])
    }

    @Test func `may have nothing between one time and the next`() async throws {
        #expect(
            try await found(Self.between(2...2, isConsecutive: true), "a b1 c1 x b2 c2 d").isEmpty)
        #expect(
            try await found(Self.between(2...2, isConsecutive: true), "a b1 c1 b2 c2 x d")
                == ["a b1 b2 c1 c2 d"])
        let next = Self.begin.next(group: Self.pair)
        #expect(try await found(next, "a x b1 c1").isEmpty)
        #expect(try await found(next, "a b1 x c1") == ["a b1 c1"])
    }

    @Test func `begin with any event if they are to`() async throws {
        #expect(
            try await found(Self.begin.followedByAny(group: Self.pair), "a b1 b2 c1")
                == ["a b1 c1", "a b2 c1"])
    }

    @Test func `begin and end a pattern`() async throws {
        #expect(
            try await found(Pattern(group: Self.pair, times: 2...2), "b1 c1 b2 c2 b3 c3")
                == ["b1 b2 c1 c2", "b2 b3 c2 c3"])
        #expect(
            try await found(Self.begin.followedBy(group: Self.pair, times: 1...2), "a b1 c1 b2 c2")
                == ["a b1 b2 c1 c2", "a b1 c1"])
        #expect(
            try await found(
                Pattern(group: Self.pair, times: 0...1).followedBy("d", where: isA("d")), "b1 c1 d")
                == ["b1 c1 d", "d"])
    }

    @Test func `come any number of times without an upper bound`() async throws {
        let middle = Self.begin.followedBy(group: Self.pair, times: 2...)
            .followedBy("d", where: isA("d"))
        #expect(try await found(middle, "a b1 c1 d").isEmpty)
        #expect(
            try await found(middle, "a b1 c1 b2 c2 x b3 c3 d")
                == ["a b1 b2 b3 c1 c2 c3 d", "a b1 b2 c1 c2 d"])
        let many = (1...40).map { "b\($0) c\($0)" }.joined(separator: " ")
        #expect(try await found(middle, "a \(many) d").count == 39)
        let start = Pattern(group: Self.pair, times: 1...).next("d", where: isA("d"))
        #expect(
            try await found(start, "b1 c1 b2 c2 d") == ["b1 b2 c1 c2 d", "b2 c2 d"])
        let end = Self.begin.next(group: Self.pair, times: 0..., isConsecutive: true)
        #expect(
            try await found(end, "a b1 c1 b2 c2 x b3 c3") == ["a", "a b1 b2 c1 c2", "a b1 c1"])
        #expect(try await found(end, "a x b1 c1") == ["a"])
        // The first time has its own contiguity, the others that of the group.
        let any = Self.begin.followedByAny(group: Self.pair, times: 1...)
        #expect(
            try await found(any, "a b1 b2 c1 b3 b4 c2")
                == ["a b1 b3 c1 c2", "a b1 c1", "a b2 b3 c1 c2", "a b2 c1", "a b3 c2", "a b4 c2"])
    }

    @Test func `hold steps with quantifiers and groups of their own`() async throws {
        let many = Pattern("b", where: isA("b")).times(2).followedBy(
            group: Pattern("c", where: isA("c")).next("e", where: isA("e")), times: 1...2)
        #expect(
            try await found(
                Self.begin.followedBy(group: many).followedBy("d", where: isA("d")),
                "a b1 b2 c1 e1 c2 e2 d")
                == ["a b1 b2 c1 c2 e1 e2 d", "a b1 b2 c1 e1 d"])
    }

    @Test func `are looked back at by the names of their steps`() async throws {
        let rising = Pattern<Reading>("b") { $0.key == 98 }.where { event, match in
            (match.last("b")?.value ?? 0) < event.value && match.count("b") < 3
        }.next("c", where: isA("c"))
        #expect(
            try await found(Self.begin.next(group: rising, times: 2...2), "a b1 c b2 c")
                == ["a b1 b2 c c"])
        #expect(
            try await found(Self.begin.next(group: rising, times: 2...2), "a b2 c b1 c").isEmpty)
    }

    @Test func `refuse what makes no sense`() {
        func isRefused(_ pattern: Pattern<Reading>) -> Bool {
            let topology = Topology("refused") {
                EventStream("in", from: .collection([Reading]())).eventTime(\.at, .monotonic)
                    .keyed(by: \.key).pattern(pattern).matches.sink(.discard)
            }
            do { try topology.validate() } catch { return true }
            return false
        }
        #expect(!isRefused(Self.between(1...2)))
        #expect(isRefused(Self.between(0...0)))
        #expect(isRefused(Self.begin.followedBy(group: Self.pair.within(.seconds(1)))))
        #expect(isRefused(Self.begin.followedBy(group: Self.pair, times: 1...31)))
        #expect(isRefused(Self.begin.followedBy(group: Self.pair.notNext("n"))))
        #expect(
            isRefused(
                Self.begin.followedBy(group: Self.pair, times: 1...2).notNext("n")
                    .followedBy("d")))
        #expect(isRefused(Self.begin.notNext("n").followedBy(group: Self.pair, times: 0...1)))
        #expect(isRefused(Self.begin.followedBy(group: Self.begin)))
        #expect(!isRefused(Self.begin.followedBy(group: Self.pair, times: 1...)))
        #expect(isRefused(Self.begin.followedBy(group: Self.pair, times: (-1)...)))
        #expect(isRefused(Self.begin.followedBy(group: Self.pair, times: 30...)))
        #expect(
            isRefused(
                Self.begin.followedBy(group: Self.pair, times: 1...).notNext("n").followedBy("d")))
        #expect(
            isRefused(
                Self.begin.followedBy(
                    group: Pattern(group: Self.pair, times: 1...).next("e"), times: 1...)))
    }

    @Test(arguments: [
        between(1...3), begin.followedBy(group: pair, times: 1...).followedBy("d", where: isA("d")),
    ])
    func `find the same matches when the process crashes anywhere`(
        _ pattern: Pattern<Reading>
    ) throws {
        let input = events("a b1 c1 a b2 c2 x b3 c3 d a b4 c4 d b5 c5 d")
        let simulation = Simulation { world in
            Topology("groups") {
                EventStream("in", from: world.source("in", input))
                    .eventTime(\.at, .monotonic.neverIdle)
                    .keyed(by: { _ in 0 })
                    .pattern(pattern.within(.seconds(12)).afterMatch(.skipToNext))
                    .matches
                    .map { $0.steps.flatMap(\.events).map(text).joined(separator: " ") }
                    .sink(world.sink("matches", order: .any))
            }
        }
        try simulation.run(seeds: 0..<40)
    }
}

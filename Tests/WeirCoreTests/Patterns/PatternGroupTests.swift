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

    /// The pair between two other events.
    private static func between(
        _ change: (Pattern<Reading>) -> Pattern<Reading>
    ) -> Pattern<Reading> {
        change(begin.followedBy(group: pair)).followedBy("d", where: isA("d"))
    }

    @Test func `come as often as they say`() async throws {
        #expect(try await found(Self.between { $0 }, "a b1 x c1 d") == ["a b1 c1 d"])
        #expect(
            try await found(Self.between { $0.times(2) }, "a b1 c1 b2 c2 d") == ["a b1 b2 c1 c2 d"])
        #expect(try await found(Self.between { $0.times(2) }, "a b1 c1 d").isEmpty)
        #expect(
            try await found(Self.between { $0.times(1...2) }, "a b1 c1 b2 c2 d")
                == ["a b1 b2 c1 c2 d", "a b1 c1 d"])
        #expect(
            try await found(Self.between { $0.times(1...3) }, "a b1 c1 b2 c2 b3 c3 d")
                == ["a b1 b2 b3 c1 c2 c3 d", "a b1 b2 c1 c2 d", "a b1 c1 d"])
    }

    @Test func `may be missing as a whole`() async throws {
        #expect(
            try await found(Self.between { $0.optional() }, "a b1 c1 d") == ["a b1 c1 d", "a d"])
        #expect(try await found(Self.between { $0.times(1...2).optional() }, "a b1 d") == ["a d"])
    }

    @Test func `may have nothing between one time and the next`() async throws {
        #expect(
            try await found(Self.between { $0.times(2).consecutive() }, "a b1 c1 x b2 c2 d").isEmpty
        )
        #expect(
            try await found(Self.between { $0.times(2).consecutive() }, "a b1 c1 b2 c2 x d")
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
            try await found(Pattern(group: Self.pair).times(2), "b1 c1 b2 c2 b3 c3")
                == ["b1 b2 c1 c2", "b2 b3 c2 c3"])
        #expect(
            try await found(Self.begin.followedBy(group: Self.pair).times(1...2), "a b1 c1 b2 c2")
                == ["a b1 b2 c1 c2", "a b1 c1"])
        #expect(
            try await found(
                Pattern(group: Self.pair).optional().followedBy("d", where: isA("d")), "b1 c1 d")
                == ["b1 c1 d", "d"])
    }

    @Test func `come any number of times without an upper bound`() async throws {
        let middle = Self.begin.followedBy(group: Self.pair).times(2...)
            .followedBy("d", where: isA("d"))
        #expect(try await found(middle, "a b1 c1 d").isEmpty)
        #expect(
            try await found(middle, "a b1 c1 b2 c2 x b3 c3 d")
                == ["a b1 b2 b3 c1 c2 c3 d", "a b1 b2 c1 c2 d"])
        let many = (1...40).map { "b\($0) c\($0)" }.joined(separator: " ")
        #expect(try await found(middle, "a \(many) d").count == 39)
        let start = Pattern(group: Self.pair).oneOrMore().next("d", where: isA("d"))
        #expect(
            try await found(start, "b1 c1 b2 c2 d") == ["b1 b2 c1 c2 d", "b2 c2 d"])
        let end = Self.begin.next(group: Self.pair).oneOrMore().consecutive().optional()
        #expect(
            try await found(end, "a b1 c1 b2 c2 x b3 c3") == ["a", "a b1 b2 c1 c2", "a b1 c1"])
        #expect(try await found(end, "a x b1 c1") == ["a"])
        // The first time has its own contiguity, the others that of the group.
        let any = Self.begin.followedByAny(group: Self.pair).oneOrMore()
        #expect(
            try await found(any, "a b1 b2 c1 b3 b4 c2")
                == ["a b1 b3 c1 c2", "a b1 c1", "a b2 b3 c1 c2", "a b2 c1", "a b3 c2", "a b4 c2"])
    }

    @Test func `begin again with any event if they are to`() async throws {
        let twice = Self.between { $0.times(2).allowCombinations() }
        #expect(
            try await found(twice, "a b1 c1 b2 c2 b3 c3 d")
                == ["a b1 b2 c1 c2 d", "a b1 b3 c1 c3 d"])
        #expect(
            try await found(twice, "a b1 c1 b2 b3 c2 x b4 c3 d")
                == ["a b1 b2 c1 c2 d", "a b1 b3 c1 c2 d", "a b1 b4 c1 c3 d"])
        let input = "a b1 c1 b2 b3 c2 d"
        #expect(
            try await found(Self.between { $0.oneOrMore() }, input)
                == ["a b1 b2 c1 c2 d", "a b1 c1 d"])
        #expect(
            try await found(Self.between { $0.oneOrMore().allowCombinations() }, input)
                == ["a b1 b2 c1 c2 d", "a b1 b3 c1 c2 d", "a b1 c1 d"])
        #expect(
            try await found(
                Self.between { $0.oneOrMore().allowCombinations() }.afterMatch(.skipToNext), input)
                == ["a b1 c1 d"])
    }

    @Test func `take nothing more from the first event on that ends them`() async throws {
        let pairs = Self.between { $0.oneOrMore().until(isA("x")) }
        #expect(
            try await found(pairs, "a b1 c1 b2 c2 x b3 c3 d")
                == ["a b1 b2 c1 c2 d", "a b1 c1 d"])
        // A time that has begun is given up.
        #expect(try await found(pairs, "a b1 c1 b2 x c2 d") == ["a b1 c1 d"])
        #expect(try await found(pairs, "a b1 x c1 d").isEmpty)
        // So it is before the first time.
        #expect(try await found(pairs, "a x b1 c1 d").isEmpty)
        #expect(
            try await found(Self.between { $0.oneOrMore().optional().until(isA("x")) }, "a x b c d")
                == ["a d"])
        // The event that ends the group is none of it, and may be one of what follows.
        let ended = Self.begin.followedBy(group: Self.pair).oneOrMore().until { $0.value == 9 }
        #expect(try await found(ended, "a b1 c9 c1").isEmpty)
        #expect(try await found(ended, "a b9 b1 c1").isEmpty)
        #expect(
            try await found(ended.followedBy("e") { $0.value == 9 }, "a b1 c1 b9 c9")
                == ["a b1 c1 b9"])
        // At the beginning of a pattern nothing waits for the group yet.
        #expect(
            try await found(
                Pattern(group: Self.pair).oneOrMore().until(isA("x")), "x b1 c1 x b2 c2")
                == ["b1 c1", "b2 c2"])
        // Those that have to come are guarded as those that may.
        #expect(
            try await found(Self.between { $0.times(2...).until(isA("x")) }, "a b c x b c d")
                .isEmpty)
    }

    @Test func `end with an event that the match so far makes the last`() async throws {
        let twice = Self.between { group in
            group.oneOrMore().until { event, match in match.count("c") == 2 && isA("b")(event) }
        }
        #expect(
            try await found(twice, "a b1 c1 b2 c2 b3 c3 d") == ["a b1 b2 c1 c2 d", "a b1 c1 d"])
        // Each match asks with its own events: what ends one is taken by another.
        #expect(
            try await found(
                Self.between { group in
                    group.oneOrMore().allowCombinations().until { event, match in
                        event.value < match.last("b")?.value ?? 0
                    }
                }, "a b1 c1 b3 b2 c3 d"
            ) == ["a b1 b2 c1 c3 d", "a b1 c1 d"])
    }

    @Test func `are complete when what is left of them may be missing`() async throws {
        let open = Pattern("b", where: isA("b")).followedBy("c", where: isA("c")).optional()
        let pattern = Self.begin.followedBy(group: open).oneOrMore().until(isA("x"))
            .followedBy("d", where: isA("d"))
        #expect(try await found(pattern, "a b1 x c1 d") == ["a b1 d"])
        let many = Pattern("b", where: isA("b")).followedBy("c", where: isA("c")).oneOrMore()
        #expect(
            try await found(
                Self.begin.followedBy(group: many).oneOrMore().until(isA("x"))
                    .followedBy("d", where: isA("d")), "a b1 c1 c2 x c3 d")
                == ["a b1 c1 c2 d", "a b1 c1 d"])
    }

    @Test func `that nothing can complete any more do not time out`() async throws {
        let pairs = Self.between { $0.oneOrMore().until(isA("x")) }.within(.seconds(9))
        func timeouts(_ input: String) async throws -> [String] {
            try await collect {
                EventStream("in", from: .collection(events(input)))
                    .eventTime(\.at, .monotonic.neverIdle)
                    .keyed(by: { _ in 0 }).pattern(pairs).timeouts
                    .map { $0.steps.flatMap(\.events).map(text).joined(separator: " ") }
            }.sorted()
        }
        #expect(try await timeouts("a b1 c1 b2 y") == ["a b1 b2 c1", "a b1 c1"])
        #expect(try await timeouts("a b1 c1 b2 x") == ["a b1 c1"])
        #expect(try await timeouts("a b1 x").isEmpty)
    }

    @Test func `hold steps with quantifiers and groups of their own`() async throws {
        let many = Pattern("b", where: isA("b")).times(2).followedBy(
            group: Pattern("c", where: isA("c")).next("e", where: isA("e"))
        ).times(1...2)
        #expect(
            try await found(
                Self.begin.followedBy(group: many).followedBy("d", where: isA("d")),
                "a b1 b2 c1 e1 c2 e2 d")
                == ["a b1 b2 c1 c2 e1 e2 d", "a b1 b2 c1 e1 d"])
    }

    @Test func `come again when they end or begin with a group`() async throws {
        // What is left of the last group may be missing.
        let ending = Pattern("b", where: isA("b")).next(group: Pattern("c", where: isA("c")))
            .times(1...2)
        #expect(
            try await found(Pattern(group: ending).times(2...).consecutive(), "b1 c1 b2 c2")
                == ["b1 b2 c1 c2"])
        // A group that has begun isn't missing, though it begins with a loop.
        let beginning = Pattern(group: Pattern("b", where: isA("b"))).oneOrMore().consecutive()
            .next("c", where: isA("c"))
        #expect(
            try await found(
                Self.begin.next(group: beginning).optional().next("d", where: isA("d")),
                "a b1 b2 d a b3 c d")
                == ["a b3 c d"])
        // A group that may be missing begins with one that may be missing.
        let both = Pattern(group: Pattern("b", where: isA("b"))).optional()
            .followedBy("c", where: isA("c"))
        #expect(
            try await found(
                Self.begin.next(group: both).optional().next("d", where: isA("d")), "a c1 d a d")
                == ["a c1 d", "a d"])
    }

    @Test func `are looked back at by the names of their steps`() async throws {
        let rising = Pattern<Reading>("b") { $0.key == 98 }.where { event, match in
            (match.last("b")?.value ?? 0) < event.value && match.count("b") < 3
        }.next("c", where: isA("c"))
        #expect(
            try await found(Self.begin.next(group: rising).times(2), "a b1 c b2 c")
                == ["a b1 b2 c c"])
        #expect(
            try await found(Self.begin.next(group: rising).times(2), "a b2 c b1 c").isEmpty)
    }

    @Test func `refuse what makes no sense`() {
        func problem(_ pattern: Pattern<Reading>) -> String {
            let topology = Topology("refused") {
                EventStream("in", from: .collection([Reading]())).eventTime(\.at, .monotonic)
                    .keyed(by: \.key).pattern(pattern).matches.sink(.discard)
            }
            do { try topology.validate() } catch { return "\(error)" }
            return ""
        }
        let pairs = Self.begin.followedBy(group: Self.pair)
        #expect(problem(pairs.times(1...2)) == "")
        #expect(problem(pairs.oneOrMore().allowCombinations().until { _ in true }) == "")
        #expect(problem(pairs.times(0...0)).contains("at least 1"))
        #expect(problem(pairs.times((-1)...)).contains("at least 1"))
        #expect(problem(pairs.times(1...31)).contains("60 are the most"))
        #expect(problem(pairs.times(30...)).contains("60 are the most"))
        #expect(problem(pairs.times(2...).greedy()).contains("for single steps (group of 'b')"))
        #expect(problem(pairs.allowCombinations()).contains("several times, once (group of 'b')"))
        #expect(problem(pairs.consecutive()).contains("several times"))
        #expect(
            problem(pairs.times(2...).consecutive().allowCombinations()).contains("several times"))
        #expect(
            problem(pairs.times(2...4).until { _ in true }).contains("until is for oneOrMore()"))
        #expect(problem(pairs.until { _ in true }).contains("(group of 'b')"))
        #expect(
            problem(pairs.oneOrMore().until { _ in true }.times(2)).contains(
                "until is for oneOrMore()"))
        #expect(problem(pairs.where { _ in true }).contains("no condition of its own"))
        #expect(
            problem(Self.begin.followedBy(group: Self.pair.within(.seconds(1)))).contains("within"))
        #expect(
            problem(Self.begin.followedBy(group: Self.pair.notNext("n"))).contains("must not end"))
        for times in [pairs.times(1...2), pairs.oneOrMore(), pairs.times(2).optional()] {
            #expect(problem(times.notNext("n").followedBy("d")).contains("follows a"))
        }
        #expect(problem(pairs.times(2).notNext("n").followedBy("d")) == "")
        #expect(
            problem(Self.begin.notNext("n").followedBy(group: Self.pair).optional())
                .contains("negated"))
        #expect(
            problem(
                Pattern("g", where: isA("g")).oneOrMore().greedy().followedBy(group: Self.pair)
                    .optional()
            ).contains("greedy"))
        #expect(problem(Self.begin.followedBy(group: Self.begin)).contains("two steps"))
        #expect(
            problem(
                Self.begin.followedBy(group: Pattern(group: Self.pair).oneOrMore().next("e"))
                    .oneOrMore()
            ).contains("without an upper bound"))
    }

    @Test(arguments: [
        between { $0.times(1...3) }, between { $0.oneOrMore() },
        between { $0.times(1...3).allowCombinations() },
        between { $0.oneOrMore().allowCombinations().until(isA("x")) },
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
        }.parallelism(1...4)
        try simulation.run(seeds: 0..<40)
    }
}

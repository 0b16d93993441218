import Testing
import WeirCore
import WeirTesting

/// An event written as a letter and a number, such as `b2`.
private func events(_ text: String) -> [Reading] {
    text.split(separator: " ").enumerated().map { index, word in
        let letter = Int(word.utf8.first ?? 0)
        return Reading(letter, Int(word.dropFirst()) ?? 0, at: Double(index))
    }
}

private func text(_ reading: Reading) -> String {
    let letter = UInt8(truncatingIfNeeded: reading.key)
    return String(decoding: [letter], as: UTF8.self)
        + (reading.value == 0 ? "" : "\(reading.value)")
}

private func isA(_ letter: Character) -> @Sendable (Reading) -> Bool {
    let code = Int(letter.asciiValue ?? 0)
    return { $0.key == code }
}

private func found(_ pattern: Pattern<Reading>, _ text_: String) async throws -> [String] {
    try await collect {
        EventStream("in", from: .collection(events(text_)))
            .eventTime(\.at, .monotonic.neverIdle)
            .keyed(by: { _ in 0 }).pattern(pattern).matches
            .map { $0.steps.flatMap(\.events).map(text).joined(separator: " ") }
    }
}

@Suite struct `Patterns` {
    /// The examples of Flink's documentation, with its results.
    @Test func `have the three kinds of contiguity`() async throws {
        let input = "a b1 d1 b2 d2 b3 c"
        func pattern(_ change: (Pattern<Reading>) -> Pattern<Reading>) -> Pattern<Reading> {
            change(
                Pattern("a", where: isA("a")).followedByAny("b", where: isA("b")).oneOrMore()
            ).followedBy("c", where: isA("c"))
        }
        #expect(
            try await found(pattern { $0.consecutive() }, input).sorted()
                == ["a b1 c", "a b2 c", "a b3 c"])
        #expect(
            try await found(pattern { $0 }, input).sorted()
                == ["a b1 b2 b3 c", "a b1 b2 c", "a b1 c", "a b2 b3 c", "a b2 c", "a b3 c"])
        #expect(
            try await found(pattern { $0.allowCombinations() }, input).sorted()
                == [
                    "a b1 b2 b3 c", "a b1 b2 c", "a b1 b3 c", "a b1 c", "a b2 b3 c", "a b2 c",
                    "a b3 c",
                ])
    }

    @Test func `go from one step to the next as it says`() async throws {
        let begin = Pattern("a", where: isA("a"))
        #expect(try await found(begin.next("b", where: isA("b")), "a c b1 b2") == [])
        #expect(try await found(begin.followedBy("b", where: isA("b")), "a c b1 b2") == ["a b1"])
        #expect(
            try await found(begin.followedByAny("b", where: isA("b")), "a c b1 b2")
                == ["a b1", "a b2"])
    }

    @Test func `skip after a match as it says`() async throws {
        let pattern = Pattern("b", where: isA("b")).oneOrMore().consecutive()
            .next("c", where: isA("c"))
        let input = "b1 b2 b3 c"
        let all = ["b1 b2 b3 c", "b2 b3 c", "b3 c"]
        #expect(try await found(pattern, input) == all)
        #expect(try await found(pattern.afterMatch(.skipToNext), input) == all)
        #expect(
            try await found(pattern.afterMatch(.skipPastLastEvent), input) == ["b1 b2 b3 c"])
        #expect(try await found(pattern.afterMatch(.skipToFirst("b")), input) == all)
        #expect(
            try await found(pattern.afterMatch(.skipToLast("b")), input) == ["b1 b2 b3 c", "b3 c"])
        let prefixes = Pattern("a", where: isA("a")).followedBy("b", where: isA("b")).oneOrMore()
        #expect(
            try await found(prefixes, "a b1 b2 b3") == ["a b1", "a b1 b2", "a b1 b2 b3"])
        #expect(try await found(prefixes.afterMatch(.skipToNext), "a b1 b2 b3") == ["a b1"])
    }

    @Test func `take as many events as they can when they are greedy`() async throws {
        let pattern = Pattern("a", where: isA("a")).oneOrMore().greedy()
            .followedBy("any") { $0.key != 100 }
        #expect(
            try await found(pattern.afterMatch(.skipPastLastEvent), "a1 a2 d a3 c")
                == ["a1 a2 a3 c"])
    }

    @Test func `end a loop with its until`() async throws {
        let pattern = Pattern("a", where: isA("a")).oneOrMore().until(isA("b"))
        #expect(try await found(pattern, "a1 c a2 b a3") == ["a1", "a1 a2", "a2", "a3"])
    }

    @Test func `end a loop with an until that looks at the match so far`() async throws {
        let rising = Pattern("a", where: isA("a")).followedBy("b", where: isA("b")).oneOrMore()
            .until { event, match in event.value < match.last("b")?.value ?? 0 }
            .followedBy("c", where: isA("c")).afterMatch(.skipPastLastEvent)
        #expect(try await found(rising, "a b3 b4 b2 b5 c") == ["a b3 c"])
        let all = rising.afterMatch(.noSkip)
        #expect(
            try await found(all, "a b3 b4 b2 b5 c").sorted() == ["a b3 b4 c", "a b3 c"])
        // The first event of the loop has nothing before it to be compared with.
        #expect(try await found(all, "a x9 b1 b2 c").sorted() == ["a b1 b2 c", "a b1 c"])
        // Each partial match asks for itself: what ends one begins or continues another.
        let enough = Pattern("b", where: isA("b")).oneOrMore()
            .until { event, match in match.count("b") == 2 }
        #expect(
            try await found(enough, "b1 b2 b3") == ["b1", "b1 b2", "b2", "b2 b3", "b3"])
    }

    @Test func `look at earlier matches in their conditions`() async throws {
        let rising = Pattern<Reading>("first").followedBy("higher").oneOrMore().consecutive()
            .where { event, match in
                event.value > (match.last("higher") ?? match.last("first"))?.value ?? 0
            }
            .next("fall").where { event, match in
                event.value < match["first"][0].value && match.count("higher") == 2
            }
        #expect(try await found(rising, "x5 x6 x9 x3 x4") == ["x5 x6 x9 x3"])
    }

    @Test func `report what did not come in time`() async throws {
        let pattern = Pattern("a", where: isA("a")).followedBy("b", where: isA("b"))
            .within(.seconds(3))
        let out = try await collect(batchSize: 1) {
            let patterns = EventStream("in", from: .collection(events("a1 b1 a2 c c b2")))
                .eventTime(\.at, .monotonic.neverIdle).keyed(by: { _ in 0 }).pattern(pattern)
            return patterns.timeouts.withEventTime().map {
                "late \(text($0.0["a"][0])) \($0.1 ?? .min)"
            }
            .merge(
                patterns.matches.withEventTime().map {
                    "match \(text($0.0["b"][0])) \($0.1 ?? .min)"
                })
        }
        #expect(Set(out) == ["match b1 \(time(1))", "late a2 \(time(5))"])
    }

    @Test func `say that something did not happen`() async throws {
        let pattern = Pattern("a", where: isA("a")).notFollowedBy("b", where: isA("b"))
            .within(.seconds(3))
        #expect(try await found(pattern, "a1 c b1 a2 c c b2 a3") == ["a2", "a3"])
    }

    @Test func `sort events by time and leave late ones aside`() async throws {
        let script = [
            Reading(1, 2, at: 2), Reading(1, 1, at: 1), .watermark(3), Reading(1, 0, at: 2),
            Reading(1, 4, at: 4),
        ]
        let (out, running) = try await run(batchSize: 1) {
            let patterns = EventStream<Reading>.script(script).keyed(by: \.key)
                .pattern(Pattern("x").next("y") { $0.value > 0 })
            return patterns.matches.map { "\($0["x"][0].value)\($0["y"][0].value)" }
                .merge(patterns.late.map { "late \($0.value)" })
        }
        #expect(Set(out) == ["12", "24", "late 0"])
        #expect(running.status().stages.reduce(0) { $0 + $1.late } == 1)
    }

    @Test func `keep to their limits`() async throws {
        let pattern = Pattern<Reading>("x") { $0.value < 99 }.followedByAny("y") { $0.value == 99 }
        let input = (1...8).map { Reading(0, $0, at: Double($0)) } + [Reading(0, 99, at: 30)]
        func firsts(_ overflow: PatternLimits.Overflow) async throws -> [Int] {
            try await collect {
                EventStream("in", from: .collection(input)).eventTime(\.at, .monotonic.neverIdle)
                    .keyed(by: \.key)
                    .pattern(pattern, limits: PatternLimits(partialMatches: 5, overflow: overflow))
                    .matches.map { $0["x"][0].value }
            }
        }
        #expect(try await firsts(.dropOldest) == [4, 5, 6, 7, 8])
        #expect(try await firsts(.dropNewest) == [1, 2, 3, 4, 5])
        #expect(try await firsts(.fail) == [1, 2, 3, 4, 5])
    }

    @Test func `follow the clock when they are told to`() throws {
        let input = SourceProbe<Reading>()
        let (matches, timeouts) = (SinkProbe<Int>("matches"), SinkProbe<Int>("timeouts"))
        let topology = Topology("clock") {
            let patterns = EventStream("in", from: input.source).keyed(by: \.key).pattern(
                Pattern("x") { $0.value % 2 == 1 }.followedBy("y") { $0.value % 2 == 0 }
                    .within(.seconds(10)), time: .processingTime)
            patterns.matches.map { $0["x"][0].value }.sink(matches.sink)
            patterns.timeouts.map { $0["x"][0].value }.sink(timeouts.sink)
        }
        let test = try TopologyTest(topology)
        input.send(Reading(1, 1, at: 0))
        try test.advance(by: .seconds(9))
        input.send(Reading(1, 2, at: 0))
        input.send(Reading(1, 3, at: 0))
        try test.run()
        #expect(matches.received == [1])
        try test.advance(by: .seconds(9))
        #expect(timeouts.received == [])
        try test.advance(by: .seconds(1))
        #expect(timeouts.received == [3])
        input.send(Reading(1, 4, at: 0))
        try test.run()
        #expect(matches.received == [1])
    }

    @Test func `give up the event whose condition fails, and go on`() async throws {
        struct Unfit: Error {}
        let pattern = Pattern<Reading>("x").next("y").where { event throws(Unfit) in
            if event.value == 2 { throw Unfit() }
            return true
        }
        let (out, running) = try await run {
            EventStream("in", from: .collection((1...4).map { Reading(0, $0, at: Double($0)) }))
                .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key).pattern(pattern)
                .matches.map { $0.steps.flatMap(\.events).map(\.value) }
        }
        #expect(out == [[1, 3], [3, 4]])
        #expect(running.deadLetters.total == 1)
    }

    @Test func `give up the event whose until fails, and go on`() async throws {
        struct Unfit: Error {}
        let pattern = Pattern<Reading>("x").times(3...)
            .until { event, match throws(Unfit) in
                if event.value == 2 { throw Unfit() }
                return match.count("x") == 3
            }
            .consecutive()
        let (out, running) = try await run {
            EventStream("in", from: .collection((1...5).map { Reading(0, $0, at: Double($0)) }))
                .eventTime(\.at, .monotonic.neverIdle).keyed(by: \.key).pattern(pattern)
                .matches.map { $0["x"].map(\.value) }
        }
        #expect(out == [[1, 3, 4], [3, 4, 5]])
        #expect(running.deadLetters.total == 1)
    }

    @Test func `that make no sense are refused`() {
        func problem(_ pattern: Pattern<Reading>) -> String {
            let topology = Topology("refused") {
                EventStream("in", from: .collection([Reading]())).eventTime(\.at)
                    .keyed(by: \.key).pattern(pattern).matches.sink(.discard)
            }
            do { try topology.validate() } catch { return "\(error)" }
            return ""
        }
        let a = Pattern<Reading>("a")
        #expect(problem(a) == "")
        #expect(problem(a.next("a")).contains("two steps are named 'a'"))
        #expect(problem(a.notFollowedBy("b")).contains("needs within"))
        #expect(problem(a.notFollowedBy("b").within(.seconds(1))) == "")
        #expect(problem(a.notNext("b").optional()).contains("not for negated steps"))
        #expect(problem(a.optional().notNext("b").next("c")).contains("optional"))
        #expect(problem(a.greedy()).contains("several events"))
        #expect(problem(a.oneOrMore().allowCombinations().greedy()).contains("exclude"))
        #expect(problem(a.oneOrMore().greedy().next("b").optional()).contains("greedy"))
        #expect(problem(a.times(0)).contains("at least 1"))
        #expect(problem(a.consecutive()).contains("several times"))
        #expect(problem(a.times(2).until { _ in true }).contains("until"))
        #expect(problem(a.times(2).until { _, _ in true }).contains("until"))
        #expect(
            problem(a.oneOrMore().until { _ in true }.until { _, _ in true }).contains("once"))
        #expect(problem(a.within(.zero)).contains("positive"))
        #expect(problem(a.afterMatch(.skipToLast("z"))).contains("'z'"))
    }
}

/// Crashes anywhere, restarts from checkpoints with another parallelism: the matches stay the same.
@Suite struct `Patterns under crashes` {
    private static let pattern = Pattern<Reading>("rise") { $0.value % 3 == 0 }.oneOrMore()
        .notNext("stop") { $0.value % 7 == 0 }
        .followedByAny("end").where { event, match throws in
            if match.count("rise") == 0 { throw Unexpected() }
            return event.value % 3 == 1
        }
        .within(.seconds(6))

    private struct Unexpected: Error {}

    private static func readings(_ seed: UInt64, _ count: Int) -> [Reading] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { index in
            Reading(index % 3, Int.random(in: 0..<30, using: &random), at: Double(index / 2))
        }
    }

    private static func text(_ match: PatternMatch<Int, Reading>) -> String {
        "\(match.key) \(match.steps.map { $0.events.map(\.value) }) \(match.end.nanoseconds)"
    }

    @Test func `find the same matches and time-outs`() throws {
        let simulation = Simulation { world in
            Topology("patterns") {
                let patterns = EventStream(
                    "in", from: world.source("in", Self.readings(5, 36))
                ).eventTime(\.at, .boundedOutOfOrderness(.seconds(3)).neverIdle)
                    .keyed(by: \.key).pattern(Self.pattern.afterMatch(.skipToNext))
                patterns.matches.map(Self.text).sink(world.sink("matches", order: .any))
                patterns.timeouts.map(Self.text).sink(world.sink("timeouts", order: .any))
            }
        }.reordering(within: 2).parallelism(1...4)
        try simulation.run(seeds: 0..<60)
    }

    @Test(arguments: [AfterMatch.noSkip, .skipPastLastEvent])
    func `go on from a checkpoint with any parallelism`(_ skip: AfterMatch) throws {
        let continuation = Continuation<Reading, String>(
            group: { Int($0.prefix(1)) ?? -1 }, rescales: true
        ) { events in
            events.eventTime(\.at, .boundedOutOfOrderness(.seconds(2)).neverIdle)
                .keyed(by: \.key).pattern(Self.pattern.afterMatch(skip)).matches.map(Self.text)
        }
        for seed in 0..<3 as Range<UInt64> {
            try continuation.expectSame(Self.readings(seed, 60).steps)
        }
    }
}

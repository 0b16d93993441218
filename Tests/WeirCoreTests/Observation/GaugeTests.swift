import Testing
import WeirCore
import WeirTesting

/// What operators keep is bounded; how much of the bound is in use shows.
@Suite struct `The gauges of a stage` {
    private func gauge(_ test: TopologyTest, _ stage: String, _ name: String) -> Double? {
        test.running.status().stage(stage)?.gauges[name]
    }

    @Test func `tell who is held back by whom and how far it is ahead`() throws {
        let (fast, slow) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let test = try TopologyTest(
            Topology("aligned") {
                EventStream("fast", from: fast.source).eventTime(\.at, .monotonic.neverIdle)
                    .aligned(in: "both", maximumDrift: .seconds(5)).sink(.discard)
                EventStream("slow", from: slow.source).eventTime(\.at, .monotonic.neverIdle)
                    .aligned(in: "both", maximumDrift: .seconds(5))
                    .sink(Sink<Reading>.discard.named("other"))
            })
        slow.send(Reading(0, at: 10))
        fast.send(Reading(0, at: 30))
        try test.run()
        let status = test.running.status()
        let alignment = try #require(status.stage("fast")?.alignment)
        #expect(alignment.group == "both")
        #expect(alignment.isHeld)
        #expect(alignment.waitsFor == ["slow"])
        #expect(alignment.aheadSeconds == 20)
        #expect(alignment.maximumDriftSeconds == 5)
        #expect(status.stage("fast")?.activity == "aligning")
        #expect(status.stage("slow")?.alignment?.isHeld == false)
        #expect("\(status)".contains("fast: held back by slow in 'both', 20 s ahead"))
        #expect(status.stage("fast")?.gauges["weir_alignment_held"] == 1)
        let text = test.running.prometheusText()
        #expect(
            text.contains(
                "weir_alignment_ahead_seconds{topology=\"aligned\",stage=\"fast\"} 20"), "\(text)")
        slow.send(Reading(0, at: 29))
        try test.run()
        #expect(test.running.status().stage("fast")?.alignment?.isHeld == false)
        fast.finish()
        slow.finish()
        try test.finish()
    }

    private func keyed(
        _ name: String, _ probe: SourceProbe<Reading>
    ) -> KeyedStream<Int, Reading> {
        EventStream(name, from: probe.source).eventTime(\.at, .monotonic.neverIdle)
            .keyed(by: \.key)
    }

    @Test func `count the rows of joins`() throws {
        let (left, right) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let test = try TopologyTest(
            Topology("joins") {
                let lefts = keyed("left", left)
                let rights = keyed("right", right)
                lefts.join(rights, within: .zero ... .seconds(5), .inner, name: "interval") {
                    left, right in left.value + right.value
                }.sink(Sink<Int>.discard.named("a"))
                lefts.join(asOf: rights, name: "versions") { left, _ in left.value }
                    .sink(Sink<Int>.discard.named("b"))
                lefts.join(rights, name: "regular") { left, right in left.value + right.value }
                    .sink(Sink<Int>.discard.named("c"))
            })
        for second in 0..<4 { left.send(Reading(second % 2, at: Double(second))) }
        right.send(Reading(0, at: 1))
        try test.run()
        #expect(gauge(test, "interval", "weir_join_rows") == 5)
        #expect(gauge(test, "regular", "weir_join_rows") == 5)
        // What is not later than the watermark of both has met its version.
        #expect((3...5).contains(gauge(test, "versions", "weir_join_rows") ?? 0))
        left.send(Reading(0, at: 100))
        right.send(Reading(0, at: 100))
        try test.run()
        #expect(gauge(test, "interval", "weir_join_rows") ?? 9 <= 2)
        #expect(gauge(test, "regular", "weir_join_rows") == 7)
        left.finish()
        right.finish()
        try test.finish()
    }

    @Test func `tell how near the fullest key of a join is to its bound`() throws {
        let (left, right) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let test = try TopologyTest(
            Topology("bounds") {
                let lefts = keyed("left", left)
                let rights = keyed("right", right)
                lefts.join(
                    rights, within: .zero ... .seconds(500), .inner, rowsPerKey: 5, name: "interval"
                ) { left, right in left.value + right.value }
                .sink(Sink<Int>.discard.named("a"))
                lefts.join(asOf: rights, waitingPerKey: 6, versionsPerKey: 7, name: "versions") {
                    left, _ in left.value
                }.sink(Sink<Int>.discard.named("b"))
                lefts.join(rights, rowsPerKey: 8, name: "regular") { $0.value + $1.value }
                    .sink(Sink<Int>.discard.named("c"))
                lefts.window(.tumbling(.seconds(500)))
                    .join(rights, .inner, rowsPerWindow: 9, name: "window") { $0.value + $1.value }
                    .sink(Sink<Windowed<Int, Int>>.discard.named("d"))
            })
        let limits = [
            ("interval", "rows", 5.0), ("versions", "waiting", 6), ("versions", "rows", 7),
            ("regular", "rows", 8), ("window", "rows", 9),
        ]
        // Five keys with a row each, and two more rows of one of them.
        for key in 0..<5 { left.send(Reading(key, at: Double(key + 1))) }
        for second in 6..<8 { left.send(Reading(3, at: Double(second))) }
        right.send(Reading(4, at: 1), Reading(4, at: 1.5))
        try test.run()
        for (stage, what, limit) in limits {
            let name = "weir_join_key_\(what)"
            let expected = stage == "versions" && what == "rows" ? 2.0 : 3
            #expect(gauge(test, stage, name) == expected, "\(stage) \(what)")
            #expect(gauge(test, stage, "\(name)_limit") == limit, "\(stage) \(what)")
        }
        for second in 8..<30 { left.send(Reading(3, at: Double(second))) }
        try test.run()
        for (stage, what, limit) in limits where what == "waiting" || stage != "versions" {
            #expect(gauge(test, stage, "weir_join_key_\(what)") == limit, "\(stage) \(what)")
        }
        left.finish()
        right.finish()
        try test.finish()
    }

    @Test func `of the fullest key are those of the largest instance, and lately`() throws {
        let (left, right) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        var configuration = TopologyTest.configuration
        configuration.parallelism = 2
        let test = try TopologyTest(
            Topology("lately") {
                keyed("left", left).join(
                    keyed("right", right), within: .zero ... .seconds(1), .inner, name: "interval"
                ) { left, right in left.value + right.value }.sink(Sink<Int>.discard)
            }, configuration: configuration)
        func rows() -> Double? { gauge(test, "interval", "weir_join_key_rows") }
        for key in 0..<40 { left.send(Reading(key, at: 1), Reading(key, at: 1)) }
        try test.run()
        #expect(rows() == 2)
        for round in 2..<6 {
            try test.advance(by: .seconds(61))
            // Brings event time on, so that the rows of the round before are over.
            left.send(Reading(99, at: Double(round * 100 - 50)))
            right.send(Reading(99, at: Double(round * 100 - 50)))
            try test.run()
            for key in 0..<40 { left.send(Reading(key, at: Double(round * 100))) }
            right.send(Reading(0, at: Double(round * 100)))
            try test.run()
        }
        #expect(rows() == 1)
        left.finish()
        right.finish()
        try test.finish()
    }

    @Test(EveryStateBackend())
    func `count the rows of a join until their time is over`() throws {
        let (left, right) = (SourceProbe<Reading>(), SourceProbe<Reading>())
        let test = try TopologyTest(
            Topology("joins") {
                let lefts = keyed("left", left)
                let rights = keyed("right", right)
                lefts.join(rights, ttl: StateTTL(.seconds(10)), name: "regular") { left, right in
                    left.value + right.value
                }.sink(.discard)
            })
        for key in 0..<40 { left.send(Reading(key, at: 0), Reading(key, at: 0)) }
        right.send(Reading(1, at: 5), Reading(2, at: 5))
        try test.run()
        #expect(gauge(test, "regular", "weir_join_rows") == 82)
        // The first finds a key expired and begins it anew; the others are swept.
        left.send(Reading(2, at: 100))
        right.send(Reading(2, at: 100))
        for _ in 0..<20 {
            left.send(Reading(3, at: 100))
            try test.run()
        }
        #expect(gauge(test, "regular", "weir_join_rows") == 22)
        left.finish()
        right.finish()
        try test.finish()
    }

    @Test func `count partial matches`() throws {
        let source = SourceProbe<Reading>()
        let pattern = Pattern<Reading>("one") { $0.value == 1 }
            .followedBy("two") { $0.value == 2 }
        let test = try TopologyTest(
            Topology("patterns") {
                EventStream("in", from: source.source).keyed(by: \.key)
                    .pattern(pattern, name: "pairs", time: .processingTime).matches
                    .sink(.discard)
            })
        source.send(Reading(1, 1, at: 0), Reading(1, 1, at: 0), Reading(2, 1, at: 0))
        try test.run()
        #expect(gauge(test, "pairs", "weir_pattern_partial_matches") == 3)
        source.send(Reading(1, 2, at: 0))
        try test.run()
        #expect(gauge(test, "pairs", "weir_pattern_partial_matches") == 1)
        source.finish()
        try test.finish()
    }

    @Test func `count keys whose time is over`() throws {
        let source = SourceProbe<Reading>()
        let test = try TopologyTest(
            Topology("ttl") {
                EventStream("in", from: source.source).keyed(by: \.key)
                    .distinct(ttl: StateTTL(.seconds(10)), name: "first").sink(.discard)
            })
        source.send(Reading(1, at: 0), Reading(2, at: 0))
        try test.run()
        #expect(gauge(test, "first", "weir_state_expired_total") == 0)
        try test.advance(by: .seconds(60))
        source.send(Reading(1, at: 0))
        try test.run()
        #expect(gauge(test, "first", "weir_state_expired_total") ?? 0 >= 1)
        #expect(test.running.prometheusText().contains("# TYPE weir_state_expired_total counter"))
        source.finish()
        try test.finish()
    }

    @Test func `count keys of rates and members of hubs`() throws {
        let merge = MergeHub<Reading>()
        let broadcast = BroadcastHub<Reading>()
        let test = try TopologyTest(
            Topology("members") {
                EventStream("in", from: merge.source).keyed(by: \.key)
                    .rateLimit(events: 1, per: .seconds(10), burst: 5, name: "rate").passed
                    .sink(broadcast.sink.named("out"))
            })
        try test.run()
        let producers = try (0..<3).map { _ in try merge.attach() }
        let consumer = try broadcast.attach()
        #expect(gauge(test, "in", "weir_hub_members") == 3)
        #expect(gauge(test, "out", "weir_hub_members") == 1)
        for key in 0..<4 { #expect(producers[0].trySend(Reading(key, at: 0))) }
        try test.run()
        #expect(gauge(test, "rate", "weir_rate_limit_keys") == 4)
        consumer.cancel()
        for producer in producers { producer.finish() }
        merge.finish()
        try test.finish()
    }
}

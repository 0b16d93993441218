import Synchronization
import Testing

@testable import WeirCore

@Suite struct `A replay` {
    private func replay(
        _ topology: Topology, _ recorded: RecordedStore, _ options: ReplayOptions = ReplayOptions()
    ) async throws -> (report: ReplayReport, emitted: Emitted) {
        let emitted = Emitted()
        let report = try await topology.replay(
            recorded.store, options: options, configuration: RecordedStore.quiet
        ) {
            emitted.add($0)
        } emit: {
            emitted.add($0)
        }
        return (report, emitted)
    }

    @Test func `gives sinks what the journal has, in its order`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1", "11"]), (2, ["2", "x"]), (3, ["21"])])
        let (report, emitted) = try await replay(
            RecordedStore.totals(RecordedStore.source()), recorded)
        #expect(emitted.lines == ["1: 1", "1: 12", "2: 2", "1: 33"].map { "out \"\($0)\"" })
        #expect(report.events == 5)
        #expect(report.records == 3)
        #expect(report.emitted == 4)
        #expect(report.deadLetters == 1)
        #expect(report.checkpoint == nil)
        #expect((report.from, report.to) == (0, 3))
    }

    @Test func `ends before a record, before a time, or behind an event`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1", "2"]), (2, ["3", "4"]), (3, ["5", "6"])])
        for (point, expected) in [
            (ReplayOptions.Point.record(2), 4), (.time(EventTime(milliseconds: 2_500)), 4),
            (.time(EventTime(milliseconds: 2_000)), 2), (.event(3), 3), (.event(0), 0),
            (.record(9), 6),
        ] {
            var options = ReplayOptions()
            options.to = point
            let (report, emitted) = try await replay(
                RecordedStore.totals(RecordedStore.source()), recorded, options)
            #expect(emitted.texts.count == expected, "\(point)")
            #expect(report.events == expected, "\(point)")
        }
    }

    @Test func `replays what is before its beginning for the state alone`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1"]), (2, ["11"]), (3, ["21"])])
        for point in [ReplayOptions.Point.record(2), .time(EventTime(milliseconds: 2_001))] {
            var options = ReplayOptions()
            options.from = point
            let (report, emitted) = try await replay(
                RecordedStore.totals(RecordedStore.source()), recorded, options)
            #expect(emitted.texts == ["1: 33"])
            #expect(report.warmUpRecords == 2)
            #expect(report.from == 2)
        }
    }

    @Test func `begins with the state of the newest checkpoint before it`() async throws {
        let recorded = try RecordedStore()
        let source = RecordedStore.source([([1], 1), ([11], 2)])
        let running = try await RecordedStore.totals(source).start(
            .init(logger: RecordedStore.quiet.logger, store: recorded.store))
        // Both numbers have been handled once the stage has emitted them.
        while running.status().stages.first(where: { $0.name == "totals" })?.eventsOut ?? 2 < 2 {
            await Task.yield()
        }
        try await running.suspend()
        try await recorded.record([(1, ["1000"]), (2, ["1000"]), (3, ["21"]), (4, ["31"])])
        var options = ReplayOptions()
        options.from = .record(3)
        let topology = RecordedStore.totals(RecordedStore.source())
        let (report, emitted) = try await replay(topology, recorded, options)
        // Had it not begun with the checkpoint, 1 would have no 12.
        #expect(emitted.texts == ["1: 64"])
        #expect(report.checkpoint == 1)
        #expect(report.warmUpRecords == 1)
        await #expect(throws: ReplayError.self) {
            try await replay(RecordedStore.totals(source, name: "sums"), recorded, options)
        }
        options.start = .empty
        #expect(try await replay(topology, recorded, options).emitted.texts == ["1: 31"])
    }

    @Test func `lets processing time follow the records`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(10, ["1"]), (11, ["2"]), (20, ["3"]), (50, ["4"])])
        let topology = Topology("recorded") {
            EventStream("numbers", from: RecordedStore.source())
                .debounce(.seconds(5))
                .sink(.print.named("out"))
        }
        // What is held back at the end stays there, as it would have.
        #expect(try await replay(topology, recorded).emitted.texts == ["2", "3"])
        var options = ReplayOptions()
        options.endsStreams = true
        #expect(try await replay(topology, recorded, options).emitted.texts == ["2", "3", "4"])
    }

    @Test func `merges the journals of several sources by time`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1"]), (4, ["4"])], of: "left")
        try await recorded.record([(2, ["2"]), (3, ["3"]), (9, ["9"])], of: "right")
        let topology = Topology("recorded") {
            EventStream("left", from: RecordedStore.source())
                .merge(EventStream("right", from: RecordedStore.source()))
                .sink(.print.named("out"))
        }
        var options = ReplayOptions()
        await #expect(throws: ReplayError.self) { try await replay(topology, recorded) }
        options.source = "left"
        #expect(
            try await replay(topology, recorded, options).emitted.texts == ["1", "2", "3", "4"])
    }

    @Test func `ends behind so many events of the source that decides`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(4, ["4", "5", "6"])], of: "left")
        try await recorded.record([(1, ["1", "2", "3"]), (9, ["9"])], of: "right")
        let topology = Topology("recorded") {
            EventStream("left", from: RecordedStore.source())
                .merge(EventStream("right", from: RecordedStore.source()))
                .sink(.print.named("out"))
        }
        var options = ReplayOptions()
        options.source = "left"
        for (count, expected) in [(0, 0), (2, 5)] {
            options.to = .event(count)
            let (report, emitted) = try await replay(topology, recorded, options)
            #expect(emitted.texts == (1..<(1 + expected)).map { "\($0)" })
            #expect(report.events == expected)
        }
    }

    @Test func `shows what each event has changed`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1", "2"]), (2, ["11"])])
        var options = ReplayOptions()
        options.steps = true
        let topology = RecordedStore.totals(RecordedStore.source())
        let steps = try await replay(topology, recorded, options).emitted.steps
        #expect(steps.map(\.event) == ["1", "2", "11"])
        #expect(steps.map { "\($0.record)+\($0.message)" } == ["0+0", "0+1", "1+0"])
        func changes(_ step: ReplayStep) -> [[String?]] {
            step.changes.map { [$0.stage, $0.key, $0.before, $0.after] }
        }
        #expect(changes(steps[0]) == [["totals", "1", nil, "1"]])
        #expect(changes(steps[1]) == [["totals", "2", nil, "2"]])
        #expect(changes(steps[2]) == [["totals", "1", "1", "12"]])
        options.key = "2"
        let chosen = try await replay(topology, recorded, options).emitted.steps
        #expect(chosen.map(\.event) == ["2"])
    }

    @Test func `names a source that has no journal`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1"])])
        let topology = RecordedStore.totals(RecordedStore.source())
        var options = ReplayOptions()
        options.source = "orders"
        await #expect {
            try await replay(topology, recorded, options)
        } throws: { "\($0)".contains("no source 'orders'") }
        let other = Topology("other") {
            EventStream("others", from: .collection([1])).sink(.print)
        }
        await #expect {
            try await replay(other, recorded)
        } throws: { "\($0)".contains("no source of the topology has an ingest journal") }
        await #expect(throws: StoreError.self) { try await replay(topology, RecordedStore()) }
    }

    @Test func `ends with the failure of a stage`() async throws {
        let recorded = try RecordedStore()
        try await recorded.record([(1, ["1", "13"])])
        struct Unlucky: Error {}
        let topology = Topology("recorded", supervisor: Supervisor(attempts: 1, poison: .escalate))
        {
            EventStream("numbers", from: RecordedStore.source())
                .map { number throws in
                    if number == 13 { throw Unlucky() }
                    return number
                }
                .sink(.print.named("out"))
        }
        await #expect(throws: StageFailure.self) { try await replay(topology, recorded) }
    }
}

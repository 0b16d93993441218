import Synchronization
import Testing
import WeirCore
import WeirTesting

@Suite struct `Lines of a file` {
    private func read(
        _ directory: TemporaryDirectory, lineLimit: Int = 1_000
    ) throws -> (sink: SinkProbe<String>, test: TopologyTest) {
        let sink = SinkProbe<String>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .lines(ofFile: directory("log"), lineLimit: lineLimit))
                    .sink(sink.sink)
            })
        return (sink, test)
    }

    @Test func `are read to the end, the open last line too`() throws {
        let directory = try TemporaryDirectory()
        let lines = (0..<5_000).map { "line \($0)" }
        try directory.append(lines.joined(separator: "\n"), to: "log")
        let (sink, test) = try read(directory)
        try test.finish()
        #expect(sink.received == lines)
    }

    @Test func `that are no text or too long go to the dead letters with their bytes`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("good\n", to: "log")
        try directory.append("0123456789\n", to: "log")
        try directory.appendBytes([0x61, 0xFF, 0x0A], to: "log")
        try directory.append("end\n", to: "log")
        let (sink, test) = try read(directory, lineLimit: 8)
        try test.finish()
        #expect(sink.received == ["good", "end"])
        let letters = test.running.deadLetters.letters
        #expect(letters.map { $0.event as? [UInt8] } == [Array("01234567".utf8), [0x61, 0xFF]])
        #expect(letters.allSatisfy { $0.origin == directory("log") })
    }

    @Test func `of a missing file are an error that names it`() throws {
        let directory = try TemporaryDirectory()
        let (_, test) = try read(directory)
        try test.advance(by: .seconds(30))
        let error = #expect(throws: StageFailure.self) { try test.finish() }
        #expect(error.map { "\($0)".contains(directory("log")) } == true)
    }

    @Test func `of a file that has become shorter since the checkpoint are an error that names it`()
        throws
    {
        let directory = try TemporaryDirectory()
        let store = continuationStore()
        let lines = (0..<40_000).map { "line \($0)\n" }.joined()
        try directory.append(lines, to: "log")
        func start() throws -> TopologyTest {
            var configuration = TopologyTest.configuration
            configuration.store = store
            return try TopologyTest(
                Topology("t") {
                    EventStream("in", from: .lines(ofFile: directory("log")))
                        .mailbox(.bounded(100))
                        .throttle(events: 1_000, per: .seconds(1), name: "slow")
                        .mailbox(.bounded(100))
                        .sink(.discard)
                }, configuration: configuration)
        }
        let first = try start()
        try first.advance(by: .seconds(1))
        let running = first.running
        first.start { try await running.suspend() }
        try first.advance(by: .seconds(60))
        try first.finish()
        try directory.overwrite("log", "another\n")
        let second = try start()
        try second.advance(by: .seconds(100))
        let error = #expect(throws: StageFailure.self) { try second.finish() }
        #expect(
            error.map { "\($0)".contains(directory("log")) } == true, "\(String(describing: error))"
        )
    }

    @Test func `are read on a thread of its own in a real run`() async throws {
        let directory = try TemporaryDirectory()
        try directory.append((0..<5_000).map { "\($0)\n" }.joined(), to: "log")
        let out: Outlet<String> = "out"
        let running = try await Topology("t") {
            EventStream("in", from: .lines(ofFile: directory("log"))).sink(.outlet(out))
        }.start()
        var count = 0
        for try await line in try running.output(out) {
            #expect(line == "\(count)")
            count += 1
        }
        #expect(count == 5_000)
        try await running.waitUntilFinished()
    }

    private struct Payment: Codable, Sendable, Equatable {
        let id: Int
    }

    @Test func `are decoded as JSON, malformed ones given up with their bytes`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("{\"id\":1}\n\n{\"id\":\n{\"id\":2}\n", to: "log")
        let sink = SinkProbe<Payment>()
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .jsonLines(ofFile: directory("log"), as: Payment.self))
                    .sink(sink.sink)
            })
        try test.finish()
        #expect(sink.received == [Payment(id: 1), Payment(id: 2)])
        #expect(
            test.running.deadLetters.letters.map { $0.event as? [UInt8] }
                == [Array("{\"id\":".utf8)])
    }
}

@Suite struct `A followed file` {
    private struct Bench {
        let directory: TemporaryDirectory
        let sink = SinkProbe<String>()
        let test: TopologyTest

        init(_ directory: TemporaryDirectory, from start: FileFollowing.Start = .start) throws {
            self.directory = directory
            let sink = sink
            test = try TopologyTest(
                Topology("t") {
                    EventStream(
                        "in",
                        from: .lines(
                            ofFile: directory("log"), follow: .tail(from: start, every: .seconds(1))
                        )
                    ).sink(sink.sink)
                })
            try test.run()
        }

        /// Lets it look several times.
        func look() throws {
            for _ in 0..<5 { try test.advance(by: .seconds(1)) }
        }
    }

    @Test func `gives lines as they are written, and no half ones`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("a\nb", to: "log")
        let bench = try Bench(directory)
        try bench.look()
        #expect(bench.sink.received == ["a"])
        try directory.append("c\nd\n", to: "log")
        try bench.look()
        #expect(bench.sink.received == ["a", "bc", "d"])
        try bench.test.drain()
    }

    @Test func `begins at the end when told to`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("old\n", to: "log")
        let bench = try Bench(directory, from: .end)
        try bench.look()
        try directory.append("new\n", to: "log")
        try bench.look()
        #expect(bench.sink.received == ["new"])
    }

    @Test func `is waited for when it is not there yet, and then read from its first line`() throws
    {
        let directory = try TemporaryDirectory()
        let bench = try Bench(directory, from: .end)
        try bench.look()
        try directory.append("first\n", to: "log")
        try bench.look()
        #expect(bench.sink.received == ["first"])
    }

    @Test func `is read on under its new name until its writer has moved on`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("a\n", to: "log")
        let bench = try Bench(directory)
        try bench.look()
        try directory.rename("log", to: "log.1")
        try bench.look()
        try directory.append("b\n", to: "log.1")
        try bench.look()
        #expect(bench.sink.received == ["a", "b"])
        try directory.append("x\n", to: "log")
        try directory.append("c\nhalf", to: "log.1")
        try bench.look()
        #expect(bench.sink.received == ["a", "b", "c", "half", "x"])
        try directory.append("y\n", to: "log")
        try bench.look()
        #expect(bench.sink.received.last == "y")
    }

    @Test func `is read from its beginning when it has been truncated`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("first line\nsecond line\n", to: "log")
        let bench = try Bench(directory)
        try bench.look()
        try directory.overwrite("log", "x\n")
        try bench.look()
        #expect(bench.sink.received == ["first line", "second line", "x"])
        try directory.append("y\n", to: "log")
        try bench.look()
        #expect(bench.sink.received.last == "y")
    }

    @Test func `loses nothing over many rotations`() throws {
        let directory = try TemporaryDirectory()
        let bench = try Bench(directory)
        var next = 0
        for round in 0..<30 {
            for _ in 0..<(round % 7 + 1) {
                try directory.append("\(next)\n", to: "log")
                next += 1
                if next % 3 == 0 { try bench.test.advance(by: .seconds(1)) }
            }
            try bench.look()
            try directory.rename("log", to: "log.1")
            try directory.append("\(next)\n", to: "log.1")
            next += 1
        }
        try bench.look()
        #expect(bench.sink.received == (0..<next).map { "\($0)" })
    }

    @Test func `stops when the topology drains`() async throws {
        let directory = try TemporaryDirectory()
        try directory.append("a\n", to: "log")
        let out: Outlet<String> = "out"
        let running = try await Topology("t") {
            EventStream("in", from: .lines(ofFile: directory("log"), follow: .tail(from: .start)))
                .sink(.outlet(out))
        }.start()
        for try await line in try running.output(out) {
            #expect(line == "a")
            break
        }
        try await running.drain()
    }
}

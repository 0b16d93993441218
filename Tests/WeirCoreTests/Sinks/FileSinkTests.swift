import Glibc
import Testing
import WeirCore
import WeirTesting

@Suite struct `A file sink` {
    private struct Payment: Codable, Sendable {
        let id: Int
        let amount: Double
    }

    @Test func `writes lines of JSON and gives up what can't be encoded`() throws {
        let directory = try TemporaryDirectory()
        let payments = [
            Payment(id: 1, amount: 1.5), Payment(id: 2, amount: .nan), Payment(id: 3, amount: 2),
        ]
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(payments))
                    .sink(.jsonLines(toFile: directory("out"), sync: .everyBatch))
            })
        try test.finish()
        #expect(
            try directory.text(of: "out")
                == "{\"id\":1,\"amount\":1.5}\n{\"id\":3,\"amount\":2}\n")
        #expect(test.running.deadLetters.total == 1)
    }

    @Test func `appends or empties the file, and ends an open line of a crash`() throws {
        let directory = try TemporaryDirectory()
        try directory.append("a\nhalf", to: "out")
        func write(_ opening: FileOpening) throws {
            let test = try TopologyTest(
                Topology("t") {
                    EventStream("in", from: .collection(["x", "y"]))
                        .sink(.lines(toFile: directory("out"), opening, sync: .whenIdle))
                })
            try test.finish()
        }
        try write(.append)
        #expect(try directory.text(of: "out") == "a\nhalf\nx\ny\n")
        try write(.truncate)
        #expect(try directory.text(of: "out") == "x\ny\n")
    }

    @Test func `fails with the path and the system's text when the disk is full`() throws {
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(["x"])).sink(.lines(toFile: "/dev/full"))
            })
        try test.advance(by: .seconds(60))
        let error = #expect(throws: StageFailure.self) { try test.finish() }
        #expect(error.map { "\($0)".contains("cannot write '/dev/full': No space left") } == true)
    }

    @Test func `keeps whole lines in a file that somebody else has emptied`() async {
        await #expect(processExitsWith: .success) {
            // A batch can be written in part only.
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            signal(SIGXFSZ, SIG_IGN)
            let directory = try TemporaryDirectory()
            let source = SourceProbe<String>()
            let test = try TopologyTest(
                Topology("t") {
                    EventStream("in", from: source.source).sink(.lines(toFile: directory("out")))
                })
            source.send(String(repeating: "a", count: 3_000))
            try test.run()
            try directory.overwrite("out", "")
            let unlimited = limit
            limit.rlim_cur = 4_096
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let line = String(repeating: "b", count: 5_000)
            source.send(line)
            try test.run()
            limit = unlimited
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            try test.advance(by: .seconds(60))
            try #require(try directory.text(of: "out") == line + "\n")
        }
    }

    @Test func `gives nothing up while the disk is full`() throws {
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection([1, Double.nan]))
                    .sink(.jsonLines(toFile: "/dev/full"))
            })
        try test.advance(by: .seconds(60))
        #expect(throws: StageFailure.self) { try test.finish() }
        #expect(test.running.deadLetters.total == 0)
    }

    @Test func `can't be started on a path that can't be written`() throws {
        #expect(throws: FileError.self) {
            _ = try TopologyTest(
                Topology("t") {
                    EventStream("in", from: .collection(["x"]))
                        .sink(.lines(toFile: "/nowhere/out"))
                })
        }
    }

    @Test func `of the same path twice is reported`() {
        let topology = Topology("t") {
            EventStream("a", from: .collection(["x"])).sink(.lines(toFile: "/tmp/x"))
            EventStream("b", from: .collection(["x"])).sink(.lines(toFile: "/tmp/x"))
        }
        #expect(throws: TopologyError.self) { try topology.validate() }
    }

    @Test func `writes on a thread of its own in a real run`() async throws {
        let directory = try TemporaryDirectory()
        let running = try await Topology("t") {
            EventStream("in", from: .collection((0..<5_000).map { "\($0)" }))
                .sink(.lines(toFile: directory("out")))
        }.start()
        try await running.waitUntilFinished()
        #expect(try directory.text(of: "out") == (0..<5_000).map { "\($0)\n" }.joined())
    }
}

@Suite struct `Plain sinks` {
    @Test func `deadLetters gives each event up with the reason`() throws {
        let test = try TopologyTest(
            Topology("t") {
                EventStream("in", from: .collection(0..<3)).sink(.deadLetters("rejected"))
            })
        try test.finish()
        let letters = test.running.deadLetters.letters
        #expect(letters.map { $0.event as? Int } == [0, 1, 2])
        #expect(letters.allSatisfy { $0.reason == "rejected" })
    }

    @Test func `discard takes all events`() throws {
        let test = try TopologyTest(
            Topology("t") { EventStream("in", from: .collection(0..<3_000)).sink(.discard) })
        try test.finish()
    }
}

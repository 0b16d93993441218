import Testing
import WeirTesting

@testable import WeirCore

/// One run of a topology that follows a file, on a store.
private struct FollowingRun {
    let sink = SinkProbe<String>()
    let test: TopologyTest

    init(
        _ directory: TemporaryDirectory, _ store: StateStore,
        from start: FileFollowing.Start = .start
    ) throws {
        let sink = sink
        var configuration = TopologyTest.configuration
        configuration.store = store
        test = try TopologyTest(
            Topology("t") {
                EventStream(
                    "in",
                    from: .lines(
                        ofFile: directory("log"), follow: .tail(from: start, every: .seconds(1)),
                        lineLimit: 20)
                ).sink(sink.sink)
            }, configuration: configuration)
        try look()
    }

    /// Lets it look several times.
    func look() throws {
        for _ in 0..<5 { try test.advance(by: .seconds(1)) }
    }

    func suspend() throws {
        let running = test.running
        _ = try test.perform("suspend") { try await running.suspend() }
    }
}

@Suite struct `A followed file in a run with a store` {
    private let long = String(repeating: "x", count: 21)

    @Test func `is read on from where its end was, though no line had come yet`() throws {
        let directory = try TemporaryDirectory()
        let store = continuationStore()
        try directory.append("old\n", to: "log")
        let first = try FollowingRun(directory, store, from: .end)
        try first.suspend()
        try directory.append("new\n", to: "log")
        let second = try FollowingRun(directory, store, from: .end)
        #expect(second.sink.received == ["new"])
        try second.suspend()
    }

    @Test func `is read from its beginning though it has grown while nobody ran`() throws {
        let directory = try TemporaryDirectory()
        let store = continuationStore()
        try directory.append("a\nb\nhalf", to: "log")
        let first = try FollowingRun(directory, store)
        try directory.overwrite("log", "")
        try first.look()
        #expect(first.sink.received == ["a", "b", "half"])
        try first.suspend()
        try directory.append("1\n2\n3\n4\n5\n6\n", to: "log")
        let second = try FollowingRun(directory, store)
        #expect(second.sink.received == ["1", "2", "3", "4", "5", "6"])
        try second.suspend()
    }

    @Test func `gives up a line once`() throws {
        let directory = try TemporaryDirectory()
        let store = continuationStore()
        try directory.append("a\n\(long)\n", to: "log")
        let first = try FollowingRun(directory, store)
        #expect(first.test.running.deadLetters.total == 1)
        try first.suspend()
        let second = try FollowingRun(directory, store)
        #expect(second.test.running.deadLetters.total == 0)
        #expect(second.sink.received.isEmpty)
        try second.suspend()
    }

    /// What a log's writer and its rotation do, with what the source has to give for it.
    private struct Log {
        let directory: TemporaryDirectory
        var written: [String] = []
        var refused = 0
        private var half = ""
        private var next = 0

        init(_ directory: TemporaryDirectory) { self.directory = directory }

        mutating func write(_ random: inout SplitMix64) throws {
            var text = ""
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let dots = Int.random(in: 0...5, using: &random)
                let line = "\(next)" + String(repeating: ".", count: dots)
                next += 1
                text += line + "\n"
                end(half + line)
                half = ""
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                let part = String(repeating: "-", count: Int.random(in: 1...30, using: &random))
                half += part
                text += part
            }
            if !text.isEmpty { try directory.append(text, to: "log") }
        }

        private mutating func end(_ line: String) {
            if line.utf8.count > 20 { refused += 1 } else { written.append(line) }
        }

        mutating func truncate() throws {
            try directory.overwrite("log", "")
            endHalf()
        }

        mutating func rotate() throws {
            try directory.rename("log", to: "log.1")
            try directory.append("", to: "log")
            endHalf()
        }

        private mutating func endHalf() {
            if !half.isEmpty { end(half) }
            half = ""
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `gives each line once, over rotations and restarts`(_ seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        let store = continuationStore(seed: seed)
        var random = SplitMix64(seed: seed)
        var log = Log(directory)
        try log.write(&random)
        var (received, refused): ([String], Int) = ([], 0)
        for _ in 0..<5 {
            let run = try FollowingRun(directory, store)
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    try run.look()
                    try log.truncate()
                    try run.look()
                case 1:
                    try run.look()
                    try log.rotate()
                    try run.look()
                default: try log.write(&random)
                }
            }
            try run.look()
            try run.suspend()
            received += run.sink.received
            refused += run.test.running.deadLetters.total
            try log.write(&random)
        }
        let run = try FollowingRun(directory, store)
        received += run.sink.received
        refused += run.test.running.deadLetters.total
        #expect(received == log.written)
        #expect(refused == log.refused)
        try run.suspend()
    }
}

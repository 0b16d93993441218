import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A source whose peers are silent` {
    private func start(
        _ source: Source<Reading>, _ lines: Recorder<String>, _ seen: Recorder<Int> = Recorder(),
        idle: Duration? = nil, message: Duration? = nil
    ) async throws -> RunningTopology {
        let topology = Topology("silent") {
            Operations(port: 0)
            ServerSettings(port: 0) {
                $0.idleTimeout = idle
                $0.messageTimeout = message
            }
            EventStream("in", from: source).mailbox(.bounded(4)).map(\.id).sink(seen.sink)
        }
        var configuration = RunConfiguration.logging(lines)
        configuration.batchSize = 4
        return try await topology.start(configuration)
    }

    private func counters(_ running: RunningTopology) throws -> ServerCounters {
        try #require(running.environment.resources.all(of: (any ListenerCounting).self).first)
            .counters
    }

    @Test(arguments: [true, false])
    func `ends a connection that says nothing, and tells so`(isUnix: Bool) async throws {
        let folder = try Folder()
        let path = "\(folder.path)/in.sock"
        var options = UnixSocketOptions()
        options.idleTimeout = .milliseconds(50)
        let lines = Recorder<String>()
        let running = try await start(
            isUnix
                ? .unix(path: path, as: Reading.self, options: options)
                : .tcp(port: 0, as: Reading.self), lines, idle: .milliseconds(50))
        let loop = try Loop.shared()
        let client =
            isUnix
            ? try await RawClient.connect(toUnix: path, on: loop)
            : try await RawClient.connect(to: try running.tcp, on: loop)
        #expect(await client.receive().isEmpty)
        #expect(try counters(running).idleTimeouts == 1)
        #expect(try counters(running).messageTimeouts == 0)
        let metrics = try await ask(try running.web, "/metrics").body
        #expect(
            metrics.split(separator: "\n").contains {
                $0.hasPrefix("weir_connection_timeouts_total{") && $0.hasSuffix("} 1")
                    && $0.contains(#"kind="idle""#)
            })
        #expect(lines.values.contains { $0.hasPrefix("connection closed: nothing came") })
        try await client.close()
        try await running.drain()
    }

    @Test func `counts no time in which it does not read`() async throws {
        let (lines, seen) = (Recorder<String>(), Recorder<Int>())
        let running = try await start(
            .tcp(port: 0, as: Reading.self), lines, seen, idle: .seconds(4),
            message: .seconds(2))
        let stage = try #require(running.stage("in"))
        stage.pause()
        let loop = try Loop.shared()
        let text = (0..<500).map { Reading(id: $0, value: 1).json + "\n" }.joined() + "{"
        let full = try await RawClient.connect(
            to: try running.tcp, on: loop, sending: Array(text.utf8))
        // When this one is closed the time has passed for the other too.
        let idle = try await RawClient.connect(to: try running.tcp, on: loop)
        #expect(await idle.receive().isEmpty)
        #expect(try counters(running).idleTimeouts == 1)
        stage.resume()
        #expect(await seen.wait(for: 500) == Array(0..<500))
        // Now it is read, and what it has begun does not end.
        #expect(await full.receive().isEmpty)
        #expect(try counters(running).messageTimeouts == 1)
        for client in [full, idle] { try await client.close() }
        try await running.drain()
        #expect(seen.values.count == 500)
    }

    @Test func `ends a connection that does not end a frame, however it trickles`() async throws {
        let lines = Recorder<String>()
        let running = try await start(
            .tcp(port: 0, framing: .lengthPrefixed(), as: Reading.self), lines,
            message: .milliseconds(200))
        let slow = try await RawClient.connect(to: try running.tcp, on: Loop.shared())
        try await slow.send([0, 15, 0, 0])
        while try counters(running).messageTimeouts == 0 {
            try await slow.send([0x20])
            await Task.yield()
        }
        #expect(await slow.receive().isEmpty)
        #expect(try counters(running).messageTimeouts == 1)
        #expect(lines.values.count { $0.contains("did not end in time") } == 1)
        try await slow.close()
        try await running.drain()
    }

    @Test func `counts the time of each frame from its own begin`() {
        var unfinished = UnfinishedMessage()
        func isOverdue(_ now: UInt64) -> Bool { unfinished.isOverdue(after: 10, at: now) }
        #expect(!isOverdue(1_000))
        unfinished.note(isWithin: true, hasCompleted: false, at: 5)
        // More of the same frame.
        unfinished.note(isWithin: true, hasCompleted: false, at: 12)
        #expect(!isOverdue(14) && isOverdue(15))
        // Its end, and the begin of another.
        unfinished.note(isWithin: true, hasCompleted: true, at: 13)
        #expect(!isOverdue(22) && isOverdue(23))
        unfinished.note(isWithin: false, hasCompleted: true, at: 20)
        #expect(!isOverdue(1_000))
    }

    @Test func `closes a WebSocket with 1008 that does not end a message`() async throws {
        let lines = Recorder<String>()
        let test = try await TestServer {
            $0.messageTimeout = .milliseconds(200)
            $0.logger = RecordedLog.logger(lines)
        }
        let (client, length) = try await test.openRaw(on: test.loop)
        try await client.send(RawFrame.text("a", final: false).bytes)
        // Control frames between the parts give it no more time.
        let ping = RawFrame(opcode: 9).bytes
        while test.server.counters.messageTimeouts == 0 {
            try await client.send(ping)
            await Task.yield()
        }
        let isClosed: @Sendable ([UInt8]) -> Bool = { bytes in
            bytes.dropFirst(length).firstRange(of: [0x88]) != nil
        }
        let seen = await client.receive(until: isClosed)
        let start = try #require(seen[length...].firstRange(of: [0x88])).lowerBound
        #expect(UInt16(seen[start + 2]) << 8 | UInt16(seen[start + 3]) == 1_008)
        #expect(lines.values.count { $0.contains("did not end in time") } == 1)
        try await client.close()
        _ = await test.closures.wait(for: 1)
        #expect(test.server.counters.messageTimeouts == 1)
        await test.stop()
    }

    @Test func `knows for how long it has read a connection`() async throws {
        let loop = try Loop.shared()
        let times = Recorder<[UInt64]>()
        let timer = try await loop.run {
            let connection = try TCPConnection.unconnected(on: loop)
            let begin = connection.readingTime
            let timer = try LoopTimer(on: loop) {}
            timer.onFire = { [unowned timer] in
                times.append([begin, connection.readingTime])
                connection.close()
                timer.close()
            }
            timer.start(after: .milliseconds(20))
            return LoopBound(timer, on: loop)
        }
        let seen = await times.wait(for: 1)[0]
        #expect(seen[0] == seen[1])
        _ = timer
    }
}

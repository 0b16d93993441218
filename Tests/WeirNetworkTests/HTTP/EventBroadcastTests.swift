import HTTPTypes
import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

@Suite(.timeLimit(.minutes(5))) struct `A broadcast of server-sent events` {
    private struct World {
        let test: TestServer
        let broadcast: LoopBound<EventBroadcast>
        let asked = Recorder<LoopBound<HTTPServerConnection>>()

        init(_ options: ServerSentEventOptions) async throws {
            let test = try await TestServer()
            let broadcast = try await test.loop.run {
                LoopBound(
                    EventBroadcast(options, run: "run", on: test.loop), on: test.loop)
            }
            (self.test, self.broadcast) = (test, broadcast)
            let asked = asked
            test.server.addResponder("GET", "/out", roles: []) { request, connection in
                asked.append(LoopBound(connection, on: test.loop))
                return broadcast.value.begin(request, connection)
            }
        }

        /// A listener that reads when it is told to, or at once.
        func listen(_ lastEventID: String? = nil, isReading: Bool = true) async throws -> RawClient
        {
            let client = try await RawClient.connect(
                to: test.address, on: test.loop, isReading: isReading)
            let last = lastEventID.map { "Last-Event-ID: \($0)\r\n" } ?? ""
            try await client.send("GET /out HTTP/1.1\r\nHost: h\r\n\(last)\r\n")
            return client
        }

        func send(_ count: Int, _ byteCount: Int) async throws -> Int {
            let (broadcast, payload) = (broadcast, [UInt8](repeating: 0x78, count: byteCount))
            return try await test.loop.run {
                var dropped = 0
                for _ in 0..<count { dropped += broadcast.value.send([payload]) }
                return dropped
            }
        }

        func stop() async throws {
            let broadcast = broadcast
            try await test.loop.run { broadcast.value.close() }
            await test.stop()
        }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func ids(_ bytes: [UInt8]) -> [Int] {
        text(bytes).split(separator: "id: run-").dropFirst().map { part in
            Int(part.prefix { $0 != "\n" }) ?? -1
        }
    }

    /// Whether an event of so many bytes has come whole, among the last.
    private func has(_ id: Int, _ byteCount: Int) -> @Sendable ([UInt8]) -> Bool {
        let begin = Array("id: run-\(id)\ndata: ".utf8)
        return { bytes in
            let tail = bytes.suffix(byteCount + 256)
            guard let start = tail.firstRange(of: begin)?.upperBound else { return false }
            return tail.endIndex - start >= byteCount + 2
        }
    }

    @Test func `lets a client catch up on more than may wait for it`() async throws {
        var options = ServerSentEventOptions()
        options.queuedBytes = 64 << 10
        // More than kernels keep.
        options.replayBytes = 64 << 20
        options.replayCount = 10_000
        let world = try await World(options)
        #expect(try await world.send(1_000, 16 << 10) == 0)
        let client = try await world.listen("run-0", isReading: false)
        let connection = await world.asked.wait(for: 1)[0]
        // What comes meanwhile is no reason to disconnect it, and neither waits for it.
        for _ in 0..<10 {
            #expect(try await world.send(1, 16 << 10) == 0)
            let queued = try await world.test.loop.run { connection.value.tcp.queuedByteCount }
            #expect(queued <= options.queuedBytes + (17 << 10))
        }
        try await client.startReading()
        let caughtUp = await client.receive(until: has(1_009, 16 << 10))
        #expect(ids(caughtUp) == Array(1..<1_010) && !text(caughtUp).contains(": missed"))
        #expect(try await world.send(1, 16 << 10) == 0)
        _ = await client.receive(until: has(1_010, 16 << 10))
        #expect(world.test.server.counters.slowConsumersClosed == 0)
        try await world.stop()
    }

    @Test func `disconnects a client that misses more than is kept`() async throws {
        var options = ServerSentEventOptions()
        options.queuedBytes = 64 << 10
        options.replayBytes = 12 << 20
        let world = try await World(options)
        #expect(try await world.send(47, 256 << 10) == 0)
        let client = try await world.listen("run-0", isReading: false)
        _ = await world.asked.wait(for: 1)
        // Turns of the loop in which the kernel takes what it takes.
        for _ in 0..<100 { try await world.test.loop.run {} }
        #expect(try await world.send(47, 256 << 10) > 0)
        #expect(world.test.server.counters.slowConsumersClosed == 1)
        try await client.close()
        try await world.stop()
    }

    /// A listener that has its answer, and gets comments this often.
    private func listening(keepAlive: Duration) async throws -> (World, RawClient) {
        var options = ServerSentEventOptions()
        options.keepAlive = keepAlive
        let world = try await World(options)
        let client = try await world.listen()
        _ = await client.receive { String(decoding: $0, as: UTF8.self).contains("retry: 3000\n\n") }
        return (world, client)
    }

    @Test func `sends a comment in time although others come all the time`() async throws {
        let (world, client) = try await listening(keepAlive: .milliseconds(400))
        let (loop, broadcast) = (world.test.loop, world.broadcast)
        let timer = try await loop.run {
            let timer = try LoopTimer(on: loop) {}
            var rounds = 0
            timer.onFire = { [unowned timer] in
                rounds += 1
                // What each new client does.
                broadcast.value.keepAlive()
                if rounds == 30 {
                    timer.stop()
                    _ = broadcast.value.send([Array("late".utf8)])
                }
            }
            timer.start(after: .milliseconds(50), every: .milliseconds(50))
            return LoopBound(timer, on: loop)
        }
        let seen = await client.receive {
            let text = String(decoding: $0, as: UTF8.self)
            return text.contains("\n\n:\n\n") || text.contains("late\n\n")
        }
        // Before what comes at the end of the time.
        let begin = text(seen).split(separator: "late", maxSplits: 1)[0]
        #expect(begin.contains("\n\n:\n\n"))
        try await loop.run { timer.value.close() }
        try await world.stop()
    }

    @Test func `counts the time for a comment from the last event`() async throws {
        let (world, client) = try await listening(keepAlive: .milliseconds(400))
        let (loop, broadcast) = (world.test.loop, world.broadcast)
        let timer = try await loop.run {
            let timer = try LoopTimer(on: loop) {}
            var texts = ["first", "marker"]
            timer.onFire = { [unowned timer] in
                if !texts.isEmpty { _ = broadcast.value.send([Array(texts.removeFirst().utf8)]) }
                // Later than the comment is due.
                timer.start(after: .milliseconds(500))
            }
            timer.start(after: .milliseconds(200))
            return LoopBound(timer, on: loop)
        }
        let seen = text(
            await client.receive { String(decoding: $0, as: UTF8.self).contains("marker\n\n") })
        #expect(seen.contains("first\n\n:\n\nid: "))
        try await loop.run { timer.value.close() }
        try await world.stop()
    }
}

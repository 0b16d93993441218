import Testing
import WeirCore
import WeirTestSupport

@testable import WeirNetwork

private func line(_ id: Int) -> String { Reading(id: id, value: 1).json + "\n" }

private func address(_ proxy: FaultyProxy) throws -> SocketAddress {
    try #require(SocketAddress(ip: "127.0.0.1", port: proxy.port))
}

@Suite(.timeLimit(.minutes(5))) struct `Sources over a faulty network` {
    private func start(
        _ source: Source<Reading>, _ seen: Recorder<Int>
    ) async throws -> RunningTopology {
        try await Topology("faults") {
            EventStream("in", from: source).map(\.id).sink(seen.sink)
        }.start(.quiet())
    }

    @Test(arguments: [false, true], [1...1, 1...3, 1...100])
    func `take frames that come in any pieces`(
        _ hasLengths: Bool, _ slices: ClosedRange<Int>
    ) async throws {
        let seen = Recorder<Int>()
        let framing: StreamFraming = hasLengths ? .lengthPrefixed() : .lines()
        let running = try await start(.tcp(port: 0, framing: framing), seen)
        let proxy = try FaultyProxy(to: try running.tcp.port, seed: 7)
        proxy.set { $0.slices = slices }
        let client = try await RawClient.connect(to: try address(proxy), on: Loop.shared())
        var bytes: [UInt8] = []
        for id in 1...200 {
            try Array(Reading(id: id, value: 1).json.utf8).withUnsafeBytes {
                try framing.wrap($0, &bytes)
            }
        }
        try await client.send(bytes)
        #expect(await seen.wait(for: 200) == Array(1...200))
        try await client.close()
        try await running.drain()
        #expect(running.deadLetters.total == 0)
        proxy.stop()
    }

    @Test func `take what a client sent before it ended its side, slowly or not`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(.tcp(port: 0), seen)
        let proxy = try FaultyProxy(to: try running.tcp.port)
        proxy.set([.toServer]) { faults in
            faults.delay = .milliseconds(2)
            faults.bytesPerSecond = 200_000
        }
        let client = try await RawClient.connect(to: try address(proxy), on: Loop.shared())
        try await client.send((1...50).map(line).joined())
        while proxy.counters.passed[0] == 0 { await Task.yield() }
        try await client.endSending()
        #expect(await seen.wait(for: 50) == Array(1...50))
        // The server ends its side too: the connection doesn't stay half open.
        _ = await client.receive()
        try await running.drain()
        proxy.stop()
    }

    @Test func `take whole frames only of connections that are reset, and go on`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(.tcp(port: 0), seen)
        let proxy = try FaultyProxy(to: try running.tcp.port, seed: 3)
        proxy.set([.toServer]) { faults in
            faults.slices = 1...40
            faults.resetAfter = 1...900
        }
        var sent: Set<Int> = []
        for round in 0..<50 {
            let ids = (round * 100)..<(round * 100 + 40)
            sent.formUnion(ids)
            let client = try await RawClient.connect(to: try address(proxy), on: Loop.shared())
            try? await client.send(ids.map(line).joined())
            _ = await client.receive()
            try await client.close()
        }
        proxy.heal()
        let client = try await RawClient.connect(to: try address(proxy), on: Loop.shared())
        try await client.send(line(99_999))
        while !seen.values.contains(99_999) { await Task.yield() }
        try await client.close()
        try await running.drain()
        let ids = seen.values
        #expect(Set(ids).count == ids.count && sent.isSuperset(of: ids.filter { $0 != 99_999 }))
        // Of each connection the first ones.
        for round in 0..<50 {
            let own = ids.filter { $0 / 100 == round }
            #expect(own == own.indices.map { round * 100 + $0 })
        }
        proxy.stop()
    }

    @Test func `take the messages of a WebSocket that comes byte by byte`() async throws {
        let seen = Recorder<Int>()
        let running = try await start(.webSocket("/in", port: 0), seen)
        let proxy = try FaultyProxy(to: try running.web.port, seed: 5)
        proxy.set { $0.slices = 1...2 }
        let client = try await WebSocketClient.connect(to: "ws://127.0.0.1:\(proxy.port)/in")
        for id in 1...200 { try await client.send(Reading(id: id, value: 1).json) }
        #expect(await seen.wait(for: 200) == Array(1...200))
        proxy.resetAll()
        while try running.serverCounters.connectionsOpen > 0 { await Task.yield() }
        try await running.drain()
        proxy.stop()
    }

    @Test func `close a WebSocket whose peer the network has swallowed`() async throws {
        let seen = Recorder<Int>()
        var options = WebSocketOptions()
        options.connection.pingInterval = .seconds(1)
        options.connection.pongTimeout = .seconds(1)
        let running = try await start(
            .webSocket("/in", port: 0, as: Reading.self, options: options), seen)
        let proxy = try FaultyProxy(to: try running.web.port)
        for id in 1...2 {
            let client = try await WebSocketClient.connect(to: "ws://127.0.0.1:\(proxy.port)/in")
            try await client.send(Reading(id: id, value: 1).json)
            _ = await seen.wait(for: id)
            proxy.set { $0.isBlackHole = true }
            while try running.serverCounters.connectionsOpen > 0 { await Task.yield() }
            proxy.heal()
            await client.close()
        }
        try await running.drain()
        #expect(seen.values == [1, 2])
        proxy.stop()
    }

    @Test func `answer or close a request whose rest the network has swallowed`() async throws {
        let seen = Recorder<Int>()
        let topology = Topology("requests") {
            ServerSettings(port: 0) { settings in
                // Enough for the first bytes to come also where all processors are busy: a
                // connection that has brought nothing is closed without an answer.
                settings.headTimeout = .seconds(8)
                settings.bodyTimeout = .seconds(8)
            }
            EventStream("in", from: .http("/in", port: 0, as: Reading.self)).map(\.id)
                .sink(seen.sink)
        }
        let running = try await topology.start(.quiet())
        let proxy = try FaultyProxy(to: try running.web.port)
        let body = Reading(id: 1, value: 1).json
        let request = Array(PostClient.request(body).utf8)
        for cut in [10, request.count - 5] {
            let before = proxy.counters.passed[0]
            let client = try await RawClient.connect(to: try address(proxy), on: Loop.shared())
            try await client.send(Array(request.prefix(cut)))
            while proxy.counters.passed[0] < before + cut { await Task.yield() }
            proxy.set([.toServer]) { $0.isBlackHole = true }
            let answer = await client.receiveText()
            #expect(answer.hasPrefix("HTTP/1.1 408"), "\(answer)")
            try await client.close()
            proxy.heal()
        }
        let client = try await PostClient(try address(proxy))
        #expect(try await client.exchange(PostClient.last(body)).map(\.status) == [202])
        try await running.drain()
        #expect(seen.values == [1])
        proxy.stop()
    }
}

@Suite(.timeLimit(.minutes(5))) struct `Sources that connect over a faulty network` {
    @Test func `make a WebSocket anew when it is reset or swallowed`() async throws {
        let test = try await TestServer()
        let proxy = try FaultyProxy(to: test.address.port, seed: 11)
        var options = WebSocketFeedOptions()
        options.opening = [Reading(id: 0, value: 0).json]
        options.reconnection = ReconnectionPolicy(
            firstPause: .milliseconds(1), longestPause: .milliseconds(20))
        options.client.connection.pingInterval = .milliseconds(100)
        options.client.connection.pongTimeout = .milliseconds(100)
        options.client.connectTimeout = .milliseconds(500)
        let seen = Recorder<Int>()
        let url = "ws://127.0.0.1:\(proxy.port)/echo"
        let running = try await Topology("feed") {
            EventStream("in", from: .webSocket(url: url, as: Reading.self, options: options))
                .map(\.id).sink(seen.sink)
        }.start(.quiet())
        // The opening comes back over each connection.
        for round in 1...10 {
            _ = await seen.wait(for: round)
            proxy.resetAll()
        }
        _ = await seen.wait(for: 11)
        proxy.set { $0.isBlackHole = true }
        let before = proxy.counters.connections
        while proxy.counters.connections == before { await Task.yield() }
        proxy.heal()
        let count = seen.values.count
        _ = await seen.wait(for: count + 1)
        proxy.set { $0.slices = 1...3 }
        proxy.resetAll()
        _ = await seen.wait(for: count + 2)
        #expect(Set(seen.values) == [0])
        let status = try #require(running.webSocketFeeds["in"])
        #expect(status.connections >= 12 && status.failures >= 11)
        try await running.drain()
        await test.stop()
        proxy.stop()
    }

    @Test func `miss no server-sent event over resets at random moments`() async throws {
        var out = ServerSentEventOptions()
        out.retry = .milliseconds(1)
        let sender = try await Topology("events") { [out] in
            EventStream("in", from: .http("/in", port: 0, as: Reading.self))
                .sink(.serverSentEvents("/out", port: 0, options: out))
        }.start(.quiet())
        let web = try sender.web
        let proxy = try FaultyProxy(to: web.port, seed: 13)
        var options = ServerSentEventSourceOptions()
        options.firstPause = .milliseconds(1)
        options.longestPause = .milliseconds(1)
        let seen = Recorder<Int>()
        let url = "http://127.0.0.1:\(proxy.port)/out"
        let receiver = try await Topology("feed") {
            EventStream(
                "in", from: .serverSentEvents(from: url, as: Reading.self, options: options)
            ).map(\.id).sink(seen.sink)
        }.start(.quiet())
        // Its connection is there when the first events are sent: they have not to be kept.
        while proxy.counters.passed[1] == 0 { await Task.yield() }
        let count = 400
        for start in stride(from: 0, to: count, by: 20) {
            if start == 20 {
                _ = await seen.wait(for: 20)
                proxy.set([.toClient]) { faults in
                    faults.slices = 1...300
                    faults.resetAfter = 300...3_000
                }
            }
            if start % 100 == 20 { proxy.resetAll() }
            let body = (start..<(start + 20)).map { Reading(id: $0, value: 1).json }
            let answers = try await PostClient(web).exchange(
                PostClient.last("[\(body.joined(separator: ","))]"))
            // The events that were not taken would be waited for without end.
            try #require(answers.map(\.status) == [202])
        }
        #expect(await seen.wait(for: count) == Array(0..<count))
        receiver.cancel()
        try? await receiver.waitUntilFinished()
        try await sender.drain()
        #expect(proxy.counters.resets >= 2)
        proxy.stop()
    }
}
